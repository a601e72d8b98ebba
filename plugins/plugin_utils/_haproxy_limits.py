# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: the ready-made limit for clients that misbehave. Not for use outside of this collection.

It is only shorthand: a table of its own, and rules in front of those of each frontend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TABLE = "rate_limit"
KEYS = {
    "requests": "int",
    "errors": "int",
    "connections": "int",
    "period": "time",
    "status": "int",
    "slow_request": "time",
    "size": "word",
    "peers": "word",
    "except": "words",
    "frontends": "words",
}
LIMITS = ("requests", "errors", "connections", "slow_request")
_UNITS = {"us": 0.000001, "ms": 0.001, "": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def on(given: Mapping[str, Any]) -> bool:
    """Tell whether anything is limited."""
    return any(given.get(key) for key in LIMITS)


def counts(given: Mapping[str, Any]) -> bool:
    """Tell whether it takes a table."""
    return any(given.get(key) for key in LIMITS[:3])


def seconds(time: str) -> int:
    """Read HAProxy's time as whole seconds, at least one."""
    match = re.fullmatch(r"([0-9]+)(us|ms|s|m|h|d)?", time)
    return max(1, int(float(match[1]) * _UNITS[match[2] or ""])) if match else 1


def table(given: Mapping[str, Any]) -> dict[str, Any]:
    """Make the backend that holds the counters."""
    period = str(given.get("period") or "10s")
    store = [
        name
        for key, name in (
            ("requests", f"http_req_rate({period})"),
            ("errors", f"http_err_rate({period})"),
            ("connections", "conn_cur"),
        )
        if given.get(key)
    ]
    stick: dict[str, Any] = {"type": "ipv6", "size": given.get("size") or "100k", "expire": f"{max(60, seconds(period) * 2)}s"}
    if given.get("peers"):
        stick["peers"] = given["peers"]
    return {"name": TABLE, "stick_table": stick | {"store": store}}


def rules(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Make the rules in front of a frontend's own."""
    if not counts(given):
        return {}
    period = str(given.get("period") or "10s")
    answer = f"deny deny_status {given.get('status') or 429} hdr Retry-After {seconds(period)}"
    networks = given.get("except") or []
    but = f" unless {{ src {' '.join(str(network) for network in networks)} }}" if networks else ""
    session = [f"session track-sc2 src table {TABLE}{but}"]
    if given.get("connections"):
        session.append(f"session reject if {{ sc2_conn_cur gt {given['connections']} }}")
    requests = [
        f"{answer} if {{ sc2_http_{what}_rate gt {given[key]} }}"
        for key, what in (("requests", "req"), ("errors", "err"))
        if given.get(key)
    ]
    return {"tcp_request": session, "http_request": requests}
