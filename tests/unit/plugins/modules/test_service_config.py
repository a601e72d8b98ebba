# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of service_config, and what leaves the module."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.hitless.lb.plugins.module_utils._probe import Probe
from ansible_collections.hitless.lb.plugins.module_utils._runtime import Runtime, Step
from ansible_collections.hitless.lb.plugins.module_utils._sandbox import Check
from ansible_collections.hitless.lb.plugins.modules import service_config
from ansible_collections.hitless.lb.plugins.modules.service_config import BadParameter

SECRET = "hunter2-in-a-file"
RUNTIME = {"unix": "/s", "ask": "?", "expect": "x", "tell": [{"send": "y", "expect": "z"}]}


def params(**more: t.Any) -> dict[str, t.Any]:
    """Parameters as Ansible hands them over, defaults filled in."""
    result = {name: spec.get("default") for name, spec in service_config.ARGUMENT_SPEC.items()}
    result.update({"name": "thing", "unit": "thing"}, **more)
    for name in ("files", "probe"):
        options = service_config.ARGUMENT_SPEC[name]["options"]
        result[name] = [{**{key: spec.get("default") for key, spec in options.items()}, **raw} for raw in result[name]]
    return result


def run(**arguments: t.Any) -> subprocess.CompletedProcess[str]:
    """The module as Ansible runs it, in check mode: a process of its own with its parameters on standard input."""
    script = (
        "import json, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from ansible.module_utils import basic\n"
        "from ansible.module_utils.testing import patch_module_args\n"
        "from ansible_collections.hitless.lb.plugins.modules import service_config\n"
        "with patch_module_args(json.load(sys.stdin)):\n"
        "    service_config.main()\n"
    )
    arguments = {"name": "thing", "unit": "no-such-unit-here", "_ansible_check_mode": True, "_ansible_diff": True, **arguments}
    return subprocess.run([sys.executable, "-c", script], input=json.dumps(arguments), capture_output=True, text=True, check=False)


def test_defaults_of_documentation_and_argument_spec_are_the_same() -> None:
    documentation = yaml.safe_load(service_config.DOCUMENTATION)["options"]

    def compare(documented: dict[str, t.Any], spec: dict[str, t.Any]) -> None:
        assert set(documented) == set(spec)
        for name, option in spec.items():
            for key in ("type", "elements", "choices", "default", "required"):
                assert documented[name].get(key) == option.get(key), (name, key)
            if "options" in option:
                compare(documented[name]["suboptions"], option["options"])

    compare(documentation, service_config.ARGUMENT_SPEC)


def test_a_whole_request() -> None:
    request = service_config.to_request(
        params(
            files=[{"path": "/etc/x", "content": "grün", "mode": "600", "sensitive": True}, {"path": "/etc/y", "state": "taken_out"}],
            validate=[["check", 1], {"argv": ["other"], "ok_rc": [0, 5], "reject_output": "warn"}],
            probe=[{"tcp": "127.0.0.1:80"}, {"unix": "/s", "send": "x", "expect": "y", "running": True}, {"command": ["true"]}],
            variables=["thing_x"],
        )
    )
    assert [(spec.path, spec.content, spec.mode, spec.state) for spec in request.files] == [
        ("/etc/x", "grün".encode(), 0o600, "present"),
        ("/etc/y", b"", 0o644, "taken_out"),
    ]
    assert request.checks == (Check(("check", "1")), Check(("other",), (0, 5), "warn"))
    assert request.probes == (
        Probe("tcp", "127.0.0.1:80"),
        Probe("unix", "/s", send="x", expect="y", running=True),
        Probe("command", argv=("true",)),
    )


