# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that really answers on a socket, and a unit manager that runs it."""

from __future__ import annotations

import os
import socket
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.hitless.lb.plugins.module_utils._apply import Applier, Request, Result
from ansible_collections.hitless.lb.plugins.module_utils._fileset import FileSpec
from ansible_collections.hitless.lb.plugins.module_utils._probe import Probe
from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome
from ansible_collections.hitless.lb.plugins.module_utils._sandbox import Check
from ansible_collections.hitless.lb.plugins.module_utils._store import Store
from ansible_collections.hitless.lb.plugins.module_utils._systemd import UnitStatus

GOOD = Outcome(0, "", "")


class Service:
    """Answers every line on a socket with the configuration that it has read.

    Words in the configuration make it misbehave: "crash" lets it die at start, "refuse" lets a reload keep the old
    configuration while saying yes, "deaf" lets it run without answering.
    """

    def __init__(self, main: Path, address: Path) -> None:
        self.main = main
        self.address = address
        self.text = ""
        self._listener: socket.socket | None = None

    def start(self) -> bool:
        self.text = self.main.read_text() if self.main.exists() else ""
        if not self.text or "crash" in self.text:
            return False
        if "deaf" in self.text:
            return True
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.address))
        self._listener.listen()
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()
        return True

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(100)
                    connection.sendall(self.text.encode())
                except OSError:
                    continue

    def reload(self) -> None:
        text = self.main.read_text() if self.main.exists() else ""
        if "refuse" not in text:
            self.text = text

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.address.unlink(missing_ok=True)


class Manager:
    """The unit manager's side of it: states, times, links. Remembers what it was asked."""

    def __init__(self, service: Service, unit_folder: Path) -> None:
        self.service = service
        self.unit_folder = unit_folder
        self.running = True
        self.asked: list[str] = []
        self.state = "inactive"
        self.enabled = False
        self.installed = True
        self.can_reload = True
        self.started = 0.0
        self.changed = 0.0
        self.load_state = "loaded"
        # Called in the middle of a start or reload, to break a run off there.
        self.interrupt: t.Callable[[], None] | None = None

    @property
    def masked(self) -> bool:
        return (self.unit_folder / "thing.service").is_symlink()

    def show(self, name: str) -> UnitStatus:
        if not self.installed and not self.masked:
            return UnitStatus(name=name)
        return UnitStatus(
            name=name,
            load_state="masked" if self.masked else self.load_state,
            active_state=self.state,
            unit_file_state="masked" if self.masked else "enabled" if self.enabled else "disabled",
            can_reload=self.can_reload,
            started=self.started,
            changed=self.changed,
        )

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.interrupt is not None and what in ("start", "reload", "restart"):
            self.interrupt()

    def daemon_reload(self) -> Outcome:
        self._ask("daemon-reload")
        return GOOD

    def reset_failed(self, name: str) -> Outcome:
        if self.state == "failed":
            self.state = "inactive"
        return GOOD

    def start(self, name: str) -> Outcome:
        self._ask("start")
        if self.masked:
            return Outcome(1, "", f"Unit {name} is masked.")
        if not self.service.start():
            self.state = "failed"
            return Outcome(1, "", f'Job for {name} failed.\nSee "systemctl status {name}" for details.')
        self.state = "active"
        self.started = self.changed = time.time()
        return GOOD

    def stop(self, name: str) -> Outcome:
        self._ask("stop")
        self.service.stop()
        self.state = "inactive"
        return GOOD

    def reload(self, name: str) -> Outcome:
        self._ask("reload")
        self.service.reload()
        self.changed = time.time()
        return GOOD

    def restart(self, name: str) -> Outcome:
        self._ask("restart")
        self.service.stop()
        self.asked.append("(start)")
        if not self.service.start():
            self.state = "failed"
            return Outcome(1, "", f"Job for {name} failed.")
        self.state = "active"
        self.started = self.changed = time.time()
        return GOOD

    def enable(self, name: str) -> Outcome:
        self._ask("enable")
        self.enabled = True
        return GOOD

    def disable(self, name: str) -> Outcome:
        self._ask("disable")
        self.enabled = False
        return GOOD

    def is_enabled(self, name: str) -> bool:
        return self.enabled

    def journal_tail(self, name: str, since: float) -> str:
        return f"{name} says it is unwell"


class Host:
    """A small host below one folder: files, state, the service and the calls of the module on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.etc = root / "etc"
        self.units = root / "units"
        for folder in (self.etc, self.units):
            folder.mkdir()
        self.main = self.etc / "main.conf"
        self.part = self.etc / "part.conf"
        self.socket = root / "s"
        self.service = Service(self.main, self.socket)
        self.manager = Manager(self.service, self.units)
        self.store = Store("thing", str(root / "state"), str(root / "run"))

    @staticmethod
    def spec(path: Path, content: str = "", **more: t.Any) -> FileSpec:
        return FileSpec(str(path), content.encode(), owner=str(os.getuid()), group=str(os.getgid()), **more)

    def probe(self, expect: str = "good", **more: t.Any) -> Probe:
        return Probe(kind="unix", target=str(self.socket), send="?", expect=expect, **more)

    def request(self, *files: FileSpec, **more: t.Any) -> Request:
        more.setdefault("probes", (self.probe(),))
        more.setdefault("checks", (Check(("sh", "-c", f"! grep invalid {self.main}")),))
        return Request(unit="thing", files=files, probe_timeout=more.pop("probe_timeout", 0.3), **more)

    def applier(self, *files: FileSpec, check: bool = False, **more: t.Any) -> Applier:
        return Applier(self.store, self.manager, self.request(*files, **more), check_mode=check, unit_folder=str(self.units))

    def present(self, *files: FileSpec, **more: t.Any) -> Result:
        self.manager.asked.clear()
        return self.applier(*files, **more).present()

    def absent(self, **more: t.Any) -> Result:
        self.manager.asked.clear()
        return self.applier(**more).absent()

    def set(self, text: str = "good one", part: str = "part one") -> list[FileSpec]:
        """The usual two files."""
        return [self.spec(self.part, part), self.spec(self.main, text)]

    def tree(self) -> dict[str, t.Any]:
        """Everything that lies in the folders of the host, without what can't be put back (inode, change time)."""
        result: dict[str, t.Any] = {}
        for folder in (self.etc, self.units, self.root / "state", self.root / "run"):
            for path in sorted(folder.rglob("*")) if folder.exists() else []:
                status = path.lstat()
                details: tuple[t.Any, ...] = (oct(status.st_mode), status.st_uid, status.st_gid)
                if path.is_symlink():
                    details += (os.readlink(path),)
                elif path.is_file():
                    details += (path.read_bytes(), status.st_mtime_ns)
                result[str(path.relative_to(self.root))] = details
        return result


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Host]:
    # A short path: the name of a socket may have 107 characters only.
    from ansible_collections.hitless.lb.plugins.module_utils import _apply

    # No power cut is going to be played here.
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    monkeypatch.setattr(_apply, "HEALTH_LIMIT", 0.2)
    monkeypatch.setattr(_apply, "SETTLE", 0.05)
    monkeypatch.setattr(_apply, "_UNIT_FOLDERS_OF_PACKAGES", ("/nowhere",))
    small = Host(tmp_path_factory.mktemp("h"))
    yield small
    small.service.stop()
