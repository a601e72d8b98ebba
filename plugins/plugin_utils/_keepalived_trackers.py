# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What VRRP instances watch, and whether it can move the virtual IP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived_reader import Reader
from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived_values import (
    CHECK_SCRIPT,
    CHECK_WEIGHT,
    PRIORITY_STEP,
    PROCESS_METHODS,
    USER_PATTERN,
    VERSION_DECIMAL_INTERVAL,
    Instance,
    Tracker,
    as_list,
    effective_priority,
    listing,
    show,
    stuck_tracker,
)


class Trackers(Reader):
    """Reads scripts, files, processes and BFD sessions, and weighs them."""

    def read_scripts(self) -> None:
        """The check and the scripts that come as data."""
        check = self.check()
        entries: list[tuple[str, str, Mapping[str, Any]]] = [("keepalived_check", str(check["name"]), check)] if check else []
        entries += self.named("keepalived_vrrp_scripts", self.inputs.get("vrrp_scripts"))
        for label, name, entry in entries:
            if name in self.scripts:
                self.findings.add(f"{label}.name", f"{show(name)} is the name of keepalived_check", "Give each a name of its own")
            limits = {}
            for key, default, low in (("interval", 1, 0.01), ("timeout", entry.get("interval") or 1, 0.01)):
                value = entry.get(key) if entry.get(key) is not None else default
                number = self.decimal(f"{label}.{key}", value, low, 1000, "Write seconds, for example 1")
                if number is not None and number != int(number) and self.version and self.version < VERSION_DECIMAL_INTERVAL:
                    self.findings.add(
                        f"{label}.{key}",
                        f"{number:g} isn't a whole number of seconds, and Keepalived {self.version_text} on this node takes no other (2.3.2 and newer do)",
                        "Write whole seconds, for example 1",
                    )
                limits[key] = number
            weight = self.whole(f"{label}.weight", entry.get("weight") if entry.get("weight") is not None else 0, -253, 253)
            user = str(entry.get("user") or "")
            if user and not USER_PATTERN.fullmatch(user):
                self.findings.add(
                    f"{label}.user", f"{show(user)} can't be the name of a user", "Write a user of this node, or leave it out"
                )
            command = self.command(f"{label}.{'command' if label == 'keepalived_check' else 'script'}", entry.get("script"))
            lines = [f'script "{command}"']
            lines += [f"{key} {number:g}" for key, number in limits.items() if number is not None]
            for key in ("fall", "rise"):
                count = self.whole(f"{label}.{key}", entry.get(key) if entry.get(key) is not None else 1, 1, 1000)
                lines.append(f"{key} {count}")
            lines.append(f"weight {weight or 0}" + (" reverse" if self.switch(f"{label}.reverse", entry.get("reverse")) else ""))
            if user:
                lines.append(f"user {user}")
            if self.switch(f"{label}.init_fail", entry.get("init_fail")):
                lines.append("init_fail")
            lines += self.raw(entry.get("raw"))
            reverse = self.switch(f"{label}.reverse", entry.get("reverse"))
            self.scripts[name] = {
                "label": label,
                "weight": weight or 0,
                "reverse": reverse,
                "lines": lines,
                "user": user,
                "command": command,
            }

    def check(self) -> dict[str, Any]:
        """The check of the service, as a script; empty when there is none."""
        raw = self.only_keys("keepalived_check", self.inputs.get("check") or {})
        entry: dict[str, Any] = {"type": "http", "name": "haproxy", "interval": 1, "fall": 2, "rise": 2, "init_fail": True}
        entry.update({key: value for key, value in raw.items() if value is not None and value != ""})
        entry.setdefault("timeout", entry["interval"])
        kind = str(entry["type"])
        self.name("keepalived_check.name", entry["name"])
        if kind == "none":
            return {}
        if kind == "http":
            url = str(entry.get("url") or "http://127.0.0.1:8404/healthz")
            match = re.fullmatch(r"http://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?(?:/[^\s\"'!#$`\\]*)?", url)
            if not match or not 0 < int(match.group(1) or 80) < 65536:
                self.findings.add(
                    "keepalived_check.url",
                    f"{show(url)} isn't a URL that the check can ask",
                    "Write http://ADDRESS:PORT/PATH, for example http://127.0.0.1:8404/healthz (for HTTPS use type command)",
                )
            entry["script"] = f"{CHECK_SCRIPT} {url} {entry['timeout']}"
        elif kind == "process":
            self.process_check(entry)
        elif kind == "command":
            entry["script"] = entry.get("command") or ""
        else:
            self.findings.add("keepalived_check.type", f"{show(kind)} is no kind of check", "Write http, process, command or none")
            return {}
        return entry

    def process_check(self, entry: dict[str, Any]) -> None:
        """A check that only looks for a process."""
        process = str(entry.get("process") or "haproxy")
        method = str(entry.get("method") or "pgrep")
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", process):
            self.findings.add(
                "keepalived_check.process",
                f"{show(process)} can't be the name of a process",
                "Write the kernel's name of it, up to 15 characters, for example haproxy",
            )
        if method not in PROCESS_METHODS:
            self.findings.add("keepalived_check.method", f"{show(method)} is no way to look for a process", "Write pidof, pgrep or killall")
            return
        pattern, needs_root, package = PROCESS_METHODS[method]
        entry["script"] = pattern.format(name=process)
        if needs_root:
            # A signal to another user's process, even signal 0, is root's.
            entry.setdefault("user", "root")
        if package:
            self.packages.append(package)

    def read_tracked(self) -> None:
        """Files, processes and BFD sessions that instances can track."""
        for label, name, entry in self.named("keepalived_track_files", self.inputs.get("track_files")):
            weight = self.whole(f"{label}.weight", entry.get("weight") if entry.get("weight") is not None else 1, -254, 254)
            lines = [f"file {self.path(f'{label}.file', entry.get('file'))}", f"weight {weight if weight is not None else 1}"]
            if entry.get("init_file") is not None:
                value = self.whole(f"{label}.init_file", entry["init_file"], -2147483647, 2147483647)
                overwrite = " overwrite" if self.switch(f"{label}.overwrite", entry.get("overwrite")) else ""
                lines.append(f"init_file {value}{overwrite}")
            elif self.switch(f"{label}.overwrite", entry.get("overwrite")):
                self.findings.add(f"{label}.overwrite", "there is nothing to overwrite the file with", "Set init_file, too")
            self.files[name] = {"label": label, "weight": weight if weight is not None else 1, "lines": lines + self.raw(entry.get("raw"))}
        for label, name, entry in self.named("keepalived_track_processes", self.inputs.get("track_processes")):
            if self.node.get("container"):
                self.findings.add(
                    label,
                    f"this node is a container ({self.node['container']}), where the kernel tells Keepalived nothing about processes"
                    " and the instance would stay in FAULT",
                    "Use keepalived_check or a track_file instead",
                )
            weight = self.whole(f"{label}.weight", entry.get("weight") if entry.get("weight") is not None else 0, -253, 253)
            process = self.command_words(f"{label}.process", entry.get("process"))
            lines = [f"process {process}", f"weight {weight or 0}"]
            if entry.get("quorum") is not None:
                lines.append(f"quorum {self.whole(f'{label}.quorum', entry['quorum'], 1, 65535)}")
            if entry.get("delay") is not None:
                lines.append(f"delay {self.decimal(f'{label}.delay', entry['delay'], 0, 3600, 'Write seconds, for example 0.5') or 0:g}")
            if self.switch(f"{label}.full_command", entry.get("full_command")):
                lines.append("full_command")
            self.processes[name] = {"label": label, "weight": weight or 0, "lines": lines + self.raw(entry.get("raw"))}
        for label, name, entry in self.named("keepalived_bfd_instances", self.inputs.get("bfd_instances")):
            neighbor = self.address(f"{label}.neighbor_ip", entry.get("neighbor_ip"))
            lines = [f"neighbor_ip {neighbor}"]
            if entry.get("source_ip"):
                source = self.address(f"{label}.source_ip", entry["source_ip"])
                lines.append(f"source_ip {source}")
                if source and neighbor and source.version != neighbor.version:
                    self.findings.add(
                        f"{label}.source_ip",
                        f"{source} and the neighbour {neighbor} are of different families",
                        "Write two IPv4 or two IPv6 addresses",
                    )
            for key in ("min_rx", "min_tx", "idle_tx"):
                if entry.get(key) is not None:
                    lines.append(
                        f"{key} {self.decimal(f'{label}.{key}', entry[key], 0.1, 60000, 'Write milliseconds, for example 50') or 0:g}"
                    )
            if entry.get("multiplier") is not None:
                lines.append(f"multiplier {self.whole(f'{label}.multiplier', entry['multiplier'], 1, 255)}")
            if self.switch(f"{label}.passive", entry.get("passive")):
                lines.append("passive")
            weight = self.whole(f"{label}.weight", entry.get("weight") if entry.get("weight") is not None else 0, -253, 253)
            lines.append(f"weight {weight or 0}")
            self.bfds[name] = {"label": label, "weight": weight or 0, "lines": lines + self.raw(entry.get("raw"))}

    def trackers(self, instance: Instance, entry: Mapping[str, Any]) -> None:
        """What the instance watches; the check of the service always belongs to it."""
        label = instance.label
        scripts = [str(text) for text in as_list(entry.get("track_script"))]
        check = next((name for name, script in self.scripts.items() if script["label"] == "keepalived_check"), "")
        if check and check not in [text.split()[0] for text in scripts if text.split()]:
            scripts.insert(0, check)
        interfaces = {name: {"weight": 0} for name in self.interface_names()}
        # Where each kind is defined; None for what the node itself has.
        kinds: tuple[tuple[str, list[str], Mapping[str, Mapping[str, Any]], str], ...] = (
            ("track_script", scripts, self.scripts, "keepalived_vrrp_scripts"),
            ("track_file", [str(text) for text in as_list(entry.get("track_file"))], self.files, "keepalived_track_files"),
            ("track_interface", [str(text) for text in as_list(entry.get("track_interface"))], interfaces, ""),
            ("track_process", [str(text) for text in as_list(entry.get("track_process"))], self.processes, "keepalived_track_processes"),
            ("track_bfd", [str(text) for text in as_list(entry.get("track_bfd"))], self.bfds, "keepalived_bfd_instances"),
        )
        for kind, texts, known, variable in kinds:
            for text in texts:
                self.tracker(instance, kind, text, known, variable)
        self.check_weights(instance, label)

    def tracker(self, instance: Instance, kind: str, text: str, known: Mapping[str, Mapping[str, Any]], variable: str) -> None:
        """One line of a track_… block: NAME [weight N] [reverse]."""
        where = f"{instance.label}.{kind}"
        match = re.fullmatch(r"(\S+)(?:\s+weight\s+([+-]?\d+))?(\s+reverse)?", text.strip())
        if not match:
            self.findings.add(where, f"{show(text)} isn't NAME [weight NUMBER] [reverse]", "Write it so, for example haproxy weight -100")
            return
        name = match.group(1)
        if name not in known:
            if variable:
                self.findings.add(
                    where,
                    f"{show(name)} isn't defined in {variable} (there is {listing(known)})",
                    f"Write one of those, or define it in {variable}",
                )
            else:
                self.findings.add(where, f"this node has no interface {name} (it has {listing(known)})", "Write one of those")
            return
        if kind == "track_interface" and name == instance.interface:
            self.findings.add(where, f"{name} is the interface of {instance.name}, which is watched anyway", "Leave it out")
            return
        given = match.group(2)
        weight = int(given) if given is not None else int(known[name]["weight"])
        if not -254 <= weight <= 254:
            self.findings.add(where, f"the weight {weight} is out of range", "Write a number from -253 to 253")
            return
        reverse = bool(match.group(3)) or bool(known[name].get("reverse"))
        instance.trackers.append(Tracker(kind, name, weight, reverse, text.strip()))

    def check_weight_text(self) -> str | None:
        """The weight that the user gave the check, as text; None when it is to be worked out."""
        raw = self.inputs.get("check") or {}
        value = raw.get("weight") if isinstance(raw, Mapping) else None
        return None if value is None or value == "" else str(value)

    def check_weights(self, instance: Instance, label: str) -> None:
        """Work out the check's weight where it isn't given, and refuse weights that can't move the virtual IP."""
        nopreempt = bool(instance.settings.get("nopreempt"))
        priorities = instance.priorities or []
        spread = max(priorities) - min(priorities) if priorities else 0
        worked_out = 0 if nopreempt else -min(253, max(CHECK_WEIGHT, spread + PRIORITY_STEP))
        trackers = []
        for tracker in instance.trackers:
            script = self.scripts.get(tracker.name) if tracker.kind == "track_script" else None
            if script and script["label"] == "keepalived_check" and " weight " not in f" {tracker.line} ":
                text = self.check_weight_text()
                weight = worked_out if text is None else int(script["weight"])
                trackers.append(replace(tracker, weight=weight, line=f"{tracker.name} weight {weight}"))
            else:
                trackers.append(tracker)
        instance.trackers = trackers
        if len(priorities) < 2:
            return
        duplicates = sorted({priority for priority in priorities if priorities.count(priority) > 1}, reverse=True)
        if duplicates:
            self.findings.add(
                f"{label}.priority" if label != "keepalived_vrrp_instances" else "keepalived_nodes",
                f"the priority {listing(map(str, duplicates))} is there more than once, so nothing decides who owns the virtual IP",
                "Give every node another priority, for example 250, 240, 230",
            )
            return
        for tracker in trackers:
            if nopreempt and tracker.weight != 0 and tracker.kind != "track_file":
                self.findings.add(
                    self.weight_variable(label, tracker),
                    f"with nopreempt the weight {tracker.weight} of {tracker.name} can never cause a failover:"
                    " a standby ignores that the owner's priority fell",
                    "Write weight 0 (the node gives the virtual IP up at once), or leave nopreempt out",
                )
        if nopreempt:
            return
        weighted = [tracker for tracker in trackers if tracker.kind != "track_file"]
        gain = sum(tracker.effects[0] for tracker in weighted)
        if len({effective_priority(priority, gain) for priority in priorities}) < len(priorities):
            self.findings.add(
                f"{label}.priority" if label != "keepalived_vrrp_instances" else "keepalived_nodes",
                f"with the positive weights (+{gain}) several nodes reach the limit of 254 and are equal",
                "Use negative weights, or lower priorities",
            )
            return
        stuck = stuck_tracker(priorities, trackers)
        if stuck:
            self.findings.add(
                self.weight_variable(label, stuck),
                f"the weight {stuck.weight} of {stuck.name} can never cause a failover: priorities are {listing(map(str, priorities))},"
                " and with it a sick node would stay at or above a healthy one",
                f"Write {-min(253, spread + PRIORITY_STEP)} or lower (or leave it out), or bring the priorities closer together",
            )

    def weight_variable(self, label: str, tracker: Tracker) -> str:
        """Where a tracker's weight was written."""
        script = self.scripts.get(tracker.name) if tracker.kind == "track_script" else None
        if script and script["label"] == "keepalived_check" and self.check_weight_text() is not None:
            return "keepalived_check.weight"
        return f"{label}.{tracker.kind}"

    def check_used(self) -> None:
        """Refuse definitions that nothing tracks: Keepalived would never run them."""
        for kind, known in (
            ("track_script", self.scripts),
            ("track_file", self.files),
            ("track_process", self.processes),
            ("track_bfd", self.bfds),
        ):
            used = {tracker.name for instance in self.instances for tracker in instance.trackers if tracker.kind == kind}
            for name, entry in known.items():
                if self.instances and name not in used and entry["label"] != "keepalived_check":
                    self.findings.add(
                        entry["label"], f"{show(name)} is tracked by no instance", f"Add it to the {kind} of an instance, or take it out"
                    )
