# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a service whether it answers."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.hitless.lb.plugins.module_utils._node import parse_sockets, read_text
from ansible_collections.hitless.lb.plugins.module_utils._process import run

ATTEMPT_LIMIT = 2.0
ANSWER_SIZE = 1 << 20

KINDS = ("tcp", "http", "unix", "udp_bound", "command")


@dataclass(frozen=True)
class Answer:
    """What a probe found. ``reached`` says that somebody answered, ``ok`` that it is the right answer."""

    ok: bool
    reached: bool
    detail: str = ""


@dataclass(frozen=True)
class Probe:
    """One question to a service and the answer that is expected."""

    kind: str
    target: str = ""
    argv: tuple[str, ...] = ()
    host: str | None = None
    status: tuple[int, ...] = (200,)
    send: str | None = None
    expect: str | None = None
    running: bool = False

    @property
    def label(self) -> str:
        if self.kind == "command":
            return " ".join(self.argv)
        if self.kind == "unix" and self.send:
            return f"{self.target} ({self.send})"
        return self.target if self.kind == "http" else f"{self.kind} {self.target}"

    def to_dict(self) -> dict[str, t.Any]:
        raw: dict[str, t.Any] = {self.kind: list(self.argv) if self.kind == "command" else self.target, "running": self.running}
        for key in ("host", "send", "expect"):
            if getattr(self, key) is not None:
                raw[key] = getattr(self, key)
        if self.kind == "http":
            raw["status"] = list(self.status)
        return raw

    @classmethod
    def from_dict(cls, raw: t.Mapping[str, t.Any]) -> Probe:
        kind = next(name for name in KINDS if raw.get(name))
        return cls(
            kind=kind,
            target="" if kind == "command" else raw[kind],
            argv=tuple(raw[kind]) if kind == "command" else (),
            host=raw.get("host"),
            status=tuple(raw.get("status") or (200,)),
            send=raw.get("send"),
            expect=raw.get("expect"),
            running=bool(raw.get("running")),
        )

    def problem(self) -> str | None:
        """What is wrong with the question itself; None when nothing is."""
        if self.kind in ("tcp", "udp_bound"):
            try:
                split_address(self.target)
            except ValueError:
                return f"probe {self.kind}: {self.target!r} isn't ADDRESS:PORT (write [ADDRESS]:PORT for IPv6)"
        if self.kind == "http":
            try:
                parts = urllib.parse.urlsplit(self.target)
                good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            except ValueError:
                good = False
            if not good:
                return f"probe http: {self.target!r} isn't a URL that starts with http:// or https://"
        if self.expect is not None:
            try:
                re.compile(self.expect)
            except re.error as error:
                return f"probe {self.label}: expect isn't a regular expression: {error}"
        return None

    def ask(self, limit: float = ATTEMPT_LIMIT) -> Answer:
        """Ask once."""
        try:
            return _ASK[self.kind](self, limit)
        except (OSError, http.client.HTTPException) as error:
            return Answer(False, False, str(error) or type(error).__name__)

    def judge(self, text: str) -> Answer:
        """Compare what came with what is expected."""
        if self.expect is None or re.search(self.expect, text, re.MULTILINE):
            return Answer(True, True)
        return Answer(False, True, f"the answer doesn't match {self.expect}")


def split_address(raw: str) -> tuple[str, int]:
    """Address and port of "127.0.0.1:80" or "[::1]:80"."""
    address, separator, port = raw.rpartition(":")
    if not separator or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(raw)
    if address.startswith("[") and address.endswith("]"):
        return address[1:-1], int(port)
    if ":" in address or not address:
        raise ValueError(raw)
    return address, int(port)


def _ask_tcp(probe: Probe, limit: float) -> Answer:
    with socket.create_connection(split_address(probe.target), timeout=limit):
        return Answer(True, True)


def _ask_http(probe: Probe, limit: float) -> Answer:
    parts = urllib.parse.urlsplit(probe.target)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=limit, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=limit)
    path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    headers = {"Host": probe.host} if probe.host else {}
    try:
        connection.request("GET", path, headers={**headers, "Connection": "close", "User-Agent": "hitless.lb"})
        response = connection.getresponse()
        body = response.read(ANSWER_SIZE).decode("utf-8", "replace")
    finally:
        connection.close()
    if response.status not in probe.status:
        return Answer(False, True, f"answered {response.status}, not {' or '.join(str(code) for code in probe.status)}")
    return probe.judge(body)


def converse(path: str, text: str | None, limit: float) -> str:
    """Say one thing on a socket and read the answer to its end; with nothing to say, only look that somebody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(limit)
        connection.connect(path)
        if text is None:
            return ""
        connection.sendall(text.encode("utf-8") + b"\n")
        received = b""
        while len(received) < ANSWER_SIZE:
            block = connection.recv(65536)
            if not block:
                break
            received += block
    return received.decode("utf-8", "replace")


def _ask_unix(probe: Probe, limit: float) -> Answer:
    said = converse(probe.target, probe.send, limit)
    return Answer(True, True) if probe.send is None else probe.judge(said)


def is_bound(table: t.Iterable[tuple[str, int, str]], address: str, port: int) -> bool:
    """Whether a datagram to the address and port finds somebody."""
    return any(found_port == port and found in (address, "0.0.0.0", "::") for found, found_port, _inode in table)


def _ask_udp_bound(probe: Probe, _limit: float) -> Answer:
    address, port = split_address(probe.target)
    table = [entry for name in ("udp", "udp6") for entry in parse_sockets(read_text(f"/proc/net/{name}"), "udp")]
    if is_bound(table, address, port):
        return Answer(True, True)
    return Answer(False, False, "nobody has bound it")


def _ask_command(probe: Probe, limit: float) -> Answer:
    outcome = run(probe.argv, timeout=max(limit, 5.0))
    if outcome.rc != 0:
        return Answer(False, False, f"ended with {outcome.rc}: {outcome.output}".rstrip(": "))
    return probe.judge(outcome.stdout)


_ASK: dict[str, t.Callable[[Probe, float], Answer]] = {
    "tcp": _ask_tcp,
    "http": _ask_http,
    "unix": _ask_unix,
    "udp_bound": _ask_udp_bound,
    "command": _ask_command,
}


def descendants(pid: int, proc: str = "/proc") -> set[tuple[int, str]]:
    """Every process below ``pid``, each with its start time, so that a number used again isn't taken for the old one."""
    parents: dict[int, list[tuple[int, str]]] = {}
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        fields = read_text(f"{proc}/{name}/stat").rpartition(")")[2].split()
        if len(fields) > 19:
            parents.setdefault(int(fields[1]), []).append((int(name), fields[19]))
    found: set[tuple[int, str]] = set()
    waiting = [pid]
    while waiting:
        for child in parents.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child[0])
    return found
