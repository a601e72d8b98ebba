# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell a running service a new content of one of its files, without a reload."""

from __future__ import annotations

import contextlib
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.hitless.lb.plugins.module_utils._probe import Probe, converse

CONTENT_TEXT = "@HITLESS_CONTENT@"

# A service may have to read a key of many bits.
STEP_LIMIT = 10.0


@dataclass(frozen=True)
class Step:
    """One command and the answer that means that it was obeyed."""

    send: str
    expect: str


@dataclass(frozen=True)
class Runtime:
    """How a service is told a new content over its socket, and how it says which one it has.

    ``unused`` is its answer for a file that its configuration doesn't use: then there is nothing to tell.
    """

    unix: str
    ask: str
    expect: str
    tell: tuple[Step, ...]
    unused: str = ""
    give_up: tuple[str, ...] = ()

    def question(self) -> Probe:
        """What the service has, as a probe."""
        good = f"(?:{self.expect})|(?:{self.unused})" if self.unused else self.expect
        return Probe(kind="unix", target=self.unix, send=self.ask, expect=good, running=True)

    def problem(self) -> str | None:
        """What is wrong with it, before it is used; None when nothing is."""
        for expression in (self.expect, self.unused, *(step.expect for step in self.tell)):
            try:
                re.compile(expression)
            except re.error as error:
                return f"{expression!r} isn't a regular expression: {error}"
        return None if self.tell else "tell is empty, so nothing would be told"

    def run(self, content: bytes) -> str | None:
        """Tell the new content; returns what is wrong, None when the service has it now."""
        try:
            if self.unused and re.search(self.unused, self._send(self.ask), re.MULTILINE):
                return None
            for step in self.tell:
                said = self._send(step.send.replace(CONTENT_TEXT, content.decode("utf-8").rstrip("\n")))
                if not re.search(step.expect, said, re.MULTILINE):
                    self._give_up()
                    return f"{_first_line(step.send)}: {said.strip() or 'no answer'}"
        except OSError as error:
            self._give_up()
            return f"{self.unix}: {error}"
        answer = self.question().ask()
        return None if answer.ok else f"{self.ask}: {answer.detail}"

    def _send(self, text: str) -> str:
        return converse(self.unix, text, STEP_LIMIT)

    def _give_up(self) -> None:
        with contextlib.suppress(OSError):
            for text in self.give_up:
                self._send(text)


def _first_line(text: str) -> str:
    """A command without the content that it carries."""
    return text.split("\n", 1)[0].strip()


def to_runtime(raw: t.Mapping[str, t.Any]) -> Runtime:
    """The caller's dictionary."""
    return Runtime(
        unix=raw["unix"],
        ask=raw["ask"],
        expect=raw["expect"],
        tell=tuple(Step(step["send"], step["expect"]) for step in raw["tell"]),
        unused=raw.get("unused") or "",
        give_up=tuple(raw.get("give_up") or ()),
    )
