# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new content that the running service is told: without a reload, and with everything that the module promises otherwise."""

from __future__ import annotations

import dataclasses
import socket
import threading
import typing as t

import pytest

from ansible_collections.hitless.lb.plugins.module_utils._apply import ApplyError
from ansible_collections.hitless.lb.plugins.module_utils._fileset import DIGEST_TEXT, FileSpec
from ansible_collections.hitless.lb.plugins.module_utils._probe import Probe
from ansible_collections.hitless.lb.plugins.module_utils._runtime import Runtime, Step, to_runtime

RELOADED = ["reload"]


class Talking:
    """Knows the contents of two files as it read them, and takes new ones in two steps.

    Words in a content make it misbehave: "stubborn" isn't taken, "forgetful" is taken and forgotten.
    """

    def __init__(self, host: t.Any) -> None:
        self.host = host
        self.address = host.root / "t"
        self.contents: dict[str, str] = {}
        self.open: tuple[str, str] | None = None
        self.said: list[str] = []
        self.interrupt: t.Callable[[str], None] | None = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.address))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        for name in ("start", "reload", "restart"):
            setattr(host.manager, name, self._reading(getattr(host.manager, name)))

    def _reading(self, original: t.Callable[[str], t.Any]) -> t.Callable[[str], t.Any]:
        def read(unit: str) -> t.Any:
            outcome = original(unit)
            self.open = None
            self.contents = {path.name: path.read_text() for path in sorted(self.host.etc.glob("*.crt"))}
            return outcome

        return read

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self.listener.accept()
            except OSError:
                return
            with connection:
                text = connection.recv(65536).decode()
                while text.startswith("set") and not text.endswith("\n\n"):
                    text += connection.recv(65536).decode()
                connection.sendall((self.answer(text) + "\n").encode())

    def answer(self, text: str) -> str:
        command, _line, content = text.rstrip("\n").partition("\n")
        word, _blank, name = command.partition(" ")
        if word != "show":
            self.said.append(command)
        if word == "show":
            return f"content: {self.contents[name]}" if name in self.contents else "unknown"
        if word == "set":
            if "stubborn" in content:
                return "I won't"
            self.open = (name, content)
            return "opened"
        if word == "give-up":
            self.open = None
            return "closed"
        if self.open is None or self.open[0] != name:
            return "nothing is open"
        if "forgetful" not in self.open[1]:
            self.contents[name] = self.open[1]
        self.open = None
        return "done"

    def file(self, name: str, content: str) -> FileSpec:
        runtime = Runtime(
            unix=str(self.address),
            ask=f"show {name}",
            expect=f"^content: {content}$",
            unused="^unknown$",
            tell=(Step(f"set {name}\n@HITLESS_CONTENT@\n", "^opened$"), Step(f"commit {name}", "^done$")),
            give_up=(f"give-up {name}",),
        )
        return t.cast(FileSpec, self.host.spec(self.host.etc / name, content, action="runtime", runtime=runtime, sensitive=True))


@pytest.fixture
def talking(host: t.Any) -> t.Iterator[Talking]:
    service = Talking(host)
    yield service
    service.listener.close()


def apply(host: t.Any, talking: Talking, one: str, other: str = "other", text: str = "good", **more: t.Any) -> t.Any:
    """A run with two files that can be told, and the main file, which has the digest."""
    talking.said.clear()
    main = f"{text} {DIGEST_TEXT}"
    probe = Probe(kind="unix", target=str(host.socket), send="?", expect=f"{DIGEST_TEXT}$", running=True)
    files = [talking.file("one.crt", one), talking.file("other.crt", other), host.spec(host.main, main)]
    return host.present(*files, probes=(host.probe(), probe), **more)


def kept(host: t.Any) -> dict[str, t.Any]:
    """What lies on the host, without the record of what was read when."""
    return {path: details for path, details in host.tree().items() if not path.startswith("run")}


