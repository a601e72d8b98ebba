# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version of a package is wanted."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.hitless.lb.plugins.modules import package_candidate
from ansible_collections.hitless.lb.plugins.modules.package_candidate import CandidateError, choose


@pytest.fixture(autouse=True)
def order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare plain numbers, so that no dpkg is needed."""
    monkeypatch.setattr(package_candidate, "compare", lambda left, right: (left > right) - (left < right))


def params(**more: t.Any) -> dict[str, t.Any]:
    return {"package": "haproxy", "versions": None, "version": "", "upgrade": False, "downgrade": False} | more


@pytest.mark.parametrize(
    ("installed", "candidate", "known", "options", "wanted"),
    [
        ("", "3.0.1", ["3.0.1"], {}, "3.0.1"),
        ("", "", [], {}, ""),
        ("3.0.1", "3.0.2", ["3.0.1", "3.0.2"], {}, "3.0.1"),
        ("3.0.1", "3.0.2", ["3.0.1", "3.0.2"], {"upgrade": True}, "3.0.2"),
        ("3.0.9", "3.0.9", ["3.0.1", "3.0.2"], {"upgrade": True}, "3.0.9"),
        ("3.0.9", "3.0.9", ["3.0.1", "3.0.2"], {"downgrade": True}, "3.0.2"),
        ("3.0.2", "3.0.2", ["3.0.1", "3.0.2"], {"downgrade": True}, "3.0.2"),
        ("3.0.9", "3.0.9", [], {"downgrade": True}, "3.0.9"),
        ("3.0.1", "3.0.1", [], {"versions": ["3.0.2", "3.0.3"]}, "3.0.3"),
        ("3.0.2", "3.0.3", [], {"versions": ["3.0.2", "3.0.3"]}, "3.0.2"),
        ("3.0.2", "3.0.3", [], {"versions": ["3.0.2", "3.0.3"], "upgrade": True}, "3.0.3"),
        ("3.0.1", "3.0.1", [], {"versions": ["3.0.2", "3.1.3"], "version": "3.0.*"}, "3.0.2"),
        ("3.0.2", "3.0.2", [], {"versions": ["3.0.2", "3.0.3"], "version": "3.0.3"}, "3.0.3"),
        ("3.0.9", "3.0.9", [], {"versions": ["3.0.2"], "downgrade": True}, "3.0.2"),
    ],
)
def test_the_wanted_version(installed: str, candidate: str, known: list[str], options: dict[str, t.Any], wanted: str) -> None:
    assert choose(params(**options), installed, candidate, known) == wanted


def test_older_ones_only_are_refused_unless_asked_for() -> None:
    with pytest.raises(CandidateError, match=r"3\.0\.9 is installed.*3\.0\.2.*haproxy_downgrade"):
        choose(params(versions=["3.0.2"]), "3.0.9", "3.0.9", [])


@pytest.mark.parametrize(("versions", "words"), [([], "none at all"), (["2.8.1"], r"no haproxy 3\.0\.\*; it has 2\.8\.1")])
def test_a_version_that_is_not_there(versions: list[str], words: str) -> None:
    with pytest.raises(CandidateError, match=words):
        choose(params(versions=versions, version="3.0.*"), "", "", [])
