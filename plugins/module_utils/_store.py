# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set of files has left on a node: the claim, the state, the undo journal."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.hitless.lb.plugins.module_utils._files import (
    FilesError,
    make_directory,
    read_json,
    remove_directory_if_empty,
    write_json,
)

STATE_ROOT = "/var/lib/hitless"
RUN_ROOT = "/run/hitless"

SET_NAME = re.compile(r"^[a-z][a-z0-9_-]{0,63}$")


@dataclass(frozen=True)
class Store:
    """The places where one set keeps what it must remember."""

    name: str
    state_root: str = STATE_ROOT
    run_root: str = RUN_ROOT

    def __post_init__(self) -> None:
        if not SET_NAME.match(self.name):
            raise FilesError(f"name: {self.name!r} isn't a name of a set; use lower-case letters, digits, _ and -, starting with a letter")

    @property
    def folder(self) -> str:
        return os.path.join(self.state_root, self.name)

    @property
    def claim_path(self) -> str:
        return os.path.join(self.folder, "claim.json")

    @property
    def state_path(self) -> str:
        return os.path.join(self.folder, "state.json")

    @property
    def journal_path(self) -> str:
        return os.path.join(self.folder, "journal.json")

    @property
    def originals(self) -> str:
        return os.path.join(self.folder, "original")

    @property
    def record_path(self) -> str:
        return os.path.join(self.run_root, f"{self.name}.json")

    def undo_folder(self, transaction: str) -> str:
        return os.path.join(self.folder, f"undo-{transaction}")

    def original_path(self, path: str) -> str:
        """Where the original of ``path`` is kept when it can't lie beside it."""
        readable = path.strip("/").replace("/", "-")[-100:]
        return os.path.join(self.originals, f"{readable}-{hashlib.sha256(path.encode()).hexdigest()[:8]}")

    def make(self) -> None:
        make_directory(self.state_root)
        make_directory(self.folder, 0o700)

    def forget_if_empty(self) -> None:
        """Remove the folders of ours that hold nothing any more."""
        for folder in (self.originals, self.folder, self.state_root, self.run_root):
            remove_directory_if_empty(folder)

    def read_claim(self) -> dict[str, t.Any] | None:
        return read_json(self.claim_path)

    def write_claim(self, claim: t.Mapping[str, t.Any]) -> None:
        self.make()
        write_json(self.claim_path, claim)

    def read_state(self) -> dict[str, t.Any] | None:
        state = read_json(self.state_path)
        return None if state is None or state.get("removed") else state

    def drop_undo_folders(self, keep: str = "") -> None:
        """Remove the copies of finished transactions."""
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.folder):
                if name.startswith("undo-") and name != f"undo-{keep}":
                    shutil.rmtree(os.path.join(self.folder, name))

    @contextlib.contextmanager
    def locked(self, limit: float = 60.0) -> t.Iterator[None]:
        """Nobody else works on this set meanwhile."""
        path = os.path.join(self.run_root, f"{self.name}.lock")
        until = time.monotonic() + limit
        handle = None
        while handle is None:
            make_directory(self.run_root, 0o700)
            handle = _try_lock(path)
            if handle is None:
                if time.monotonic() > until:
                    raise FilesError(f"another run has been working on {self.name} for {limit:g} seconds; try again when it has ended")
                time.sleep(0.1)
        try:
            yield
        finally:
            os.unlink(path)
            os.close(handle)
            remove_directory_if_empty(self.run_root)


def _try_lock(path: str) -> int | None:
    """A handle on the locked file; None when somebody else has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The one who had it may have removed the file meanwhile: then this lock is worth nothing.
        if os.fstat(handle).st_ino == os.stat(path).st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        os.close(handle)
        return None
    os.close(handle)
    return None


def new_claim() -> dict[str, t.Any]:
    return {"version": 1, "packages": [], "units": {}, "masks": []}


def mask_path(unit: str, folder: str = "/etc/systemd/system") -> str:
    return os.path.join(folder, unit)


def is_mask(path: str) -> bool:
    return os.path.islink(path) and os.readlink(path) == os.devnull
