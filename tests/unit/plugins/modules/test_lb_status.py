# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module lb_status: what Keepalived and HAProxy say is read, and nobody else is believed."""

from __future__ import annotations

import http.server
import json
import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome
from ansible_collections.hitless.lb.plugins.modules import lb_status

# As Keepalived 2.2.7 writes it, and 2.3.3 almost word for word.
DUMP = [
    {
        "data": {
            "iname": "vip",
            "ifp_ifname": "eth0",
            "master_priority": 0,
            "vrid": 51,
            "base_priority": 250,
            "effective_priority": 150,
            "vipset": True,
            "adver_int": 0.05,
            "state": 2,
            "wantstate": 2,
            "vips": ["192.0.2.100 dev eth0 scope global set"],
        },
        "stats": {"advert_rcvd": 0},
    }
]
STAT = """# pxname,svname,qcur,status,check_status,type,addr,
web,FRONTEND,,OPEN,,0,,
web,web1,0,UP,L7OK,2,192.0.2.21:80,
web,web2,0,DOWN,L4CON,2,192.0.2.22:80,
web,BACKEND,0,UP,,1,,
"""


@pytest.mark.parametrize(
    ("text", "address"),
    [("192.0.2.100", "192.0.2.100"), ("192.0.2.100/24", "192.0.2.100"), ("2001:DB8::0100/64 dev eth0 label x", "2001:db8::100")],
)
def test_the_address_of_a_virtual_ip(text: str, address: str) -> None:
    assert lb_status.bare(text) == address


def test_the_place_of_a_virtual_ip_is_the_network_it_lies_in() -> None:
    interfaces = [
        {"name": "lo", "mac": "", "addresses": [{"address": "127.0.0.1", "prefix": 8, "family": 4}]},
        {
            "name": "eth0",
            "mac": "02:42:00:00:00:0b",
            "addresses": [{"address": "192.0.2.100", "prefix": 32, "family": 4}, {"address": "192.0.2.11", "prefix": 24, "family": 4}],
        },
    ]
    assert lb_status.place_of("192.0.2.100", interfaces) == {"interface": "eth0", "address": "192.0.2.11", "mac": "02:42:00:00:00:0b"}
    assert lb_status.place_of("198.51.100.1", interfaces) == {"interface": "", "address": "", "mac": ""}
    assert lb_status.place_of("2001:db8::1", interfaces)["interface"] == ""


@pytest.mark.parametrize("document", [DUMP, {"vrrp": DUMP}], ids=["version 1", "version 2"])
def test_keepalived_s_json(document: Any) -> None:
    assert lb_status.parse_dump(json.dumps(document)) == [
        {
            "name": "vip",
            "state": "MASTER",
            "priority": 250,
            "effective_priority": 150,
            "virtual_router_id": 51,
            "interface": "eth0",
            "vips": ["192.0.2.100"],
            "master_priority": 0,
            "advert_interval": 0.05,
        }
    ]


@pytest.mark.parametrize(("number", "word"), [(0, "INIT"), (1, "BACKUP"), (2, "MASTER"), (3, "FAULT"), (97, "97")])
def test_states(number: int, word: str) -> None:
    document = [{"data": {**DUMP[0]["data"], "state": number}}]
    assert lb_status.parse_dump(json.dumps(document))[0]["state"] == word


def test_only_a_new_file_of_root_is_read(tmp_path: Path) -> None:
    dump = tmp_path / "keepalived.json"
    assert lb_status.read_dump(str(dump), None) is None
    dump.write_text("[]", encoding="utf-8")
    status = dump.stat()
    assert lb_status.read_dump(str(dump), (status.st_ino, status.st_mtime_ns)) is None
    assert lb_status.read_dump(str(dump), None, os.geteuid()) == "[]"
    assert lb_status.read_dump(str(dump), None, os.geteuid() + 1) is None
    link = tmp_path / "link.json"
    link.symlink_to(dump)
    assert lb_status.read_dump(str(link), None, os.geteuid()) is None
    fifo = tmp_path / "fifo.json"
    os.mkfifo(fifo)
    assert lb_status.read_dump(str(fifo), None, os.geteuid()) is None


@pytest.fixture
def keepalived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Path]]:
    """A process that writes its dump at SIGUSR2, as Keepalived does: a new file that is renamed."""
    dump = tmp_path / "keepalived.json"
    body = json.dumps(DUMP)
    script = f"trap 'printf %s \"$BODY\" >{dump}.new; mv {dump}.new {dump}' USR2; touch {tmp_path}/ready; while :; do sleep 0.02; done"
    process = subprocess.Popen(["bash", "-c", script], env={**os.environ, "BODY": body})
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    monkeypatch.setattr(lb_status, "run", lambda *_args, **_kwargs: Outcome(0, "12\n", ""))
    yield process.pid, dump
    process.kill()
    process.wait()


def test_keepalived_is_asked_by_its_signal(keepalived: tuple[int, Path]) -> None:
    pid, dump = keepalived
    first = lb_status.ask_keepalived(pid, 5, str(dump), os.geteuid())
    assert first is not None
    assert first[0]["name"] == "vip"
    assert lb_status.ask_keepalived(pid, 5, str(dump), os.geteuid()) == first


