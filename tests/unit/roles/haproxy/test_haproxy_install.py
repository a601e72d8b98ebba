# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role makes of the ways to install HAProxy: its unit, its checkers, and the look at the program that runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from haproxy_role import NODE, evaluate, render

SOURCE_FILE = "/etc/apt/sources.list.d/hitless-haproxy.sources"

PLAN = {
    "method": "source",
    "version": "3.0.11",
    "binary": "/opt/haproxy/3.0.11-x/sbin/haproxy",
    "source": {"directory": "/opt/haproxy/3.0.11-x", "features": "+OPENSSL"},
}


def variables(**more: Any) -> dict[str, Any]:
    """A fixture of a node on which the source and the program are there."""
    return {"variables": {}, "node": {"certificates": {path: {"exists": True} for path in (SOURCE_FILE, PLAN["binary"])}}} | more


def with_plan(text: str, plan: dict[str, Any], **more: Any) -> Any:
    """Evaluate with a plan in place of the role's own, which the filter's tests look at."""
    own = {"__haproxy_plan": plan, "ansible_check_mode": False, **more.pop("extra", {})}
    return evaluate(variables(**more, own=own), text)


def test_the_unit_is_debians_but_for_its_comments() -> None:
    lines = [line for line in render({"variables": {}}, "haproxy.service.j2").splitlines() if line and not line.startswith("#")]
    for line in (
        "Type=notify",
        "ExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE $EXTRAOPTS",
        "ExecReload=/usr/sbin/haproxy -Ws -f $CONFIG -c $EXTRAOPTS",
        "ExecReload=/bin/kill -USR2 $MAINPID",
        "BindReadOnlyPaths=/dev/log:/var/lib/haproxy/dev/log",
        "KillMode=mixed",
        "Restart=always",
    ):
        assert line in lines
    assert 'CONFIG=/etc/haproxy/haproxy.cfg"' in "\n".join(lines)


def test_the_folder_for_sockets_survives_a_boot() -> None:
    assert "d /run/haproxy 2775 haproxy haproxy -" in render({"variables": {}}, "tmpfiles.conf.j2").splitlines()


def test_the_package_is_asked_by_its_name() -> None:
    checkers = with_plan("{{ __haproxy_checkers }}", {"method": "package", "version": "", "binary": ""})
    assert checkers[0][:2] == ["haproxy", "-c"] and checkers[1][-1] == "foreign"


def test_a_built_program_checks_what_it_will_run() -> None:
    checkers = with_plan("{{ __haproxy_checkers }}", PLAN)
    assert checkers[0][0] == PLAN["binary"] and checkers[1][-1] == PLAN["binary"]
    files = with_plan("{{ [__haproxy_files.program] }}", PLAN)
    assert files == [{"path": "/usr/sbin/haproxy", "link": PLAN["binary"], "original": "/usr/sbin/haproxy.distrib"}]


def test_an_unpacked_program_checks_with_its_own_libraries() -> None:
    tried = {"__haproxy_try": {"root": "/c/root", "libraries": "/c/root/usr/lib"}}
    checkers = with_plan("{{ __haproxy_checkers }}", {"method": "package", "version": "", "binary": ""}, extra=tried)
    assert checkers[0][:4] == ["env", "LD_LIBRARY_PATH=/c/root/usr/lib", "/c/root/usr/sbin/haproxy", "-c"]
    assert checkers[1][-1] == "/c/root/usr/sbin/haproxy"


@pytest.mark.parametrize(
    ("plan", "extra", "configured", "version"),
    [
        ({"method": "package", "version": ""}, {}, False, "3.0.11-1+deb13u1"),
        (PLAN | {"version": "2.6.12"}, {}, False, "2.6.12"),
        # Nobody knows yet what the new source has; Debian's version says nothing of it.
        ({"method": "repository", "version": ""}, {}, False, None),
        ({"method": "repository", "version": "3.2.*"}, {}, False, "3.2."),
        ({"method": "repository", "version": ""}, {"__haproxy_choice": {"wanted": "3.2.1-1"}}, False, "3.2.1-1"),
        ({"method": "repository", "version": ""}, {}, True, "3.0.11-1+deb13u1"),
        ({"method": "package", "version": ""}, {"__haproxy_version": "3.0.12-1"}, False, "3.0.12-1"),
        ({"method": "package", "version": ""}, {"__haproxy_choice": {"wanted": "3.2.1-1"}}, False, "3.0.11-1+deb13u1"),
    ],
)
def test_the_version_that_is_about_to_be_there(plan: dict[str, Any], extra: dict[str, Any], configured: bool, version: str | None) -> None:
    node = {"certificates": {SOURCE_FILE: {"exists": configured}}}
    found = with_plan("{{ __haproxy_future }}", plan, node=node, extra=extra)
    haproxy = found["packages"]["haproxy"]
    assert (haproxy.get("coming") or haproxy["installed"]) == version
    assert found["hostname"] == NODE["hostname"]


OTHER = {"method": "repository", "version": ""}
LIMITED = "+OPENSSL +QUIC +QUIC_OPENSSL_COMPAT"


@pytest.mark.parametrize(
    ("plan", "wanted", "said"),
    [
        ({"method": "package", "version": ""}, "", "of the one that goes"),
        (PLAN, "", "+OPENSSL"),
        (PLAN | {"source": {"directory": "/opt/haproxy/3.0.11-x", "features": LIMITED}}, "", LIMITED),
        (OTHER, "3.2.1-1", None),
        (OTHER, NODE["packages"]["haproxy"]["installed"], "of the one that goes"),
    ],
)
def test_what_a_program_says_of_itself_isnt_taken_for_anothers(plan: dict[str, Any], wanted: str, said: str | None) -> None:
    node = {"certificates": {SOURCE_FILE: {"exists": True}}, "programs": {"haproxy -vv": "of the one that goes"}}
    extra = {"__haproxy_choice": {"wanted": wanted}} if wanted else {}
    assert with_plan("{{ __haproxy_future }}", plan, node=node, extra=extra)["programs"] == {"haproxy -vv": said}


@pytest.mark.parametrize("case", ["the same", "another", "it can't be seen"])
def test_the_look_at_the_program_that_runs(case: str, tmp_path: Path) -> None:
    """The shell's words, with a systemctl that names a process of this test and programs of its choice."""
    pid = str(os.getpid()) if case != "it can't be seen" else "0"
    program = os.path.realpath("/proc/self/exe") if case == "the same" else "/bin/sh"
    fake = tmp_path / "systemctl"
    fake.write_text(f"#!/bin/sh\necho {pid}\n", encoding="utf-8")
    fake.chmod(0o755)
    words = evaluate(variables(), "{{ __haproxy_runs }}").replace("/usr/sbin/haproxy", program)
    said = subprocess.run(
        ["/bin/sh", "-c", words], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    ).stdout
    assert said == ("not the installed program\n" if case == "another" else "program\n")
