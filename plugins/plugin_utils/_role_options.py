# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filters of the roles nginx_web and rsyslog share: typed options, and findings about them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Findings:
    """What is wrong with a role's variables: all of it, not only the first."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def add(self, where: str, found: str, instead: str) -> None:
        """Note one finding: where it is, what was found, what to write instead."""
        item = f"{where}: {found}; {instead}"
        if item not in self.items:
            self.items.append(item)

    def stop(self) -> None:
        """Raise when there is anything to say."""
        if self.items:
            raise AnsibleFilterError("\n".join(["these variables can't be used:", *(f"- {item}" for item in self.items)]))


def plain(value: Any) -> Any:
    """Ordinary Python data from what Ansible hands over (lazy containers and tagged values). A key without a value counts as left out."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    return value


def typed(variables: Mapping[str, Any], spec: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """Variables in the types that the argument specification asks for, with nested defaults filled in.

    What doesn't fit is a finding, and such a variable is missing in the result.
    """
    result: dict[str, Any] = {}
    for name, option in spec.items():
        if name not in variables:
            continue
        if variables[name] is None:
            findings.add(name, "it has no value", "give it one, or leave it out")
            continue
        known = without_texts(plain(option))
        known.pop("default", None)
        outcome = ArgumentSpecValidator({name: known}).validate({name: plain(variables[name])})
        if outcome.error_messages:
            for message in outcome.error_messages:
                findings.add(name, message.strip().rstrip("."), "see the role's README for its form")
        else:
            result[name] = outcome.validated_parameters[name]
    return result


def without_texts(option: Mapping[str, Any]) -> dict[str, Any]:
    """An option as a module's argument specification knows it: no descriptions, and no default of its own."""
    known = {key: value for key, value in option.items() if key not in ("description", "version_added", "options")}
    if "options" in option:
        known["options"] = {name: without_texts(inner) for name, inner in option["options"].items()}
    return known


def shaping(options: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """Names of the variables to look at when the resulting files are refused: those that aren't at their defaults, or else all of them."""
    named = [name for name in options if not name.endswith(("_state", "_purge"))]
    defaults = typed({name: spec[name].get("default") for name in named}, spec, Findings())
    return [name for name in named if name not in defaults or options[name] != defaults[name]] or named


def one_line(where: str, value: str, findings: Findings) -> bool:
    """Whether the text has no line break or control character, by which it could smuggle in lines of its own."""
    if CONTROL.search(value):
        findings.add(where, f"{value!r} has a line break or control character", "write it on one line")
        return False
    return True


def raw_lines(where: str, items: Iterable[str], findings: Findings) -> list[str]:
    """Raw lines as single lines without trailing blanks; an item may hold several."""
    lines: list[str] = []
    for number, item in enumerate(items):
        if CONTROL_IN_LINES.search(item):
            findings.add(f"{where}[{number}]", f"{item!r} has a control character", "write plain lines")
        else:
            lines.extend(line.rstrip() for line in item.strip("\n").split("\n"))
    return lines


def absolute_path(where: str, value: str, findings: Findings, example: str) -> bool:
    """Whether a path is absolute, without ``..``, and free of characters that mean something in a configuration."""
    if not value.startswith("/"):
        findings.add(where, f"{value!r} isn't an absolute path", f"write it from the root on, for example {example}")
    elif ".." in value.split("/"):
        findings.add(where, f"{value!r} goes through '..'", "write the path that is meant")
    elif CONTROL.search(value) or re.search(r"[\"'\\$;{}*?\[\]]", value) or value != value.strip():
        findings.add(where, f"{value!r} has characters that a path here can't have", f"write a plain path, for example {example}")
    else:
        return True
    return False


def address_of(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IP address, or None when it isn't one."""
    try:
        return ipaddress.ip_address(value)
    except ValueError:
        return None


def overlap(first: str, second: str) -> bool:
    """Whether two sockets on these addresses and the same port get into each other's way."""
    one, other = address_of(first), address_of(second)
    if one is None or other is None:
        return True
    if one.version != other.version:
        # An IPv6 socket bound to every address takes IPv4 too, unless it was told not to.
        return (one.version == 6 and one.is_unspecified) or (other.version == 6 and other.is_unspecified)
    return one == other or one.is_unspecified or other.is_unspecified


def debian_findings(node: Mapping[str, Any], role: str, minimum: int, findings: Findings) -> None:
    """Refuse a distribution that the role doesn't know."""
    system = node.get("os", {})
    version = str(system.get("version_id") or "")
    if system.get("id") != "debian" or (version.isdigit() and int(version) < minimum):
        findings.add(
            f"role {role}",
            f"this host runs {system.get('id') or 'an unknown system'} {version}".rstrip(),
            f"the role knows Debian {minimum} and later",
        )
