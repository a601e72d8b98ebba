# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at a node, from texts of real ones."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hitless.lb.plugins.module_utils import _node


def test_os_release() -> None:
    text = '# comment\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
    assert _node.parse_os_release(text) == {"id": "debian", "version_id": "13", "codename": "trixie"}
    assert _node.parse_os_release("") == {"id": "", "version_id": "", "codename": ""}


def test_dpkg() -> None:
    text = "haproxy\tinstalled\t3.0.11-1+deb13u1\nnginx\tconfig-files\t1.26.3-3\nkeepalived\tnot-installed\t\n"
    assert _node.parse_dpkg(text) == {"haproxy": "3.0.11-1+deb13u1"}


def test_policy() -> None:
    text = """\
haproxy:
  Installed: (none)
  Candidate: 2.6.12-1+deb12u2
  Version table:
     2.6.12-1+deb12u2 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
nothing:
  Installed: (none)
  Candidate: (none)
"""
    assert _node.parse_policy(text) == {"haproxy": "2.6.12-1+deb12u2", "nothing": None}


def test_addresses() -> None:
    text = """[{"ifname":"lo","flags":["LOOPBACK","UP"],"address":"00:00:00:00:00:00",
      "addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8},{"family":"inet6","local":"::1","prefixlen":128}]},
      {},{"ifname":"eth0","flags":["BROADCAST"],"address":"02:42:c6:12:01:0c","addr_info":[{"family":"inet"}]}]"""
    assert _node.parse_addresses(text) == [
        {
            "name": "lo",
            "up": True,
            "mac": "00:00:00:00:00:00",
            "addresses": [{"address": "127.0.0.1", "prefix": 8, "family": 4}, {"address": "::1", "prefix": 128, "family": 6}],
        },
        {"name": "eth0", "up": False, "mac": "02:42:c6:12:01:0c", "addresses": []},
    ]
    assert _node.parse_addresses("") == []


def as_kernel(address: str) -> str:
    """An address as /proc/net writes it on this machine."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))


@given(st.ip_addresses(), st.integers(0, 65535))
def test_socket_addresses(address: object, port: int) -> None:
    text = socket.inet_ntop(socket.AF_INET6 if ":" in str(address) else socket.AF_INET, address.packed)  # type: ignore[attr-defined]
    assert _node.parse_socket_address(f"{as_kernel(text)}:{port:04X}") == (text, port)


def test_sockets() -> None:
    text = f"""\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: {as_kernel("127.0.0.1")}:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1
   1: {as_kernel("127.0.0.1")}:1F91 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 12 1
   2: {as_kernel("0.0.0.0")}:0202 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 13 1
"""
    assert _node.parse_sockets(text, "tcp") == [("127.0.0.1", 8080, "11")]
    assert _node.parse_sockets(text, "udp") == [("0.0.0.0", 514, "13")]
    assert _node.parse_sockets("", "tcp") == []


def test_listeners_name_their_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        found = _node.listeners()
        for protocol, handle in (("tcp", server), ("udp", datagrams)):
            mine = [entry for entry in found if entry["protocol"] == protocol and entry["port"] == handle.getsockname()[1]]
            assert [(entry["address"], entry["pid"]) for entry in mine] == [("127.0.0.1", os.getpid())]
            assert mine[0]["process"] == Path("/proc/self/comm").read_text().strip()


def test_sysctls(tmp_path: Path) -> None:
    folder = tmp_path / "net" / "ipv4" / "conf" / "eth0.100"
    folder.mkdir(parents=True)
    (folder / "rp_filter").write_text("2\n")
    assert _node.sysctl("net/ipv4/conf/eth0.100/rp_filter", str(tmp_path)) == "2"
    assert _node.sysctl("net.ipv4.conf.eth0.100.rp_filter", str(tmp_path)) is None
    (tmp_path / "net" / "ipv4" / "ip_forward").write_text("0\n")
    assert _node.sysctl("net.ipv4.ip_forward", str(tmp_path)) == "0"
    assert _node.sysctl("net.ipv4", str(tmp_path)) is None


def test_certificates(tmp_path: Path) -> None:
    path = tmp_path / "x.pem"
    assert _node.certificate(str(path)) == {"exists": False, "mtime": None}
    path.write_text("")
    os.utime(path, (5, 7))
    assert _node.certificate(str(path)) == {"exists": True, "mtime": 7}


def test_containers(tmp_path: Path) -> None:
    marker, environment = tmp_path / "marker", tmp_path / "environ"
    marker.write_text("lxc\n")
    assert _node.container_kind(str(marker), str(environment)) == "lxc"
    marker.unlink()
    environment.write_text("PATH=/bin\0container=podman\0")
    assert _node.container_kind(str(marker), str(environment)) == "podman"


def test_arp() -> None:
    own, other = bytes.fromhex("0242c612010c"), bytes.fromhex("0242c612010d")
    request = _node.arp_request(own, "192.0.2.10")
    assert len(request) == 42 and request[:6] == b"\xff" * 6 and request[28:32] == b"\0\0\0\0", "it must claim no address"
    assert _node.parse_arp_reply(request) is None
    reply = own + other + request[12:20] + b"\0\x02" + other + socket.inet_aton("192.0.2.10") + own + b"\0" * 4
    assert _node.parse_arp_reply(reply + b"\0" * 18) == ("192.0.2.10", "02:42:c6:12:01:0d")
    assert _node.parse_arp_reply(reply[:30]) is None
    assert _node.parse_arp_reply(b"\0" * 60) is None


def test_neighbours_of_the_kernel() -> None:
    text = """[{"dst":"192.0.2.1","lladdr":"aa:bb:cc:00:00:01","state":["STALE"]},{"dst":"192.0.2.2","state":["FAILED"]},
      {"dst":"2001:DB8::1","lladdr":"aa:bb:cc:00:00:02","state":["REACHABLE"]},{"dst":"192.0.2.3","lladdr":"x","state":["FAILED"]}]"""
    assert _node.parse_neighbours(text) == {"192.0.2.1": "aa:bb:cc:00:00:01", "2001:db8::1": "aa:bb:cc:00:00:02"}
    assert _node.parse_neighbours("") == {}


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "2001:DB8:0::7"])
def test_an_own_address_is_local_and_not_asked(address: str) -> None:
    link = {
        "name": "eth0",
        "mac": "",
        "addresses": [{"address": "192.0.2.7", "prefix": 24, "family": 4}, {"address": "2001:db8::7", "prefix": 64, "family": 6}],
    }
    assert _node.neighbours([address], "eth0", [link]) == {address: "local"}
