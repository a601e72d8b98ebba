# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checkers' view of a future tree."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.hitless.lb.plugins.module_utils import _sandbox
from ansible_collections.hitless.lb.plugins.module_utils._files import FILE, LINK, NOTHING, Entry
from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome
from ansible_collections.hitless.lb.plugins.module_utils._sandbox import Check, SandboxUnavailable


def permitted() -> bool:
    """Whether this process may make a mount namespace; where not, the tests expect to be told so."""
    try:
        _sandbox.run_checks({}, [Check(("true",))])
    except SandboxUnavailable:
        return False
    return True


PERMITTED = permitted()


def own(data: str, **more: t.Any) -> Entry:
    return Entry(kind=FILE, data=data.encode(), uid=os.getuid(), gid=os.getgid(), **more)


def look(future: t.Mapping[Path, Entry], script: str, **more: t.Any) -> str | None:
    """What a shell script finds to complain of in the future tree."""
    return _sandbox.run_checks({str(path): entry for path, entry in future.items()}, [Check(("sh", "-ec", script))], **more)


def expect(future: t.Mapping[Path, Entry], script: str) -> None:
    if not PERMITTED:
        with pytest.raises(SandboxUnavailable):
            look(future, script)
        return
    assert look(future, script) is None


def test_layout(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "old").write_text("")
    (tmp_path / "alias").symlink_to("full")
    layout = _sandbox.plan_layout(
        {
            str(tmp_path / "file"): own("x"),
            str(tmp_path / "full" / "old"): NOTHING,
            str(tmp_path / "alias" / "new"): own("n"),
            str(tmp_path / "no" / "where" / "file"): NOTHING,
        }
    )
    assert list(layout.binds) == [str(tmp_path / "file")]
    assert layout.rebuilds == {str(tmp_path / "full"): {"old": NOTHING, "new": own("n")}}
    layout = _sandbox.plan_layout({str(tmp_path / "link"): own("x"), str(tmp_path / "file"): own("y"), str(tmp_path / "a" / "b"): own("z")})
    assert layout.binds == {}
    assert layout.rebuilds == {str(tmp_path): {"link": own("x"), "file": own("y"), "a/b": own("z")}}


def test_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    expect({path: own("new", mode=0o640)}, f'test "$(cat {path})" = new; test "$(stat -c %a {path})" = 640')
    assert path.read_text() == "old"


def test_names_that_come_and_go(tmp_path: Path) -> None:
    for name in ("stays", "goes", "changes"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder").mkdir(mode=0o711)
    (tmp_path / "folder" / "inner").write_text("inner")
    (tmp_path / "link").symlink_to("stays")
    tmp_path.chmod(0o750)
    future = {
        tmp_path / "goes": NOTHING,
        tmp_path / "changes": own("changed"),
        tmp_path / "new": own("new"),
        tmp_path / "sub" / "deep": own("deep"),
        tmp_path / "folder" / "other": own("other"),
        tmp_path / "newlink": Entry(kind=LINK, target="new"),
    }
    script = f"""
        cd {tmp_path}
        test "$(ls | tr '\\n' ' ')" = "changes folder link new newlink stays sub "
        test "$(cat changes folder/inner folder/other link new newlink stays sub/deep)" = changedinnerotherstaysnewnewstaysdeep
        test -L link; test "$(stat -c %a .)" = 750; test "$(stat -c %a folder)" = 711
        echo trace > trace; echo more >> stays
    """
    expect(future, script)
    assert sorted(os.listdir(tmp_path)) == ["changes", "folder", "goes", "link", "stays"]
    assert os.listdir(tmp_path / "folder") == ["inner"]


def test_a_link_becomes_a_file(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("theirs")
    link = tmp_path / "link"
    link.symlink_to(target)
    expect({link: own("ours")}, f'test ! -L {link}; test "$(cat {link})" = ours; test "$(cat {target})" = theirs')


def test_a_folder_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to("real")
    expect({tmp_path / "alias" / "file": own("x")}, f'test "$(cat {tmp_path}/alias/file {tmp_path}/real/file)" = xx')


def test_a_path_below_the_root(tmp_path: Path) -> None:
    expect(
        {Path("/hitless-test-folder/file"): own("x")},
        f"test $(cat /hitless-test-folder/file) = x; test -d {tmp_path}; test -e /proc/self/stat",
    )
    assert not Path("/hitless-test-folder").exists()


def test_no_mount_is_left_behind(tmp_path: Path) -> None:
    before = Path("/proc/self/mounts").read_text()
    expect({tmp_path / "new": own("x")}, "true")
    assert Path("/proc/self/mounts").read_text() == before
    assert not [name for name in os.listdir(os.environ.get("TMPDIR", "/tmp")) if name.startswith("hitless-") and os.listdir(f"/tmp/{name}")]


def test_the_first_complaint_counts(tmp_path: Path) -> None:
    checks = [Check(("true",)), Check(("sh", "-c", "echo said; echo loud >&2; exit 3")), Check(("touch", str(tmp_path / "late")))]
    complaint = _sandbox.run_checks({}, checks) if PERMITTED else _sandbox.run_checks_in_place(checks)
    assert complaint is not None and complaint.endswith("ended with 3: loud\nsaid")
    assert _sandbox.run_checks_in_place(checks) == complaint
    assert not (tmp_path / "late").exists()


def test_a_checker_that_takes_too_long() -> None:
    checks = [Check(("sleep", "60"))]
    complaint = _sandbox.run_checks({}, checks, limit=0.2) if PERMITTED else _sandbox.run_checks_in_place(checks, limit=0.2)
    assert complaint == "sleep 60 ended with 124: sleep was stopped after 0.2 seconds"


def test_without_checks_nothing_is_made() -> None:
    assert _sandbox.run_checks({"/x": own("x")}, []) is None
    assert _sandbox.run_checks_in_place([]) is None


@pytest.mark.parametrize(
    ("check", "outcome", "good"),
    [
        (Check(("x",)), Outcome(0, "", ""), True),
        (Check(("x",)), Outcome(1, "", ""), False),
        (Check(("x",), ok_rc=(0, 5)), Outcome(5, "", ""), True),
        (Check(("x",), reject_output=r"\[warn\]"), Outcome(0, "", "a\n[warn] b"), False),
        (Check(("x",), reject_output=r"^bad"), Outcome(0, "fine\nbad", ""), False),
        (Check(("x",), reject_output=r"^bad"), Outcome(0, "not bad", ""), True),
    ],
)
def test_what_counts_as_good(check: Check, outcome: Outcome, good: bool) -> None:
    assert (check.complaint(outcome) is None) is good
