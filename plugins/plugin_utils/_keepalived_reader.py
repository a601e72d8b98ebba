# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads single values of the role keepalived's variables, and notes what is wrong with them."""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived_values import (
    CONTROL_PATTERN,
    NAME_PATTERN,
    SCRIPT_USER,
    Address,
    Findings,
    Instance,
    Line,
    Node,
    Vip,
    as_list,
    listing,
    option,
    parse_version,
    show,
)


class Reader:
    """The variables, the node, and what is wrong so far; reads one value at a time."""

    def __init__(self, inputs: Mapping[str, Any], node: Mapping[str, Any]) -> None:
        self.inputs = inputs
        self.node = node
        self.findings = Findings()
        package = (node.get("packages") or {}).get("keepalived") or {}
        self.version_text = str(package.get("installed") or package.get("candidate") or inputs.get("release_version") or "")
        self.version = parse_version(self.version_text)
        self.interfaces: list[Mapping[str, Any]] = list(node.get("interfaces") or [])
        self.nodes: list[Node] = []
        self.own: Node | None = None
        self.own_addresses: dict[int, Address] = {}
        self.scripts: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.processes: dict[str, dict[str, Any]] = {}
        self.bfds: dict[str, dict[str, Any]] = {}
        self.instances: list[Instance] = []
        self.runs: list[tuple[str, str]] = []
        self.packages: list[str] = []
        self.restart_lines: list[str] = []

    def whole(self, variable: str, value: Any, low: int, high: int, instead: str = "") -> int | None:
        """A whole number within limits; None, with a finding, for anything else."""
        number: int | None = None
        if (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value.strip())
        ):
            number = int(value)
        if number is None or not low <= number <= high:
            self.findings.add(
                variable, f"{show(value)} isn't a whole number from {low} to {high}", instead or f"Write a number from {low} to {high}"
            )
            return None
        return number

    def decimal(self, variable: str, value: Any, low: float, high: float, instead: str) -> float | None:
        """A number within limits; None, with a finding, for anything else."""
        try:
            number = float(value) if not isinstance(value, bool) else float("nan")
        except (TypeError, ValueError):
            number = float("nan")
        if not low <= number <= high:
            self.findings.add(variable, f"{show(value)} isn't a number from {low:g} to {high:g}", instead)
            return None
        return number

    def switch(self, variable: str, value: Any) -> bool:
        """True or false."""
        text = str(value).strip().lower()
        if text in ("true", "yes", "on", "1"):
            return True
        if text not in ("false", "no", "off", "0", "", "none"):
            self.findings.add(variable, f"{show(value)} is neither true nor false", "Write true or false")
        return False

    def name(self, variable: str, value: Any) -> str:
        """A name that keepalived.conf takes without quotes."""
        text = str(value or "")
        if not NAME_PATTERN.fullmatch(text):
            self.findings.add(
                variable,
                f"{show(text)} can't be a name",
                "Write 1 to 60 letters, digits and any of _ . : - without spaces, for example web",
            )
        return text

    def address(self, variable: str, value: Any) -> Address | None:
        """An IP address without prefix."""
        try:
            return ipaddress.ip_address(str(value))
        except ValueError:
            self.findings.add(
                variable, f"{show(value)} isn't an IP address", "Write an address without prefix, such as 192.0.2.11 or 2001:db8::11"
            )
            return None

    def path(self, variable: str, value: Any) -> str:
        """An absolute path that needs no quotes."""
        text = str(value or "")
        if not re.fullmatch(r"/[^\s\"'{}#!]+", text):
            self.findings.add(
                variable, f"{show(text)} isn't an absolute path without spaces and quotes", "Write one such as /run/keepalived.state"
            )
        return text

    def command(self, variable: str, value: Any) -> str:
        """A command line with an absolute program that fits between double quotes."""
        text = str(value or "").strip()
        if '"' in text:
            self.findings.add(
                variable,
                f"{show(text)} has a double quote, which keepalived.conf can't hold",
                "Use single quotes, or put the command in a script file",
            )
            return text
        try:
            words = shlex.split(text)
        except ValueError:
            words = []
        if not words:
            self.findings.add(
                variable,
                f"{show(text)} is no command line",
                "Write an absolute path with its arguments, for example /usr/local/bin/check --fast",
            )
        elif not words[0].startswith("/"):
            self.findings.add(
                variable,
                f"{show(words[0])} isn't an absolute path",
                f"Write the whole path, for example /usr/bin/{words[0].rsplit('/', 1)[-1]}",
            )
        elif words[0].startswith(("/bin/", "/sbin/")):
            self.findings.add(
                variable,
                f"{words[0]} is reached through the link {words[0].split('/')[1]}, which Keepalived 2.3 takes for insecure",
                f"Write /usr{words[0]}",
            )
        return text

    def command_words(self, variable: str, value: Any) -> str:
        """A process name with arguments, as keepalived.conf takes it without quotes."""
        text = str(value or "").strip()
        if not re.fullmatch(r"[^\"'{}#!]+", text):
            self.findings.add(
                variable, f"{show(text)} isn't a process name", "Write the name with its arguments, without quotes, for example haproxy"
            )
        return text

    def raw(self, value: Any) -> list[Line]:
        """Raw lines, as they are."""
        lines: list[Line] = []
        for item in as_list(value) if not isinstance(value, str) else [value]:
            lines += str(item).rstrip("\n").split("\n")
        return lines

    def only_keys(self, variable: str, value: Any) -> Mapping[str, Any]:
        """A dictionary; an empty one, with a finding, for anything else."""
        if isinstance(value, Mapping):
            return value
        self.findings.add(variable, f"{show(value)} isn't a dictionary", "Write keys and values, as the role's README shows")
        return {}

    def named(self, variable: str, value: Any) -> list[tuple[str, str, Mapping[str, Any]]]:
        """Dictionaries with a name, each name once: where it stands, its name, itself."""
        found: list[tuple[str, str, Mapping[str, Any]]] = []
        seen: set[str] = set()
        for position, raw in enumerate(as_list(value)):
            label = f"{variable}[{position}]"
            entry = self.only_keys(label, raw)
            if not entry:
                continue
            name = self.name(f"{label}.name", entry.get("name"))
            if name in seen:
                self.findings.add(f"{label}.name", f"{show(name)} is there twice", "Give each a name of its own")
            seen.add(name)
            found.append((label, name, entry))
        return found

    def check_text(self, variable: str, value: Any) -> None:
        """Refuse line breaks and other control characters wherever they would end up in a file (raw lines apart)."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                if key != "raw":
                    self.check_text(f"{variable}.{key}", item)
        elif isinstance(value, str):
            if CONTROL_PATTERN.search(value):
                self.findings.add(variable, f"{show(value)} has a line break or another control character", "Write it on one line")
        elif isinstance(value, Iterable):
            for position, item in enumerate(value):
                self.check_text(f"{variable}[{position}]", item)

    def priority(self, variable: str, value: Any) -> int | None:
        """A VRRP priority that an election can use."""
        if str(value).strip() == "255":
            self.findings.add(
                variable,
                "255 means that the node owns the address itself, so no check could ever take it away",
                "Write a number from 2 to 254",
            )
            return None
        if str(value).strip() in ("0", "1"):
            self.findings.add(variable, f"{value} is below what a sick node falls to", "Write a number from 2 to 254")
            return None
        return self.whole(variable, value, 2, 254)

    def vip(self, variable: str, text: Any) -> Vip | None:
        """One virtual address with what stands beside it."""
        words = str(text).split()
        if not words:
            self.findings.add(variable, f"{show(text)} is no address", "Write an address such as 192.0.2.100 or 2001:db8::100/64")
            return None
        try:
            parsed = ipaddress.ip_interface(words[0])
        except ValueError:
            self.findings.add(
                variable,
                f"{show(words[0])} isn't an address, or its prefix is wrong",
                "Write an address such as 192.0.2.100, 192.0.2.100/24 or 2001:db8::100/64",
            )
            return None
        prefix = parsed.network.prefixlen if "/" in words[0] else None
        single = parsed.max_prefixlen
        if prefix is not None and prefix < single - 1 and parsed.ip == parsed.network.network_address:
            self.findings.add(variable, f"{words[0]} is the address of the network itself", "Write a host's address in that network")
        if prefix is not None and parsed.version == 4 and prefix < single - 1 and parsed.ip == parsed.network.broadcast_address:
            self.findings.add(variable, f"{words[0]} is the broadcast address of its network", "Write a host's address in that network")
        if parsed.ip.is_multicast or parsed.ip.is_unspecified or parsed.ip.is_loopback:
            self.findings.add(variable, f"{parsed.ip} can't be a virtual address", "Write a host's address in the network of the interface")
        options = tuple(words[1:])
        for word in options:
            if not re.fullmatch(r"[^\"'{}#!]+", word):
                self.findings.add(
                    variable,
                    f"{show(word)} beside the address isn't a word of Keepalived",
                    "Write ADDRESS[/PREFIX] [dev INTERFACE] [label LABEL] [scope SCOPE]",
                )
        label = option(options, "label")
        if len(label) > 15:
            self.findings.add(variable, f"the label {label} is longer than 15 characters", "Shorten it, for example eth0:web")
        return Vip(parsed.ip, prefix, options)

    def vips(self, variable: str, value: Any) -> list[Vip]:
        """A list of virtual addresses."""
        return [vip for position, text in enumerate(as_list(value)) if (vip := self.vip(f"{variable}[{position}]", text)) is not None]

    def interface_names(self) -> list[str]:
        """The interfaces that this node has."""
        return [str(link["name"]) for link in self.interfaces]

    def networks(self, interface: str, family: int) -> list[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
        """Addresses with prefix that an interface has, without single-host ones and link-local IPv6 ones."""
        found = []
        for link in self.interfaces:
            if link["name"] != interface:
                continue
            for entry in link.get("addresses") or []:
                address = ipaddress.ip_interface(f"{entry['address']}/{entry['prefix']}")
                if address.version == family and not address.is_link_local:
                    found.append(address)
        return found

    def interface_of(self, address: Address) -> str:
        """The interface that has an address; empty when none has."""
        for link in self.interfaces:
            for entry in link.get("addresses") or []:
                if ipaddress.ip_address(entry["address"]) == address:
                    return str(link["name"])
        return ""

    def node_addresses(self) -> str:
        """This node's addresses as they read in a message."""
        found = [str(entry["address"]) for link in self.interfaces if link["name"] != "lo" for entry in link.get("addresses") or []]
        return listing(found)

    def script_user(self) -> str:
        """Who runs scripts that name nobody."""
        given = self.inputs.get("global_defs")
        return str((given.get("script_user") if isinstance(given, Mapping) else None) or SCRIPT_USER)

    @property
    def single(self) -> bool:
        """Whether one load balancer alone is what the user wants."""
        return str(self.inputs.get("allow_single")).strip().lower() in ("true", "yes", "on", "1")
