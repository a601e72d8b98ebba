# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rsyslog's variables, checked and turned into what its templates lay out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._role_options import (
    Findings,
    absolute_path,
    address_of,
    debian_findings,
    overlap,
    raw_lines,
    shaping,
    typed,
)

CONFIG_FILE = "/etc/rsyslog.d/10-hitless.conf"
ROTATE_FILE = "/etc/logrotate.d/00-hitless"
HIDDEN_SOCKET = "/var/lib/haproxy/dev/log"
PROGRAM = "rsyslogd"
# Where a file would vanish, or where rsyslog may not write (Debian 13's unit protects the system's and the users' folders).
BARRED = ("/boot", "/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/tmp", "/usr", "/var/tmp")
# Logs of the distribution's own rules, which would get lines twice.
DISTRIBUTION_LOGS = tuple(f"/var/log/{name}.log" for name in ("auth", "cron", "kern", "mail", "user")) + ("/var/log/syslog",)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?")
SPREAD = re.compile(r"[A-Za-z0-9_./-]+")


def stream_findings(streams: Sequence[Mapping[str, Any]], findings: Findings) -> None:
    """Check every stream and the streams among themselves."""
    names: dict[str, int] = {}
    paths: dict[str, str] = {}
    whole: dict[str, str] = {}
    for number, stream in enumerate(streams):
        where = f"rsyslog_streams[{number}]"
        name = stream["name"]
        if not NAME.fullmatch(name):
            findings.add(f"{where}.name", f"{name!r} isn't a name", "write letters, digits, _ and -, for example haproxy")
        if name in names:
            findings.add(f"{where}.name", f"{name!r} is the name of rsyslog_streams[{names[name]}] too", "give every stream its own")
        names.setdefault(name, number)
        path_findings(f"{where}.path", stream["path"], findings)
        if stream["path"] in paths:
            findings.add(f"{where}.path", f"{paths[stream['path']]} writes to {stream['path']} too", "give every stream its own file")
        paths.setdefault(stream["path"], where)
        for key in ("owner", "group"):
            if not ACCOUNT.fullmatch(stream[key]):
                findings.add(
                    f"{where}.{key}",
                    f"{stream[key]!r} isn't a name of a {'user' if key == 'owner' else key}",
                    "write one that exists, for example root",
                )
        mode = stream["mode"]
        if not re.fullmatch(r"0[0-7]{3}", mode):
            findings.add(f"{where}.mode", f"{mode!r} isn't a mode", "write it as text with a leading zero, for example '0640'")
        elif int(mode, 8) & 0o022:
            findings.add(f"{where}.mode", f"{mode!r} lets others write", "only the owner may, for example '0640'")
        elif int(mode, 8) & 0o600 != 0o600:
            findings.add(f"{where}.mode", f"{mode!r} keeps the owner out", "the owner reads and writes, for example '0640'")
        program = stream.get("program")
        if program is not None and not SPREAD.fullmatch(program):
            findings.add(
                f"{where}.program", f"{program!r} isn't the name of a program", "write it as it stands in the log, for example haproxy"
            )
        facility = stream["facility"]
        if facility in whole:
            findings.add(
                where,
                f"{whole[facility]} takes every line of {facility}, so this stream would stay empty",
                "use another facility, or put this stream first and give it a program",
            )
        elif program is None:
            whole[facility] = where
    if not streams:
        findings.add("rsyslog_streams", "there are none", "list at least one, or use rsyslog_state: absent")


def path_findings(where: str, path: str, findings: Findings) -> None:
    """Check the path of a log file."""
    if not absolute_path(where, path, findings, "/var/log/haproxy.log"):
        return
    if re.search(r"\s|%", path):
        findings.add(where, f"{path!r} has a blank or a percent sign", "write a plain path, for example /var/log/haproxy.log")
    elif path.endswith("/"):
        findings.add(where, f"{path!r} is a folder", "name the file in it")
    elif any(path == barred or path.startswith(f"{barred}/") for barred in BARRED):
        findings.add(where, f"rsyslog may not write to {path}, or what it writes there is lost", "use a file below /var/log")
    elif path in DISTRIBUTION_LOGS:
        findings.add(where, f"{path} belongs to the distribution's own rules", "use a file of its own, for example /var/log/haproxy.log")


def input_findings(options: Mapping[str, Any], node: Mapping[str, Any], findings: Findings) -> None:
    """Check the input that was chosen, also against who listens already."""
    if options["rsyslog_input"] == "udp":
        address, port = options["rsyslog_udp_address"], options["rsyslog_udp_port"]
        parsed = address_of(address)
        if parsed is None:
            findings.add("rsyslog_udp_address", f"{address!r} isn't an IP address", "write a loopback address, for example 127.0.0.1")
        elif not parsed.is_loopback:
            findings.add(
                "rsyslog_udp_address",
                f"{address} can be reached from outside, and nobody could tell who sent a line",
                "write a loopback address, for example 127.0.0.1",
            )
        elif parsed.version == 6 and not node.get("ipv6", True):
            findings.add("rsyslog_udp_address", f"this host has no IPv6 for {address}", "write 127.0.0.1")
        if not 1 <= port <= 65535:
            findings.add("rsyslog_udp_port", f"{port} isn't a port", "write 1 to 65535, for example 514")
        elif parsed is not None:
            holder_findings(address, port, node, findings)
    if options["rsyslog_input"] == "unix":
        path = options["rsyslog_unix_socket"]
        if absolute_path("rsyslog_unix_socket", path, findings, "/var/lib/haproxy/dev/rsyslog"):
            if path == HIDDEN_SOCKET:
                findings.add(
                    "rsyslog_unix_socket",
                    f"HAProxy can't see {path}, because Debian's unit mounts the system's /dev/log over it",
                    "choose another name, for example /var/lib/haproxy/dev/rsyslog",
                )
            elif path in ("/dev/log", "/run/systemd/journal/dev-log", "/run/systemd/journal/syslog"):
                findings.add(
                    "rsyslog_unix_socket", f"{path} belongs to systemd", "choose another, for example /var/lib/haproxy/dev/rsyslog"
                )
            elif len(path.encode()) > 107:
                findings.add("rsyslog_unix_socket", f"{path} is {len(path.encode())} bytes long", "a socket's path has at most 107")


