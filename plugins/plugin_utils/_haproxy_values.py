# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: what every part of HAProxy's data model does with values. Not for use outside of this collection."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def as_list(value: Any) -> list[Any]:
    """Take nothing for an empty list and a single value for a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def as_dict(value: Any) -> dict[str, Any]:
    """Take anything else for an empty dictionary; the validation says what is wrong with it."""
    return dict(value) if isinstance(value, Mapping) else {}


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which existing name somebody may have meant."""
    candidates = sorted(set(known))
    close = difflib.get_close_matches(name, candidates, 1, 0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    if candidates:
        shown = ", ".join(repr(candidate) for candidate in candidates[:8])
        return f"there is {shown}{' and more' if len(candidates) > 8 else ''}"
    return "none is defined"