def test_a_link_and_its_original() -> None:
    request = service_config.to_request(params(files=[{"path": "/x", "link": "/opt/x", "original": "/x.distrib"}]))
    assert [(spec.link, spec.original, spec.content) for spec in request.files] == [("/opt/x", "/x.distrib", b"")]


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"files": [{"path": "x", "content": ""}]}, "absolute"),
        ({"files": [{"path": "/x", "content": "", "mode": "rw"}]}, "octal"),
        ({"files": [{"path": "/x", "content": "", "mode": "0888"}]}, "octal"),
        ({"files": [{"path": "/x", "content": "a", "state": "taken_out"}]}, "only one of them"),
        ({"files": [{"path": "/x", "content": ""}, {"path": "/x", "content": ""}]}, "listed twice"),
        ({"files": [{"path": "/x", "content": "", "runtime": RUNTIME}]}, "means nothing to action reload"),
        ({"files": [{"path": "/x", "content": "", "action": "runtime"}]}, "says how the service is told"),
        ({"files": [{"path": "/x", "content": "", "action": "runtime", "runtime": {**RUNTIME, "expect": "("}}]}, "regular expression"),
        ({"files": [{"path": "/x", "content": "", "action": "runtime", "runtime": {**RUNTIME, "tell": []}}]}, "tell is empty"),
        ({"files": [{"path": "/x", "link": "/y", "state": "taken_out"}]}, "only one of them"),
        ({"files": [{"path": "/x", "link": "y"}]}, "another absolute path"),
        ({"files": [{"path": "/x", "link": "/x"}]}, "another absolute path"),
        ({"files": [{"path": "/x", "link": "/y", "original": "/x"}]}, "another absolute path"),
        ({"files": [{"path": "/x", "link": "/y", "action": "runtime", "runtime": RUNTIME}]}, "only a content can be told"),
        ({"validate": ["haproxy -c"]}, "neither a list"),
        ({"validate": [[]]}, "list of words"),
        ({"validate": [{"argv": ["x"], "rc": 0}]}, "neither a list"),
        ({"validate": [{"argv": ["x"], "ok_rc": 0}]}, "ok_rc"),
        ({"validate": [{"argv": ["x"], "reject_output": "("}]}, "reject_output"),
        ({"probe": [{"tcp": "here"}]}, "ADDRESS:PORT"),
        ({"probe": [{"http": "here"}]}, "URL"),
        ({"probe": [{"tcp": "127.0.0.1:80", "host": "x"}]}, "belongs to http"),
        ({"probe": [{"tcp": "127.0.0.1:80", "send": "x"}]}, "belongs to unix"),
        ({"probe": [{"tcp": "127.0.0.1:80", "expect": "x"}]}, "reads no answer"),
        ({"probe": [{"unix": "/x", "expect": "x"}]}, "reads no answer"),
        ({"probe": [{"command": ["x"], "expect": "("}]}, "regular expression"),
        ({"probe": [{"command": []}]}, "empty"),
        ({"probe_timeout": 0.0}, "between 0.1 and 600"),
        ({"probe_timeout": 601.0}, "between 0.1 and 600"),
    ],
)
def test_what_cannot_be_meant_is_refused(bad: dict[str, t.Any], word: str) -> None:
    with pytest.raises(BadParameter, match=word):
        service_config.to_request(params(**bad))


@pytest.mark.parametrize(
    "probe",
    [{}, {"tcp": "127.0.0.1:1", "http": "http://x/"}, {"nonsense": 1}],
)
def test_a_probe_is_one_question(probe: dict[str, t.Any]) -> None:
    assert json.loads(run(probe=[probe]).stdout)["failed"]


def test_a_file_that_is_told_at_runtime() -> None:
    raw = {"path": "/x", "content": "", "action": "runtime", "runtime": {**RUNTIME, "unused": "no", "give_up": ["stop"]}}
    (spec,) = service_config.to_request(params(files=[raw])).files
    assert spec.runtime == Runtime("/s", "?", "x", (Step("y", "z"),), "no", ("stop",))


def test_a_file_needs_content() -> None:
    assert "content" in json.loads(run(files=[{"path": "/x"}]).stdout)["msg"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"files": [{"path": "/nowhere/x", "content": SECRET, "sensitive": True}]},
        {"files": [{"path": "/nowhere/x", "content": f"password {SECRET}\n", "sensitive": True}]},
        {"files": [{"path": "/nowhere/x", "content": SECRET, "sensitive": True, "mode": "x"}]},
        {"files": [{"path": "/nowhere/x", "content": f"a {SECRET}"}], "secrets": [SECRET]},
        {"files": [{"path": "/nowhere/x", "content": SECRET, "sensitive": True, "action": SECRET}]},
    ],
)
def test_no_secret_leaves_the_module(arguments: dict[str, t.Any]) -> None:
    done = run(**arguments)
    json.loads(done.stdout)
    assert SECRET not in done.stdout + done.stderr


def test_ordinary_words_are_not_blotted_out() -> None:
    answer = json.loads(run(files=[{"path": "/nowhere/x", "content": "root reload"}], unit="reload").stdout)
    call = answer["invocation"]["module_args"]
    assert call["unit"] == "reload"
    assert call["files"][0]["path"] == "/nowhere/x" and call["files"][0]["owner"] == "root"
    assert call["files"][0]["content"] == "(11 characters)"


def test_check_mode_of_a_first_run_on_a_real_host() -> None:
    """No such unit, no such checker: it says what it would do and what it couldn't check."""
    done = run(files=[{"path": "/nowhere/x", "content": "text\n"}], validate=[["no-such-checker-here"]])
    answer = json.loads(done.stdout)
    if os.geteuid() != 0:
        assert "needs root" in answer["msg"]
        return
    assert answer["changed"] and answer["changed_files"] == ["/nowhere/x"] and answer["rolled_back"] is False
    assert "no-such-checker-here" in json.dumps(answer["warnings"])
    assert answer["diff"][0]["after"] == "text\n"
    assert not Path("/nowhere").exists() and not Path("/var/lib/hitless/thing").exists()


def test_main_is_importable_without_output() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        __import__("ansible_collections.hitless.lb.plugins.modules.service_config")
    assert said.getvalue() == ""
