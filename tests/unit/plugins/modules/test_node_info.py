# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_info on the host that runs the tests."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import typing as t

import pytest
import yaml

from ansible_collections.hitless.lb.plugins.modules import node_info


def run(**arguments: t.Any) -> dict[str, t.Any]:
    script = (
        "import json, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from ansible.module_utils.testing import patch_module_args\n"
        "from ansible_collections.hitless.lb.plugins.modules import node_info\n"
        "with patch_module_args(json.load(sys.stdin)):\n"
        "    node_info.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input=json.dumps(arguments), capture_output=True, text=True, check=False)
    answer: dict[str, t.Any] = json.loads(done.stdout)
    return answer


def test_everything_that_is_documented_is_returned() -> None:
    documented = set(yaml.safe_load(node_info.RETURN))
    assert documented == set(run()) - {"changed", "invocation"}


def test_what_was_asked_for_is_answered_by_its_own_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = run(
            units=["no-such-unit-here"],
            sysctls=["net.ipv4.ip_forward", "no.such"],
            certificates=["/no/such"],
            programs=["uname -s", "uname --no-such", "no-such-program -v", ""],
        )
        port = server.getsockname()[1]
    assert answer["changed"] is False
    assert answer["hostname"] == socket.gethostname()
    assert answer["units"]["no-such-unit-here"]["load_state"] == "not-found"
    assert answer["sysctls"]["net.ipv4.ip_forward"] in ("0", "1") and answer["sysctls"]["no.such"] is None
    assert answer["certificates"] == {"/no/such": {"exists": False, "mtime": None}}
    assert answer["programs"] == {"uname -s": "Linux\n", "uname --no-such": None, "no-such-program -v": None, "": None}
    assert any((entry["protocol"], entry["address"], entry["port"]) == ("tcp", "127.0.0.1", port) for entry in answer["listeners"])
    assert isinstance(answer["ipv6"], bool) and isinstance(answer["systemd"], bool)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"neighbors": ["192.0.2.1/24"], "neighbor_interface": "eth0"}, "isn't an IP address"),
        ({"neighbors": ["192.0.2.1"]}, "neighbor_interface"),
    ],
)
def test_bad_questions(arguments: dict[str, t.Any], word: str) -> None:
    answer = run(**arguments)
    assert answer["failed"] and word in answer["msg"]


def test_documentation_and_argument_spec_are_the_same() -> None:
    documented = yaml.safe_load(node_info.DOCUMENTATION)["options"]
    assert set(documented) == set(node_info.ARGUMENT_SPEC)
    for name, option in node_info.ARGUMENT_SPEC.items():
        for key in ("type", "elements", "choices", "default", "required"):
            assert documented[name].get(key) == option.get(key), (name, key)
