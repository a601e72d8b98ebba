# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a service, asked of real sockets."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.hitless.lb.plugins.module_utils import _probe
from ansible_collections.hitless.lb.plugins.module_utils._probe import Probe


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/down" else 200)
        self.end_headers()
        self.wfile.write(f"host {self.headers['Host']} path {self.path}\n".encode())

    def log_request(self, *_arguments: t.Any) -> None:
        """The base class writes to standard error."""


@pytest.fixture
def web() -> t.Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def closed() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_tcp(web: str, closed: str) -> None:
    assert Probe("tcp", web).ask().ok
    answer = Probe("tcp", closed).ask()
    assert (answer.ok, answer.reached) == (False, False) and "refused" in answer.detail


def test_http(web: str, closed: str) -> None:
    assert Probe("http", f"http://{web}/x?y=1", host="www.example.com", expect="^host www.example.com path /x.y=1$").ask().ok
    assert Probe("http", f"http://{web}", expect=f"host {web} path /$").ask().ok
    assert Probe("http", f"http://{web}/down", status=(200, 503)).ask().ok
    answer = Probe("http", f"http://{web}/down").ask()
    assert (answer.ok, answer.reached, answer.detail) == (False, True, "answered 503, not 200")
    answer = Probe("http", f"http://{web}/", expect="nonsense").ask()
    assert (answer.ok, answer.reached) == (False, True)
    assert not Probe("http", f"http://{closed}/").ask().reached
    assert not Probe("http", f"https://{web}/").ask().ok


def test_something_else_than_http_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-x\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        answer = Probe("http", f"http://127.0.0.1:{server.getsockname()[1]}/").ask()
    assert not answer.ok and answer.detail


def test_a_silent_service_takes_no_longer_than_the_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        begin = time.monotonic()
        assert not Probe("http", f"http://127.0.0.1:{server.getsockname()[1]}/").ask(limit=0.2).ok
        assert time.monotonic() - begin < 1


def test_unix(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "s"
    probe = Probe("unix", str(path), send="show env X", expect="^X=1$")
    assert not probe.ask().reached
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            for _number in range(3):
                connection, _address = server.accept()
                with connection:
                    if connection.recv(100) == b"show env X\n":
                        connection.sendall(b"A=0\nX=1\n\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert Probe("unix", str(path)).ask().ok
        assert probe.ask().ok
        answer = Probe("unix", str(path), send="show env X", expect="^X=2$").ask()
        thread.join()
    assert (answer.ok, answer.reached) == (False, True)


def test_udp_bound(closed: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert Probe("udp_bound", address).ask().ok
    answer = Probe("udp_bound", address).ask()
    assert (answer.ok, answer.reached) == (False, False)


@pytest.mark.parametrize(
    ("found", "asked", "bound"),
    [("127.0.0.1", "127.0.0.1", True), ("0.0.0.0", "127.0.0.1", True), ("::", "::1", True), ("10.0.0.1", "127.0.0.1", False)],
)
def test_a_wildcard_is_bound_for_every_address(found: str, asked: str, bound: bool) -> None:
    assert _probe.is_bound([(found, 514, "1")], asked, 514) is bound
    assert _probe.is_bound([(found, 514, "1")], asked, 515) is False


def test_command() -> None:
    assert Probe("command", argv=("echo", "hello"), expect="^hello$").ask().ok
    assert Probe("command", argv=("echo", "hello"), expect="^bye$").ask().reached
    answer = Probe("command", argv=("sh", "-c", "echo sad; exit 4")).ask()
    assert (answer.ok, answer.detail) == (False, "ended with 4: sad")
    assert not Probe("command", argv=("no-such-program",)).ask().ok


def test_a_probe_survives_json() -> None:
    for probe in (
        Probe("tcp", "127.0.0.1:1"),
        Probe("http", "http://x/", host="h", status=(200, 204), expect="e"),
        Probe("unix", "/s", send="x", expect="y", running=True),
        Probe("udp_bound", "[::1]:514"),
        Probe("command", argv=("a", "b")),
    ):
        assert Probe.from_dict(probe.to_dict()) == probe


@pytest.mark.parametrize("raw", ["127.0.0.1:80", "[::1]:80", "localhost:8080"])
def test_good_addresses(raw: str) -> None:
    assert Probe("tcp", raw).problem() is None


@pytest.mark.parametrize("raw", ["127.0.0.1", "::1:80", ":80", "x:0", "x:65536", "x:y", ""])
def test_bad_addresses(raw: str) -> None:
    assert "isn't ADDRESS:PORT" in str(Probe("tcp", raw).problem())


@pytest.mark.parametrize("raw", ["127.0.0.1:80", "ftp://x/", "http:///x", "http://x:99999/"])
def test_bad_urls(raw: str) -> None:
    assert "isn't a URL" in str(Probe("http", raw).problem())


def test_bad_expressions() -> None:
    assert "isn't a regular expression" in str(Probe("command", argv=("x",), expect="(").problem())


def test_descendants_are_told_apart_by_their_start() -> None:
    before = _probe.descendants(os.getpid())
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as process:
        until = time.monotonic() + 10
        while len(new := _probe.descendants(os.getpid()) - before) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        assert process.pid in {pid for pid, _start in new} and len(new) == 2
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
    assert _probe.descendants(os.getpid()) - before == set()
