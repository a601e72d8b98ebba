# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input ends in a message that names the variable and says what to write; files, services, the virtual IP and traffic stay as they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from testing import lab

UNITS = {"lb1": ("haproxy", "keepalived", "rsyslog"), "lb2": ("haproxy", "keepalived", "rsyslog")} | dict.fromkeys(
    lab.WEB_SERVERS, ("nginx",)
)
FILES = "/etc/haproxy /etc/keepalived /etc/nginx /etc/rsyslog.d /etc/rsyslog.conf /etc/logrotate.d /etc/default /etc/systemd/system /etc/sysctl.d"


@pytest.fixture(scope="module", autouse=True)
def requests() -> Iterator[lab.Stream]:
    """A stream of requests through the virtual IP for as long as bad input is tried: not one may be lost."""
    lab.wait_at_home(60)
    with lab.stream(rate=20, seconds=900) as running:
        yield running
    assert running.lost == [], running.summary()
    assert len(running.answers) > 100


def fingerprint() -> dict[str, Any]:
    """Everything that a refused run must leave alone."""
    return {
        name: (
            lab.run(name, f"find {FILES} -type f -exec stat -c '%n %a %U %Y' {{}} + -exec sha256sum {{}} + 2>/dev/null | sort"),
            lab.run(name, "systemctl show -p MainPID -p ActiveState -p ExecMainStartTimestampMonotonic " + " ".join(units)),
            lab.run(name, "ls -A /var/lib/hitless/*"),
        )
        for name, units in UNITS.items()
    }


@dataclass(frozen=True)
class Case:
    """One bad input and the words that its refusal must have."""

    variables: dict[str, Any]
    words: tuple[str, ...]


def instance(**keys: Any) -> dict[str, Any]:
    """Give a VRRP instance that is good but for the keys given."""
    return {"name": "VI_1", "virtual_router_id": 51, "virtual_ipaddress": [lab.VIP]} | keys


def service(**backend: Any) -> dict[str, Any]:
    """Give a frontend and a backend that are good but for the backend's keys given."""
    return {
        "haproxy_frontends": [{"name": "http", "bind": [{"address": "*", "port": 8080}], "default_backend": "web"}],
        "haproxy_backends": [{"name": "web", "server": [{"name": "web1", "address": "198.51.100.21", "port": 80}]} | backend],
    }


CASES: dict[str, Case] = {
    "no VIP given": Case({"lb_vip": ""}, ("keepalived_virtual_ipaddress", "lb_vip")),
    "a VIP outside the interface's subnet": Case({"lb_vip": "198.18.7.7"}, ("198.18.7.7", "198.51.100.0/24")),
    "a VIP that is no address": Case({"lb_vip": "198.51.100.300"}, ("198.51.100.300",)),
    "a VIP that answers from elsewhere": Case({"lb_vip": "198.51.100.41"}, ("198.51.100.41", "answers")),
    "a VIP that is a node's own address": Case({"lb_vip": "198.51.100.12"}, ("198.51.100.12",)),
    "a router id used twice": Case(
        {"keepalived_vrrp_instances": [instance(), instance(name="VI_2", virtual_ipaddress=["198.51.100.101"])]},
        ("virtual_router_id", "51", "VI_1"),
    ),
    "a router id out of range": Case({"keepalived_virtual_router_id": 256}, ("virtual_router_id", "256", "255")),
    "an interface that doesn't exist": Case({"keepalived_interface": "eth9"}, ("keepalived_interface", "eth9", "eth0")),
    "a port that another program holds": Case(
        {"haproxy_frontends": [{"name": "http", "bind": [{"address": "*", "port": 22}], "default_backend": "web"}]},
        ("haproxy_frontends", "22", "sshd"),
    ),
    "a weight that can never cause a failover": Case(
        {"keepalived_check": {"type": "http", "weight": -5}}, ("keepalived_check", "weight", "-5")
    ),
    "equal priorities": Case({"lb_priority": 150}, ("priority", "150")),
    "a node's own address among its peers": Case(
        {
            "keepalived_vrrp_instances": [
                instance(
                    priority=230,
                    unicast_peer=[
                        {"address": lab.ADDRESSES[name], "priority": 250 - 10 * rank} for rank, name in enumerate(lab.LOAD_BALANCERS)
                    ],
                )
            ]
        },
        ("unicast_peer", "own"),
    ),
    "fewer than two load balancers": Case({"lb_hosts": "lb1"}, ("lb_allow_single",)),
    "track_process in a container": Case(
        {"keepalived_track_processes": [{"name": "p", "process": "haproxy"}]}, ("keepalived_track_processes", "container")
    ),
    "a wrong type": Case({"haproxy_frontends": "everything"}, ("haproxy_frontends", "list")),
    "an unknown key": Case({"haproxy_backends": [{"name": "web", "balanse": "roundrobin"}]}, ("haproxy_backends", "balanse")),
    "a missing secret": Case({"haproxy_stats_enabled": True, "lb_stats_user": "", "lb_stats_password": ""}, ("haproxy_stats_password",)),
    "a backend without servers": Case(service(server=[]), ("haproxy_backends", "web", "servers")),
    "a backend that isn't defined": Case(
        service() | {"haproxy_frontends": [{"name": "http", "bind": [{"address": "*", "port": 8080}], "default_backend": "wep"}]},
        ("wep", "web"),
    ),
    "a line of haproxy.cfg that its checker rejects": Case(service(raw=["nonsense here"]), ("nonsense", "haproxy_backends")),
    "a line of keepalived.conf that its checker rejects": Case({"keepalived_raw": ["nonsense_here"]}, ("nonsense_here", "keepalived_raw")),
    "a line of nginx's site that its checker rejects": Case(
        {"nginx_web_server_raw": ["nonsense here;"]}, ("nonsense", "nginx_web_server_raw")
    ),
    "a site that passes nginx's checker and then doesn't answer": Case(
        {"nginx_web_server_raw": ["return 503;"]}, ("nginx_web_server_raw", "503")
    ),
    "a service that passes its checker and then doesn't start": Case(
        {"haproxy_global": {"raw": ["maxconn 40000000"]}}, ("haproxy_global",)
    ),
}


@pytest.fixture(scope="module")
def known() -> list[dict[str, Any]]:
    """The hosts as they are before a case: as the one before left them."""
    return [fingerprint()]


@pytest.mark.parametrize("what", CASES)
def test_refused_and_nothing_touched(what: str, known: list[dict[str, Any]]) -> None:
    case = CASES[what]
    before = known[-1]
    play = lab.playbook("site.yml", "--diff", variables=case.variables)
    known.append(fingerprint())
    assert play.rc != 0, play.output
    for word in case.words:
        assert word in play.output, f"{word!r} is missing in:\n{play.output}"
    assert lab.stats_password() not in play.output
    assert known[-1] == before
    assert lab.exactly_one_owner(5) == "lb1"