def test_a_keepalived_that_says_nothing_costs_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lb_status, "run", lambda *_args, **_kwargs: Outcome(0, "0\n", ""))
    old = tmp_path / "keepalived.json"
    old.write_text(json.dumps(DUMP), encoding="utf-8")
    started = time.monotonic()
    assert lb_status.ask_keepalived(os.getpid(), 0.2, str(old), os.geteuid()) is None
    assert 0.2 <= time.monotonic() - started < 2


@pytest.mark.parametrize(("answer", "pid"), [("", 1), ("nonsense", 1), ("12", 0)])
def test_nobody_is_signalled_without_a_number_and_a_process(monkeypatch: pytest.MonkeyPatch, answer: str, pid: int) -> None:
    def kill(*_args: int) -> None:
        raise AssertionError("no signal may be sent")

    monkeypatch.setattr(lb_status, "run", lambda *_args, **_kwargs: Outcome(0, answer, ""))
    monkeypatch.setattr(lb_status.os, "kill", kill)
    assert lb_status.ask_keepalived(pid, 0.1) is None


class Runtime(socketserver.BaseRequestHandler):
    """HAProxy's runtime socket."""

    def handle(self) -> None:
        """Answer one command and close."""
        if self.request.recv(100) == b"show stat\n":
            self.request.sendall(STAT.encode())


def test_haproxy_is_asked_on_its_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    with socketserver.ThreadingUnixStreamServer(path, Runtime) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answer = lb_status.ask_haproxy(path, "show stat", 5)
        server.shutdown()
    assert answer == STAT
    assert lb_status.parse_servers(answer) == [
        {"backend": "web", "server": "web1", "status": "UP", "check_status": "L7OK", "address": "192.0.2.21:80"},
        {"backend": "web", "server": "web2", "status": "DOWN", "check_status": "L4CON", "address": "192.0.2.22:80"},
    ]


def test_a_frozen_haproxy_is_no_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as frozen:
        frozen.bind(path)
        frozen.listen()
        started = time.monotonic()
        assert lb_status.ask_haproxy(path, "show stat", 0.2) is None
        assert time.monotonic() - started < 2
    assert lb_status.ask_haproxy(str(tmp_path / "nothing"), "show stat", 0.2) is None


class Page(http.server.BaseHTTPRequestHandler):
    """A service: /healthz is well, /redirect points elsewhere, everything else is ill."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response({"/healthz?x=1": 200, "/redirect": 301, "/missing": 404}.get(self.path, 503))
        self.send_header("Location", "/healthz?x=1")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("path", "answers", "status"),
    [("/healthz?x=1", True, 200), ("/redirect", True, 301), ("/missing", True, 404), ("/", False, 503)],
)
def test_urls(path: str, answers: bool, status: int) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = lb_status.fetch(f"http://127.0.0.1:{server.server_address[1]}{path}", 5)
        server.shutdown()
    assert (result["answers"], result["status"], result["error"]) == (answers, status, "")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_url_that_nobody_serves(scheme: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        result = lb_status.fetch(f"{scheme}://127.0.0.1:{unused.getsockname()[1]}/", 1)
    assert result["answers"] is False
    assert "refused" in result["error"]


def keepalived_with(state: str, effective: int) -> dict[str, Any]:
    """What the module says about a Keepalived with one instance."""
    return {"active": True, "instances": [{"state": state, "priority": 250, "effective_priority": effective}]}


@pytest.mark.parametrize(
    ("keepalived", "haproxy", "ready"),
    [
        (keepalived_with("MASTER", 250), {"answering": True, "version": "3.0"}, True),
        (keepalived_with("BACKUP", 250), {"answering": True, "version": "3.0"}, True),
        (keepalived_with("BACKUP", 250), {"answering": False, "version": ""}, True),
        (keepalived_with("BACKUP", 250), {"answering": False, "version": "3.0"}, False),
        (keepalived_with("BACKUP", 150), {"answering": True, "version": "3.0"}, False),
        (keepalived_with("FAULT", 250), {"answering": True, "version": "3.0"}, False),
        ({"active": True, "instances": []}, {"answering": True, "version": "3.0"}, False),
        ({**keepalived_with("BACKUP", 250), "active": False}, {"answering": True, "version": "3.0"}, False),
    ],
)
def test_ready(keepalived: dict[str, Any], haproxy: dict[str, Any], ready: bool) -> None:
    assert lb_status.is_ready(keepalived, haproxy) is ready


def test_the_version_is_the_one_of_the_program_that_has_the_packages_place(tmp_path: Path) -> None:
    built = tmp_path / "built"
    built.write_text("#!/bin/sh\necho 'HAProxy version 3.0.11-abc 2025/06/02 - https://haproxy.org/'\n", encoding="utf-8")
    built.chmod(0o755)
    program = tmp_path / "haproxy"
    assert lb_status.haproxy_version("2.6.12-1", str(program)) == "2.6.12-1"
    program.symlink_to(built)
    assert lb_status.haproxy_version("2.6.12-1", str(program)) == "3.0.11-abc"
    program.unlink()
    program.symlink_to(tmp_path / "missing")
    assert lb_status.haproxy_version("2.6.12-1", str(program)) == "2.6.12-1"
