# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role keepalived refuses, in the very words that a user reads."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived import shape

NODE: dict[str, Any] = {
    "hostname": "lb1",
    "container": "",
    "ipv6": True,
    "packages": {"keepalived": {"installed": "1:2.3.3-1", "candidate": None}},
    "interfaces": [
        {"name": "lo", "up": True, "mac": "00:00:00:00:00:00", "addresses": [{"address": "127.0.0.1", "prefix": 8, "family": 4}]},
        {
            "name": "eth0",
            "up": True,
            "mac": "02:42:00:00:00:0b",
            "addresses": [
                {"address": "192.0.2.11", "prefix": 24, "family": 4},
                {"address": "2001:db8::11", "prefix": 64, "family": 6},
                {"address": "fe80::1", "prefix": 64, "family": 6},
            ],
        },
        {"name": "eth1", "up": True, "mac": "02:42:00:00:01:0b", "addresses": [{"address": "198.51.100.11", "prefix": 24, "family": 4}]},
    ],
}
NODES = [
    {"name": "lb1", "address": "192.0.2.11", "address6": "2001:db8::11"},
    {"name": "lb2", "address": "192.0.2.12", "address6": "2001:db8::12"},
]
INPUTS: dict[str, Any] = {
    "virtual_ipaddress": ["192.0.2.100"],
    "nodes": NODES,
    "address": "",
    "allow_single": False,
    "interface": "",
    "virtual_router_id": 51,
    "advert_int": 0.05,
    "nopreempt": False,
    "preempt_delay": 0,
    "vrrp_instances": [],
    "check": {"type": "http"},
    "log_facility": "local1",
    "start_after": ["haproxy.service"],
}


def findings(inputs: dict[str, Any] | None = None, node: dict[str, Any] | None = None) -> list[str]:
    """What is wrong with the good inputs after some of them are replaced."""
    return shape({**copy.deepcopy(INPUTS), **(inputs or {})}, {**NODE, **(node or {})})[1]


def instance(**entries: Any) -> dict[str, Any]:
    """Inputs with one instance of their own."""
    return {"vrrp_instances": [{"name": "web", **entries}]}


def old_package(version: str) -> dict[str, Any]:
    """A node with another package."""
    return {"packages": {"keepalived": {"installed": version, "candidate": None}}}


CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "no virtual IP",
        {"virtual_ipaddress": []},
        {},
        "keepalived_virtual_ipaddress: no virtual IP is given."
        " Write the address that the load balancers share, for example 192.0.2.100 (lb_vip sets it for the whole collection)",
    ),
    (
        "no address",
        {"virtual_ipaddress": "192.0.2.300"},
        {},
        "keepalived_virtual_ipaddress[0]: '192.0.2.300' isn't an address, or its prefix is wrong."
        " Write an address such as 192.0.2.100, 192.0.2.100/24 or 2001:db8::100/64",
    ),
    (
        "impossible prefix",
        {"virtual_ipaddress": ["192.0.2.100/33"]},
        {},
        "keepalived_virtual_ipaddress[0]: '192.0.2.100/33' isn't an address, or its prefix is wrong."
        " Write an address such as 192.0.2.100, 192.0.2.100/24 or 2001:db8::100/64",
    ),
    (
        "the network itself",
        {"virtual_ipaddress": ["192.0.2.0/24"]},
        {},
        "keepalived_virtual_ipaddress[0]: 192.0.2.0/24 is the address of the network itself. Write a host's address in that network",
    ),
    (
        "the network itself, without a prefix",
        {"virtual_ipaddress": ["192.0.2.0"]},
        {},
        "keepalived_virtual_ipaddress: 192.0.2.0 is the address of the network 192.0.2.0/24 itself. Write a host's address in that network",
    ),
    (
        "broadcast address",
        {"virtual_ipaddress": ["192.0.2.255"]},
        {},
        "keepalived_virtual_ipaddress: 192.0.2.255 is the broadcast address of 192.0.2.0/24. Write a host's address in that network",
    ),
    (
        "multicast",
        {"virtual_ipaddress": ["224.0.0.18"]},
        {},
        "keepalived_virtual_ipaddress[0]: 224.0.0.18 can't be a virtual address. Write a host's address in the network of the interface",
    ),
    (
        "outside the network",
        {"virtual_ipaddress": ["203.0.113.100"]},
        {},
        "keepalived_virtual_ipaddress: 203.0.113.100 is outside the network of eth0 (192.0.2.0/24)."
        " Write a free address of that network; one that is routed to the nodes belongs in virtual_ipaddress_excluded",
    ),
    (
        "another prefix",
        {"virtual_ipaddress": ["192.0.2.100/16"]},
        {},
        "keepalived_virtual_ipaddress: 192.0.2.100/16 has another prefix than eth0, which is in 192.0.2.0/24."
        " Write 192.0.2.100, or 192.0.2.100/24",
    ),
    (
        "a node's address",
        {"virtual_ipaddress": ["192.0.2.12"]},
        {},
        "keepalived_virtual_ipaddress: 192.0.2.12 is the address of the node lb2."
        " Write an address that no host has: it moves between the nodes",
    ),
    (
        "twice",
        {"virtual_ipaddress": ["192.0.2.100", "192.0.2.100/24"]},
        {},
        "keepalived_virtual_ipaddress: 192.0.2.100 is there twice. Write every virtual address once",
    ),
    (
        "line break in an address",
        {"virtual_ipaddress": ["192.0.2.100\nnotify /bin/sh"]},
        {},
        "keepalived_virtual_ipaddress[0]: '192.0.2.100\\nnotify /bin/sh' has a line break or another control character."
        " Write it on one line",
    ),
    (
        "brace beside an address",
        {"virtual_ipaddress": ["192.0.2.100 }"]},
        {},
        "keepalived_virtual_ipaddress[0]: '}' beside the address isn't a word of Keepalived."
        " Write ADDRESS[/PREFIX] [dev INTERFACE] [label LABEL] [scope SCOPE]",
    ),
    (
        "label",
        {"virtual_ipaddress": ["192.0.2.100 label eth0:a-long-name-for-it"]},
        {},
        "keepalived_virtual_ipaddress[0]: the label eth0:a-long-name-for-it is longer than 15 characters. Shorten it, for example eth0:web",
    ),
    (
        "device of an address",
        {"virtual_ipaddress": ["192.0.2.100 dev eth9"]},
        {},
        "keepalived_virtual_ipaddress: this node has no interface eth9 (it has lo, eth0, eth1)."
        " Write one of those after dev, or leave dev out",
    ),
    (
        "IPv6 switched off",
        {"virtual_ipaddress": ["2001:db8::100"]},
        {"ipv6": False},
        "keepalived_virtual_ipaddress: 2001:db8::100 is IPv6, which this node has switched off. Switch IPv6 on, or leave it out",
    ),
    (
        "no IPv6 address of the node",
        {"virtual_ipaddress": ["192.0.2.100", "2001:db8::100"], "nodes": [{"name": "lb1", "address": "192.0.2.11"}, NODES[1]]},
        {},
        "keepalived_nodes: there is an IPv6 virtual address, and this node has no address6."
        " Give every node its address6 (in the inventory: lb_address6)",
    ),
    (
        "no IPv6 address of a peer",
        {"virtual_ipaddress": ["192.0.2.100", "2001:db8::100"], "nodes": [NODES[0], {"name": "lb2", "address": "192.0.2.12"}]},
        {},
        "keepalived_nodes: lb2 has no IPv6 address for the peers of vip_v6. Give every node an address6 (in the inventory: lb_address6)",
    ),
    (
        "no nodes",
        {"nodes": []},
        {},
        "keepalived_nodes: there is no load balancer in it."
        " List every load balancer with name and address; for one alone set keepalived_allow_single: true (lb_allow_single)",
    ),
    (
        "one node",
        {"nodes": NODES[:1]},
        {},
        "keepalived_nodes: there is only one load balancer in it (lb1)."
        " Add the others; for one alone set keepalived_allow_single: true (lb_allow_single)",
    ),
    (
        "this node isn't listed",
        {"nodes": [{"name": "lb2", "address": "192.0.2.12"}, {"name": "lb3", "address": "192.0.2.13"}]},
        {},
        "keepalived_nodes: none of its addresses (lb2 192.0.2.12, lb3 192.0.2.13) is on this node"
        " (it has 192.0.2.11, 2001:db8::11, fe80::1, 198.51.100.11)."
        " Add this node with the address that the other nodes reach, or set keepalived_address",
    ),
    (
        "two nodes on this host",
        {"nodes": [*NODES, {"name": "lb3", "address": "198.51.100.11"}]},
        {},
        "keepalived_nodes: the addresses of lb1, lb3 are all on this node. List this node once, or set keepalived_address",
    ),
    (
        "own address elsewhere",
        {"address": "192.0.2.12"},
        {},
        "keepalived_address: 192.0.2.12 is on no interface of this node (it has 192.0.2.11, 2001:db8::11, fe80::1, 198.51.100.11)."
        " Write the address of this node that the other nodes reach",
    ),
    (
        "own address isn't a node's",
        {"address": "198.51.100.11"},
        {},
        "keepalived_address: 198.51.100.11 is the address of none of keepalived_nodes"
        " (lb1 192.0.2.11, lb1 2001:db8::11, lb2 192.0.2.12, lb2 2001:db8::12)."
        " Write the one that keepalived_nodes has for this node, or add this node there",
    ),
    (
        "a name as an address",
        {"address": "lb1"},
        {},
        "keepalived_address: 'lb1' isn't an IP address. Write an address without prefix, such as 192.0.2.11 or 2001:db8::11",
    ),
    (
        "two nodes with one address",
        {"nodes": [*NODES, {"name": "lb3", "address": "192.0.2.12"}]},
        {},
        "keepalived_nodes[2].address: 192.0.2.12 is also the address of lb2. Give every node an address of its own",
    ),
    (
        "a node twice",
        {"nodes": [*NODES, {"name": "lb2", "address": "192.0.2.13"}]},
        {},
        "keepalived_nodes[2].name: 'lb2' is there twice. Give every node a name of its own",
    ),
    (
        "address6 that isn't",
        {"nodes": [*NODES, {"name": "lb3", "address": "192.0.2.13", "address6": "192.0.2.14"}]},
        {},
        "keepalived_nodes[2].address6: 192.0.2.14 isn't an IPv6 address. Write an IPv6 address, such as 2001:db8::11",
    ),
    (
        "equal priorities",
        {"nodes": [{**NODES[0], "priority": 200}, {**NODES[1], "priority": 200}]},
        {},
        "keepalived_nodes: the priority 200 is there more than once, so nothing decides who owns the virtual IP."
        " Give every node another priority, for example 250, 240, 230",
    ),
    (
        "priority 255",
        {"nodes": [{**NODES[0], "priority": 255}, {**NODES[1], "priority": 200}]},
        {},
        "keepalived_nodes[0].priority: 255 means that the node owns the address itself, so no check could ever take it away."
        " Write a number from 2 to 254",
    ),
    (
        "priority 0",
        {"nodes": [{**NODES[0], "priority": 250}, {**NODES[1], "priority": 0}]},
        {},
        "keepalived_nodes[1].priority: 0 is below what a sick node falls to. Write a number from 2 to 254",
    ),
    (
        "some priorities",
        {"nodes": [{**NODES[0], "priority": 250}, NODES[1]]},
        {},
        "keepalived_nodes: some nodes have a priority and others don't."
        " Give all of them one, or none: their order gives 250, 240, 230 and so on",
    ),
    (
        "own priority alone",
        instance(priority=100),
        {},
        "keepalived_vrrp_instances[0].priority: 100 is this node's priority, and those of the others aren't known, so they can't be compared."
        " Leave it out (the order of keepalived_nodes gives 250, 240, 230 and so on), or give every entry of keepalived_nodes its priority"
        " (in the inventory: lb_priority)",
    ),
    (
        "interface that isn't there",
        {"interface": "eth7"},
        {},
        "keepalived_interface: this node has no interface eth7 (it has lo, eth0, eth1)."
        " Write one of those, or leave it out: it is found from the node's address",
    ),
    (
        "interface without the address",
        {"interface": "eth1"},
        {},
        "keepalived_interface: this node's address 192.0.2.11 is on eth0, not on eth1."
        " Write eth0, or set unicast_src_ip to an address on eth1; a virtual address on another interface is written ADDRESS dev eth1",
    ),
    (
        "router id 0",
        {"virtual_router_id": 0},
        {},
        "keepalived_virtual_router_id: 0 isn't a whole number from 1 to 255."
        " Write a number from 1 to 255 that no other VRRP pair in this network uses",
    ),
    (
        "router id as text",
        instance(virtual_router_id="many"),
        {},
        "keepalived_vrrp_instances[0].virtual_router_id: 'many' isn't a whole number from 1 to 255."
        " Write a number from 1 to 255 that no other VRRP pair in this network uses",
    ),
    (
        "router id twice",
        {
            "virtual_ipaddress": [],
            "vrrp_instances": [
                {"name": "a", "virtual_router_id": 7, "virtual_ipaddress": ["192.0.2.100"]},
                {"name": "b", "virtual_router_id": 7, "virtual_ipaddress": ["192.0.2.101"]},
            ],
        },
        {},
        "keepalived_vrrp_instances[1].virtual_router_id: 7 is also the id of a on eth0. Give every instance on an interface an id of its own",
    ),
    (
        "router id missing",
        {
            "virtual_ipaddress": [],
            "vrrp_instances": [
                {"name": "a", "virtual_router_id": 7, "virtual_ipaddress": ["192.0.2.100"]},
                {"name": "b", "virtual_ipaddress": ["192.0.2.101"]},
            ],
        },
        {},
        "keepalived_vrrp_instances[1].virtual_router_id: it isn't given, and there are several instances."
        " Give every instance a number from 1 to 255 of its own",
    ),
    (
        "address in two instances",
        {
            "virtual_ipaddress": [],
            "vrrp_instances": [
                {"name": "a", "virtual_router_id": 7, "virtual_ipaddress": ["192.0.2.100"]},
                {"name": "b", "virtual_router_id": 8, "virtual_ipaddress": ["192.0.2.100"]},
            ],
        },
        {},
        "keepalived_vrrp_instances[1].virtual_ipaddress: 192.0.2.100 is there twice (also in a). Write every virtual address once",
    ),
    (
        "instance without an address",
        {
            "vrrp_instances": [
                {"name": "a", "virtual_router_id": 7, "virtual_ipaddress": ["192.0.2.100"]},
                {"name": "b", "virtual_router_id": 8},
            ]
        },
        {},
        "keepalived_vrrp_instances[1].virtual_ipaddress: no virtual IP is given."
        " Write the address that the load balancers share, for example 192.0.2.100 (lb_vip sets it for the whole collection)",
    ),
    (
        "virtual IP in no instance",
        instance(virtual_ipaddress=["192.0.2.101"]),
        {},
        "keepalived_virtual_ipaddress: 192.0.2.100 is in no instance of keepalived_vrrp_instances."
        " Add it to the virtual_ipaddress of one, or take it out of lb_vip",
    ),
    (
        "name",
        {"vrrp_instances": [{"name": "my instance {"}]},
        {},
        "keepalived_vrrp_instances[0].name: 'my instance {' can't be a name."
        " Write 1 to 60 letters, digits and any of _ . : - without spaces, for example web",
    ),
    (
        "advert too quick",
        {"advert_int": 0.001},
        {},
        "keepalived_advert_int: 0.001 isn't a number from 0.01 to 40.95. Write seconds from 0.01 to 40.95, for example 0.05",
    ),
    (
        "advert too slow",
        instance(advert_int=41),
        {},
        "keepalived_vrrp_instances[0].advert_int: 41 isn't a number from 0.01 to 40.95. Write seconds from 0.01 to 40.95, for example 0.05",
    ),
    (
        "advert between two steps",
        {"advert_int": 0.015},
        {},
        "keepalived_advert_int: 0.015 isn't a multiple of 0.01 seconds, which is VRRP's smallest step. Write 0.01",
    ),
    (
        "nopreempt with MASTER",
        instance(nopreempt=True, state="MASTER"),
        {},
        "keepalived_vrrp_instances[0].nopreempt: it has no effect with state MASTER. Write state: BACKUP, or leave state out",
    ),
    (
        "nopreempt with a delay",
        {"nopreempt": True, "preempt_delay": 5},
        {},
        "keepalived_preempt_delay: with nopreempt the virtual IP never comes home by itself, so a delay of 5 s has no effect."
        " Leave out one of the two",
    ),
    (
        "delay with MASTER",
        instance(preempt_delay=5, state="MASTER"),
        {},
        "keepalived_vrrp_instances[0].preempt_delay: it has no effect with state MASTER. Write state: BACKUP, or leave state out",
    ),
    (
        "preempt and nopreempt",
        instance(preempt=True, nopreempt=True),
        {},
        "keepalived_vrrp_instances[0].nopreempt: preempt and nopreempt contradict each other. Write only one of the two",
    ),
    (
        "state",
        instance(state="OWNER"),
        {},
        "keepalived_vrrp_instances[0].state: 'OWNER' is no state to start in. Write BACKUP (the priority decides who becomes MASTER)",
    ),
    (
        "own address among the peers",
        instance(priority=250, unicast_peer=[{"address": "192.0.2.11", "priority": 240}]),
        {},
        "keepalived_vrrp_instances[0].unicast_peer[0].address: 192.0.2.11 is this node's own address. List the other nodes only",
    ),
    (
        "peer of the other family",
        instance(priority=250, unicast_peer=[{"address": "2001:db8::12", "priority": 240}]),
        {},
        "keepalived_vrrp_instances[0].unicast_peer[0].address: 2001:db8::12 isn't of the family of the virtual address (IPv4)."
        " Write the peer's IPv4 address",
    ),
    (
        "peers with an equal priority",
        instance(priority=240, unicast_peer=[{"address": "192.0.2.12", "priority": 240}]),
        {},
        "keepalived_vrrp_instances[0].priority: the priority 240 is there more than once, so nothing decides who owns the virtual IP."
        " Give every node another priority, for example 250, 240, 230",
    ),
    (
        "peer without a priority",
        instance(priority=240, unicast_peer=[{"address": "192.0.2.12"}]),
        {},
        "keepalived_vrrp_instances[0].unicast_peer: the priority of 192.0.2.12 isn't known, so it can't be compared."
        " Write every peer as {address: …, priority: …}, or leave unicast_peer out: it comes from keepalived_nodes",
    ),
    (
        "unknown node",
        instance(nodes=["lb1", "lb9"]),
        {},
        "keepalived_vrrp_instances[0].nodes: 'lb9' is none of keepalived_nodes (lb1, lb2). Write names from keepalived_nodes",
    ),
    (
        "a weight within the gap",
        {"check": {"type": "http", "weight": -5}},
        {},
        "keepalived_check.weight: the weight -5 of haproxy can never cause a failover: priorities are 250, 240,"
        " and with it a sick node would stay at or above a healthy one."
        " Write -20 or lower (or leave it out), or bring the priorities closer together",
    ),
    (
        "a weight that makes a tie",
        instance(track_script=["haproxy weight -10"]),
        {},
        "keepalived_vrrp_instances[0].track_script: the weight -10 of haproxy can never cause a failover: priorities are 250, 240,"
        " and with it a sick node would stay at or above a healthy one."
        " Write -20 or lower (or leave it out), or bring the priorities closer together",
    ),
    (
        "the classic weight 2",
        {"check": {"type": "process", "weight": 2}, "nodes": [{**NODES[0], "priority": 105}, {**NODES[1], "priority": 100}]},
        {},
        "keepalived_check.weight: the weight 2 of haproxy can never cause a failover: priorities are 105, 100,"
        " and with it a sick node would stay at or above a healthy one."
        " Write -15 or lower (or leave it out), or bring the priorities closer together",
    ),
    (
        "positive weights that meet the limit",
        {"check": {"type": "http", "weight": 50}},
        {},
        "keepalived_nodes: with the positive weights (+50) several nodes reach the limit of 254 and are equal."
        " Use negative weights, or lower priorities",
    ),
    (
        "a weight with nopreempt",
        {"nopreempt": True, "check": {"type": "http", "weight": -100}},
        {},
        "keepalived_check.weight: with nopreempt the weight -100 of haproxy can never cause a failover:"
        " a standby ignores that the owner's priority fell."
        " Write weight 0 (the node gives the virtual IP up at once), or leave nopreempt out",
    ),
    (
        "unknown script",
        instance(track_script=["chk_haproxy"]),
        {},
        "keepalived_vrrp_instances[0].track_script: 'chk_haproxy' isn't defined in keepalived_vrrp_scripts (there is haproxy)."
        " Write one of those, or define it in keepalived_vrrp_scripts",
    ),
    (
        "unknown file",
        instance(track_file=["state"]),
        {},
        "keepalived_vrrp_instances[0].track_file: 'state' isn't defined in keepalived_track_files (there is none)."
        " Write one of those, or define it in keepalived_track_files",
    ),
    (
        "unknown interface to track",
        instance(track_interface=["eth5 weight -100"]),
        {},
        "keepalived_vrrp_instances[0].track_interface: this node has no interface eth5 (it has lo, eth0, eth1). Write one of those",
    ),
    (
        "a line that isn't a tracker",
        instance(track_script=["haproxy weight much"]),
        {},
        "keepalived_vrrp_instances[0].track_script: 'haproxy weight much' isn't NAME [weight NUMBER] [reverse]."
        " Write it so, for example haproxy weight -100",
    ),
    (
        "process in a container",
        {"track_processes": [{"name": "p", "process": "haproxy"}], **instance(track_process=["p"])},
        {"container": "docker"},
        "keepalived_track_processes[0]: this node is a container (docker), where the kernel tells Keepalived nothing about processes"
        " and the instance would stay in FAULT. Use keepalived_check or a track_file instead",
    ),
    (
        "script that nothing tracks",
        {"vrrp_scripts": [{"name": "disk", "script": "/usr/local/bin/disk"}]},
        {},
        "keepalived_vrrp_scripts[0]: 'disk' is tracked by no instance. Add it to the track_script of an instance, or take it out",
    ),
    (
        "decimal interval on an old package",
        {"check": {"type": "http", "interval": 0.5, "timeout": 1}},
        old_package("1:2.2.7-1+b2"),
        "keepalived_check.interval: 0.5 isn't a whole number of seconds, and Keepalived 1:2.2.7-1+b2 on this node takes no other"
        " (2.3.2 and newer do). Write whole seconds, for example 1",
    ),
    (
        "package too old",
        {},
        old_package("1:2.1.5-0.2"),
        "keepalived: the package on this node is 1:2.1.5-0.2, and the role needs 2.2 or newer."
        " Use Debian 12 or newer, or give apt a newer keepalived",
    ),
    (
        "kind of check",
        {"check": {"type": "tcp"}},
        {},
        "keepalived_check.type: 'tcp' is no kind of check. Write http, process, command or none",
    ),
    (
        "https",
        {"check": {"type": "http", "url": "https://127.0.0.1/"}},
        {},
        "keepalived_check.url: 'https://127.0.0.1/' isn't a URL that the check can ask."
        " Write http://ADDRESS:PORT/PATH, for example http://127.0.0.1:8404/healthz (for HTTPS use type command)",
    ),
    (
        "command without a path",
        {"check": {"type": "command", "command": "curl -f localhost"}},
        {},
        "keepalived_check.command: 'curl' isn't an absolute path. Write the whole path, for example /usr/bin/curl",
    ),
    (
        "a path through a link",
        {"check": {"type": "command", "command": "/bin/systemctl is-active web"}},
        {},
        "keepalived_check.command: /bin/systemctl is reached through the link bin, which Keepalived 2.3 takes for insecure."
        " Write /usr/bin/systemctl",
    ),
    (
        "its own interface",
        instance(track_interface=["eth0"]),
        {},
        "keepalived_vrrp_instances[0].track_interface: eth0 is the interface of web, which is watched anyway. Leave it out",
    ),
    (
        "no command",
        {"check": {"type": "command"}},
        {},
        "keepalived_check.command: '' is no command line."
        " Write an absolute path with its arguments, for example /usr/local/bin/check --fast",
    ),
    (
        "double quote in a command",
        instance(notify_master='/usr/bin/bash -c "id"'),
        {},
        "keepalived_vrrp_instances[0].notify_master: '/usr/bin/bash -c \"id\"' has a double quote, which keepalived.conf can't hold."
        " Use single quotes, or put the command in a script file",
    ),
    (
        "way to look for a process",
        {"check": {"type": "process", "method": "ps"}},
        {},
        "keepalived_check.method: 'ps' is no way to look for a process. Write pidof, pgrep or killall",
    ),
    (
        "track file without an absolute path",
        {"track_files": [{"name": "f", "file": "state"}], **instance(track_file=["f"])},
        {},
        "keepalived_track_files[0].file: 'state' isn't an absolute path without spaces and quotes. Write one such as /run/keepalived.state",
    ),
    (
        "fall",
        {"check": {"type": "http", "fall": 0}},
        {},
        "keepalived_check.fall: 0 isn't a whole number from 1 to 1000. Write a number from 1 to 1000",
    ),
    (
        "user of a script",
        {"check": {"type": "http", "user": "root; reboot"}},
        {},
        "keepalived_check.user: 'root; reboot' can't be the name of a user. Write a user of this node, or leave it out",
    ),
    (
        "sync group of one",
        {"sync_groups": [{"name": "g", "group": ["vip"]}]},
        {},
        "keepalived_sync_groups[0].group: a group of vip has nothing to keep in step. Name at least two instances",
    ),
    (
        "sync group with a stranger",
        {"sync_groups": [{"name": "g", "group": ["vip", "web"]}]},
        {},
        "keepalived_sync_groups[0].group: 'web' is no instance (there is vip). Write names of keepalived_vrrp_instances",
    ),
    (
        "facility",
        {"log_facility": "local9"},
        {},
        "keepalived_log_facility: 'local9' is no facility that keepalived can log to. Write local0 to local7, or daemon",
    ),
    (
        "option of the daemon",
        {"daemon_args": ["--log-detail; reboot"]},
        {},
        "keepalived_daemon_args[0]: '--log-detail; reboot' has characters that systemd would read differently."
        " Write one option a list item, for example --log-detail",
    ),
    (
        "unit to start after",
        {"start_after": ["haproxy"]},
        {},
        "keepalived_start_after[0]: 'haproxy' isn't the name of a unit. Write it with its suffix, for example haproxy.service",
    ),
    (
        "script user",
        {"global_defs": {"script_user": "Some Body"}},
        {},
        "keepalived_global_defs.script_user: 'Some Body' can't be the name of a user. Write one such as keepalived_script",
    ),
    (
        "the virtual IP answers from elsewhere",
        {"neighbors": {"192.0.2.100": "02:00:00:00:00:99", "192.0.2.12": "02:42:00:00:00:0c"}},
        {},
        "keepalived_virtual_ipaddress: 192.0.2.100 already answers from elsewhere: 02:00:00:00:00:99, which is neither this node"
        " nor one of its peers (192.0.2.12). Write an address that no host has, or take it away from that host",
    ),
]