def holder_findings(address: str, port: int, node: Mapping[str, Any], findings: Findings) -> None:
    """Refuse a UDP port that somebody else has: another program, or rsyslog by a configuration that isn't ours."""
    for listener in node.get("listeners", []):
        if listener["protocol"] != "udp" or listener["port"] != port or not overlap(address, listener["address"]):
            continue
        socket = f"{listener['address']}:{port}/udp" if ":" not in listener["address"] else f"[{listener['address']}]:{port}/udp"
        if listener["process"] in (PROGRAM, "rs:main Q:Reg"):
            if listener["address"] != str(ipaddress.ip_address(address)):
                findings.add(
                    "rsyslog_udp_port",
                    f"rsyslog itself listens on {socket} already, by a configuration of this host",
                    "write rsyslog_input: none and send HAProxy's lines there, or choose another port",
                )
        else:
            findings.add(
                "rsyslog_udp_port",
                f"{listener['process'] or 'another program'} holds {socket}",
                "choose another port (and give it to HAProxy too), or write rsyslog_input: unix",
            )


def rotate_findings(options: Mapping[str, Any], findings: Findings) -> None:
    """Check the options for logrotate."""
    if not 0 <= options["rsyslog_rotate_keep"] <= 10000:
        findings.add("rsyslog_rotate_keep", f"{options['rsyslog_rotate_keep']} can't be", "write 0 to 10000, for example 14")
    size = options["rsyslog_rotate_max_size"]
    if size and not re.fullmatch(r"[1-9][0-9]*[kMG]?", size):
        findings.add("rsyslog_rotate_max_size", f"{size!r} isn't a size", "write a number with k, M or G behind it, for example 500M")


def condition(stream: Mapping[str, Any]) -> str:
    """The test that sorts a line into its stream, in rsyslog's language."""
    test = f'prifilt("{stream["facility"]}.*")'
    program = stream.get("program")
    return f'{test} and $programname == "{program}"' if program else test


def plan(variables: Mapping[str, Any], spec: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Check all of the role's variables and shape them for its templates and tasks."""
    findings = Findings()
    options = typed(variables, spec, findings)
    debian_findings(node, "rsyslog", 12, findings)
    if "rsyslog_streams" in options:
        stream_findings(options["rsyslog_streams"], findings)
    if {"rsyslog_input", "rsyslog_udp_address", "rsyslog_udp_port", "rsyslog_unix_socket"} <= options.keys():
        input_findings(options, node, findings)
    if {"rsyslog_rotate_keep", "rsyslog_rotate_max_size"} <= options.keys():
        rotate_findings(options, findings)
    raw = raw_lines("rsyslog_raw", options.get("rsyslog_raw", []), findings)
    findings.stop()
    streams = [
        {key: stream[key] for key in ("name", "path", "owner", "group", "mode")} | {"condition": condition(stream)}
        for stream in options["rsyslog_streams"]
    ]
    return {
        "input": options["rsyslog_input"],
        "udp_address": options["rsyslog_udp_address"],
        "udp_port": options["rsyslog_udp_port"],
        "unix_socket": options["rsyslog_unix_socket"],
        "variables": shaping(options, spec),
        "streams": streams,
        "rotate": rotate_lines(options),
        "raw": raw,
        "probes": probes(options),
        "complaint": complaint(streams),
    }


def rotate_lines(options: Mapping[str, Any]) -> list[str]:
    """logrotate's directives that all streams share."""
    lines = [options["rsyslog_rotate_frequency"], f"rotate {options['rsyslog_rotate_keep']}"]
    if options["rsyslog_rotate_max_size"]:
        lines.append(f"maxsize {options['rsyslog_rotate_max_size']}")
    lines += ["missingok", "notifempty"]
    return lines + (["compress", "delaycompress"] if options["rsyslog_rotate_compress"] else ["nocompress"])


def probes(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What tells that rsyslog works with this configuration."""
    tests: list[dict[str, Any]] = [{"command": ["systemctl", "is-active", "--quiet", "rsyslog.service"]}]
    if options["rsyslog_input"] == "udp":
        address = str(ipaddress.ip_address(options["rsyslog_udp_address"]))
        host = f"[{address}]" if ":" in address else address
        tests.append({"udp_bound": f"{host}:{options['rsyslog_udp_port']}"})
    elif options["rsyslog_input"] == "unix":
        tests.append({"command": ["test", "-S", options["rsyslog_unix_socket"]]})
    return tests


def complaint(streams: Sequence[Mapping[str, Any]]) -> str:
    """A regular expression for what logrotate may say about our files, and only about them.

    What it finds in files of other owners is none of a role's business, unless they claim the same logs.
    """
    paths = "|".join(re.escape(stream["path"]) for stream in streams)
    return rf"(?m)^error: (?=.*(?:00-hitless|{paths})\b).*$"
