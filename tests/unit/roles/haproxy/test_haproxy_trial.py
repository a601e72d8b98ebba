# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trial start, as far as it goes without root's rights: what it reads out of a configuration, and the ports."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[4] / "roles" / "haproxy" / "files" / "haproxy-trial.py"
CONFIG = "global\n    stats socket /run/haproxy/admin.sock mode 660\nfrontend x\n    bind *:80\n"


@pytest.fixture(scope="module", name="trial")
def the_script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("haproxy_trial", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folders_of_sockets(trial: ModuleType, tmp_path: Path) -> None:
    config = (
        f"    stats socket {tmp_path}/a.sock mode 660\n    bind unix@{tmp_path}/b.sock\n    bind *:80\n    bind {tmp_path}/missing/c.sock\n"
    )
    assert trial.socket_folders(config) == [str(tmp_path)]


@pytest.mark.parametrize("path", ["/x.sock", "/etc/haproxy/x.sock", "/etc/haproxy/certs/x.sock", "/dev/x.sock"])
def test_a_folder_that_haproxy_needs_is_never_covered(trial: ModuleType, path: str) -> None:
    with pytest.raises(trial.CannotTell):
        trial.socket_folders(f"    bind {path}\n")


@pytest.mark.parametrize(
    ("line", "needs"),
    [
        ("    bind *:80 interface eth0 ssl", True),
        ("    bind fd@3", True),
        ("    bind 127.0.0.1:80,quic4@:443 ssl", True),
        ("    unix-bind prefix /srv", True),
        ("    bind *:80 name interface", False),
        ("    server a 192.0.2.1:80 source 0.0.0.0 interface eth0", False),
        ("    # bind *:80 interface eth0", False),
    ],
)
def test_what_only_the_node_has(trial: ModuleType, line: str, needs: bool) -> None:
    assert bool(trial.NEEDS_NODE.search(CONFIG + line + "\n")) is needs


def test_the_kernels_tables(trial: ModuleType) -> None:
    table = (
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:20D4 00000000:0000 0A 00000000:00000000\n"
        "   1: 0B0200C0:0050 0C0200C0:A000 01 00000000:00000000\n"
    )
    assert trial.addresses(table, socket.AF_INET) == [(socket.AF_INET, "127.0.0.1", 8404)]
    table = "  sl\n   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0\n"
    assert trial.addresses(table, socket.AF_INET6) == [(socket.AF_INET6, "::1", 8080)]


def test_the_own_sockets_are_in_the_kernels_tables(trial: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert (socket.AF_INET, "127.0.0.1", server.getsockname()[1]) in trial.addresses(
            Path("/proc/self/net/tcp").read_text(encoding="ascii"), socket.AF_INET
        )


def test_a_port_that_is_held(trial: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert trial.try_ports([(socket.AF_INET, "127.0.0.1", port)], foreign=False) == [
            f"port {port} at 127.0.0.1 can't be bound: Address already in use"
        ]


def test_a_port_that_haproxy_itself_holds(trial: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as server:
        assert trial.try_ports([(socket.AF_INET, "127.0.0.1", server.getsockname()[1])], foreign=False) == []


def test_an_address_of_another_node(trial: ModuleType) -> None:
    listeners = [(socket.AF_INET, "192.0.2.123", 0)]
    assert trial.try_ports(listeners, foreign=True) == []
    if Path("/proc/sys/net/ipv4/ip_nonlocal_bind").read_text(encoding="ascii").strip() == "0":
        assert trial.try_ports(listeners, foreign=False) == ["port 0 at 192.0.2.123 can't be bound: Cannot assign requested address"]


@pytest.mark.parametrize("how", ["no namespaces", "no haproxy", "needs the node"])
def test_what_cannot_be_found_out_is_no_refusal(
    trial: ModuleType, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG.replace("*:80", "*:80 interface eth0 name x") if how == "needs the node" else CONFIG, encoding="utf-8")

    def refuse(*_arguments: object) -> None:
        raise OSError(1, "unshare: Operation not permitted")

    if how == "no namespaces":
        monkeypatch.setattr(trial, "call", refuse)
    if how == "no haproxy":
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(trial, "call", lambda *_arguments: None)
        monkeypatch.setattr(trial, "seclude", lambda _folders: None)
    trial.main([str(config), "1024"])
    assert capsys.readouterr().out.startswith("no trial: ")


def test_haproxys_words_are_passed_on(trial: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG, encoding="utf-8")
    fake = tmp_path / "haproxy"
    fake.write_text("#!/bin/sh\necho '[NOTICE] x'\necho '[ALERT] Cannot chroot' >&2\nexit 1\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(trial, "call", lambda *_arguments: None)
    monkeypatch.setattr(trial, "seclude", lambda _folders: None)
    with pytest.raises(SystemExit) as error:
        trial.main([str(config), "1024"])
    assert str(error.value) == "HAProxy didn't come up in a trial start: [ALERT] Cannot chroot"


def test_the_program_can_be_another_one(trial: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG, encoding="utf-8")
    fake = tmp_path / "built"
    fake.write_text("#!/bin/sh\necho '[ALERT] I am the other one' >&2\nexit 1\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setattr(trial, "call", lambda *_arguments: None)
    monkeypatch.setattr(trial, "seclude", lambda _folders: None)
    with pytest.raises(SystemExit, match="I am the other one"):
        trial.main([str(config), "1024", "foreign", str(fake)])


def test_a_file_that_is_not_there() -> None:
    result = subprocess.run([sys.executable, str(SCRIPT), "/nonexistent/haproxy.cfg", "1024"], capture_output=True, text=True, check=False)
    assert result.returncode == 1 and "No such file or directory" in result.stderr and "Traceback" not in result.stderr
