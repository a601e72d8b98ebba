# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts of a package source. What apt does with them is looked at in the containers."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome
from ansible_collections.hitless.lb.plugins.modules import apt_source

PARAMS: dict[str, t.Any] = {
    "name": "thing",
    "uris": ["https://deb.example.org/haproxy", "http://user@mirror.example.org:8080/x"],
    "suites": ["trixie", "trixie-updates"],
    "components": ["main"],
    "key": "-----BEGIN-----\n",
    "packages": ["haproxy", "haproxy-*"],
    "pin": 990,
}


def test_three_files() -> None:
    files = apt_source.wanted_files(PARAMS, "/x")
    assert {path: entry.mode for path, entry in files.items()} == dict.fromkeys(
        ["/x/keyrings/thing.asc", "/x/preferences.d/thing.pref", "/x/sources.list.d/thing.sources"], 0o644
    )
    source = files["/x/sources.list.d/thing.sources"].data.decode()
    assert source.splitlines()[1:] == [
        "Types: deb",
        "URIs: https://deb.example.org/haproxy http://user@mirror.example.org:8080/x",
        "Suites: trixie trixie-updates",
        "Components: main",
        "Signed-By: /x/keyrings/thing.asc",
    ]


def test_the_pin_names_the_packages_and_the_hosts() -> None:
    text = apt_source.pin_text(PARAMS)
    assert text.count("Package: haproxy haproxy-*\n") == 2 and "Package: *" not in text
    assert 'Pin: origin "deb.example.org"' in text and 'Pin: origin "mirror.example.org"' in text
    assert 'Pin: origin ""' in apt_source.pin_text(PARAMS | {"uris": ["file:/srv/repo"]})


def test_a_flat_source_has_no_components() -> None:
    assert "Components" not in apt_source.source_text(PARAMS | {"suites": ["good/"], "components": []}, "/k")


def test_apt_sees_one_source_alone() -> None:
    options = apt_source.apt_options("/s.sources", "/lists")
    assert "Dir::Etc::SourceList=/s.sources" in options and "Dir::Etc::SourceParts=/dev/null" in options
    assert "Dir::State::Lists=/lists" in options and not any("Lists=" in word for word in apt_source.apt_options("/s"))


def test_the_versions_of_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    said = " haproxy | 3.0.2-1 | http://x ./ Packages\n haproxy | 3.0.1-1 | http://x ./ Packages\n haproxy | 3.0.9 | http://x ./ Sources\n"
    monkeypatch.setattr(apt_source, "run", lambda argv, **_more: Outcome(0, said, ""))
    assert apt_source.versions(["haproxy", "haproxy-*"], []) == {"haproxy": ["3.0.2-1", "3.0.1-1"]}


def test_what_apt_only_warns_of_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apt_source, "run", lambda argv, **_more: Outcome(100, "Get:1 http://x\n", "W: bad signature\nE: not signed\n"))
    with pytest.raises(apt_source.SourceError, match=r"(?s)bad signature.*not signed"):
        apt_source.update([])


def test_the_lists_of_a_source() -> None:
    lines = [
        "http://h/d/dists/trixie/main/binary-amd64/Packages\thttp://h/d/dists/trixie/\t/l/h_d_dists_trixie_main_binary-amd64_Packages",
        "http://h/r/good/Packages\thttp://h/r/good/\t/l/h_r_good_Packages",
    ]
    assert apt_source.list_prefixes("\n".join(lines)) == {"/l/h_d_dists_trixie_", "/l/h_r_good_"}
    assert apt_source.list_prefixes("a\tb\tc") == set()