def test_a_new_content_is_told_and_lies_on_the_disk(host: t.Any, talking: Talking) -> None:
    assert apply(host, talking, "first").action == "start"
    before = host.service.text
    result = apply(host, talking, "second")
    assert (result.action, result.changed_files, result.validated) == ("runtime", [str(host.etc / "one.crt")], True)
    assert host.manager.asked == [] and talking.said == ["set one.crt", "commit one.crt"]
    assert talking.contents == {"one.crt": "second", "other.crt": "other"}
    assert (host.etc / "one.crt").read_text() == "second" and host.service.text == before
    assert apply(host, talking, "second").changed is False and talking.said == []


def test_check_mode_says_so_and_tells_nothing(host: t.Any, talking: Talking) -> None:
    apply(host, talking, "first")
    result = apply(host, talking, "second", check=True)
    assert (result.changed, result.action) == (True, "runtime")
    assert "active (runtime: its files change)" in str(result.diff) and "second" not in str(result.diff)
    assert talking.said == [] and talking.contents["one.crt"] == "first" and (host.etc / "one.crt").read_text() == "first"


def test_with_another_change_one_reload_does_for_both(host: t.Any, talking: Talking) -> None:
    apply(host, talking, "first")
    result = apply(host, talking, "second", text="good again")
    assert result.action == "reload" and host.manager.asked == RELOADED and talking.said == []
    assert talking.contents["one.crt"] == "second"


def test_what_the_service_has_counts_and_not_only_the_disk(host: t.Any, talking: Talking) -> None:
    apply(host, talking, "first")
    talking.contents["other.crt"] = "from somebody else"
    assert apply(host, talking, "first", check=True).action == "runtime"
    result = apply(host, talking, "first")
    assert (result.changed, result.action, result.changed_files) == (True, "runtime", [])
    assert result.reason == f"it has another content of {host.etc / 'other.crt'}"
    assert talking.said == ["set other.crt", "commit other.crt"] and talking.contents["other.crt"] == "other"


def test_a_file_that_the_service_does_not_use_is_only_written(host: t.Any, talking: Talking) -> None:
    apply(host, talking, "first")
    del talking.contents["one.crt"]
    assert apply(host, talking, "first").changed is False
    result = apply(host, talking, "second")
    assert result.action == "runtime" and talking.said == [] and host.manager.asked == []
    assert (host.etc / "one.crt").read_text() == "second"


@pytest.mark.parametrize("content", ["stubborn", "forgetful"])
def test_what_cannot_be_told_is_reloaded_with_a_warning(host: t.Any, talking: Talking, content: str) -> None:
    apply(host, talking, "first")
    result = apply(host, talking, content)
    assert result.action == "reload" and host.manager.asked == RELOADED
    assert "wouldn't take the new content" in result.warnings[0]
    if content == "stubborn":
        assert "set one.crt: I won't" in result.warnings[0] and talking.said == ["set one.crt", "give-up one.crt"]
    assert talking.contents["one.crt"] == content
    assert apply(host, talking, content).changed is False


