# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies at a path, and how to put something else there in one step."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import stat
import typing as t
from dataclasses import dataclass, field

ABSENT = "absent"
FILE = "file"
LINK = "link"
DIRECTORY = "directory"
OTHER = "other"


class FilesError(Exception):
    """Something on the disk is not as it must be."""


@dataclass(frozen=True)
class Entry:
    """What lies at one path: nothing, a regular file or a symbolic link.

    ``identity`` tells one inode at one moment from all others and isn't part of the comparison.
    """

    kind: str = ABSENT
    data: bytes = b""
    target: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int | None = None
    xattrs: tuple[tuple[str, bytes], ...] = ()
    identity: tuple[int, ...] | None = field(default=None, compare=False)

    @property
    def exists(self) -> bool:
        return self.kind != ABSENT

    def same_content(self, other: Entry) -> bool:
        """Whether a reader of the path would read the same."""
        return (self.kind, self.data, self.target) == (other.kind, other.data, other.target)

    def same_attributes(self, other: Entry) -> bool:
        """Whether owner, group and mode are the same (links have none that matter)."""
        if self.kind != other.kind:
            return False
        return self.kind != FILE or (self.mode, self.uid, self.gid) == (other.mode, other.uid, other.gid)

    def to_dict(self) -> dict[str, t.Any]:
        """A form that JSON can carry; the content is kept elsewhere."""
        return {
            "kind": self.kind,
            "target": self.target,
            "mode": self.mode,
            "uid": self.uid,
            "gid": self.gid,
            "mtime_ns": self.mtime_ns,
            "xattrs": [[name, base64.b64encode(value).decode("ascii")] for name, value in self.xattrs],
        }

    @classmethod
    def from_dict(cls, raw: t.Mapping[str, t.Any], data: bytes = b"") -> Entry:
        return cls(
            kind=raw["kind"],
            data=data,
            target=raw.get("target", ""),
            mode=raw.get("mode", 0o644),
            uid=raw.get("uid", 0),
            gid=raw.get("gid", 0),
            mtime_ns=raw.get("mtime_ns"),
            xattrs=tuple((name, base64.b64decode(value)) for name, value in raw.get("xattrs", ())),
        )


NOTHING = Entry()


def _read_xattrs(path: str) -> tuple[tuple[str, bytes], ...]:
    try:
        return tuple((name, os.getxattr(path, name)) for name in sorted(os.listxattr(path)))
    except OSError:
        return ()


def read_entry(path: str) -> Entry:
    """Read what lies at ``path`` without following a link there."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    common: dict[str, t.Any] = {
        "mode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime_ns": status.st_mtime_ns,
        "identity": _identity(status),
    }
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as stream:
            data = stream.read()
        return Entry(kind=FILE, data=data, xattrs=_read_xattrs(path), **common)
    if stat.S_ISLNK(status.st_mode):
        return Entry(kind=LINK, target=os.readlink(path), **common)
    return Entry(kind=DIRECTORY if stat.S_ISDIR(status.st_mode) else OTHER, **common)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size)


def identity_of(path: str) -> tuple[int, ...] | None:
    """Device, inode, change time, modification time and size of ``path``; None when nothing is there."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _identity(status)


def sync_directory(path: str) -> None:
    """Make the names in a directory survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary_name(path: str) -> str:
    """The name that a file carries for the moment before it replaces ``path``.

    It is the same every time, so that a killed run can be cleaned up after. A leading dot and a final tilde keep it
    from shell patterns, run-parts and logrotate alike.
    """
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.hitless~")


def put_entry(path: str, entry: Entry) -> None:
    """Make ``path`` be ``entry``, in one step: a reader sees the old or the new, never a half of it."""
    folder = os.path.dirname(path)
    temporary = temporary_name(path)
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(temporary)
    if entry.kind == ABSENT:
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        sync_directory(folder)
        return
    try:
        if entry.kind == LINK:
            os.symlink(entry.target, temporary)
            os.lchown(temporary, entry.uid, entry.gid)
        elif entry.kind == FILE:
            _write_file(temporary, entry)
        else:
            raise FilesError(f"{path} is a {entry.kind}, which can't be put back")
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_directory(folder)


def _write_file(path: str, entry: Entry) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(entry.data)
        stream.flush()
        os.fchown(handle, entry.uid, entry.gid)
        os.fchmod(handle, entry.mode)
        for name, value in entry.xattrs:
            with contextlib.suppress(OSError):
                os.setxattr(handle, name, value)
        if entry.mtime_ns is not None:
            os.utime(handle, ns=(entry.mtime_ns, entry.mtime_ns))
        os.fsync(handle)


def restore_entry(path: str, entry: Entry) -> None:
    """Like put_entry, but a path that is that entry already isn't written again."""
    present = read_entry(path)
    if not (present.same_content(entry) and present.same_attributes(entry) and (not entry.exists or present.mtime_ns == entry.mtime_ns)):
        put_entry(path, entry)


def missing_parents(path: str) -> list[str]:
    """The folders above ``path`` that don't exist, outermost first."""
    missing: list[str] = []
    folder = os.path.dirname(path)
    while folder and not os.path.isdir(folder):
        if os.path.lexists(folder):
            raise FilesError(f"{folder} is in the way: it must be a directory")
        missing.append(folder)
        folder = os.path.dirname(folder)
    missing.reverse()
    return missing


def make_directory(path: str, mode: int = 0o755) -> None:
    """Make one directory with exactly this mode, whatever the umask is."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        os.chmod(path, mode)
        sync_directory(os.path.dirname(path))


def remove_directory_if_empty(path: str) -> bool:
    try:
        os.rmdir(path)
    except OSError:
        return False
    return True


def read_json(path: str) -> dict[str, t.Any] | None:
    """The object in a JSON file of ours; None when there is no such file."""
    try:
        with open(path, encoding="utf-8") as stream:
            value = json.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise FilesError(f"{path} can't be read ({error}); remove it and run again") from error
    if not isinstance(value, dict):
        raise FilesError(f"{path} isn't a JSON object; remove it and run again")
    return value


def write_json(path: str, value: t.Mapping[str, t.Any]) -> None:
    """Write a JSON file of ours, readable by root only, in one step."""
    data = (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("utf-8")
    put_entry(path, Entry(kind=FILE, data=data, mode=0o600, uid=os.getuid(), gid=os.getgid()))


def checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def text_of(entry: Entry) -> str:
    """The content of an entry as a person reads it in a diff."""
    if entry.kind == LINK:
        return f"(link to {entry.target})\n"
    if entry.kind != FILE:
        return ""
    try:
        return entry.data.decode("utf-8")
    except UnicodeDecodeError:
        return f"(binary, {len(entry.data)} bytes, sha256 {checksum(entry.data)})\n"
