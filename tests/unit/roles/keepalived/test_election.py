# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Priorities, peers and weights: whatever is accepted, a healthy standby wins over a sick owner."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived import shape
from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived_values import (
    Tracker,
    derive_priorities,
    effective_priority,
    parse_version,
    stuck_tracker,
)


def cluster(count: int) -> list[dict[str, Any]]:
    """Load balancers with addresses of both families."""
    return [
        {"name": f"lb{number}", "address": f"192.0.2.{10 + number}", "address6": f"2001:db8::{10 + number}"}
        for number in range(1, count + 1)
    ]


def host(number: int, version: str = "1:2.3.3-1") -> dict[str, Any]:
    """What node_info says about one of them."""
    addresses = [
        {"address": f"192.0.2.{10 + number}", "prefix": 24, "family": 4},
        {"address": f"2001:db8::{10 + number}", "prefix": 64, "family": 6},
    ]
    return {
        "hostname": f"lb{number}",
        "container": "",
        "ipv6": True,
        "packages": {"keepalived": {"installed": version, "candidate": None}},
        "interfaces": [{"name": "eth0", "up": True, "mac": f"02:42:00:00:00:{number:02x}", "addresses": addresses}],
    }


def block(model: dict[str, Any], header: str) -> dict[str, Any]:
    """One block of keepalived.conf."""
    found: dict[str, Any] = next(entry for entry in model["blocks"] if entry["header"] == header)
    return found


def setting(entry: dict[str, Any], key: str) -> str:
    """The value of one line."""
    return str(next(line.split(None, 1)[1] for line in entry["lines"] if line.split()[0] == key))


def inner(entry: dict[str, Any], header: str) -> list[str]:
    """The lines of a block in a block."""
    return list(next((one["lines"] for one in entry["blocks"] if one["header"] == header), []))


@pytest.mark.parametrize("count", range(2, 9))
def test_every_node_derives_the_same_election(count: int) -> None:
    nodes = cluster(count)
    priorities, names = [], set()
    for number in range(1, count + 1):
        model, findings = shape({"virtual_ipaddress": ["192.0.2.100", "2001:db8::100"], "nodes": nodes}, host(number))
        assert findings == []
        for name, family in (("vip", "address"), ("vip_v6", "address6")):
            instance = block(model, f"vrrp_instance {name}")
            peers = [line.split()[0] for line in inner(instance, "unicast_peer")]
            assert peers == [node[family] for node in nodes if node["name"] != f"lb{number}"]
            assert setting(instance, "unicast_src_ip") == nodes[number - 1][family]
            assert setting(instance, "priority") == str(250 - 10 * (number - 1))
            assert setting(instance, "state") == "BACKUP"
            names.add(name)
        priorities.append(int(setting(block(model, "vrrp_instance vip"), "priority")))
        assert inner(block(model, "vrrp_sync_group vip"), "group") == ["vip", "vip_v6"]
    assert priorities == derive_priorities(count)
    assert names == {"vip", "vip_v6"}


@pytest.mark.parametrize("count", range(2, 9))
@pytest.mark.parametrize("vips", range(1, 9))
def test_several_virtual_ips_are_spread_in_their_own_orders(count: int, vips: int) -> None:
    nodes = cluster(count)
    names = [str(node["name"]) for node in nodes]
    instances = [
        {
            "name": f"vip{number}",
            "virtual_router_id": 50 + number,
            "virtual_ipaddress": [f"192.0.2.{100 + number}"],
            "nodes": [names[(number + position) % count] for position in range(count)],
        }
        for number in range(vips)
    ]
    homes: dict[str, str] = {}
    for number in range(1, count + 1):
        model, findings = shape({"nodes": nodes, "vrrp_instances": instances}, host(number))
        assert findings == []
        for entry in instances:
            if setting(block(model, f"vrrp_instance {entry['name']}"), "priority") == "250":
                homes[str(entry["name"])] = f"lb{number}"
    assert homes == {f"vip{number}": names[number % count] for number in range(vips)}


def test_a_node_that_an_order_leaves_out_has_no_part_in_that_instance() -> None:
    instances = [
        {"name": "a", "virtual_router_id": 1, "virtual_ipaddress": ["192.0.2.101"], "nodes": ["lb1", "lb2"]},
        {"name": "b", "virtual_router_id": 2, "virtual_ipaddress": ["192.0.2.102"], "nodes": ["lb2", "lb3"]},
    ]
    model, findings = shape({"nodes": cluster(3), "vrrp_instances": instances}, host(1))
    assert findings == []
    assert [entry["name"] for entry in model["instances"]] == ["a"]
    assert [line.split()[0] for line in inner(block(model, "vrrp_instance a"), "unicast_peer")] == ["192.0.2.12"]


