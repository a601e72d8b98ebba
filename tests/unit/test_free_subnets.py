# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab keeps its hands off subnets that the machine routes already."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "molecule" / "shared" / "free_subnets.py"


def ask(tmp_path: Path, *tables: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """Run the script on routing tables."""
    files = []
    for number, table in enumerate(tables):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(table), encoding="utf-8")
    return subprocess.run([sys.executable, SCRIPT, *files], capture_output=True, text=True, check=False, timeout=30)


def test_a_machine_with_other_networks_is_fine(tmp_path: Path) -> None:
    ipv4 = [{"dst": "default", "dev": "eth0"}, {"dst": "172.17.0.0/16", "dev": "docker0"}, {"dst": "198.51.101.0/24", "dev": "eth1"}]
    ipv6 = [
        {"dst": "default"},
        {"dst": "fe80::/64", "dev": "eth0"},
        {"dst": "ff00::/8", "dev": "eth0"},
        {"dst": "2001:db8:52::/64", "dev": "eth1"},
    ]
    done = ask(tmp_path, ipv4, ipv6)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ({"dst": "198.51.100.0/24", "dev": "tun0"}, "198.51.100.0/24 is routed on this machine already (198.51.100.0/24 by tun0)"),
        ({"dst": "198.51.100.7", "dev": "tun0"}, "(198.51.100.7 by tun0)"),
        ({"dst": "198.51.96.0/20", "dev": "tun0"}, "(198.51.96.0/20 by tun0)"),
        ({"dst": "198.51.100.0/24"}, "by another table"),
        ({"dst": "2001:db8:51::/48", "dev": "wg0"}, "2001:db8:51::/64 is routed on this machine already (2001:db8:51::/48 by wg0)"),
    ],
)
def test_a_subnet_that_is_routed_is_refused(route: dict[str, Any], words: str, tmp_path: Path) -> None:
    done = ask(tmp_path, [{"dst": "default", "dev": "eth0"}], [route])
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.endswith("remove that route or network first\n")
