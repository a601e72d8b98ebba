# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VRRP instances: who takes part, with which priority, where, for which addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived_trackers import Trackers
from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived_values import (
    GLOBAL_KEYS,
    INTEGER_KEYS,
    INTERFACE_PATTERN,
    NOTIFY_KEYS,
    PRIORITY_SPREAD,
    SWITCH_KEYS,
    Address,
    Instance,
    Node,
    Peer,
    Vip,
    as_list,
    derive_priorities,
    listing,
    show,
)


class Instances(Trackers):
    """Reads the nodes and the instances, and compares them with the node and with each other."""

    def read_nodes(self) -> None:
        """The nodes of the cluster, and which of them this one is."""
        seen: dict[Address, str] = {}
        names: set[str] = set()
        for position, raw in enumerate(as_list(self.inputs.get("nodes"))):
            label = f"keepalived_nodes[{position}]"
            entry = self.only_keys(label, raw)
            if not entry:
                continue
            name = self.name(f"{label}.name", entry.get("name"))
            if name in names:
                self.findings.add(f"{label}.name", f"{show(name)} is there twice", "Give every node a name of its own")
            names.add(name)
            addresses: dict[int, Address] = {}
            for key in ("address", "address6"):
                if key == "address6" and not entry.get(key):
                    continue
                address = self.address(f"{label}.{key}", entry.get(key))
                if address is None:
                    continue
                if key == "address6" and address.version != 6:
                    self.findings.add(
                        f"{label}.address6", f"{address} isn't an IPv6 address", "Write an IPv6 address, such as 2001:db8::11"
                    )
                    continue
                if address in seen:
                    self.findings.add(
                        f"{label}.{key}", f"{address} is also the address of {seen[address]}", "Give every node an address of its own"
                    )
                seen[address] = name
                addresses[address.version] = address
            priority = None
            if entry.get("priority") is not None:
                priority = self.priority(f"{label}.priority", entry["priority"])
            self.nodes.append(Node(name, addresses, priority))
        self.find_own(seen)

    def find_own(self, known: Mapping[Address, str]) -> None:
        """Which of the nodes this one is."""
        text = str(self.inputs.get("address") or "")
        listed = listing(f"{node.name} {address}" for node in self.nodes for address in node.addresses.values())
        if text:
            address = self.address("keepalived_address", text)
            if address is None:
                return
            self.own_addresses = {address.version: address}
            if not self.interface_of(address):
                self.findings.add(
                    "keepalived_address",
                    f"{address} is on no interface of this node (it has {self.node_addresses()})",
                    "Write the address of this node that the other nodes reach",
                )
            if self.nodes and address not in known:
                self.findings.add(
                    "keepalived_address",
                    f"{address} is the address of none of keepalived_nodes ({listed})",
                    "Write the one that keepalived_nodes has for this node, or add this node there",
                )
            self.own = next((node for node in self.nodes if address in node.addresses.values()), None)
        elif self.nodes:
            here = [node for node in self.nodes if any(self.interface_of(address) for address in node.addresses.values())]
            if len(here) == 1:
                self.own = here[0]
            elif not here:
                self.findings.add(
                    "keepalived_nodes",
                    f"none of its addresses ({listed}) is on this node (it has {self.node_addresses()})",
                    "Add this node with the address that the other nodes reach, or set keepalived_address",
                )
            else:
                self.findings.add(
                    "keepalived_nodes",
                    f"the addresses of {listing(node.name for node in here)} are all on this node",
                    "List this node once, or set keepalived_address",
                )
        if self.own:
            self.own_addresses = dict(self.own.addresses)

    def read_instances(self) -> None:
        """Every instance that this node takes part in, IPv4 and IPv6 apart."""
        common = self.vips("keepalived_virtual_ipaddress", self.inputs.get("virtual_ipaddress"))
        entries = self.named("keepalived_vrrp_instances", self.inputs.get("vrrp_instances"))
        if not entries:
            entries = [("keepalived_vrrp_instances", "vip", {"name": "vip"})] if not as_list(self.inputs.get("vrrp_instances")) else []
        several = len(entries) > 1
        skipped = 0
        for label, name, entry in entries:
            if as_list(entry.get("virtual_ipaddress")):
                source = f"{label}.virtual_ipaddress"
                vips = self.vips(source, entry.get("virtual_ipaddress"))
            else:
                source = "keepalived_virtual_ipaddress"
                vips = [] if several else common
                if not as_list(self.inputs.get("virtual_ipaddress")) or several:
                    where = f"{label}.virtual_ipaddress" if several or self.inputs.get("vrrp_instances") else "keepalived_virtual_ipaddress"
                    self.findings.add(
                        where,
                        "no virtual IP is given",
                        "Write the address that the load balancers share, for example 192.0.2.100 (lb_vip sets it for the whole collection)",
                    )
            before = len(self.instances)
            if not self.one_instance(label, name, entry, vips, several):
                skipped += 1
            self.check_vips(source, self.instances[before:])
        if entries and skipped == len(entries):
            self.findings.add(
                "keepalived_vrrp_instances",
                f"this node ({self.own.name if self.own else '?'}) is in the nodes of none of the instances",
                "Add it to the nodes of at least one",
            )
        used = {vip.address for instance in self.instances for vip in (*instance.vips, *instance.excluded)}
        if not skipped:
            for vip in common:
                if vip.address not in used and as_list(self.inputs.get("vrrp_instances")):
                    self.findings.add(
                        "keepalived_virtual_ipaddress",
                        f"{vip.address} is in no instance of keepalived_vrrp_instances",
                        "Add it to the virtual_ipaddress of one, or take it out of lb_vip",
                    )
        self.check_together()

    def one_instance(self, label: str, name: str, entry: Mapping[str, Any], vips: list[Vip], several: bool) -> bool:
        """Add an entry's instance, or two when it has addresses of both families; False when this node has no part in it."""
        order = self.order(label, entry)
        if order is None:
            return False
        excluded = self.vips(f"{label}.virtual_ipaddress_excluded", entry.get("virtual_ipaddress_excluded"))
        families = sorted({vip.family for vip in vips})
        for family in families:
            own_name = name if family == families[0] else f"{name}_v6"
            mine = [vip for vip in vips if vip.family == family]
            others = [vip for vip in excluded if vip.family == family or len(families) == 1]
            self.instances.append(self.instance(label, own_name, entry, family, mine, others, order, several))
        return True

    def order(self, label: str, entry: Mapping[str, Any]) -> list[Node] | None:
        """The nodes of an instance in the order of succession; None when this node isn't one of them."""
        names = [str(name) for name in as_list(entry.get("nodes"))]
        if not names:
            return self.nodes
        known = {node.name: node for node in self.nodes}
        for name in names:
            if name not in known:
                self.findings.add(
                    f"{label}.nodes", f"{show(name)} is none of keepalived_nodes ({listing(known)})", "Write names from keepalived_nodes"
                )
        if len(set(names)) != len(names):
            self.findings.add(f"{label}.nodes", f"a node is there twice ({listing(names)})", "Write every node once")
        order = [replace(known[name], priority=None) for name in names if name in known]
        if self.own and self.own.name not in names:
            return None
        return order

    def instance(
        self,
        label: str,
        name: str,
        entry: Mapping[str, Any],
        family: int,
        vips: list[Vip],
        excluded: list[Vip],
        order: list[Node],
        several: bool,
    ) -> Instance:
        """One vrrp_instance with everything that belongs to it."""
        own_default = label == "keepalived_vrrp_instances"

        def value(key: str, default: Any = None) -> tuple[str, Any]:
            """Where a setting stands, and its value: in the instance, or the role's variable for all."""
            if entry.get(key) is not None and entry.get(key) != "":
                return f"{label}.{key}", entry[key]
            if key in GLOBAL_KEYS and self.inputs.get(key) is not None:
                return f"keepalived_{key}", self.inputs.get(key)
            return (label if own_default else f"{label}.{key}"), default

        source = self.source(label, entry, family)
        interface = self.interface(*value("interface"), source=source)
        instance = Instance(
            label=label,
            name=name,
            family=family,
            vips=vips,
            excluded=excluded,
            interface=interface,
            source=source,
            peers=[],
            virtual_router_id=None,
            priority=None,
            priorities=None,
            settings={},
        )
        if several and entry.get("virtual_router_id") is None:
            self.findings.add(
                f"{label}.virtual_router_id",
                "it isn't given, and there are several instances",
                "Give every instance a number from 1 to 255 of its own",
            )
        else:
            where, number = value("virtual_router_id", 51)
            instance.virtual_router_id = self.whole(
                where, number, 1, 255, "Write a number from 1 to 255 that no other VRRP pair in this network uses"
            )
        instance.settings = self.settings(label, entry, value)
        self.peers(instance, entry, order)
        self.trackers(instance, entry)
        return instance

    def source(self, label: str, entry: Mapping[str, Any], family: int) -> Address | None:
        """The address from which this node speaks."""
        if entry.get("unicast_src_ip"):
            address = self.address(f"{label}.unicast_src_ip", entry["unicast_src_ip"])
            if address is None:
                return None
            if address.version != family:
                if len({vip.family for vip in self.vips_of(entry)}) > 1:
                    return self.own_addresses.get(family)
                self.findings.add(
                    f"{label}.unicast_src_ip",
                    f"{address} isn't of the family of the virtual address (IPv{family})",
                    f"Write an IPv{family} address of this node",
                )
                return None
            if not self.interface_of(address):
                self.findings.add(
                    f"{label}.unicast_src_ip",
                    f"{address} is on no interface of this node (it has {self.node_addresses()})",
                    "Write an address of this node, or leave it out",
                )
            return address
        address = self.own_addresses.get(family)
        if address is None and (self.own or self.own_addresses):
            if family == 6:
                self.findings.add(
                    "keepalived_nodes",
                    "there is an IPv6 virtual address, and this node has no address6",
                    "Give every node its address6 (in the inventory: lb_address6)",
                )
            else:
                self.findings.add(
                    "keepalived_nodes",
                    "there is an IPv4 virtual address, and this node has only an IPv6 address",
                    "Give every node an IPv4 address, too",
                )
        elif address is None and not self.nodes and not self.inputs.get("address"):
            if not self.single:
                self.findings.add(
                    "keepalived_nodes",
                    "there is no load balancer in it",
                    "List every load balancer with name and address; for one alone set keepalived_allow_single: true (lb_allow_single)",
                )
            elif not entry.get("interface") and not self.inputs.get("interface"):
                self.findings.add(
                    "keepalived_address",
                    "this node's address isn't known",
                    "Write the address of this node, or its interface in keepalived_interface",
                )
        return address

    def vips_of(self, entry: Mapping[str, Any]) -> list[Vip]:
        """The readable addresses of an entry, without findings."""
        found = []
        for text in as_list(entry.get("virtual_ipaddress")) or as_list(self.inputs.get("virtual_ipaddress")):
            words = str(text).split()
            try:
                found.append(Vip(ipaddress.ip_interface(words[0]).ip, None, ()))
            except (IndexError, ValueError):
                continue
        return found

    def interface(self, variable: str, value: Any, source: Address | None) -> str:
        """The interface of an instance: the one given, or the one that has this node's address."""
        text = str(value or "")
        found = self.interface_of(source) if source else ""
        if not text:
            return found
        if not INTERFACE_PATTERN.fullmatch(text):
            self.findings.add(
                variable,
                f"{show(text)} can't be the name of an interface",
                f"Write one of this node's: {listing(self.interface_names())}",
            )
        elif text not in self.interface_names():
            self.findings.add(
                variable,
                f"this node has no interface {text} (it has {listing(self.interface_names())})",
                "Write one of those, or leave it out: it is found from the node's address",
            )
        elif found and found != text:
            self.findings.add(
                variable,
                f"this node's address {source} is on {found}, not on {text}",
                f"Write {found}, or set unicast_src_ip to an address on {text}; a virtual address on another interface is written ADDRESS dev {text}",
            )
        return text

    def settings(self, label: str, entry: Mapping[str, Any], value: Callable[..., tuple[str, Any]]) -> dict[str, Any]:
        """Everything else that is a line of its own."""
        settings: dict[str, Any] = {}
        state = str(entry.get("state") or "BACKUP")
        if state not in ("BACKUP", "MASTER"):
            self.findings.add(
                f"{label}.state", f"{show(state)} is no state to start in", "Write BACKUP (the priority decides who becomes MASTER)"
            )
        settings["state"] = state
        where, number = value("advert_int", 0.05)
        interval = self.decimal(where, number, 0.01, 40.95, "Write seconds from 0.01 to 40.95, for example 0.05")
        if interval is not None and abs(interval * 100 - round(interval * 100)) > 1e-6:
            self.findings.add(
                where,
                f"{interval:g} isn't a multiple of 0.01 seconds, which is VRRP's smallest step",
                f"Write {max(0.01, round(interval, 2)):g}",
            )
        settings["advert_int"] = interval
        nopreempt = self.nopreempt(label, entry)
        where, number = value("preempt_delay", 0)
        delay = self.decimal(where, number or 0, 0, 1000, "Write seconds from 0 to 1000")
        if nopreempt and state == "MASTER":
            self.findings.add(f"{label}.nopreempt", "it has no effect with state MASTER", "Write state: BACKUP, or leave state out")
        if nopreempt and delay:
            self.findings.add(
                where,
                f"with nopreempt the virtual IP never comes home by itself, so a delay of {delay:g} s has no effect",
                "Leave out one of the two",
            )
        if delay and state == "MASTER":
            self.findings.add(where, "it has no effect with state MASTER", "Write state: BACKUP, or leave state out")
        settings["nopreempt"] = nopreempt
        settings["preempt_delay"] = delay or 0
        for key in INTEGER_KEYS:
            if entry.get(key) is not None:
                low, high = (1, 100) if key == "down_timer_adverts" else (0, 65535)
                settings[key] = self.whole(f"{label}.{key}", entry[key], low, high)
        for key in SWITCH_KEYS:
            if entry.get(key) is not None:
                settings[key] = "on" if self.switch(f"{label}.{key}", entry[key]) else "off"
        if entry.get("use_vmac") is not None and self.switch(f"{label}.use_vmac", entry["use_vmac"]):
            settings["use_vmac"] = True
        for key in NOTIFY_KEYS:
            if entry.get(key):
                settings[key] = self.command(f"{label}.{key}", entry[key])
        settings["raw"] = self.raw(entry.get("raw"))
        return settings

    def nopreempt(self, label: str, entry: Mapping[str, Any]) -> bool:
        """Whether the virtual IP stays where it is when a better node comes back."""
        preempt, nopreempt = entry.get("preempt"), entry.get("nopreempt")
        if (
            preempt is not None
            and nopreempt is not None
            and self.switch(f"{label}.preempt", preempt) == self.switch(f"{label}.nopreempt", nopreempt)
        ):
            self.findings.add(f"{label}.nopreempt", "preempt and nopreempt contradict each other", "Write only one of the two")
        if nopreempt is not None:
            return self.switch(f"{label}.nopreempt", nopreempt)
        if preempt is not None:
            return not self.switch(f"{label}.preempt", preempt)
        return self.switch("keepalived_nopreempt", self.inputs.get("nopreempt"))

    def peers(self, instance: Instance, entry: Mapping[str, Any], order: list[Node]) -> None:
        """Who the others are, and what priorities the whole election has."""
        label = instance.label
        if as_list(entry.get("unicast_peer")):
            self.given_peers(instance, entry)
            return
        if self.nodes:
            others = [node for node in order if self.own is None or node.name != self.own.name]
            for node in others:
                address = node.addresses.get(instance.family)
                if address is None:
                    key = "address6" if instance.family == 6 else "address"
                    self.findings.add(
                        "keepalived_nodes",
                        f"{node.name} has no IPv{instance.family} address for the peers of {instance.name}",
                        f"Give every node an {key}" + (" (in the inventory: lb_address6)" if instance.family == 6 else ""),
                    )
                    continue
                instance.peers.append(Peer(address, node.priority, 255, None))
            if len(order) < 2 and not self.single:
                self.findings.add(
                    f"{label}.nodes" if as_list(entry.get("nodes")) else "keepalived_nodes",
                    f"there is only one load balancer in it ({listing(node.name for node in order)})",
                    "Add the others; for one alone set keepalived_allow_single: true (lb_allow_single)",
                )
            self.derived(instance, entry, order)
        else:
            self.derived(instance, entry, [Node("", {}, None)])

    def derived(self, instance: Instance, entry: Mapping[str, Any], order: list[Node]) -> None:
        """Priorities from the order of the nodes, unless they are given."""
        label = instance.label
        explicit = [node.priority for node in order]
        given = [priority for priority in explicit if priority is not None]
        own_at = next((position for position, node in enumerate(order) if self.own and node.name == self.own.name), 0)
        if given and len(given) < len(order):
            self.findings.add(
                "keepalived_nodes",
                "some nodes have a priority and others don't",
                "Give all of them one, or none: their order gives 250, 240, 230 and so on",
            )
            return
        if len(order) > PRIORITY_SPREAD + 1:
            self.findings.add(
                "keepalived_nodes",
                f"{len(order)} load balancers are more than there are priorities for",
                f"List {PRIORITY_SPREAD + 1} at most",
            )
            return
        priorities = given or derive_priorities(len(order))
        if entry.get("priority") is not None:
            own = self.priority(f"{label}.priority", entry["priority"])
            if own is None:
                return
            if len(order) > 1 and not given:
                self.findings.add(
                    f"{label}.priority",
                    f"{own} is this node's priority, and those of the others aren't known, so they can't be compared",
                    "Leave it out (the order of keepalived_nodes gives 250, 240, 230 and so on), or give every entry of keepalived_nodes"
                    " its priority (in the inventory: lb_priority)",
                )
                return
            priorities = [*priorities[:own_at], own, *priorities[own_at + 1 :]]
        instance.priorities = priorities
        instance.priority = priorities[own_at] if priorities else None

    def given_peers(self, instance: Instance, entry: Mapping[str, Any]) -> None:
        """Peers that are listed by hand."""
        label = instance.label
        seen: set[Address] = set()
        families = {vip.family for vip in self.vips_of(entry)}
        for position, raw in enumerate(as_list(entry.get("unicast_peer"))):
            where = f"{label}.unicast_peer[{position}]"
            peer = self.only_keys(where, {"address": raw} if isinstance(raw, str) else raw)
            address = self.address(f"{where}.address", peer.get("address"))
            if address is None:
                continue
            if address.version != instance.family:
                if address.version not in families:
                    self.findings.add(
                        f"{where}.address",
                        f"{address} isn't of the family of the virtual address (IPv{instance.family})",
                        f"Write the peer's IPv{instance.family} address",
                    )
                continue
            if address == instance.source or self.interface_of(address):
                self.findings.add(f"{where}.address", f"{address} is this node's own address", "List the other nodes only")
            if address in seen:
                self.findings.add(f"{where}.address", f"{address} is there twice", "List every peer once")
            seen.add(address)
            priority = self.priority(f"{where}.priority", peer["priority"]) if peer.get("priority") is not None else None
            limits = {
                key: self.whole(f"{where}.{key}", peer[key], 0, 255) if peer.get(key) is not None else None
                for key in ("min_ttl", "max_ttl")
            }
            if limits["min_ttl"] is None:
                limits["min_ttl"] = 255
            instance.peers.append(Peer(address, priority, limits["min_ttl"], limits["max_ttl"]))
        own = self.priority(f"{label}.priority", entry["priority"]) if entry.get("priority") is not None else None
        if entry.get("priority") is None:
            self.findings.add(
                f"{label}.priority",
                "it isn't given, and with unicast_peer nothing gives it",
                "Write this node's priority, for example 250 on the first node and 240 on the second",
            )
        unknown = [str(peer.address) for peer in instance.peers if peer.priority is None]
        if unknown:
            self.findings.add(
                f"{label}.unicast_peer",
                f"the priority of {listing(unknown)} isn't known, so it can't be compared",
                "Write every peer as {address: …, priority: …}, or leave unicast_peer out: it comes from keepalived_nodes",
            )
        elif own is not None:
            instance.priority = own
            instance.priorities = [own, *(peer.priority for peer in instance.peers if peer.priority is not None)]

    def check_vips(self, variable: str, instances: Sequence[Instance]) -> None:
        """Refuse virtual addresses that can't be reached where they are to live."""
        node_of = {address: node.name for node in self.nodes for address in node.addresses.values()}
        for instance in instances:
            if instance.family == 6 and self.node.get("ipv6") is False:
                self.findings.add(
                    variable,
                    f"{listing(str(vip.address) for vip in instance.vips)} is IPv6, which this node has switched off",
                    "Switch IPv6 on, or leave it out",
                )
            for vip in instance.vips:
                if vip.address in node_of:
                    self.findings.add(
                        variable,
                        f"{vip.address} is the address of the node {node_of[vip.address]}",
                        "Write an address that no host has: it moves between the nodes",
                    )
                    continue
                if vip.address in (instance.source, *(peer.address for peer in instance.peers)):
                    self.findings.add(
                        variable,
                        f"{vip.address} is the address of one of the nodes",
                        "Write an address that no host has: it moves between the nodes",
                    )
                    continue
                self.check_subnet(variable, instance, vip)

    def check_subnet(self, variable: str, instance: Instance, vip: Vip) -> None:
        """The virtual address must lie in the network of its interface."""
        device = vip.device or instance.interface
        if vip.device and vip.device not in self.interface_names():
            self.findings.add(
                variable,
                f"this node has no interface {vip.device} (it has {listing(self.interface_names())})",
                "Write one of those after dev, or leave dev out",
            )
            return
        if not device or device not in self.interface_names():
            return
        # The node's own addresses only: while it owns the virtual address, that one is there, too.
        own = [
            network
            for network in self.networks(device, vip.family)
            if network.ip != vip.address and network.network.prefixlen < network.max_prefixlen
        ]
        holding = [network for network in own if vip.address in network.network]
        if not holding:
            nets = listing(str(network.network) for network in own)
            self.findings.add(
                variable,
                f"{vip.address} is outside the network of {device} ({nets})",
                "Write a free address of that network; one that is routed to the nodes belongs in virtual_ipaddress_excluded",
            )
            return
        network = holding[0].network
        if vip.address == network.network_address and network.prefixlen < network.max_prefixlen - 1:
            self.findings.add(
                variable, f"{vip.address} is the address of the network {network} itself", "Write a host's address in that network"
            )
        elif vip.family == 4 and vip.address == network.broadcast_address and network.prefixlen < network.max_prefixlen - 1:
            self.findings.add(variable, f"{vip.address} is the broadcast address of {network}", "Write a host's address in that network")
        elif vip.prefix not in (None, vip.address.max_prefixlen, network.prefixlen):
            self.findings.add(
                variable,
                f"{vip.address}/{vip.prefix} has another prefix than {device}, which is in {network}",
                f"Write {vip.address}, or {vip.address}/{network.prefixlen}",
            )

    def check_together(self) -> None:
        """Refuse what instances may not share."""
        addresses: dict[Address, str] = {}
        routers: dict[tuple[int, str, int], str] = {}
        names: dict[str, str] = {}
        for instance in self.instances:
            if instance.name in names:
                self.findings.add(
                    f"{instance.label}.name",
                    f"the instance {instance.name} is there twice (an instance with IPv4 and IPv6 addresses becomes NAME and NAME_v6)",
                    "Give each a name of its own",
                )
            names[instance.name] = instance.label
            for vip in (*instance.vips, *instance.excluded):
                if vip.address in addresses:
                    self.findings.add(
                        f"{instance.label}.virtual_ipaddress"
                        if instance.label != "keepalived_vrrp_instances"
                        else "keepalived_virtual_ipaddress",
                        f"{vip.address} is there twice"
                        + (f" (also in {addresses[vip.address]})" if addresses[vip.address] != instance.name else ""),
                        "Write every virtual address once",
                    )
                addresses[vip.address] = instance.name
            if instance.virtual_router_id is not None and instance.interface:
                key = (instance.virtual_router_id, instance.interface, instance.family)
                if key in routers:
                    self.findings.add(
                        f"{instance.label}.virtual_router_id",
                        f"{key[0]} is also the id of {routers[key]} on {instance.interface}",
                        "Give every instance on an interface an id of its own",
                    )
                routers[key] = instance.name

    def check_neighbors(self, neighbors: Mapping[str, str | None]) -> None:
        """Refuse a virtual address that answers from a host that is no node of the cluster."""
        known = {
            mac.lower()
            for instance in self.instances
            for peer in instance.peers
            if (mac := neighbors.get(str(peer.address))) and mac != "local"
        }
        for instance in self.instances:
            virtual = f"00:00:5e:00:0{1 if instance.family == 4 else 2}:{instance.virtual_router_id or 0:02x}"
            for vip in instance.vips:
                mac = neighbors.get(str(vip.address))
                if (
                    not mac
                    or mac == "local"
                    or mac.lower() in known
                    or mac.lower() == virtual
                    or vip.device not in ("", instance.interface)
                ):
                    continue
                self.findings.add(
                    f"{instance.label}.virtual_ipaddress"
                    if instance.label != "keepalived_vrrp_instances"
                    else "keepalived_virtual_ipaddress",
                    f"{vip.address} already answers from elsewhere: {mac}, which is neither this node nor one of its peers"
                    f" ({listing(str(peer.address) for peer in instance.peers)})",
                    "Write an address that no host has, or take it away from that host",
                )

    def neighbor_questions(self) -> dict[str, list[str]]:
        """Interface by interface, whose MAC is wanted: virtual addresses that this node hasn't, and the peers that may have them."""
        questions: dict[str, list[str]] = {}
        for instance in self.instances:
            missing = [
                str(vip.address) for vip in instance.vips if not self.interface_of(vip.address) and vip.device in ("", instance.interface)
            ]
            if missing and instance.interface:
                wanted = questions.setdefault(instance.interface, [])
                for address in (*missing, *(str(peer.address) for peer in instance.peers)):
                    if address not in wanted:
                        wanted.append(address)
        return questions
