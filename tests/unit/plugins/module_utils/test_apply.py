# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs on a small host: first run, change, refusal, rollback, broken runs, repair, removal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.hitless.lb.plugins.module_utils import _apply, _fileset, _sandbox
from ansible_collections.hitless.lb.plugins.module_utils._apply import Applier, ApplyError, signals_held
from ansible_collections.hitless.lb.plugins.module_utils._files import FilesError
from ansible_collections.hitless.lb.plugins.module_utils._fileset import DIGEST_TEXT, FileSpec
from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome
from ansible_collections.hitless.lb.plugins.module_utils._sandbox import Check, SandboxUnavailable


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the module's own runs after it."""


@pytest.fixture
def broken(host: t.Any, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    """Apply a set and be killed while the service is being told."""

    def run(*files: t.Any, **more: t.Any) -> None:
        def interrupt() -> t.NoReturn:
            raise Killed

        host.manager.interrupt = interrupt
        with pytest.raises(Killed):
            host.present(*files, **more)
        host.manager.interrupt = None

    return run


def test_first_run_starts_the_service_and_enables_it(host: t.Any) -> None:
    result = host.present(*host.set())
    assert result.changed and result.action == "start"
    assert result.changed_files == [str(host.part), str(host.main)]
    assert host.main.read_text() == "good one"
    assert (host.manager.state, host.manager.enabled) == ("active", True)


def test_second_run_changes_and_asks_nothing(host: t.Any) -> None:
    host.present(*host.set())
    before = host.tree()
    result = host.present(*host.set())
    assert not result.changed and result.action == "none" and result.changed_files == [] and result.diff == []
    assert host.manager.asked == []
    assert host.tree() == before


def test_a_change_is_a_reload(host: t.Any) -> None:
    host.present(*host.set())
    result = host.present(*host.set("good two"))
    assert (result.action, result.changed_files, result.validated) == ("reload", [str(host.main)], True)
    assert host.manager.asked == ["reload"]
    assert host.service.text == "good two"


def test_the_strongest_action_counts(host: t.Any) -> None:
    files = [host.spec(host.part, "a", action="restart"), host.spec(host.main, "good")]
    host.present(*files)
    files = [host.spec(host.part, "b", action="restart"), host.spec(host.main, "good b")]
    assert host.present(*files).action == "restart"
    files = [host.spec(host.part, "b", action="none"), host.spec(host.main, "good b")]
    assert host.present(*files).changed is False
    files = [host.spec(host.part, "c", action="none"), host.spec(host.main, "good b")]
    result = host.present(*files)
    assert (result.changed, result.action, host.manager.asked) == (True, "none", [])


def test_a_unit_without_reload_is_restarted_and_says_so(host: t.Any) -> None:
    host.present(*host.set())
    host.manager.can_reload = False
    assert host.present(*host.set("good two"), check=True).action == "restart"
    assert host.present(*host.set("good two")).action == "restart"


def test_check_mode_says_the_same_and_touches_nothing(host: t.Any) -> None:
    before = host.tree()
    planned = host.present(*host.set(), check=True)
    assert host.tree() == before
    assert host.manager.asked == []
    done = host.present(*host.set())
    assert (planned.changed, planned.action, planned.changed_files, planned.diff) == (
        done.changed,
        done.action,
        done.changed_files,
        done.diff,
    )


def test_refused_files_change_nothing(host: t.Any) -> None:
    host.present(*host.set())
    before = host.tree()
    for check in (True, False):
        with pytest.raises(ApplyError, match="refused") as caught:
            host.present(*host.set("good invalid"), check=check)
        assert caught.value.rolled_back is False
        assert host.tree() == before
        assert host.manager.asked == []
    assert host.service.text == "good one"


def test_the_checker_sees_new_changed_and_removed_files_at_their_places(host: t.Any) -> None:
    gone = host.etc / "gone.conf"
    link = host.etc / "sites" / "default"
    link.parent.mkdir()
    link.symlink_to("/dev/null")
    host.present(host.spec(gone, "x"), *host.set())
    new = host.etc / "new" / "deep" / "new.conf"
    script = f"cat {new} {host.main} && test ! -e {gone} && test ! -L {link} && test -f {host.part}"
    files = [host.spec(new, "new one", mode=0o640), host.spec(link, state="taken_out", keep_original="state"), *host.set("good two")]
    result = host.present(*files, checks=(Check(("sh", "-c", script)),), check=True)
    if result.validated:
        assert result.warnings == []
    assert not new.exists() and gone.exists() and link.is_symlink()
    result = host.present(*files, checks=(Check(("sh", "-c", script)),))
    assert result.validated
    assert new.read_text() == "new one" and new.stat().st_mode & 0o777 == 0o640
    assert not gone.exists() and not link.is_symlink()


def test_without_a_namespace_the_checker_runs_in_place_before_the_service_is_told(host: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_arguments: t.Any) -> t.NoReturn:
        raise SandboxUnavailable("not permitted")

    host.present(*host.set())
    before = host.tree()
    monkeypatch.setattr(_sandbox, "run_checks", unavailable)
    with pytest.raises(ApplyError, match="refused") as caught:
        host.present(*host.set("good invalid"))
    assert caught.value.rolled_back
    assert host.manager.asked == []
    after = host.tree()
    assert {path: after[path] for path in after if path.startswith("etc/")} == {
        path: before[path] for path in before if path.startswith("etc/")
    }
    assert host.present(*host.set()).changed is False
    assert host.present(*host.set("good two")).validated
    result = host.present(*host.set("good three"), check=True)
    assert not result.validated and "couldn't be checked" in result.warnings[0]


def test_a_missing_checker_is_an_error_and_in_check_mode_a_warning(host: t.Any) -> None:
    checks = (Check(("no-such-checker-here",)),)
    result = host.present(*host.set(), check=True, checks=checks)
    assert result.warnings == ["no-such-checker-here isn't installed yet, so the files of thing.service couldn't be checked"]
    with pytest.raises(ApplyError, match="isn't installed"):
        host.present(*host.set(), checks=checks)
    assert not host.main.exists()


@pytest.mark.parametrize("text", ["crash", "deaf good", "bad answer"])
def test_a_failed_first_run_leaves_nothing(host: t.Any, text: str) -> None:
    before = host.tree()
    with pytest.raises(ApplyError) as caught:
        host.present(*host.set(text))
    assert caught.value.rolled_back
    assert "says it is unwell" in str(caught.value)
    assert host.tree() == before
    assert (host.manager.state, host.manager.enabled) == ("inactive", False)


@pytest.mark.parametrize("text", ["good but refuse", "bad answer"])
def test_a_reload_that_the_service_does_not_take_is_rolled_back(host: t.Any, text: str) -> None:
    host.present(*host.set())
    before = host.tree()
    with pytest.raises(ApplyError, match="doesn't answer as it should") as caught:
        host.present(*host.set(text), probes=(host.probe(f"^{text}$"),) if "refuse" in text else (host.probe(),))
    assert caught.value.rolled_back and "put back" in str(caught.value)
    after = host.tree()
    for path in before:
        if not path.startswith("run/"):
            assert after[path] == before[path]
    assert host.service.text == "good one"
    assert host.present(*host.set()).changed is False


def test_the_running_probe_knows_the_set(host: t.Any) -> None:
    def files(text: str) -> list[t.Any]:
        return [host.spec(host.main, f"{text} {DIGEST_TEXT}")]

    probes = (host.probe(DIGEST_TEXT, running=True),)
    first = host.present(*files("one"), probes=probes)
    assert host.main.read_text() == f"one {first.digest}"
    assert host.present(*files("one"), probes=probes).changed is False
    # Somebody had the service read something else, and put the file back without telling it.
    host.service.text = "something else"
    os.utime(host.main, (1, 1))
    result = host.present(*files("one"), probes=probes)
    assert (result.changed, result.action, result.changed_files) == (True, "reload", [])
    # A reload that keeps the old set: back to it, asked with its own digest.
    with pytest.raises(ApplyError, match="still runs another set") as caught:
        host.present(*files("refuse"), probes=probes)
    assert "Everything was put back" in str(caught.value)
    assert host.present(*files("one"), probes=probes).changed is False


def test_a_file_newer_than_the_service_is_read_again_once(host: t.Any) -> None:
    host.present(*host.set())
    time.sleep(0.02)
    content = host.main.read_bytes()
    host.main.write_bytes(b"other")
    host.main.write_bytes(content)
    result = host.present(*host.set())
    assert (result.action, result.changed_files) == ("reload", [])
    assert host.present(*host.set()).changed is False
    # After a reboot the record is gone, and the service is younger than its files.
    Path(host.store.record_path).unlink()
    host.manager.started = time.time()
    assert host.present(*host.set()).changed is False
    # A reload by hand is as good.
    host.manager.started, host.manager.changed = 0.0, time.time()
    assert host.present(*host.set()).changed is False
    host.manager.changed = 0.0
    assert host.present(*host.set()).action == "reload"


def test_a_restart_needs_more_than_a_new_change_time(host: t.Any) -> None:
    files = [host.spec(host.part, "part", action="restart"), host.spec(host.main, "good")]
    host.present(*files)
    status = host.part.stat()
    time.sleep(0.02)
    host.part.write_text("part")
    os.utime(host.part, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert host.present(*files).changed is False
    host.part.write_text("part")
    result = host.present(*files)
    assert (result.action, result.changed_files) == ("restart", [])
    assert host.present(*files).changed is False


def test_wrong_mode_is_mended_without_a_reload(host: t.Any) -> None:
    host.present(*host.set())
    host.main.chmod(0o600)
    result = host.present(*host.set())
    assert (result.changed_files, result.action, host.manager.asked) == ([str(host.main)], "none", [])
    assert result.diff[0]["before"]["mode"] == "0600" and result.diff[0]["after"]["mode"] == "0644"
    assert host.main.stat().st_mode & 0o777 == 0o644
    assert host.present(*host.set()).changed is False


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_a_service_that_is_down_is_started(host: t.Any, state: str) -> None:
    host.present(*host.set())
    host.service.stop()
    host.manager.state = state
    assert host.present(*host.set(), check=True).action == "start"
    result = host.present(*host.set())
    assert (result.changed, result.action, host.manager.state) == (True, "start", "active")


def test_a_service_that_gives_no_answer_is_restarted(host: t.Any) -> None:
    host.present(*host.set())
    host.service.stop()
    result = host.present(*host.set())
    assert (result.action, host.manager.state) == ("restart", "active")
    host.service.stop()
    assert host.present(*host.set("good two")).action == "restart"


def test_a_wrong_probe_does_not_touch_a_healthy_service(host: t.Any) -> None:
    host.present(*host.set())
    with pytest.raises(ApplyError, match="former probes"):
        host.present(*host.set(), probes=(host.probe("nonsense"),))
    assert host.manager.asked == []


def test_a_broken_run_is_undone_and_the_next_goes_on(host: t.Any, broken: t.Callable[..., None]) -> None:
    host.present(*host.set())
    broken(*host.set("good two"))
    assert host.main.read_text() == "good two"
    planned = host.present(*host.set("good three"), check=True)
    assert planned.recovered and planned.changed
    result = host.present(*host.set("good three"))
    assert result.recovered and result.changed and result.action == "reload"
    assert host.service.text == "good three"
    assert sorted(os.listdir(host.store.folder)) == ["state.json"]
    assert host.present(*host.set("good three")).changed is False


def test_a_broken_run_followed_by_the_old_values(host: t.Any, broken: t.Callable[..., None]) -> None:
    host.present(*host.set())
    broken(*host.set("good two"))
    # The service had got as far as reading the new files.
    host.service.text = "good two"
    result = host.present(*host.set())
    assert result.recovered and result.action == "reload"
    assert host.service.text == host.main.read_text() == "good one"
    assert host.present(*host.set()).changed is False


def test_a_broken_run_followed_by_a_refused_one(host: t.Any, broken: t.Callable[..., None]) -> None:
    host.present(*host.set())
    before = host.tree()
    new = host.etc / "sub" / "new.conf"
    broken(host.spec(new, "x"), *host.set("good two"))
    host.service.text = "good two"
    applier = host.applier(*host.set("good invalid"))
    with pytest.raises(ApplyError, match="refused") as caught:
        applier.present()
    assert "broken off half way" in applier.explain(str(caught.value))
    assert host.service.text == "good one"
    after = host.tree()
    assert {path: value for path, value in after.items() if not path.startswith("run/")} == {
        path: value for path, value in before.items() if not path.startswith("run/")
    }


def test_a_copy_that_is_gone_is_not_taken_for_an_empty_file(host: t.Any, broken: t.Callable[..., None]) -> None:
    host.present(*host.set())
    broken(*host.set("good two"))
    for copy in Path(host.store.folder).glob("undo-*/*"):
        copy.unlink()
    with pytest.raises(FilesError, match="is gone"):
        host.present(*host.set("good three"))
    assert host.main.read_text() == "good two"
    Path(host.store.journal_path).unlink()
    assert host.present(*host.set("good three")).changed
    assert host.service.text == "good three"


def test_a_first_run_that_broke_off_followed_by_a_refused_one(host: t.Any, broken: t.Callable[..., None]) -> None:
    before = host.tree()
    broken(*host.set())
    host.manager.start("thing.service")
    with pytest.raises(ApplyError, match="refused"):
        host.present(*host.set("good invalid"))
    assert host.tree() == before
    assert host.manager.state == "inactive"


def test_a_first_run_that_broke_off_followed_by_removal(host: t.Any, broken: t.Callable[..., None]) -> None:
    before = host.tree()
    broken(*host.set())
    assert host.absent(check=True).changed
    assert host.absent().changed
    assert host.tree() == before
    assert host.absent().changed is False


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_broke_off_around_its_last_step(host: t.Any, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    host.present(*host.set())
    ending = _apply.Applier._end_transaction

    def killed(self: t.Any) -> None:
        if moment == "after":
            os.unlink(self.store.journal_path)
        raise Killed

    monkeypatch.setattr(_apply.Applier, "_end_transaction", killed)
    with pytest.raises(Killed):
        host.present(*host.set("good two"))
    monkeypatch.setattr(_apply.Applier, "_end_transaction", ending)
    result = host.present(*host.set("good two"))
    assert (result.changed, result.recovered) == (False, False)
    assert sorted(name for name in os.listdir(host.store.folder) if not name.startswith("undo")) == ["state.json"]


@pytest.mark.parametrize("done", [False, True])
def test_every_write_may_be_the_last(host: t.Any, monkeypatch: pytest.MonkeyPatch, done: bool) -> None:
    """Kill the run right before or right after each single write; the next run must always end well."""
    foreign = host.etc / "foreign.conf"
    foreign.write_text("theirs")
    original = host.tree()["etc/foreign.conf"]
    replace = os.replace

    def etc() -> dict[str, t.Any]:
        return {path: value for path, value in host.tree().items() if path.startswith("etc/")}

    def contents() -> dict[str, t.Any]:
        return {path: value[3] for path, value in etc().items() if len(value) > 3}

    for number in range(1, 40):
        host.present(*host.set())
        before = etc()
        left = number

        def counting(source: str, target: str) -> None:
            nonlocal left
            left -= 1
            if left == 0 and not done:
                raise Killed
            replace(source, target)
            if left == 0:
                raise Killed

        files = [host.spec(host.etc / "a" / "b.conf", "b"), host.spec(foreign, "ours"), *host.set("good two", "part two")]
        monkeypatch.setattr(os, "replace", counting)
        try:
            host.present(*files)
            finished = True
        except Killed:
            finished = False
        monkeypatch.setattr(os, "replace", replace)
        committed = host.store.read_state()["digest"] == host.applier(*files).digest
        after = contents()
        with pytest.raises(ApplyError, match="refused"):
            host.present(*host.set("good invalid"))
        assert contents() == after if committed else etc() == before
        assert host.service.text == ("good two" if committed else "good one")
        host.present(*files)
        assert host.service.text == "good two"
        assert (host.etc / "foreign.conf.orig").read_text() == "theirs"
        assert host.present(*files).changed is False
        host.absent()
        assert host.tree() == {"etc/foreign.conf": original}
        if finished:
            assert number > 10
            break
    else:
        pytest.fail("the run never came to its end")


def test_every_write_of_a_removal_may_be_the_last(host: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = host.etc / "foreign.conf"
    foreign.write_text("theirs")
    host.main.write_text("good theirs")
    host.manager.start("thing.service")
    found = host.tree()
    replace = os.replace
    files = [host.spec(host.etc / "a" / "b.conf", "b"), host.spec(foreign, "ours", keep_original="state"), *host.set()]
    for number in range(1, 40):
        host.present(*files)
        left = number

        def counting(source: str, target: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            replace(source, target)

        monkeypatch.setattr(os, "replace", counting)
        try:
            host.absent()
            finished = True
        except Killed:
            finished = False
        monkeypatch.setattr(os, "replace", replace)
        host.absent()
        assert host.tree() == found
        assert (host.service.text, host.manager.state) == ("good theirs", "active")
        if finished:
            assert number > 8
            break
    else:
        pytest.fail("the removal never came to its end")


def test_sigkill_in_a_real_process(host: t.Any, tmp_path: Path) -> None:
    """The same with a real SIGKILL: a process of its own swaps the files and is killed while the service is told."""
    host.present(*host.set())
    script = tmp_path / "run.py"
    script.write_text(
        f"""
import sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from ansible_collections.hitless.lb.plugins.module_utils import _apply
from ansible_collections.hitless.lb.plugins.module_utils._fileset import FileSpec
from ansible_collections.hitless.lb.plugins.module_utils._store import Store
from ansible_collections.hitless.lb.plugins.module_utils._systemd import UnitStatus


class Slow:
    running = True

    def show(self, name):
        return UnitStatus(name=name, load_state="loaded", active_state="active", unit_file_state="enabled", can_reload=True)

    def reload(self, name):
        print("swapped", flush=True)
        time.sleep(60)


spec = FileSpec({str(host.main)!r}, b"good two", owner="{os.getuid()}", group="{os.getgid()}")
store = Store("thing", {host.store.state_root!r}, {host.store.run_root!r})
_apply.Applier(store, Slow(), _apply.Request(unit="thing", files=(spec,))).present()
"""
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"swapped\n"
    process.terminate()
    time.sleep(0.1)
    assert process.poll() is None, "SIGTERM must wait for the end of the change"
    process.kill()
    process.wait()
    process.stdout.close()
    assert host.main.read_text() == "good two"
    assert not host.part.exists()
    result = host.present(*host.set())
    assert result.recovered and host.main.read_text() == "good one" and host.part.exists()
    assert host.present(*host.set()).changed is False


def test_signals_are_held_and_obeyed_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: seen.append(number))
    try:
        with signals_held():
            os.kill(os.getpid(), signal.SIGTERM)
            assert seen == []
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_removal_gives_everything_back(host: t.Any) -> None:
    host.main.write_text("good theirs")
    host.main.chmod(0o600)
    site = host.etc / "site"
    site.symlink_to("/nonexistent/target")
    other = host.etc / "other.conf"
    other.write_text("their other")
    host.manager.start("thing.service")
    before = host.tree()
    deep = host.etc / "x" / "y" / "deep.conf"
    files = [
        host.spec(deep, "d"),
        host.spec(site, state="taken_out"),
        host.spec(other, "ours", keep_original="state"),
        *host.set(),
    ]
    assert host.present(*files).action == "reload"
    assert os.readlink(host.etc / "site.disabled") == "/nonexistent/target"
    assert not (host.etc / "other.conf.orig").exists()
    assert (host.etc / "main.conf.orig").read_text() == "good theirs"
    planned = host.absent(check=True)
    result = host.absent()
    assert planned.changed_files == result.changed_files
    assert result.changed_files == [str(path) for path in (host.main, host.part, other, site, deep)]
    assert result.action == planned.action == "reload"
    assert host.tree() == before
    assert (host.service.text, host.manager.state, host.manager.enabled) == ("good theirs", "active", False)
    assert host.absent().changed is False


def test_removal_stops_what_did_not_run(host: t.Any) -> None:
    host.present(*host.set())
    result = host.absent()
    assert (result.action, host.manager.state, host.manager.enabled) == ("stop", "inactive", False)
    assert host.tree() == {}


def test_removal_is_refused_when_the_original_is_bad(host: t.Any) -> None:
    host.main.write_text("good")
    host.manager.start("thing.service")
    host.present(*host.set())
    (host.etc / "main.conf.orig").write_text("invalid")
    before = host.tree()
    with pytest.raises(ApplyError, match="refused"):
        host.absent(checks=())
    assert host.tree() == before


def test_removal_is_rolled_back_when_the_service_does_not_take_it(host: t.Any) -> None:
    host.main.write_text("good")
    host.manager.start("thing.service")
    host.present(*host.set())
    reload = host.manager.reload
    answers = iter([Outcome(1, "", "no")])
    host.manager.reload = lambda name: next(answers, None) or reload(name)
    with pytest.raises(ApplyError, match="systemctl reload failed: no") as caught:
        host.absent()
    assert caught.value.rolled_back
    assert host.main.read_text() == "good one"
    host.manager.reload = reload
    assert host.absent().changed


def test_a_missing_original_is_said(host: t.Any) -> None:
    host.part.write_text("theirs")
    host.present(*host.set())
    (host.etc / "part.conf.orig").unlink()
    result = host.absent()
    assert "can't be given back" in result.warnings[0]


def test_files_that_are_not_listed_any_more(host: t.Any) -> None:
    host.part.write_text("their part")
    extra = host.etc / "new" / "extra.conf"
    host.present(host.spec(extra, "e"), *host.set())
    result = host.present(host.spec(host.main, "good one"))
    assert result.changed_files == [str(host.part), str(extra)]
    assert host.part.read_text() == "their part"
    assert not extra.parent.exists()
    assert not (host.etc / "part.conf.orig").exists()
    state = json.loads(Path(host.store.state_path).read_text())
    assert list(state["files"]) == [str(host.main)] and state["directories"] == []


def test_an_original_is_kept_once(host: t.Any) -> None:
    host.main.write_text("theirs")
    host.present(*host.set())
    host.main.write_text("edited by hand")
    host.present(*host.set("good two"))
    assert (host.etc / "main.conf.orig").read_text() == "theirs"


def test_a_name_beside_that_is_taken_is_left_alone(host: t.Any) -> None:
    host.main.write_text("theirs")
    beside = host.etc / "main.conf.orig"
    beside.write_text("older")
    before = host.tree()
    host.present(*host.set())
    assert beside.read_text() == "older"
    host.absent()
    assert host.tree() == before


def test_a_link_is_replaced_and_not_written_through(host: t.Any) -> None:
    target = host.root / "elsewhere"
    target.write_text("shared")
    host.main.symlink_to(target)
    host.present(*host.set())
    assert target.read_text() == "shared" and not host.main.is_symlink()
    host.absent()
    assert os.readlink(host.main) == str(target)


def test_what_was_taken_out_and_comes_again_is_taken_out_again(host: t.Any) -> None:
    site = host.etc / "default"
    site.write_text("package 1")
    files = [host.spec(site, state="taken_out"), *host.set()]
    host.present(*files)
    site.write_text("package 2")
    result = host.present(*files)
    assert (result.changed_files, result.action) == ([str(site)], "reload")
    assert (host.etc / "default.disabled").read_text() == "package 2"
    host.absent()
    assert site.read_text() == "package 2" and not (host.etc / "default.disabled").exists()


def test_what_stands_again_at_removal_stays(host: t.Any) -> None:
    site = host.etc / "default"
    site.write_text("package 1")
    host.present(host.spec(site, state="taken_out"), *host.set())
    site.write_text("package 2")
    result = host.absent()
    assert site.read_text() == "package 2"
    assert (host.etc / "default.disabled").read_text() == "package 1"
    assert "stays in" in result.warnings[0]


def test_a_directory_in_the_way_is_refused(host: t.Any) -> None:
    host.main.mkdir()
    with pytest.raises(FilesError, match="is a directory"):
        host.present(*host.set())


def test_a_file_where_a_folder_must_be_is_refused(host: t.Any) -> None:
    host.part.write_text("x")
    with pytest.raises(FilesError, match="in the way"):
        host.present(host.spec(host.part / "below", "x"), host.spec(host.main, "good"))
    assert host.part.read_text() == "x"
    assert sorted(host.tree()) == ["etc/part.conf"]


def test_an_unknown_owner(host: t.Any) -> None:
    files = [host.spec(host.main, "good")]
    files[0] = type(files[0])(files[0].path, files[0].content, owner="no-such-user", group="0")
    with pytest.raises(FilesError, match="no-such-user"):
        host.present(*files)
    result = host.present(*files, check=True)
    assert result.changed and "no-such-user" in result.warnings[0]


def test_the_claims_mask_is_lifted_with_the_first_good_start_and_not_before(host: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = host.units / "thing.service"
    mask.symlink_to("/dev/null")
    host.store.write_claim(
        {"version": 1, "packages": ["thing"], "units": {"thing.service": {"found": "absent", "active": False}}, "masks": ["thing.service"]}
    )
    with pytest.raises(ApplyError, match="install the package"):
        host.present(*host.set())
    installed = host.root / "lib"
    installed.mkdir()
    (installed / "thing.service").write_text("")
    monkeypatch.setattr(_apply, "_UNIT_FOLDERS_OF_PACKAGES", (str(installed),))
    before = host.tree()
    with pytest.raises(ApplyError) as caught:
        host.present(*host.set("crash"))
    assert caught.value.rolled_back
    assert host.tree() == before and mask.is_symlink()
    assert host.present(*host.set(), check=True).action == "start"
    assert mask.is_symlink()
    assert host.present(*host.set()).action == "start"
    assert not mask.is_symlink() and host.manager.enabled
    assert host.store.read_claim()["masks"] == []
    assert host.present(*host.set()).changed is False
    host.absent()
    assert (host.manager.state, host.manager.enabled) == ("inactive", False)
    assert sorted(host.tree()) == ["state/thing", "state/thing/claim.json"]


def test_a_foreign_mask_is_respected(host: t.Any) -> None:
    (host.units / "thing.service").symlink_to("/dev/null")
    with pytest.raises(ApplyError, match=r"systemctl unmask thing\.service"):
        host.present(*host.set())
    assert not host.main.exists()


def test_a_missing_unit(host: t.Any) -> None:
    host.manager.installed = False
    with pytest.raises(ApplyError, match="install the package"):
        host.present(*host.set())
    assert host.present(*host.set(), check=True).action == "start"


def test_not_enabled(host: t.Any) -> None:
    host.present(*host.set(), enabled=False)
    assert not host.manager.enabled
    assert host.present(*host.set(), enabled=True, check=True).changed
    assert host.present(*host.set(), enabled=True).changed
    assert host.manager.asked == ["enable"]
    assert host.present(*host.set(), enabled=True).changed is False
    assert host.present(*host.set(), enabled=False).changed
    assert host.manager.asked == ["disable"]


def test_a_host_that_systemd_does_not_run(host: t.Any) -> None:
    host.manager.running = False
    result = host.present(*host.set())
    assert (result.changed, result.action) == (True, "none")
    assert "systemd doesn't run this host" in result.warnings[0]
    assert host.main.read_text() == "good one"
    assert set(host.manager.asked) <= {"enable"}
    assert host.present(*host.set()).changed is False
    assert host.absent().changed
    assert not host.main.exists() and not host.manager.enabled


def test_drop_ins_make_systemd_read_its_units_again(host: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.hitless.lb.plugins.module_utils import _fileset

    monkeypatch.setattr(_fileset, "UNIT_FILE_FOLDERS", (f"{host.units}/",))
    drop_in = host.units / "thing.service.d" / "x.conf"
    host.present(*host.set())
    files = [host.spec(drop_in, "[Service]\n", action="none"), *host.set()]
    assert host.present(*files).action == "none"
    assert host.manager.asked == ["daemon-reload"]
    host.manager.load_state = "bad-setting"
    with pytest.raises(ApplyError, match="bad-setting"):
        host.present(host.spec(drop_in, "[Servic", action="none"), *host.set())
    assert drop_in.read_text() == "[Service]\n"
    assert host.manager.asked == ["daemon-reload", "daemon-reload"]


def test_another_run_is_waited_for(host: t.Any) -> None:
    with host.store.locked(), pytest.raises(FilesError, match="another run"), host.store.locked(limit=0.1):
        pytest.fail("two runs at the same time")
    with host.store.locked():
        pass
    assert not os.path.exists(host.store.run_root)


def test_new_probes_are_remembered_without_a_change(host: t.Any) -> None:
    host.present(*host.set())
    assert host.present(*host.set(), probes=(host.probe("one"),)).changed is False
    state = json.loads(Path(host.store.state_path).read_text())
    assert state["probes"][0]["expect"] == "one"


def test_sensitive_contents_stay_out_of_everything(host: t.Any) -> None:
    secret = "hunter2-hunter2"
    main = host.spec(host.main, f"good invalid\nauth_pass {secret}\n", sensitive=True)
    part = host.spec(host.part, "part", sensitive=False)
    applier = host.applier(part, main, checks=(Check(("sh", "-c", f"cat {host.main}; exit 1")),), variables=("thing_files",))
    with pytest.raises(ApplyError) as caught:
        applier.present()
    message = applier.explain(str(caught.value))
    assert secret not in message
    assert message.endswith("Correct one of: thing_files")
    result = host.present(part, host.spec(host.main, f"good\nauth_pass {secret}\n", sensitive=True))
    assert secret not in json.dumps(result.diff)
    result = host.present(part, host.spec(host.main, "good\nauth_pass another-one\n", sensitive=True))
    assert secret not in json.dumps(result.diff) and "another-one" not in json.dumps(result.diff)
    assert secret not in json.dumps(host.absent().diff)


def test_secrets_that_are_named_stay_out_of_messages(host: t.Any) -> None:
    applier = host.applier(host.spec(host.main, "x"), secrets=("xyzzy",))
    assert applier.explain("it said xyzzy.") == "it said ********."


def diverted(host: t.Any, target: str) -> FileSpec:
    """A link in the place of a program that a package may bring, as dpkg-divert has it."""
    program = host.etc / "program"
    return FileSpec(str(program), link=target, original=f"{program}.distrib", owner=str(os.getuid()), group=str(os.getgid()))


def test_a_link_is_seen_by_the_checker_and_its_target_is_part_of_the_digest(host: t.Any) -> None:
    program = host.etc / "program"
    program.write_text("theirs")
    one = host.present(diverted(host, "/opt/one"), *host.set(), checks=(Check(("test", "-L", str(program))),))
    assert os.readlink(program) == "/opt/one" and Path(f"{program}.distrib").read_text() == "theirs"
    again = host.present(diverted(host, "/opt/one"), *host.set())
    assert (again.changed, host.manager.asked) == (False, [])
    two = host.present(diverted(host, "/opt/two"), *host.set())
    assert (two.action, two.digest != one.digest) == ("reload", True)
    assert os.readlink(program) == "/opt/two" and Path(f"{program}.distrib").read_text() == "theirs"


def test_a_link_that_the_service_does_not_take_is_rolled_back(host: t.Any) -> None:
    program = host.etc / "program"
    program.write_text("theirs")
    program.chmod(0o755)
    host.present(*host.set())
    with pytest.raises(ApplyError):
        host.present(diverted(host, "/opt/one"), *host.set("good refuse"), probes=(host.probe("refuse"),))
    assert (program.read_text(), program.stat().st_mode & 0o777) == ("theirs", 0o755)
    assert not Path(f"{program}.distrib").exists()


def test_what_a_package_put_beside_a_link_comes_back(host: t.Any) -> None:
    program = host.etc / "program"
    host.present(diverted(host, "/opt/one"), *host.set())
    # Installed later, and dpkg diverted it.
    Path(f"{program}.distrib").write_text("the package's")
    result = host.present(*host.set())
    assert (program.read_text(), result.action, result.warnings) == ("the package's", "reload", [])
    assert not Path(f"{program}.distrib").exists()


def test_a_link_without_an_original_goes_without_a_warning(host: t.Any) -> None:
    before = host.tree()
    host.present(diverted(host, "/opt/one"), *host.set())
    assert host.absent().warnings == []
    assert host.tree() == before


def test_a_unit_that_comes_with_the_files_is_enabled_in_the_same_run(host: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = host.root / "etc-systemd"
    monkeypatch.setattr(_fileset, "UNIT_FILE_FOLDERS", (str(folder),))
    monkeypatch.setattr(Applier, "_refuse_impossible_unit", lambda _self, _status: None)
    host.manager.installed = False
    reload = host.manager.daemon_reload

    def found_by_the_reload() -> Outcome:
        host.manager.installed = True
        return t.cast(Outcome, reload())

    monkeypatch.setattr(host.manager, "daemon_reload", found_by_the_reload)
    result = host.present(host.spec(folder / "thing.service", "[Service]"), *host.set())
    assert (result.action, host.manager.enabled) == ("start", True)
    assert host.present(host.spec(folder / "thing.service", "[Service]"), *host.set()).changed is False
