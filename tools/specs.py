# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading meta/argument_specs.yml: every option down to its nested keys, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# The names of options that hold a secret. A path to a secret isn't one.
SECRET = re.compile(r"(^|_)(password|passwd|passphrase|secret|private_key|pem|token)(_|$)")
NO_SECRET = re.compile(r"_(file|path|dir|name|mode|owner|group|size|type|bits|days|enabled|required|src|url|user)s?$")


def load(path: Path) -> Any:
    with path.open(encoding="utf-8") as stream:
        return yaml.safe_load(stream)


def options(role: Path, entry_point: str = "main") -> dict[str, Any]:
    """The options of a role's entry point."""
    return dict(entry_points(role)[entry_point].get("options") or {})


def entry_points(role: Path) -> dict[str, Any]:
    return dict(load(role / "meta" / "argument_specs.yml")["argument_specs"])


def walk(found: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every option with its dotted name, nested ones after their parent."""
    for name, option in found.items():
        yield f"{prefix}{name}", option
        yield from walk(option.get("options") or {}, f"{prefix}{name}.")


def is_secret(dotted: str) -> bool:
    name = dotted.rsplit(".", maxsplit=1)[-1]
    return bool(SECRET.search(name)) and not NO_SECRET.search(name)


def same(left: Any, right: Any) -> bool:
    """Equal by value and by type: 1, 1.0, true and "1" are four different defaults."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def compare_defaults(role: Path) -> list[str]:
    """Where defaults/main.yml and the spec differ."""
    where = f"roles/{role.name}"
    try:
        defaults = load(role / "defaults" / "main.yml") or {}
        specified = options(role)
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        return [f"{where}: defaults/main.yml or meta/argument_specs.yml can't be read: {type(error).__name__} {error}"]
    findings = []
    for name, option in specified.items():
        if "default" not in option:
            if name in defaults:
                findings.append(f"{where}: {name} has a default in defaults/main.yml and none in the spec")
        elif name not in defaults:
            findings.append(f"{where}: {name} has a default in the spec and none in defaults/main.yml")
        elif not same(option["default"], defaults[name]):
            findings.append(f"{where}: {name} is {defaults[name]!r} in defaults/main.yml and {option['default']!r} in the spec")
    findings += [f"{where}: {name} is in defaults/main.yml and not in the spec" for name in defaults if name not in specified]
    return findings


def faults(role: Path) -> list[str]:
    """What is wrong with the options themselves: no description, no type, a secret that would be shown."""
    findings = []
    for entry_point, spec in entry_points(role).items():
        where = f"roles/{role.name} {entry_point}"
        if not spec.get("short_description"):
            findings.append(f"{where}: no short_description")
        if not spec.get("description"):
            findings.append(f"{where}: no description")
        for name, option in walk(spec.get("options") or {}):
            if not option.get("description"):
                findings.append(f"{where}: {name} has no description")
            if "type" not in option:
                findings.append(f"{where}: {name} has no type")
            if option.get("type") == "list" and "elements" not in option:
                findings.append(f"{where}: {name} is a list and doesn't say of what (elements)")
            if is_secret(name):
                if option.get("type") != "str":
                    findings.append(f"{where}: {name} is a secret, so it must be str: another type shows it in the type error")
                if option.get("no_log") is not True:
                    findings.append(f"{where}: {name} is a secret and has no no_log: true")
                if "default" in option:
                    findings.append(f"{where}: {name} is a secret and has a default")
    return findings
