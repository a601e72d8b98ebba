# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backends that a change has left without a server."""

from __future__ import annotations

import pytest

from ansible_collections.hitless.lb.plugins.filter.lb_backends_lost import lb_backends_lost


def seen(**states: str) -> list[dict[str, str]]:
    """Servers of backends, as backend_server=status."""
    pairs = [(name.split("_"), state) for name, state in states.items()]
    return [{"backend": names[0], "server": names[1], "status": state, "check_status": "L6RSP"} for names, state in pairs]


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        ({"web_a": "UP", "web_b": "DOWN"}, {"web_a": "DOWN", "web_b": "DOWN"}, ["web (a DOWN L6RSP, b DOWN L6RSP)"]),
        ({"web_a": "UP"}, {"web_a": "DOWN", "web_b": "UP"}, []),
        ({"web_a": "UP"}, {"web_a": "MAINT"}, ["web (a MAINT L6RSP)"]),
        ({"web_a": "no check"}, {"web_a": "DOWN"}, ["web (a DOWN L6RSP)"]),
        ({"web_a": "DOWN"}, {"web_a": "DOWN"}, []),
        ({"web_a": "UP"}, {"web_a": "UP 1/2"}, []),
        ({}, {"web_a": "DOWN"}, []),
        ({"web_a": "UP"}, {}, []),
        ({"web_a": "UP", "api_a": "UP"}, {"api_a": "DOWN"}, ["api (a DOWN L6RSP)"]),
    ],
)
def test_a_backend_is_lost_that_had_a_server_and_has_none(before: dict[str, str], after: dict[str, str], lost: list[str]) -> None:
    assert lb_backends_lost(seen(**after), seen(**before)) == lost
