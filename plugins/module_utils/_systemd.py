# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of units, and what we ask of it."""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome, run

UNIT_SUFFIXES = (
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".path",
    ".mount",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
    ".device",
)
RUNTIME_FOLDER = "/run/systemd/system"
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)

# How long systemctl may take: longer than systemd's own limit for a start plus a stop (90 s each).
JOB_LIMIT = 200.0

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "CanReload",
    "NeedDaemonReload",
    "MainPID",
    "ReloadResult",
    "FragmentPath",
    "ActiveEnterTimestampMonotonic",
    "StateChangeTimestampMonotonic",
)

ENABLED_STATES = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated", "linked", "linked-runtime")


def unit_name(name: str) -> str:
    """The full name of a unit: a bare name means a service."""
    return name if name.endswith(UNIT_SUFFIXES) else f"{name}.service"


def is_running_host(folder: str = RUNTIME_FOLDER) -> bool:
    """Whether systemd runs this host (and not just lies on its disk, as in an image that is being built)."""
    return os.path.isdir(folder)


@dataclass(frozen=True)
class UnitStatus:
    """One unit as systemd sees it now. Times are in seconds of the clock's present reading (Unix time)."""

    name: str
    load_state: str = "not-found"
    active_state: str = "inactive"
    sub_state: str = "dead"
    unit_file_state: str = ""
    can_reload: bool = False
    need_daemon_reload: bool = False
    main_pid: int = 0
    reload_ok: bool = True
    fragment_path: str = ""
    started: float = 0.0
    changed: float = 0.0

    @property
    def exists(self) -> bool:
        return self.load_state not in ("not-found", "")

    @property
    def masked(self) -> bool:
        return self.load_state == "masked"

    @property
    def active(self) -> bool:
        """Whether the service runs and can be asked to reload."""
        return self.active_state in ("active", "reloading", "refreshing")

    @property
    def in_transition(self) -> bool:
        return self.active_state in ("activating", "deactivating")

    @property
    def enabled(self) -> bool:
        return self.unit_file_state in ENABLED_STATES


def parse_show(text: str) -> list[dict[str, str]]:
    """The blocks of ``systemctl show``, one dictionary a unit."""
    blocks: list[dict[str, str]] = []
    current: dict[str, str] = {}
    for line in text.splitlines():
        if not line:
            if current:
                blocks.append(current)
            current = {}
            continue
        key, separator, value = line.partition("=")
        if separator:
            current[key] = value
    if current:
        blocks.append(current)
    return blocks


def _number(value: str | None) -> int:
    return int(value) if value and value.isdigit() else 0


def to_status(name: str, block: t.Mapping[str, str], now: float | None = None, uptime: float | None = None) -> UnitStatus:
    """Turn the properties of one unit into a status.

    The start is counted back from now on the monotonic clock, so a clock that was set after the start (a host without
    a battery) doesn't make a file look newer than the service.
    """
    present = time.time() if now is None else now
    monotonic = time.monotonic() if uptime is None else uptime

    def moment(key: str) -> float:
        stamp = _number(block.get(key))
        return present - (monotonic - stamp / 1e6) if stamp else 0.0

    return UnitStatus(
        name=name,
        load_state=block.get("LoadState", "not-found"),
        active_state=block.get("ActiveState", "inactive"),
        sub_state=block.get("SubState", ""),
        unit_file_state=block.get("UnitFileState", ""),
        can_reload=block.get("CanReload") == "yes",
        need_daemon_reload=block.get("NeedDaemonReload") == "yes",
        main_pid=_number(block.get("MainPID")),
        reload_ok=block.get("ReloadResult", "success") == "success",
        fragment_path=block.get("FragmentPath", ""),
        started=moment("ActiveEnterTimestampMonotonic"),
        changed=moment("StateChangeTimestampMonotonic"),
    )


def find_unit_file(name: str, folders: t.Sequence[str] = UNIT_FOLDERS) -> str | None:
    """Where a unit's file lies, for hosts on which systemd can't be asked."""
    for folder in folders:
        candidate = os.path.join(folder, name)
        if os.path.lexists(candidate):
            return candidate
    return None


def status_from_disk(name: str, folders: t.Sequence[str] = UNIT_FOLDERS) -> UnitStatus:
    """What can be said of a unit on a host that systemd doesn't run."""
    found = find_unit_file(name, folders)
    if found is None:
        return UnitStatus(name=name)
    masked = os.path.islink(found) and os.readlink(found) == os.devnull
    return UnitStatus(name=name, load_state="masked" if masked else "loaded", fragment_path=found)


class Systemd:
    """The one place where systemctl and journalctl are called."""

    def __init__(self) -> None:
        self.running = is_running_host()

    def _systemctl(self, *arguments: str, timeout: float = JOB_LIMIT) -> Outcome:
        extra = {} if self.running else {"SYSTEMD_OFFLINE": "1"}
        return run(["systemctl", "--no-ask-password", *arguments], timeout=timeout, extra=extra)

    def show_many(self, names: t.Sequence[str]) -> dict[str, UnitStatus]:
        """The status of every unit named, with one call."""
        if not names:
            return {}
        if not self.running:
            return {name: status_from_disk(name) for name in names}
        outcome = self._systemctl("show", "--property", ",".join(PROPERTIES), "--", *names, timeout=30.0)
        blocks = parse_show(outcome.stdout)
        if len(blocks) != len(names):
            raise RuntimeError(f"systemctl show failed: {outcome.output}")
        return {name: to_status(name, block) for name, block in zip(names, blocks, strict=True)}

    def show(self, name: str) -> UnitStatus:
        return self.show_many([name])[name]

    def daemon_reload(self) -> Outcome:
        return self._systemctl("daemon-reload")

    def reset_failed(self, name: str) -> Outcome:
        return self._systemctl("reset-failed", name)

    def start(self, name: str) -> Outcome:
        return self._systemctl("start", name)

    def stop(self, name: str) -> Outcome:
        return self._systemctl("stop", name)

    def reload(self, name: str) -> Outcome:
        return self._systemctl("reload", name)

    def restart(self, name: str) -> Outcome:
        return self._systemctl("restart", name)

    def enable(self, name: str) -> Outcome:
        return self._systemctl("enable", name)

    def disable(self, name: str) -> Outcome:
        return self._systemctl("disable", name)

    def is_enabled(self, name: str) -> bool:
        """For hosts that systemd doesn't run: what the links on the disk say."""
        return self._systemctl("is-enabled", name).stdout.strip() in ENABLED_STATES

    def journal_tail(self, name: str, since: float, lines: int = 15) -> str:
        """The unit's last words since a moment (Unix time)."""
        outcome = run(
            ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={lines}", f"--since=@{since:.3f}", f"--unit={name}"],
            timeout=20.0,
        )
        return outcome.stdout.strip() if outcome.rc == 0 else ""
