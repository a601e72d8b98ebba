# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role keepalived's variables, checked and turned into the blocks of keepalived.conf.

One pass over everything: whatever is wrong is collected as a finding (variable, what was found, what to write instead), so that a user reads
all of it at once. The result is plain data that the template only lays out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived_instances import Instances
from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived_values import (
    INTEGER_KEYS,
    NOTIFY_KEYS,
    RELOAD_LOG,
    RESTART_KEYWORDS,
    SCRIPT_USER,
    SWITCH_KEYS,
    USER_PATTERN,
    VERSION_CONFIG_TEST,
    VERSION_MINIMUM,
    Block,
    Instance,
    Line,
    Peer,
    as_list,
    block,
    listing,
    program,
    show,
)


class Shaper(Instances):
    """Turns the variables into blocks."""

    def check_package(self) -> None:
        """Refuse a package that is too old."""
        if self.version and self.version < VERSION_MINIMUM:
            self.findings.add(
                "keepalived",
                f"the package on this node is {self.version_text}, and the role needs 2.2 or newer",
                "Use Debian 12 or newer, or give apt a newer keepalived",
            )

    def global_defs(self) -> Block:
        """The block global_defs."""
        given = self.only_keys("keepalived_global_defs", self.inputs.get("global_defs") or {})
        values: dict[str, Any] = {
            "router_id": self.node.get("hostname") or "",
            "script_user": SCRIPT_USER,
            "enable_script_security": True,
            "vrrp_garp_master_delay": 1,
            "vrrp_garp_master_refresh": 30,
            "vrrp_check_unicast_src": True,
            "max_auto_priority": 50,
        }
        values.update({key: value for key, value in given.items() if value is not None and value != ""})
        prefix = "keepalived_global_defs"
        router = self.name(f"{prefix}.router_id", values["router_id"])
        user = str(values["script_user"])
        if not USER_PATTERN.fullmatch(user):
            self.findings.add(f"{prefix}.script_user", f"{show(user)} can't be the name of a user", f"Write one such as {SCRIPT_USER}")
        lines = [f"router_id {router}", "vrrp_version 3"]
        if self.switch(f"{prefix}.enable_script_security", values["enable_script_security"]):
            lines.append("enable_script_security")
        lines.append(f"script_user {user}")
        for key in (
            "vrrp_garp_master_delay",
            "vrrp_garp_master_repeat",
            "vrrp_garp_master_refresh",
            "vrrp_garp_master_refresh_repeat",
            "vrrp_garp_lower_prio_delay",
            "vrrp_garp_lower_prio_repeat",
        ):
            if values.get(key) is not None:
                lines.append(f"{key} {self.whole(f'{prefix}.{key}', values[key], 0, 65535)}")
        if values.get("vrrp_startup_delay") is not None:
            delay = self.decimal(f"{prefix}.vrrp_startup_delay", values["vrrp_startup_delay"], 0, 3600, "Write seconds, for example 2")
            lines.append(f"vrrp_startup_delay {delay or 0:g}")
        for key, low in (("vrrp_rt_priority", 1), ("max_auto_priority", -1)):
            if values.get(key) is not None:
                lines.append(f"{key} {self.whole(f'{prefix}.{key}', values[key], low, 99)}")
        for key in ("vrrp_check_unicast_src", "vrrp_no_swap", "vrrp_higher_prio_send_advert"):
            if values.get(key) is not None and self.switch(f"{prefix}.{key}", values[key]):
                lines.append(key)
        if not self.version or self.version >= VERSION_CONFIG_TEST:
            # Older ones end their own test with SIGTERM when a script user isn't root, and would then never reload again.
            lines.append(f"reload_check_config {RELOAD_LOG}")
        return block("global_defs", lines + self.raw(values.get("raw")))

    def instance_block(self, instance: Instance) -> Block:
        """One block vrrp_instance."""
        settings = instance.settings
        lines = [f"state {settings['state']}"]
        if instance.interface:
            lines.append(f"interface {instance.interface}")
        lines += [
            f"virtual_router_id {instance.virtual_router_id}",
            f"priority {instance.priority}",
            f"advert_int {settings['advert_int'] or 0:g}",
        ]
        if settings["nopreempt"]:
            lines.append("nopreempt")
        if settings["preempt_delay"]:
            lines.append(f"preempt_delay {settings['preempt_delay']:g}")
        if settings.get("use_vmac"):
            lines += ["use_vmac", "vmac_xmit_base"]
        lines += [f"{key} {settings[key]}" for key in (*INTEGER_KEYS, *SWITCH_KEYS) if settings.get(key) is not None]
        blocks = []
        if instance.peers:
            if instance.source:
                lines.append(f"unicast_src_ip {instance.source}")
            # Packets that a router passed on have a lower value; IPv6 needs to be told to send with the highest one.
            lines.append("unicast_ttl 255")
            blocks.append(block("unicast_peer", [peer_line(peer) for peer in instance.peers]))
        for kind in ("track_script", "track_file", "track_interface", "track_process", "track_bfd"):
            found = [tracker.line for tracker in instance.trackers if tracker.kind == kind]
            if found:
                blocks.append(block(kind, found))
        blocks.append(block("virtual_ipaddress", [vip.line for vip in instance.vips]))
        if instance.excluded:
            blocks.append(block("virtual_ipaddress_excluded", [vip.line for vip in instance.excluded]))
        lines += [f'{key} "{settings[key]}"' for key in NOTIFY_KEYS if settings.get(key)]
        return block(f"vrrp_instance {instance.name}", lines, blocks, settings["raw"])

    def sync_groups(self) -> list[Block]:
        """Groups that come as data, and one for every instance that had to be split by family."""
        blocks = []
        known = {instance.name for instance in self.instances}
        grouped: set[str] = set()
        for label, name, entry in self.named("keepalived_sync_groups", self.inputs.get("sync_groups")):
            members = [str(member) for member in as_list(entry.get("group"))]
            if len(members) < 2:
                self.findings.add(
                    f"{label}.group", f"a group of {listing(members)} has nothing to keep in step", "Name at least two instances"
                )
            for member in members:
                if member not in known:
                    self.findings.add(
                        f"{label}.group",
                        f"{show(member)} is no instance (there is {listing(sorted(known))})",
                        "Write names of keepalived_vrrp_instances",
                    )
                if member in grouped:
                    self.findings.add(f"{label}.group", f"{show(member)} is in two groups", "Put every instance in one group at most")
                grouped.add(member)
            notify = [f'{key} "{self.command(f"{label}.{key}", entry[key])}"' for key in NOTIFY_KEYS if entry.get(key)]
            blocks.append(
                block(
                    f"vrrp_sync_group {name}",
                    ["sync_group_tracking_weight", *notify],
                    [block("group", members)],
                    self.raw(entry.get("raw")),
                )
            )
            self.runs += [(self.script_user(), program(str(entry[key]))) for key in NOTIFY_KEYS if entry.get(key)]
        for instance in self.instances:
            twin = f"{instance.name}_v6"
            if twin in known and instance.family == 4 and not {instance.name, twin} & grouped:
                same = next(other for other in self.instances if other.name == twin)
                if same.label == instance.label:
                    blocks.append(
                        block(f"vrrp_sync_group {instance.name}", ["sync_group_tracking_weight"], [block("group", [instance.name, twin])])
                    )
        return blocks

    def daemon_args(self) -> list[str]:
        """What keepalived gets on its command line."""
        facility = str(self.inputs.get("log_facility") or "local1")
        if not re.fullmatch(r"local[0-7]|daemon", facility):
            self.findings.add(
                "keepalived_log_facility",
                f"{show(facility)} is no facility that keepalived can log to",
                "Write local0 to local7, or daemon",
            )
        # By number: 2.3.3 says that it knows names, and ends when it gets one. Without the option it is daemon.
        words = [f"--log-facility={facility[-1]}"] if facility.startswith("local") else []
        for position, word in enumerate(as_list(self.inputs.get("daemon_args"))):
            if not re.fullmatch(r"[A-Za-z0-9_./:=@%+,-]+", str(word)):
                self.findings.add(
                    f"keepalived_daemon_args[{position}]",
                    f"{show(word)} has characters that systemd would read differently",
                    "Write one option a list item, for example --log-detail",
                )
            words.append(str(word))
        return words

    def restart_settings(self) -> list[Line]:
        """Raw lines whose change only a restart applies (Keepalived refuses them at a reload)."""
        given = self.inputs.get("global_defs")
        lines = self.raw(self.inputs.get("raw")) + self.raw(given.get("raw") if isinstance(given, Mapping) else None)
        return [line.strip() for line in lines if line.split() and line.split()[0] in RESTART_KEYWORDS]

    def shape(self) -> dict[str, Any]:
        """Everything at once."""
        self.check_package()
        for key in (
            "virtual_ipaddress",
            "nodes",
            "address",
            "interface",
            "vrrp_instances",
            "check",
            "vrrp_scripts",
            "track_files",
            "track_processes",
        ):
            self.check_text(f"keepalived_{key}", self.inputs.get(key))
        for key in ("bfd_instances", "sync_groups", "global_defs", "daemon_args", "log_facility", "start_after"):
            self.check_text(f"keepalived_{key}", self.inputs.get(key))
        self.read_nodes()
        self.read_scripts()
        self.read_tracked()
        self.read_instances()
        self.check_used()
        self.check_neighbors(self.inputs.get("neighbors") or {})
        blocks = [self.global_defs()]
        blocks += [block(f"track_file {name}", entry["lines"]) for name, entry in self.files.items()]
        blocks += [block(f"vrrp_track_process {name}", entry["lines"]) for name, entry in self.processes.items()]
        blocks += [block(f"bfd_instance {name}", entry["lines"]) for name, entry in self.bfds.items()]
        blocks += [block(f"vrrp_script {name}", entry["lines"]) for name, entry in self.scripts.items()]
        blocks += [self.instance_block(instance) for instance in self.instances]
        blocks += self.sync_groups()
        units = []
        for position, unit in enumerate(as_list(self.inputs.get("start_after"))):
            if not re.fullmatch(r"[A-Za-z0-9@:_.\\-]+\.(service|target|socket|device|mount)", str(unit)):
                self.findings.add(
                    f"keepalived_start_after[{position}]",
                    f"{show(unit)} isn't the name of a unit",
                    "Write it with its suffix, for example haproxy.service",
                )
            units.append(str(unit))
        args = self.daemon_args()
        for script in self.scripts.values():
            self.runs.append((script["user"] or self.script_user(), program(script["command"])))
        for instance in self.instances:
            self.runs += [(self.script_user(), program(instance.settings[key])) for key in NOTIFY_KEYS if instance.settings.get(key)]
        return {
            "blocks": blocks,
            "raw": self.raw(self.inputs.get("raw")),
            "daemon_args": args,
            "restart_settings": self.restart_settings(),
            "start_after": units,
            "packages": sorted(set(self.packages)),
            "script_user": self.script_user(),
            "runs": [{"user": user, "program": program} for user, program in sorted(set(self.runs)) if program],
            "instances": [
                {
                    "name": instance.name,
                    "interface": instance.interface,
                    "vips": [str(vip.address) for vip in instance.vips],
                    "may_fault": instance.may_fault,
                }
                for instance in self.instances
            ],
            "addresses": [
                [vip.line.split()[0], vip.device or instance.interface]
                for instance in self.instances
                for vip in (*instance.vips, *instance.excluded)
                if (vip.device or instance.interface) and instance.peers and not instance.settings.get("use_vmac")
            ],
            "states": [f"{instance.name}:fault" if instance.may_fault else instance.name for instance in self.instances],
            "neighbors": self.neighbor_questions(),
        }


def peer_line(peer: Peer) -> str:
    words = [str(peer.address)]
    if peer.min_ttl is not None:
        words += ["min_ttl", str(peer.min_ttl)]
    if peer.max_ttl is not None:
        words += ["max_ttl", str(peer.max_ttl)]
    return " ".join(words)


def shape(inputs: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The model of keepalived.conf, and everything that is wrong with the variables."""
    shaper = Shaper(inputs, node)
    model = shaper.shape()
    return model, shaper.findings.texts