@pytest.mark.parametrize("count", range(1, 92))
def test_derived_priorities_fall_within_the_weight_of_the_check(count: int) -> None:
    priorities = derive_priorities(count)
    assert len(set(priorities)) == count
    assert priorities == sorted(priorities, reverse=True)
    assert priorities[0] == 250
    assert max(priorities) - min(priorities) < 100


@pytest.mark.parametrize(
    ("text", "version"),
    [("1:2.2.7-1+b2", (2, 2, 7)), ("1:2.3.3-1", (2, 3, 3)), ("2.2", (2, 2)), ("", ()), (None, ()), ("unknown", ())],
)
def test_versions(text: str | None, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def tracker(weight: int, reverse: bool) -> Tracker:
    """Something that is tracked with a weight."""
    return Tracker("track_script", f"t{weight}", weight, reverse, "")


WEIGHTS = st.builds(tracker, st.integers(-253, 253).filter(bool), st.booleans())


@given(
    priorities=st.lists(st.integers(2, 254), min_size=2, max_size=8, unique=True),
    trackers=st.lists(WEIGHTS, min_size=1, max_size=4),
)
def test_what_the_arithmetic_accepts_always_moves_the_virtual_ip(priorities: list[int], trackers: list[Tracker]) -> None:
    """The rule itself, written a second time: whichever node owns it, whichever thing fails there, every healthy node gets above it."""
    healthy = sum(max(one.effects) for one in trackers)

    def moves(sick: Tracker) -> bool:
        others = healthy - max(sick.effects)
        return all(
            min(254, max(1, owner + others + min(sick.effects))) < min(254, max(1, standby + healthy))
            for owner, standby in itertools.permutations(priorities, 2)
        )

    assert (stuck_tracker(priorities, trackers) is None) == all(moves(one) for one in trackers)


@given(
    priorities=st.lists(st.integers(2, 254), min_size=2, max_size=8, unique=True),
    weight=st.one_of(st.none(), st.integers(-253, 253)),
    extra=st.lists(st.tuples(st.integers(-253, 253), st.booleans()), max_size=3),
    nopreempt=st.booleans(),
)
def test_no_accepted_configuration_lets_a_sick_owner_win(
    priorities: list[int], weight: int | None, extra: list[tuple[int, bool]], nopreempt: bool
) -> None:
    """From the variables to keepalived.conf, and the election played from the file's own numbers."""
    nodes = [{**node, "priority": priority} for node, priority in zip(cluster(len(priorities)), priorities, strict=True)]
    scripts = [{"name": f"s{number}", "script": "/usr/bin/true", "weight": value} for number, (value, _reverse) in enumerate(extra)]
    tracked = [f"s{number}{' reverse' if reverse else ''}" for number, (_value, reverse) in enumerate(extra)]
    check: dict[str, Any] = {"type": "http"} if weight is None else {"type": "http", "weight": weight}
    inputs = {
        "virtual_ipaddress": ["192.0.2.100"],
        "nodes": nodes,
        "check": check,
        "nopreempt": nopreempt,
        "vrrp_scripts": scripts,
        "vrrp_instances": [{"name": "vip", "track_script": tracked}],
    }
    elections, refused = [], []
    for number in range(1, len(priorities) + 1):
        model, findings = shape(inputs, host(number))
        refused.append(bool(findings))
        instance = block(model, "vrrp_instance vip")
        weights = {f"s{number}": value for number, (value, _reverse) in enumerate(extra)}
        effects = []
        for line in inner(instance, "track_script"):
            words = line.split()
            value = int(words[words.index("weight") + 1]) if "weight" in words else weights[words[0]]
            up, down = (value, 0) if value > 0 else (0, value)
            effects.append((-up, -down) if "reverse" in words else (up, down))
        elections.append((int(setting(instance, "priority")) if not findings else 0, effects))
    assert len(set(refused)) == 1, "every node must judge the same"
    if refused[0]:
        return
    healthy = [sum(max(pair) for pair in effects) for _base, effects in elections]
    for owner, standby in itertools.permutations(range(len(elections)), 2):
        base, effects = elections[owner]
        for pair in effects:
            if pair == (0, 0):
                continue  # weight 0: the owner gives the virtual IP up at once
            sick = effective_priority(base, healthy[owner] - max(pair) + min(pair))
            assert not nopreempt
            assert sick < effective_priority(elections[standby][0], healthy[standby])


@given(count=st.integers(2, 8), spread=st.integers(1, 30))
def test_the_default_weight_fits_any_priorities(count: int, spread: int) -> None:
    priorities = [250 - spread * position for position in range(count)]
    nodes = [{**node, "priority": priority} for node, priority in zip(cluster(count), priorities, strict=True)]
    model, findings = shape({"virtual_ipaddress": ["192.0.2.100"], "nodes": nodes}, host(1))
    assert findings == []
    weight = int(inner(block(model, "vrrp_instance vip"), "track_script")[0].split()[-1])
    assert weight <= -100
    assert effective_priority(priorities[0], weight) < priorities[-1]
