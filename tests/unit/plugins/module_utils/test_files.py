# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and replacing what lies at a path."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.hitless.lb.plugins.module_utils import _files
from ansible_collections.hitless.lb.plugins.module_utils._files import DIRECTORY, FILE, LINK, NOTHING, Entry, FilesError


def own(**more: t.Any) -> Entry:
    return Entry(kind=FILE, uid=os.getuid(), gid=os.getgid(), **more)


def test_nothing_is_there(tmp_path: Path) -> None:
    assert _files.read_entry(str(tmp_path / "no")) == NOTHING
    (tmp_path / "file").write_text("")
    assert _files.read_entry(str(tmp_path / "file" / "below")) == NOTHING
    assert _files.identity_of(str(tmp_path / "no")) is None


def test_a_file_comes_back_with_everything_it_had(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\x00content\xff")
    path.chmod(0o2751)
    os.utime(path, ns=(5, 1234567890123456789))
    entry = _files.read_entry(str(path))
    copy = tmp_path / "copy"
    _files.put_entry(str(copy), entry)
    assert _files.read_entry(str(copy)) == entry
    assert copy.stat().st_mtime_ns == 1234567890123456789 and copy.stat().st_mode & 0o7777 == 0o2751


def test_an_entry_survives_json(tmp_path: Path) -> None:
    entry = own(data=b"x", mode=0o640, mtime_ns=7, xattrs=(("user.a", b"\x00\xff"),))
    assert Entry.from_dict(entry.to_dict(), b"x") == entry
    link = Entry(kind=LINK, target="/there")
    assert Entry.from_dict(link.to_dict()) == link


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        _files.put_entry(str(tmp_path / "file"), own(mode=0o664))
        _files.make_directory(str(tmp_path / "folder"))
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o664
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


def test_a_link_is_replaced_itself(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("theirs")
    link = tmp_path / "link"
    link.symlink_to(target)
    assert _files.read_entry(str(link)).kind == LINK
    _files.put_entry(str(link), own(data=b"ours"))
    assert target.read_text() == "theirs" and link.read_text() == "ours" and not link.is_symlink()
    _files.put_entry(str(link), Entry(kind=LINK, target="/there", uid=os.getuid(), gid=os.getgid()))
    assert os.readlink(link) == "/there"
    _files.put_entry(str(link), NOTHING)
    _files.put_entry(str(link), NOTHING)
    assert not os.path.lexists(link)


def test_a_reader_sees_the_old_or_the_new_inode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as stream:
        _files.put_entry(str(path), own(data=b"new"))
        assert stream.read() == "old"
    assert path.read_text() == "new"


def test_a_failure_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").write_text("")
    with pytest.raises(IsADirectoryError):
        _files.put_entry(str(tmp_path / "folder"), own(data=b"x"))
    assert os.listdir(tmp_path) == ["folder"]


def test_the_leftover_of_a_killed_run_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    Path(_files.temporary_name(path)).write_text("half")
    _files.put_entry(path, own(data=b"whole"))
    assert os.listdir(tmp_path) == ["file"]
    Path(_files.temporary_name(path)).write_text("half")
    _files.put_entry(path, NOTHING)
    assert os.listdir(tmp_path) == []


def test_the_temporary_name_is_one_that_no_reader_takes() -> None:
    assert _files.temporary_name("/etc/logrotate.d/haproxy") == "/etc/logrotate.d/.haproxy.hitless~"


def test_what_cannot_be_put_back_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match="directory"):
        _files.put_entry(str(tmp_path / "x"), _files.read_entry(str(tmp_path)))
    assert _files.read_entry(str(tmp_path)).kind == DIRECTORY


def test_restoring_touches_only_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    entry = _files.read_entry(str(path))
    _files.restore_entry(str(path), entry)
    assert _files.identity_of(str(path)) == entry.identity
    path.write_text("y")
    _files.restore_entry(str(path), entry)
    assert path.read_text() == "x" and path.stat().st_mtime_ns == entry.mtime_ns


def test_missing_parents(tmp_path: Path) -> None:
    assert _files.missing_parents(str(tmp_path / "a" / "b" / "file")) == [str(tmp_path / "a"), str(tmp_path / "a" / "b")]
    assert _files.missing_parents(str(tmp_path / "file")) == []
    (tmp_path / "a").write_text("")
    with pytest.raises(FilesError, match="in the way"):
        _files.missing_parents(str(tmp_path / "a" / "file"))


def test_json_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert _files.read_json(str(path)) is None
    _files.write_json(str(path), {"a": 1})
    assert _files.read_json(str(path)) == {"a": 1} and path.stat().st_mode & 0o777 == 0o600
    for text in ("{", "[]"):
        path.write_text(text)
        with pytest.raises(FilesError, match="remove it and run again"):
            _files.read_json(str(path))


def test_text_for_a_diff() -> None:
    assert _files.text_of(own(data="grün\n".encode())) == "grün\n"
    assert "binary, 2 bytes" in _files.text_of(own(data=b"\xff\x00"))
    assert _files.text_of(Entry(kind=LINK, target="/x")) == "(link to /x)\n"
    assert _files.text_of(NOTHING) == ""