def test_when_the_reload_does_not_help_everything_is_put_back(host: t.Any, talking: Talking, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(host, talking, "first")
    before = kept(host)
    reread = host.manager.reload

    def reload_old(unit: str) -> t.Any:
        # The service reads, and has the old content nevertheless.
        outcome = reread(unit)
        talking.contents["one.crt"] = "first"
        return outcome

    monkeypatch.setattr(host.manager, "reload", reload_old)
    with pytest.raises(ApplyError, match="Everything was put back") as caught:
        apply(host, talking, "stubborn")
    assert caught.value.rolled_back and kept(host) == before
    assert talking.contents["one.crt"] == "first"


def test_a_run_that_is_killed_while_it_tells_is_made_up_for(host: t.Any, talking: Talking, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    apply(host, talking, "first")
    answer = talking.answer
    original = Runtime.run

    def killed(self: Runtime, content: bytes) -> str | None:
        original(self, content)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Runtime, "run", killed)
        with pytest.raises(Killed):
            apply(host, talking, "second")
    assert talking.contents["one.crt"] == "second"
    # Somebody gives up the new content: the service must have the old one again.
    assert answer("show one.crt") == "content: second"
    assert apply(host, talking, "first", check=True).action == "runtime"
    result = apply(host, talking, "first")
    assert result.recovered and result.action == "runtime" and host.manager.asked == []
    assert talking.contents == {"one.crt": "first", "other.crt": "other"} and (host.etc / "one.crt").read_text() == "first"


def test_a_refused_run_after_a_killed_one_leaves_the_service_with_its_files(
    host: t.Any, talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(self: Runtime, content: bytes) -> t.NoReturn:
        talking.contents["one.crt"] = "second"
        raise Killed

    apply(host, talking, "first")
    with monkeypatch.context() as patch:
        patch.setattr(Runtime, "run", killed)
        with pytest.raises(Killed):
            apply(host, talking, "second")
    with pytest.raises(ApplyError, match="refused, nothing was changed"):
        apply(host, talking, "second", text="invalid")
    assert talking.contents["one.crt"] == "first" == (host.etc / "one.crt").read_text()
    assert host.manager.asked == RELOADED


def test_after_a_killed_run_everything_is_told_again(host: t.Any, talking: Talking, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question may not tell every difference: a certificate's fingerprint says nothing of its chain."""

    class Killed(BaseException):
        pass

    def lax(name: str, content: str) -> FileSpec:
        spec = Talking.file(talking, name, content)
        assert spec.runtime is not None
        return dataclasses.replace(spec, runtime=dataclasses.replace(spec.runtime, expect="^content: "))

    def killed(self: Runtime, content: bytes) -> t.NoReturn:
        talking.contents["one.crt"] = "second"
        raise Killed

    monkeypatch.setattr(talking, "file", lax)
    apply(host, talking, "first")
    with monkeypatch.context() as patch:
        patch.setattr(Runtime, "run", killed)
        with pytest.raises(Killed):
            apply(host, talking, "second")
    result = apply(host, talking, "first")
    assert result.recovered and result.action == "runtime" and talking.contents["one.crt"] == "first"


def test_that_it_was_taken_is_asked_at_once(host: t.Any, talking: Talking) -> None:
    apply(host, talking, "first")
    runtime = talking.file("one.crt", "forgetful").runtime
    assert runtime is not None
    assert (runtime.run(b"forgetful") or "").startswith("show one.crt: the answer doesn't match")


def test_a_service_that_runs_another_set_is_reloaded(host: t.Any, talking: Talking) -> None:
    apply(host, talking, "first")
    host.service.text = "good, but of somebody else"
    result = apply(host, talking, "second")
    assert result.action == "reload" and result.reason == "it runs another set than its files say"
    assert talking.contents["one.crt"] == "second"


def test_a_file_that_comes_or_goes_takes_a_reload(host: t.Any, talking: Talking) -> None:
    apply(host, talking, "first")
    more = [talking.file("one.crt", "first"), talking.file("other.crt", "other"), talking.file("third.crt", "third")]
    plain = [host.spec(host.main, host.main.read_text())]
    assert host.present(*more, *plain).action == "reload" and talking.contents["third.crt"] == "third"
    (host.etc / "third.crt").unlink()
    assert host.present(*more, *plain).action == "reload"
    assert host.present(*more[:2], *plain).action == "reload" and "third.crt" not in talking.contents
    assert host.absent().action == "stop"


def test_the_content_is_no_part_of_the_digest_and_the_path_is(host: t.Any, talking: Talking) -> None:
    digests = {host.applier(talking.file(name, content)).digest for name, content in (("a", "x"), ("a", "y"), ("b", "x"))}
    assert len(digests) == 2


def test_a_service_that_does_not_listen() -> None:
    runtime = to_runtime({"unix": "/nowhere/s", "ask": "?", "expect": "x", "tell": [{"send": "y", "expect": "z"}], "give_up": ["no"]})
    assert (runtime.run(b"") or "").startswith("/nowhere/s: ")


@pytest.mark.parametrize(
    ("more", "words"),
    [({"expect": "("}, "isn't a regular expression"), ({"tell": []}, "tell is empty"), ({"unused": "["}, "isn't a regular expression")],
)
def test_what_cannot_be_meant(more: dict[str, t.Any], words: str) -> None:
    raw = {"unix": "/s", "ask": "?", "expect": "x", "tell": [{"send": "y", "expect": "z"}], **more}
    assert words in (to_runtime(raw).problem() or "")
