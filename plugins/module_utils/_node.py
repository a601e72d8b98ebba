# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at a node: packages, interfaces, sockets, kernel settings, neighbours."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import select
import shlex
import socket
import struct
import time
import typing as t

from ansible_collections.hitless.lb.plugins.module_utils._process import run

TCP_LISTEN = "0A"
UDP_UNCONNECTED = "07"
ETH_P_ARP = 0x0806


def parse_os_release(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.strip().partition("=")
        if separator and not key.startswith("#"):
            values[key] = value.strip().strip("\"'")
    return {
        "id": values.get("ID", ""),
        "version_id": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
    }


def parse_dpkg(text: str) -> dict[str, str]:
    """Installed packages and their versions, from dpkg-query's name, status and version."""
    installed: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 3 and fields[1] == "installed":
            installed[fields[0]] = fields[2]
    return installed


def parse_policy(text: str) -> dict[str, str | None]:
    """The candidate of every package that ``apt-cache policy`` knows."""
    candidates: dict[str, str | None] = {}
    name = ""
    for line in text.splitlines():
        if line and not line[0].isspace() and line.endswith(":"):
            name = line[:-1]
        elif name and line.strip().startswith("Candidate:"):
            value = line.split(":", 1)[1].strip()
            candidates[name] = None if value == "(none)" else value
    return candidates


def installed_packages(names: t.Sequence[str]) -> dict[str, str]:
    """Version of every package of ``names`` that is installed."""
    if not names:
        return {}
    outcome = run(["dpkg-query", "--show", "--showformat", "${Package}\\t${db:Status-Status}\\t${Version}\\n", *names])
    return parse_dpkg(outcome.stdout)


def packages(names: t.Sequence[str]) -> dict[str, dict[str, str | None]]:
    installed = installed_packages(names)
    missing = [name for name in names if name not in installed]
    candidates = parse_policy(run(["apt-cache", "policy", *missing]).stdout) if missing else {}
    return {name: {"installed": installed.get(name), "candidate": candidates.get(name)} for name in names}


def parse_addresses(text: str) -> list[dict[str, t.Any]]:
    """Interfaces from ``ip -j addr``."""
    interfaces: list[dict[str, t.Any]] = []
    for raw in json.loads(text or "[]"):
        if not raw.get("ifname"):
            continue
        interfaces.append(
            {
                "name": raw["ifname"],
                "up": "UP" in raw.get("flags", []),
                "mac": raw.get("address", ""),
                "addresses": [
                    {"address": entry["local"], "prefix": entry["prefixlen"], "family": 6 if entry["family"] == "inet6" else 4}
                    for entry in raw.get("addr_info", [])
                    if entry.get("family") in ("inet", "inet6") and "local" in entry
                ],
            }
        )
    return interfaces


def parse_socket_address(raw: str) -> tuple[str, int]:
    """An address and port as /proc/net writes them: hexadecimal words in the machine's byte order."""
    address, port = raw.split(":")
    words = bytes.fromhex(address)
    packed = b"".join(struct.pack("=I", struct.unpack(">I", words[at : at + 4])[0]) for at in range(0, len(words), 4))
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed), int(port, 16)


def parse_sockets(text: str, protocol: str) -> list[tuple[str, int, str]]:
    """Address, port and inode of every listening (tcp) or bound (udp) socket in a table of /proc/net."""
    wanted = TCP_LISTEN if protocol == "tcp" else UDP_UNCONNECTED
    found: list[tuple[str, int, str]] = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != wanted:
            continue
        address, port = parse_socket_address(fields[1])
        found.append((address, port, fields[9]))
    return found


def read_text(path: str) -> str:
    """A small file's text; empty when it isn't there or can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def socket_owners(inodes: t.AbstractSet[str], proc: str = "/proc") -> dict[str, tuple[int, str]]:
    """Which process holds each socket (the lowest process id where several share one)."""
    owners: dict[str, tuple[int, str]] = {}
    for name in sorted((name for name in os.listdir(proc) if name.isdigit()), key=int):
        folder = f"{proc}/{name}/fd"
        try:
            handles = os.listdir(folder)
        except OSError:
            continue
        command = ""
        for handle in handles:
            try:
                target = os.readlink(f"{folder}/{handle}")
            except OSError:
                continue
            if not target.startswith("socket:["):
                continue
            inode = target[8:-1]
            if inode in inodes and inode not in owners:
                command = command or read_text(f"{proc}/{name}/comm").strip()
                owners[inode] = (int(name), command)
    return owners


def listeners(proc: str = "/proc") -> list[dict[str, t.Any]]:
    """Every socket that waits for others, with the process that holds it."""
    tables: list[tuple[str, str, int, str]] = []
    for protocol in ("tcp", "udp"):
        for suffix in ("", "6"):
            text = read_text(f"{proc}/net/{protocol}{suffix}")
            tables.extend((protocol, address, port, inode) for address, port, inode in parse_sockets(text, protocol))
    owners = socket_owners({inode for _protocol, _address, _port, inode in tables}, proc)
    result = []
    for protocol, address, port, inode in tables:
        pid, process = owners.get(inode, (0, ""))
        result.append({"protocol": protocol, "address": address, "port": port, "process": process, "pid": pid})
    return sorted(result, key=lambda item: (item["protocol"], item["port"], item["address"], item["pid"]))


def sysctl_path(name: str, root: str = "/proc/sys") -> str:
    """The file of a kernel setting. With a slash in the name, dots are part of it (interfaces such as eth0.100)."""
    return os.path.join(root, name if "/" in name else name.replace(".", "/"))


def sysctl(name: str, root: str = "/proc/sys") -> str | None:
    path = sysctl_path(name, root)
    if not os.path.isfile(path):
        return None
    return read_text(path).strip()


def certificate(path: str) -> dict[str, t.Any]:
    try:
        status = os.stat(path)
    except OSError:
        return {"exists": False, "mtime": None}
    return {"exists": True, "mtime": int(status.st_mtime)}


def said(command: str) -> str | None:
    """What a program tells about itself; None when it isn't there or fails."""
    words = shlex.split(command)
    outcome = run(words, 10) if words else None
    return outcome.stdout if outcome is not None and outcome.rc == 0 else None


