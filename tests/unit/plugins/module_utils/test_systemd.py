# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says, read from its own output."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hitless.lb.plugins.module_utils import _systemd
from ansible_collections.hitless.lb.plugins.module_utils._systemd import UnitStatus

SHOW = """\
MainPID=470
ReloadResult=success
Id=haproxy.service
LoadState=loaded
ActiveState=active
SubState=running
FragmentPath=/usr/lib/systemd/system/haproxy.service
UnitFileState=enabled
StateChangeTimestampMonotonic=2500000
ActiveEnterTimestampMonotonic=1500000
CanReload=yes
NeedDaemonReload=no

Id=nothing.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
StateChangeTimestampMonotonic=0
ActiveEnterTimestampMonotonic=0
CanReload=no
NeedDaemonReload=no
"""


def test_units_are_read_in_their_order() -> None:
    blocks = _systemd.parse_show(SHOW)
    assert [block["Id"] for block in blocks] == ["haproxy.service", "nothing.service"]
    assert _systemd.parse_show("") == []


def test_a_running_unit() -> None:
    status = _systemd.to_status("haproxy.service", _systemd.parse_show(SHOW)[0], now=1000.0, uptime=10.0)
    assert status == UnitStatus(
        name="haproxy.service",
        load_state="loaded",
        active_state="active",
        sub_state="running",
        unit_file_state="enabled",
        can_reload=True,
        main_pid=470,
        fragment_path="/usr/lib/systemd/system/haproxy.service",
        started=991.5,
        changed=992.5,
    )
    assert status.exists and status.active and status.enabled and not status.masked and not status.in_transition


def test_a_unit_that_is_not_there() -> None:
    status = _systemd.to_status("nothing.service", _systemd.parse_show(SHOW)[1])
    assert not status.exists and not status.active and not status.enabled
    assert (status.started, status.changed) == (0.0, 0.0)


def test_a_failed_reload_is_known() -> None:
    assert not _systemd.to_status("x.service", {"ReloadResult": "exit-code"}).reload_ok
    assert _systemd.to_status("x.socket", {}).reload_ok


@pytest.mark.parametrize(
    ("state", "active", "moving"),
    [
        ("active", True, False),
        ("reloading", True, False),
        ("activating", False, True),
        ("deactivating", False, True),
        ("failed", False, False),
    ],
)
def test_states(state: str, active: bool, moving: bool) -> None:
    status = UnitStatus("x", load_state="loaded", active_state=state)
    assert (status.active, status.in_transition) == (active, moving)


@pytest.mark.parametrize(
    ("name", "full"), [("nginx", "nginx.service"), ("nginx.service", "nginx.service"), ("x.socket", "x.socket"), ("a.b", "a.b.service")]
)
def test_names(name: str, full: str) -> None:
    assert _systemd.unit_name(name) == full


def test_units_on_a_host_that_systemd_does_not_run(tmp_path: Path) -> None:
    etc, lib = tmp_path / "etc", tmp_path / "lib"
    for folder in (etc, lib):
        folder.mkdir()
    folders = (str(etc), str(lib))
    assert not _systemd.status_from_disk("x.service", folders).exists
    (lib / "x.service").write_text("")
    assert _systemd.status_from_disk("x.service", folders).load_state == "loaded"
    (etc / "x.service").symlink_to("/dev/null")
    assert _systemd.status_from_disk("x.service", folders).masked
    assert _systemd.is_running_host(str(tmp_path)) and not _systemd.is_running_host(str(tmp_path / "no"))
