# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions in the tables, held against the real HAProxy: every keyword alone on a line, and which of them it doesn't know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_language as language
from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_model as model
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import Keyword, version_tuple
from products import Checker, checkers

CHECKERS = checkers("haproxy")
# A value by kind, and by keyword where that doesn't do. It needn't be good, as long as the keyword is what is looked at.
VALUES = {"int": "1", "time": "1s", "flag": "", "no": "", "onoff": "on"}
NEEDS_QUIC = {"quic_cc_algo", "quic_force_retry", "quic_socket", "no_quic", "limited_quic", "cluster_secret"}


def value_of(keyword: Keyword) -> str:
    """Something to stand after a keyword."""
    return VALUES.get(keyword.kind, "x")


def said_unknown(keyword: Keyword, text: str) -> bool:
    """Tell whether a message says that a keyword isn't known, and not only its value."""
    word = re.escape(keyword.word.split(" ", maxsplit=1)[0])
    return bool(re.search(rf"unknown keyword '[^']*{word}|'timeout' supports (?!.*but got nothing)", text))


def lines() -> Iterator[tuple[str, str, Keyword, str]]:
    """List every keyword with the section that it is tried in, and its line there."""
    for key, keyword in model.GLOBAL.items():
        if keyword.kind not in ("raw", "tune"):
            yield "global", key, keyword, f"{keyword.word} {value_of(keyword)}"
    for kind, table in model.SECTIONS.items():
        for key, keyword in table.items():
            if keyword.kind in ("lines", "line", "word", "int", "time", "flag", "form", "checks"):
                yield kind, key, keyword, f"{keyword.word} {value_of(keyword)}"
    for key, keyword in model.TIMEOUTS.items():
        yield "listen", f"timeout {key}", keyword, f"timeout {keyword.word} 1s"
    for key, keyword in model.BIND.items():
        if keyword.kind != "rawtext":
            yield "frontend", f"bind {key}", keyword, f"bind 127.0.0.1:1 {keyword.word} {value_of(keyword)}"
    for number, (key, keyword) in enumerate(model.SERVER_OPTIONS.items()):
        if keyword.kind != "rawtext":
            yield "backend", f"server {key}", keyword, f"server s{number} 127.0.0.1:1 {keyword.word} {value_of(keyword)}"
    for key, keyword in model.PEERS.items():
        if keyword.kind in ("int", "flag"):
            yield "peers", f"peers {key}", keyword, f"{keyword.word} {value_of(keyword)}"
    for key, keyword in model.RESOLVERS.items():
        if keyword.kind in ("int", "flag"):
            yield "resolvers", f"resolvers {key}", keyword, f"{keyword.word} {value_of(keyword)}"
    for key, keyword in model.CACHE.items():
        if keyword.kind != "raw":
            yield "cache", f"cache {key}", keyword, f"{keyword.word} {value_of(keyword)}"


def said(haproxy: Checker, folder: Path, tried: list[tuple[str, str]]) -> list[str]:
    """What HAProxy says of each line, given with the section's head.

    It gives up at some mistakes, and after 50 of any, so it gets the lines in portions, each from behind the last mistake on.
    """
    result = [""] * len(tried)
    config = folder / "haproxy.cfg"
    start = 0
    while start < len(tried):
        text: list[str] = []
        numbers: dict[int, int] = {}
        head = ""
        for index, (section, line) in enumerate(tried[start : start + 40], start):
            if section != head:
                text.append(section)
                head = section
            text.append(f"    {line}")
            numbers[len(text)] = index
        config.write_text("\n".join(text) + "\n", encoding="utf-8")
        done = haproxy.run(folder, "-c", "-f", str(config))
        start += 40
        for line in (done.stdout + done.stderr).splitlines():
            match = re.search(r"\[ALERT\].*haproxy\.cfg:(\d+)\]", line)
            if match and int(match[1]) in numbers:
                index = numbers[int(match[1])]
                result[index] += line
                start = index + 1
    return result


if CHECKERS:

    @pytest.mark.checker
    @pytest.mark.parametrize("haproxy", CHECKERS, ids=str)
    def test_the_tables_know_what_haproxy_knows(haproxy: Checker, tmp_path: Path) -> None:
        version = version_tuple(haproxy.version)
        assert version
        tried = list(lines())
        found = said(
            haproxy, tmp_path, [(section if section == "global" else f"{section} {section}", line) for section, _k, _w, line in tried]
        )
        wrong = []
        for (_section, key, keyword, _line), message in zip(tried, found, strict=True):
            unknown = said_unknown(keyword, message)
            expected = bool(keyword.since and version < (version_tuple(keyword.since) or ()))
            expected = expected or bool(keyword.until and version[:2] > (version_tuple(keyword.until) or ()))
            if unknown != expected and not (key.removeprefix("bind ") in NEEDS_QUIC and unknown):
                wrong.append(f"{key} (since {keyword.since or '2.4'}): {message or 'HAProxy says nothing'}")
        assert not wrong, "\n".join(wrong)

    @pytest.mark.checker
    @pytest.mark.parametrize("haproxy", CHECKERS, ids=str)
    def test_the_words_within_lines(haproxy: Checker, tmp_path: Path) -> None:
        version = version_tuple(haproxy.version)
        assert version
        tried: list[tuple[str, str, str]] = []

        def try_line(word: str, since: str, line: str) -> None:
            tried.append((word, since, line))

        for word, since in language.OPTIONS.items():
            try_line(word, since, f"option {word}")
        for word, since in language.BALANCE.items():
            try_line(word, since, f"balance {word} src")
        for word, since in language.ACTIONS.items():
            rule = "tcp-request session" if word == "attach-srv" else "http-request"
            arguments = {
                "set-var-fmt": "(txn.x) x",
                "sc-inc-gpc": "(0,0)",
                "sc-set-gpt": "(0,0) 1",
                "sc-add-gpc": "(0,0) 1",
                "attach-srv": " l/s",
            }
            try_line(word, since, f"{rule} {word}{arguments.get(word, ' bwl' if 'bandwidth' in word else ' 1')}")
        for key, words in language.LATE_ACTIONS.items():
            for word, since in words.items():
                arguments = {"set-map": "(x) a b", "del-map": "(x) a", "del-acl": "(x) a", "sc-inc-gpc0": "(0)", "sc-inc-gpc1": "(0)"}
                more = {"set-log-level": " silent", "set-timeout": " server 1s"}
                try_line(word, since, f"{key.replace('_', '-')} {word}{arguments.get(word, more.get(word, ''))}")
        for word, since in language.FILTERS.items():
            try_line(word, since, f"filter {word} x default-limit 1 default-period 1s")
        for word, since in language.FETCHES.items():
            argument = {"sc_glitch_cnt": "(0)", "sc_glitch_rate": "(0)", "fc_pp_tlv": "(1)"}.get(word, "")
            try_line(word, since, f"acl x {word}{argument} -m found")
        for word, since in language.CONVERTERS.items():
            try_line(word, since, f"http-request set-header X %[src,{word}(x)]")
        found = said(haproxy, tmp_path, [("listen l", line) for _word, _since, line in tried])
        wrong = []
        for (word, since, _line), message in zip(tried, found, strict=True):
            name = re.escape(word)
            unknown = bool(re.search(rf"unknown [^']*'?{name}|unknown.*'{name}|got '{name}|only supports 'roundrobin'", message))
            if unknown != (version < (version_tuple(since) or ())):
                wrong.append(f"{word} (since {since}): {message or 'HAProxy says nothing'}")
        assert not wrong, "\n".join(wrong)
