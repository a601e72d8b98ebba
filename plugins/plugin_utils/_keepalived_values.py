# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role keepalived's variables become: constants, the parts of an instance, and the arithmetic of an election."""

from __future__ import annotations

import ipaddress
import itertools
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Line = str
Block = dict[str, Any]

CONFIG_FILE = "/etc/keepalived/keepalived.conf"
SCRIPT_DIR = "/usr/libexec/keepalived"
CHECK_SCRIPT = f"{SCRIPT_DIR}/hitless-check-http"
RELOAD_LOG = "/run/keepalived-reload.log"
SCRIPT_USER = "keepalived_script"

PRIORITY_FIRST = 250
PRIORITY_STEP = 10
PRIORITY_SPREAD = 90
CHECK_WEIGHT = 100

VERSION_MINIMUM = (2, 2)
VERSION_CONFIG_TEST = (2, 2, 8)
VERSION_DECIMAL_INTERVAL = (2, 3, 2)

RESTART_KEYWORDS = (
    "net_namespace",
    "net_namespace_ipvs",
    "instance",
    "nftables",
    "nftables_ipvs",
    "tmp_config_directory",
    "disable_local_igmp",
)
INTEGER_KEYS = (
    "down_timer_adverts",
    "garp_master_delay",
    "garp_master_repeat",
    "garp_master_refresh",
    "garp_master_refresh_repeat",
    "garp_lower_prio_delay",
    "garp_lower_prio_repeat",
)
# Settings of an instance that have a variable of the role for all instances.
GLOBAL_KEYS = ("interface", "virtual_router_id", "advert_int", "preempt_delay")
SWITCH_KEYS = ("higher_prio_send_advert", "lower_prio_no_advert")
NOTIFY_KEYS = ("notify_master", "notify_backup", "notify_fault", "notify_stop", "notify")
PROCESS_METHODS = {
    # How to ask, whose right it takes, the package that brings the program (Debian brings pidof with the base system).
    # pidof is a link, which Keepalived 2.2 follows; it would be called by the name of its target and mean something else.
    "pidof": ("/usr/bin/env /usr/bin/pidof {name}", False, ""),
    "pgrep": ("/usr/bin/pgrep -x {name}", False, "procps"),
    "killall": ("/usr/bin/killall -0 {name}", True, "psmisc"),
}

NAME_PATTERN = re.compile(r"[A-Za-z0-9_.:-]{1,60}")
INTERFACE_PATTERN = re.compile(r"[^\s/\"'{}#!]{1,15}")
USER_PATTERN = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
CONTROL_PATTERN = re.compile(r"[\x00-\x1f\x7f]")


class Findings:
    """What is wrong, in the order in which it was found, each thing once."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, variable: str, found: str, instead: str) -> None:
        """Note one finding: which variable, what is in it, what to write instead."""
        text = f"{variable}: {found}. {instead}"
        if text not in self._texts:
            self._texts.append(text)

    @property
    def texts(self) -> list[str]:
        """Everything found so far."""
        return list(self._texts)


@dataclass(frozen=True)
class Node:
    """One load balancer of the cluster."""

    name: str
    addresses: dict[int, Address]
    priority: int | None


@dataclass(frozen=True)
class Vip:
    """One virtual address, as keepalived.conf has it."""

    address: Address
    prefix: int | None
    options: tuple[str, ...]

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.address.version

    @property
    def device(self) -> str:
        """The interface that is named beside the address; empty for the instance's own."""
        return option(self.options, "dev")

    @property
    def line(self) -> str:
        """The line for keepalived.conf: a bare address gets the prefix of a single host."""
        prefix = self.address.max_prefixlen if self.prefix is None else self.prefix
        return " ".join((f"{self.address}/{prefix}", *self.options))


@dataclass(frozen=True)
class Peer:
    """Another node that takes part in an instance."""

    address: Address
    priority: int | None
    min_ttl: int | None
    max_ttl: int | None


@dataclass(frozen=True)
class Tracker:
    """Something an instance watches, and what that does to the priority."""

    kind: str
    name: str
    weight: int
    reverse: bool
    line: str

    @property
    def effects(self) -> tuple[int, int]:
        """What the priority gains when it is well, and when it is sick."""
        if self.weight >= 0:
            effects = (self.weight, 0) if not self.reverse else (0, -self.weight)
        else:
            effects = (0, self.weight) if not self.reverse else (-self.weight, 0)
        return effects


@dataclass
class Instance:
    """One vrrp_instance of this node."""

    label: str
    name: str
    family: int
    vips: list[Vip]
    excluded: list[Vip]
    interface: str
    source: Address | None
    peers: list[Peer]
    virtual_router_id: int | None
    priority: int | None
    priorities: list[int] | None
    settings: dict[str, Any]
    trackers: list[Tracker] = field(default_factory=list)

    @property
    def may_fault(self) -> bool:
        """Whether something from outside (not a fault of this configuration) may put it into FAULT."""
        return any(tracker.weight == 0 or tracker.kind == "track_file" for tracker in self.trackers)


def derive_priorities(count: int) -> list[int]:
    """Priorities for nodes in the order of succession: 250, 240, 230 …

    High values keep the skew short with which a standby waits. The steps shrink when there are more than ten nodes, so that the spread stays
    below the weight of the check.
    """
    if count <= 1:
        return [PRIORITY_FIRST] * count
    step = max(1, min(PRIORITY_STEP, PRIORITY_SPREAD // (count - 1)))
    return [PRIORITY_FIRST - step * position for position in range(count)]


def effective_priority(base: int, change: int) -> int:
    """The priority that Keepalived makes of a base and what the trackers add: kept within 1 to 254."""
    return max(1, min(254, base + change))


def stuck_tracker(priorities: Sequence[int], trackers: Sequence[Tracker]) -> Tracker | None:
    """The first tracker with a weight that leaves a sick owner at or above some healthy standby; None when there is none."""
    weighted = [tracker for tracker in trackers if tracker.weight != 0 and tracker.kind != "track_file"]
    healthy_sum = sum(tracker.effects[0] for tracker in weighted)
    for tracker in weighted:
        well, sick = tracker.effects
        for owner, standby in itertools.permutations(priorities, 2):
            if effective_priority(owner, healthy_sum - well + sick) >= effective_priority(standby, healthy_sum):
                return tracker
    return None


def parse_version(text: str | None) -> tuple[int, ...]:
    """The numbers of a Debian package version: ``1:2.2.7-1+b2`` is ``(2, 2, 7)``; empty when there are none."""
    match = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", text or "")
    return tuple(int(part) for part in match.group(1).split(".")) if match else ()


def as_list(value: Any) -> list[Any]:
    """A list of a list, of one value, or of words that commas separate; nothing for nothing."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return list(value)
    return [value]


def option(words: Sequence[str], name: str) -> str:
    if name in words[:-1]:
        return words[words.index(name) + 1]
    return ""


def show(value: Any) -> str:
    """A value as it reads in a message."""
    return repr(value) if isinstance(value, str) else str(value)


def listing(items: Iterable[str]) -> str:
    return ", ".join(items) or "none"


def program(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    return words[0] if words else ""


def block(header: str, lines: Sequence[Line], blocks: Sequence[Block] = (), raw: Sequence[Line] = ()) -> Block:
    return {"header": header, "lines": list(lines), "blocks": list(blocks), "raw": list(raw)}