def test_the_inputs_that_every_case_starts_from_are_good() -> None:
    assert findings() == []


@pytest.mark.parametrize(("inputs", "node", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_bad_input_is_refused_in_these_words(inputs: dict[str, Any], node: dict[str, Any], message: str) -> None:
    assert message in findings(inputs, node)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = findings(
        {"virtual_ipaddress": ["192.0.2.12"], "advert_int": 99, "virtual_router_id": 300, "interface": "eth7", "log_facility": "x"}
    )
    assert [text.split(":")[0] for text in found] == [
        "keepalived_interface",
        "keepalived_virtual_router_id",
        "keepalived_advert_int",
        "keepalived_virtual_ipaddress",
        "keepalived_log_facility",
    ]


@pytest.mark.parametrize(
    "neighbors",
    [
        {"192.0.2.100": None, "192.0.2.12": "02:42:00:00:00:0c"},
        {"192.0.2.100": "local"},
        {"192.0.2.100": "02:42:00:00:00:0C", "192.0.2.12": "02:42:00:00:00:0c"},
        {"192.0.2.100": "00:00:5e:00:01:33", "192.0.2.12": "02:42:00:00:00:0c"},
    ],
    ids=["nobody", "this node", "a peer", "the virtual router"],
)
def test_a_virtual_ip_that_is_free_or_ours_is_accepted(neighbors: dict[str, str | None]) -> None:
    assert findings({"neighbors": neighbors}) == []


@pytest.mark.parametrize("place", ["interface", "address"])
def test_nothing_that_isnt_data_breaks_the_checks(place: str) -> None:
    assert findings({place: 7})
    assert findings({"nodes": ["lb1"]})
    assert findings({"vrrp_instances": ["web"]})
    assert findings({"check": "http"})
