# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let a checker see a future tree of files at its final place, in a private mount namespace.

A regular file that exists gets the staged one bound over it. Where a name comes or goes, the folder is rebuilt on a
tmpfs: everything that stays is bound back in, the staged files are written beside it. The staged files lie in memory
only, and nothing of it is visible outside or survives the checkers, not even after SIGKILL.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import stat
import tempfile
import typing as t
from dataclasses import dataclass, field

from ansible_collections.hitless.lb.plugins.module_utils._files import ABSENT, FILE, LINK, Entry
from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome, run

CLONE_NEWNS = 0x00020000
MS_NOSUID = 2
MS_NODEV = 4
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

CHECK_LIMIT = 60.0


class SandboxUnavailable(Exception):
    """This host permits no private mount namespace."""


@dataclass(frozen=True)
class Check:
    """One call of a checker and what counts as good."""

    argv: tuple[str, ...]
    ok_rc: tuple[int, ...] = (0,)
    reject_output: str | None = None

    def complaint(self, outcome: Outcome) -> str | None:
        """What is wrong, in the checker's words; None when it is content."""
        if outcome.rc in self.ok_rc and not (self.reject_output and re.search(self.reject_output, outcome.output, re.MULTILINE)):
            return None
        said = outcome.output or "it said nothing"
        return f"{' '.join(self.argv)} ended with {outcome.rc}: {said}"


@dataclass
class Layout:
    """Which files are bound over and which folders are rebuilt."""

    binds: dict[str, Entry] = field(default_factory=dict)
    rebuilds: dict[str, dict[str, Entry]] = field(default_factory=dict)


def real_place(path: str) -> str:
    """``path`` with links in its folders followed, the last name taken as it is."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def plan_layout(future: t.Mapping[str, Entry]) -> Layout:
    """Decide for every path of the future tree how it gets into view."""
    layout = Layout()
    places = {real_place(path): entry for path, entry in future.items()}
    for place, entry in places.items():
        folder = os.path.dirname(place)
        exists = os.path.lexists(place)
        if entry.kind == ABSENT and not exists:
            continue
        if entry.kind == FILE and exists and stat.S_ISREG(os.lstat(place).st_mode):
            layout.binds[place] = entry
            continue
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        layout.rebuilds.setdefault(folder, {})[os.path.relpath(place, folder)] = entry
    for place in list(layout.binds):
        folder, name = os.path.split(place)
        if folder in layout.rebuilds:
            layout.rebuilds[folder][name] = layout.binds.pop(place)
    return layout


class _Mounter:
    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    @staticmethod
    def _fail(what: str) -> t.NoReturn:
        number = ctypes.get_errno()
        if number in (errno.EPERM, errno.EACCES, errno.ENOSYS):
            raise SandboxUnavailable(f"{what}: {os.strerror(number)}")
        raise OSError(number, f"{what}: {os.strerror(number)}")

    def unshare(self) -> None:
        if self._libc.unshare(CLONE_NEWNS) != 0:
            self._fail("unshare")
        self.mount(None, "/", None, MS_REC | MS_PRIVATE)

    def mount(self, source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
        def encode(value: str | None) -> bytes | None:
            return None if value is None else os.fsencode(value)

        if self._libc.mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(options)) != 0:
            self._fail(f"mount on {target}")


def _write_staged(path: str, entry: Entry) -> None:
    if entry.kind == LINK:
        os.symlink(entry.target, path)
        return
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(entry.data)
        os.fchown(handle, entry.uid, entry.gid)
        os.fchmod(handle, entry.mode)


def _bind_back(mounter: _Mounter, source: str, target: str) -> None:
    status = os.lstat(source)
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(source), target)
        return
    if stat.S_ISDIR(status.st_mode):
        os.mkdir(target)
    else:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600))
    mounter.mount(source, target, None, MS_BIND | MS_REC)


def _fill(mounter: _Mounter, old: str, new: str, entries: t.Mapping[str, Entry]) -> None:
    """Make ``new`` (an empty folder) look like ``old`` with the entries put in or left out."""
    status = os.stat(old)
    os.chown(new, status.st_uid, status.st_gid)
    os.chmod(new, stat.S_IMODE(status.st_mode))
    for name in os.listdir(old):
        if name not in entries:
            _bind_back(mounter, os.path.join(old, name), os.path.join(new, name))
    for name, entry in entries.items():
        if entry.kind != ABSENT:
            target = os.path.join(new, name)
            os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
            _write_staged(target, entry)


def _build(layout: Layout, scratch: str) -> None:
    mounter = _Mounter()
    mounter.unshare()
    mounter.mount("tmpfs", scratch, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    handle = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY)
    work = f"/proc/self/fd/{handle}"
    for number, folder in enumerate(sorted(layout.rebuilds, key=lambda name: name.count("/") if name != "/" else 0)):
        old = f"{work}/old-{number}"
        os.mkdir(old)
        mounter.mount(folder, old, None, MS_BIND | MS_REC)
        if folder == "/":
            # The root itself can't be covered: build another one and go there.
            root = f"{work}/root"
            os.mkdir(root)
            _fill(mounter, old, root, layout.rebuilds[folder])
            os.chroot(root)
            os.chdir("/")
        else:
            mounter.mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
            _fill(mounter, old, folder, layout.rebuilds[folder])
    for number, (path, entry) in enumerate(layout.binds.items()):
        staged = f"{work}/file-{number}"
        _write_staged(staged, entry)
        mounter.mount(staged, path, None, MS_BIND)
    os.close(handle)


def _child(layout: Layout, scratch: str, checks: t.Sequence[Check], limit: float) -> dict[str, t.Any]:
    try:
        os.umask(0o022)
        _build(layout, scratch)
        outcomes = []
        for check in checks:
            outcome = run(check.argv, timeout=limit)
            outcomes.append([outcome.rc, outcome.stdout, outcome.stderr])
            if check.complaint(outcome):
                break
        return {"outcomes": outcomes}
    except SandboxUnavailable as error:
        return {"unavailable": str(error)}
    except OSError as error:
        return {"error": str(error)}


def run_checks(future: t.Mapping[str, Entry], checks: t.Sequence[Check], limit: float = CHECK_LIMIT) -> str | None:
    """Run the checkers on the future tree, one after the other, until one complains.

    Returns the complaint, or None when all are content. Raises SandboxUnavailable where the host permits no private
    mount namespace.
    """
    if not checks:
        return None
    layout = plan_layout(future)
    scratch = tempfile.mkdtemp(prefix="hitless-")
    try:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(reader)
                with os.fdopen(writer, "wb") as stream:
                    stream.write(json.dumps(_child(layout, scratch, checks, limit)).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            raw = stream.read()
        os.waitpid(child, 0)
    finally:
        os.rmdir(scratch)
    answer: dict[str, t.Any] = json.loads(raw) if raw else {"error": "the process that prepares it died"}
    if "unavailable" in answer:
        raise SandboxUnavailable(answer["unavailable"])
    if "error" in answer:
        return f"the files couldn't be laid out for the checkers: {answer['error']}"
    for check, (rc, stdout, stderr) in zip(checks, answer["outcomes"], strict=False):
        complaint = check.complaint(Outcome(rc, stdout, stderr))
        if complaint:
            return complaint
    return None


def run_checks_in_place(checks: t.Sequence[Check], limit: float = CHECK_LIMIT) -> str | None:
    """Run the checkers on the tree as it lies there."""
    for check in checks:
        complaint = check.complaint(run(check.argv, timeout=limit))
        if complaint:
            return complaint
    return None