def has_ipv6() -> bool:
    """Whether a program can bind an IPv6 socket here."""
    if sysctl("net.ipv6.conf.all.disable_ipv6") != "0":
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def container_kind(marker: str = "/run/systemd/container", environment: str = "/proc/1/environ") -> str:
    """The kind of container this is; empty on a machine."""
    kind = read_text(marker).strip()
    if kind:
        return kind
    for item in read_text(environment).split("\0"):
        if item.startswith("container="):
            return item.partition("=")[2]
    if os.path.exists("/.dockerenv"):
        return "docker"
    return "podman" if os.path.exists("/run/.containerenv") else ""


def arp_request(own_mac: bytes, address: str) -> bytes:
    """An ARP probe (RFC 5227): it asks who has the address and claims none itself, so nobody's cache changes."""
    header = b"\xff" * 6 + own_mac + struct.pack("!H", ETH_P_ARP)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    return header + body + own_mac + b"\0" * 4 + b"\0" * 6 + socket.inet_aton(address)


def parse_arp_reply(frame: bytes) -> tuple[str, str] | None:
    """Address and MAC of the sender of an ARP reply; None for any other frame."""
    if len(frame) < 42 or frame[12:14] != struct.pack("!H", ETH_P_ARP) or frame[20:22] != b"\0\x02":
        return None
    return socket.inet_ntoa(frame[28:32]), ":".join(f"{byte:02x}" for byte in frame[22:28])


def ask_arp(addresses: t.Sequence[str], interface: str, own_mac: str, limit: float = 1.0, tries: int = 3) -> dict[str, str | None]:
    """Who answers for each IPv4 address on the interface, asked by our own packets: the kernel's cache isn't touched."""
    answers: dict[str, str | None] = dict.fromkeys(addresses)
    mac = bytes.fromhex(own_mac.replace(":", ""))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as wire:
        wire.bind((interface, ETH_P_ARP))
        for _attempt in range(tries):
            waiting = [address for address, answer in answers.items() if answer is None]
            if not waiting:
                break
            for address in waiting:
                wire.send(arp_request(mac, address))
            until = time.monotonic() + limit / tries
            while any(answer is None for answer in answers.values()):
                rest = until - time.monotonic()
                if rest <= 0 or not select.select([wire], [], [], rest)[0]:
                    break
                reply = parse_arp_reply(wire.recv(2048))
                if reply and reply[0] in answers and answers[reply[0]] is None:
                    answers[reply[0]] = reply[1]
    return answers


def parse_neighbours(text: str) -> dict[str, str]:
    """Address and MAC of every usable entry of ``ip -j neigh``."""
    usable: dict[str, str] = {}
    for raw in json.loads(text or "[]"):
        states = set(raw.get("state", []))
        if raw.get("lladdr") and not states & {"FAILED", "INCOMPLETE", "NONE"}:
            usable[str(ipaddress.ip_address(raw["dst"]))] = raw["lladdr"]
    return usable


def ask_kernel(addresses: t.Sequence[str], interface: str, limit: float = 1.0, tries: int = 4) -> dict[str, str | None]:
    """Who answers for each address, found by the kernel: a datagram to a closed port makes it look."""
    answers: dict[str, str | None] = dict.fromkeys(addresses)
    command = ["ip", "-j", "neigh", "show"] + (["dev", interface] if interface else [])
    for attempt in range(tries):
        for address in [address for address, answer in answers.items() if answer is None]:
            family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
            with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                if interface:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
                probe.sendto(b"", (address, 9))
        time.sleep(0.02 if attempt == 0 else limit / tries)
        known = parse_neighbours(run(command).stdout)
        for address in addresses:
            answers[address] = answers[address] or known.get(str(ipaddress.ip_address(address)))
        if all(answers.values()):
            break
    return answers


def neighbours(addresses: t.Sequence[str], interface: str, interfaces: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str | None]:
    """Which MAC answers for each address; 'local' where the node has it itself, None where nobody answers."""
    own = {str(ipaddress.ip_address(entry["address"])) for link in interfaces for entry in link["addresses"]}
    result: dict[str, str | None] = {}
    asked: list[str] = []
    for address in addresses:
        if str(ipaddress.ip_address(address)) in own:
            result[address] = "local"
        else:
            asked.append(address)
    link_mac = {link["name"]: link["mac"] for link in interfaces}.get(interface, "")
    by_arp = [address for address in asked if ipaddress.ip_address(address).version == 4 and len(link_mac) == 17]
    if by_arp:
        try:
            result.update(ask_arp(by_arp, interface, link_mac))
        except PermissionError:
            by_arp = []
    rest = [address for address in asked if address not in by_arp]
    if rest:
        result.update(ask_kernel(rest, interface))
    return {address: result[address] for address in addresses}
