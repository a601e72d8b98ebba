# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of files, its digest, its diff, and what may be said of it."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hitless.lb.plugins.module_utils import _fileset
from ansible_collections.hitless.lb.plugins.module_utils._files import FILE, NOTHING, Entry
from ansible_collections.hitless.lb.plugins.module_utils._fileset import Change, FileSpec

CONTENTS = st.dictionaries(st.sampled_from(["/a", "/b", "/c/d"]), st.binary(max_size=20), min_size=1)


def specs(contents: t.Mapping[str, bytes]) -> list[FileSpec]:
    return [FileSpec(path, content) for path, content in contents.items()]


@given(CONTENTS)
def test_the_digest_depends_on_paths_and_contents_alone(contents: dict[str, bytes]) -> None:
    digest = _fileset.digest_of(specs(contents))
    assert len(digest) == 32 and int(digest, 16) >= 0
    assert _fileset.digest_of(reversed(specs(contents))) == digest
    assert _fileset.digest_of([FileSpec(path, content, mode=0o600, owner="x") for path, content in contents.items()]) == digest
    assert _fileset.digest_of([*specs(contents), FileSpec("/e", b"x", action="none")]) == digest
    assert _fileset.digest_of([*specs(contents), FileSpec("/e", b"x")]) != digest
    changed = {path: content + b"." for path, content in contents.items()}
    assert _fileset.digest_of(specs(changed)) != digest


def test_the_digest_is_written_in() -> None:
    written = _fileset.with_digest([FileSpec("/a", b"x @HITLESS_DIGEST@ y @HITLESS_DIGEST@")], "abc")
    assert written[0].content == b"x abc y abc"


@pytest.mark.parametrize(
    ("actions", "expected"), [([], "none"), (["none", "reload"], "reload"), (["reload", "restart", "none"], "restart"), (["none"], "none")]
)
def test_the_strongest_action(actions: list[str], expected: str) -> None:
    assert _fileset.strongest(actions) == expected


@pytest.mark.parametrize(
    ("paths", "word"),
    [
        (["relative"], "absolute"),
        (["/a/../b"], "absolute"),
        (["/a//b"], "absolute"),
        (["/a/"], "absolute"),
        (["/"], "absolute"),
        (["/a", "/a"], "listed twice"),
        (["/a/b/c", "/a"], "lies below /a"),
    ],
)
def test_paths_that_cannot_be_meant(paths: list[str], word: str) -> None:
    found = _fileset.problems_of([FileSpec(path) for path in paths])
    assert len(found) == 1 and word in found[0]


def test_good_paths() -> None:
    assert _fileset.problems_of([FileSpec("/a/b"), FileSpec("/a/bc"), FileSpec("/a/b.conf")]) == []


def file(data: bytes, **more: t.Any) -> Entry:
    return Entry(kind=FILE, data=data, **more)


def test_a_diff_shows_content_and_attributes() -> None:
    shown = _fileset.diff_of(Change("/a", file(b"old\n"), file(b"new\n", mode=0o600)))
    assert (shown[0]["before"], shown[0]["after"]) == ("old\n", "new\n")
    assert (shown[1]["before"]["mode"], shown[1]["after"]["mode"]) == ("0644", "0600")
    assert _fileset.diff_of(Change("/a", file(b"x"), file(b"x"))) == []


@pytest.mark.parametrize(("before", "after"), [(NOTHING, file(b"secret")), (file(b"secret"), NOTHING), (file(b"secret"), file(b"secret2"))])
def test_a_diff_of_a_sensitive_file_says_that_it_changed_and_not_how(before: Entry, after: Entry) -> None:
    shown = _fileset.diff_of(Change("/a", before, after, sensitive=True))
    assert shown[0]["before"] != shown[0]["after"]
    assert "secret" not in str(shown)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        ("    auth_pass   s3cr\n", "s3cr"),
        ("stats auth admin:geheim", "admin:geheim"),
        ("user x insecure-password pa55", "pa55"),
        ('password "quoted one"', "quoted"),
        ("api_key = abcd", "abcd"),
        ("user x password $6$abcdefgh$0123456789abcdef", "$6$abcdefgh$0123456789abcdef"),
        ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"),
        ("a rather long line of a file", "a rather long line of a file"),
    ],
)
def test_secrets_are_found(content: str, secret: str) -> None:
    found = _fileset.secrets_in(content)
    assert secret in _fileset.redact(secret, []) and secret in found
    assert secret not in _fileset.redact(f"line 3: {content} is bad", found)


def test_what_a_checker_says_stays_readable() -> None:
    content = "global\n    user haproxy\nfrontend f\n    bind *:80\n    nonsense here\n"
    said = "[ALERT] parsing [/etc/haproxy/haproxy.cfg:5] : unknown keyword 'nonsense' in 'frontend' section"
    assert _fileset.redact(said, _fileset.secrets_in(content)) == said


@given(st.text(max_size=40), st.lists(st.text(min_size=1, alphabet="abc", max_size=5), max_size=5))
def test_nothing_that_is_secret_is_left(text: str, secrets: list[str]) -> None:
    result = _fileset.redact(text, secrets)
    assert not any(secret in result for secret in secrets)
