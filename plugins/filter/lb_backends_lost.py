# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.lb_backends_lost: backends that had a server before a change and have none after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: lb_backends_lost
author: hitless.lb contributors
version_added: 1.0.0
short_description: Find backends that a change has left without a server
description:
  - Compares how HAProxy saw its servers after a change and before it. A backend that had a server that could be used, and has none now, is lost.
  - A backend that is new, or had none before, says nothing about the change.
positional: _input
options:
  _input:
    description: The servers after the change, RV(hitless.lb.lb_status#module:haproxy.backends).
    type: list
    elements: dict
    required: true
  before:
    description: The same from before it. Those of a node that the change hasn't reached may be added.
    type: list
    elements: dict
    required: true
seealso:
  - module: hitless.lb.lb_status
"""

EXAMPLES = r"""
- name: Name the backends that were lost
  ansible.builtin.debug:
    msg: "{{ now.haproxy.backends | hitless.lb.lb_backends_lost(then.haproxy.backends) }}"
    # ["web (web1 DOWN L6RSP, web2 DOWN L6RSP)"]
"""

RETURN = r"""
_value:
  description: The lost backends, each with its servers, their states and what their last check came to.
  type: list
  elements: str
"""

USABLE = ("UP", "DRAIN", "no check", "NOLB")


def with_servers(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    """Name the backends that have a server that can be used."""
    return {str(entry["backend"]) for entry in entries if str(entry["status"]).startswith(USABLE)}


def lb_backends_lost(after: Iterable[Mapping[str, Any]], before: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the backends that had servers before and have none now."""
    now = list(after)
    servers: dict[str, list[str]] = {}
    for entry in now:
        words = [str(entry[key]) for key in ("server", "status", "check_status") if entry.get(key)]
        servers.setdefault(str(entry["backend"]), []).append(" ".join(words))
    lost = (with_servers(before) - with_servers(now)) & servers.keys()
    return [f"{backend} ({', '.join(servers[backend])})" for backend in sorted(lost)]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"lb_backends_lost": lb_backends_lost}
