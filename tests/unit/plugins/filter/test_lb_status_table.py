# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter lb_status_table: the table, and every problem in the words that a user reads."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.filter.lb_status_table import FilterModule, lb_status_table

VIP = "192.0.2.100"


def server(name: str, status: str = "UP", check: str = "L7OK", backend: str = "web") -> dict[str, str]:
    """A server of a backend."""
    return {"backend": backend, "server": name, "status": status, "check_status": check, "address": "192.0.2.21:80"}


def node(number: int, owns: bool) -> dict[str, Any]:
    """A load balancer that is well."""
    priority = 260 - 10 * number
    return {
        "owned": {VIP: owns},
        "ready": True,
        "configured": True,
        "hostname": f"lb{number}",
        "vips": {VIP: {"interface": "eth0", "address": f"192.0.2.1{number}", "mac": f"02:42:00:00:00:0{number}"}},
        "neighbors": {VIP: "local" if owns else "02:42:00:00:00:01"},
        "keepalived": {
            "active": True,
            "answering": True,
            "version": "1:2.3.3-1",
            "instances": [
                {
                    "name": "vip",
                    "state": "MASTER" if owns else "BACKUP",
                    "priority": priority,
                    "effective_priority": priority,
                    "virtual_router_id": 51,
                    "interface": "eth0",
                    "vips": [VIP],
                    "master_priority": 0 if owns else 250,
                    "advert_interval": 0.05,
                }
            ],
        },
        "haproxy": {"active": True, "answering": True, "version": "3.0.11-1+deb13u5", "backends": [server("web1"), server("web2")]},
        "urls": {f"http://{VIP}/healthz": {"answers": True, "status": 200, "error": "", "seconds": 0.002}},
    }


@pytest.fixture
def well() -> dict[str, Any]:
    """A pair that is well."""
    return copy.deepcopy({"lb1": node(1, True), "lb2": node(2, False)})


def test_it_is_registered() -> None:
    assert FilterModule().filters() == {"lb_status_table": lb_status_table}


def test_a_pair_that_is_well(well: dict[str, Any]) -> None:
    result = lb_status_table(well)
    assert result["problems"] == []
    assert result["configured"] is True
    assert result["owners"] == {VIP: ["lb1"]}
    assert result["table"] == [
        "node  owns         Keepalived        priority  HAProxy",
        "lb1   192.0.2.100  2.3.3 vip MASTER  250       3.0.11 answers",
        "lb2   -            2.3.3 vip BACKUP  240       3.0.11 answers",
        "",
        "backend/server  lb1  lb2",
        "web/web1        UP   UP",
        "web/web2        UP   UP",
    ]


def test_a_server_that_is_down_is_no_problem_while_another_is_up(well: dict[str, Any]) -> None:
    well["lb1"]["haproxy"]["backends"][0] = server("web1", "DOWN", "L4CON")
    result = lb_status_table(well)
    assert result["problems"] == []
    assert "web/web1        DOWN (L4CON)  UP" in result["table"]


def test_a_lowered_priority_is_shown(well: dict[str, Any]) -> None:
    well["lb2"]["keepalived"]["instances"][0]["effective_priority"] = 140
    assert "140 (of 240)" in lb_status_table(well)["table"][2]


def test_two_owners_name_the_cause_and_the_lines_that_help(well: dict[str, Any]) -> None:
    well["lb2"] = node(2, True)
    (problem,) = lb_status_table(well)["problems"]
    assert problem.splitlines() == [
        "192.0.2.100 has 2 owners: lb1 and lb2. They don't hear each other: most likely VRRP (IP protocol 112) is blocked between"
        " lb1 (192.0.2.11) and lb2 (192.0.2.12). Let it through:",
        "  on lb1, with nftables: nft insert rule inet filter input ip saddr 192.0.2.12 meta l4proto 112 accept"
        " (the names of your table and chain may differ)",
        "  on lb1, with ufw: ufw allow proto vrrp from 192.0.2.12",
        '  on lb1, with firewalld: firewall-cmd --permanent --add-rich-rule=\'rule family="ipv4" source address="192.0.2.12"'
        ' protocol value="vrrp" accept\' && firewall-cmd --reload',
        "  on lb2, with nftables: nft insert rule inet filter input ip saddr 192.0.2.11 meta l4proto 112 accept"
        " (the names of your table and chain may differ)",
        "  on lb2, with ufw: ufw allow proto vrrp from 192.0.2.11",
        '  on lb2, with firewalld: firewall-cmd --permanent --add-rich-rule=\'rule family="ipv4" source address="192.0.2.11"'
        ' protocol value="vrrp" accept\' && firewall-cmd --reload',
    ]


def test_ipv6_lines_are_ipv6s(well: dict[str, Any]) -> None:
    vip = "2001:db8::100"
    for number, host in enumerate(well, start=1):
        well[host]["owned"] = {vip: True}
        well[host]["vips"] = {vip: {"interface": "eth0", "address": f"2001:db8::1{number}", "mac": ""}}
        well[host]["keepalived"]["instances"][0]["vips"] = [vip]
    (problem,) = lb_status_table(well)["problems"]
    assert "inet filter input ip6 saddr 2001:db8::12 meta l4proto 112 accept" in problem
    assert 'family="ipv6" source address="2001:db8::12"' in problem


def test_an_owner_whose_keepalived_is_dead_is_told_to_start_it(well: dict[str, Any]) -> None:
    well["lb2"] = node(2, True)
    well["lb1"]["keepalived"].update(active=False, answering=False, instances=[])
    problems = lb_status_table(well)["problems"]
    assert problems == [
        "192.0.2.100 has 2 owners: lb1 and lb2. Keepalived doesn't run on lb1, which still has the address: start it there"
        " (systemctl restart keepalived), and it clears it.",
        "Keepalived doesn't run on lb1: journalctl -u keepalived says why, and the site playbook repairs it.",
    ]


def test_no_owner(well: dict[str, Any]) -> None:
    well["lb1"]["owned"] = {VIP: False}
    well["lb1"]["neighbors"] = {VIP: None}
    well["lb2"]["neighbors"] = {VIP: "02:00:00:00:00:99"}
    (problem,) = lb_status_table(well)["problems"]
    assert problem == (
        "192.0.2.100 has no owner: no VRRP instance of these nodes has it, or none of them has won the election yet; look at"
        " /var/log/keepalived.log. Another host answers for it: 02:00:00:00:00:99."
    )


def test_no_owner_because_of_fault(well: dict[str, Any]) -> None:
    for number, host in enumerate(well, start=1):
        well[host] = node(number, False)
        well[host]["neighbors"] = {VIP: None}
        well[host]["keepalived"]["instances"][0]["state"] = "FAULT"
    problems = lb_status_table(well)["problems"]
    assert (
        problems[0]
        == "192.0.2.100 has no owner: its VRRP instance is in FAULT on lb1 and lb2; a check, or an interface that it tracks, is down there."
    )
    assert problems[1] == "The VRRP instance vip is in state FAULT on lb1: /var/log/keepalived.log says why."


def test_no_owner_because_keepalived_is_stopped(well: dict[str, Any]) -> None:
    for number, host in enumerate(well, start=1):
        well[host] = node(number, False)
        well[host]["neighbors"] = {}
        well[host]["keepalived"].update(active=False, answering=False, instances=[])
    assert lb_status_table(well)["problems"][0] == (
        "192.0.2.100 has no owner: Keepalived doesn't run on lb1 and lb2; journalctl -u keepalived on that node says why."
    )


@pytest.mark.parametrize(
    ("haproxy", "why"),
    [
        ({"active": True, "answering": False, "version": "3.0.11-1"}, "is frozen or has no runtime socket"),
        ({"active": False, "answering": False, "version": "3.0.11-1"}, "doesn't run"),
        ({"active": False, "answering": False, "version": ""}, "isn't installed"),
    ],
)
def test_haproxy_that_doesnt_answer(well: dict[str, Any], haproxy: dict[str, Any], why: str) -> None:
    well["lb2"]["haproxy"] = {**haproxy, "backends": []}
    assert lb_status_table(well)["problems"] == [f"HAProxy doesn't answer on lb2: it {why}; systemctl status haproxy."]


@pytest.mark.parametrize(
    ("keepalived", "problem"),
    [
        ({"active": False, "answering": False, "version": ""}, "Keepalived isn't installed on lb2: run the site playbook."),
        (
            {"active": True, "answering": False, "version": "2.3.3"},
            "Keepalived doesn't answer on lb2: it is frozen or has just been started; systemctl restart keepalived.",
        ),
    ],
)
def test_keepalived_that_isnt_well(well: dict[str, Any], keepalived: dict[str, Any], problem: str) -> None:
    well["lb2"]["keepalived"] = {**keepalived, "instances": []}
    assert lb_status_table(well)["problems"] == [problem]


def test_a_backend_without_a_server_that_is_up(well: dict[str, Any]) -> None:
    well["lb1"]["haproxy"]["backends"] = [server("web1", "DOWN", "L4CON"), server("web2", "MAINT", ""), server("api1", backend="api")]
    assert lb_status_table(well)["problems"] == [
        "All servers of the backend web are down, as lb1 sees them (DOWN and MAINT): look at the web servers."
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [({"status": 0, "error": "timed out"}, "timed out"), ({"status": 503, "error": ""}, "status 503")],
)
def test_a_url_that_doesnt_answer(well: dict[str, Any], answer: dict[str, Any], why: str) -> None:
    well["lb2"]["urls"] = {f"http://{VIP}/": {"answers": False, "seconds": 2.0, **answer}}
    assert lb_status_table(well)["problems"] == [f"http://{VIP}/ doesn't answer, asked from lb2: {why}."]


@pytest.mark.parametrize(
    ("lost", "tail"),
    [
        ({"unreachable": True, "msg": "Connection refused"}, ": Connection refused"),
        ({"failed": True, "msg": ""}, "."),
        ({}, "."),
        (None, "."),
    ],
)
def test_a_host_that_cant_be_reached(well: dict[str, Any], lost: Any, tail: str) -> None:
    well["lb2"] = lost
    result = lb_status_table(well)
    assert result["problems"] == [f"lb2 can't be reached, so nobody knows how it is{tail}"]
    assert result["table"][2].startswith("lb2   ?            can't be reached")


def test_hosts_that_nothing_was_done_to_yet_are_not_configured(well: dict[str, Any]) -> None:
    for number, host in enumerate(well, start=1):
        well[host] = node(number, False)
        well[host]["configured"] = False
    assert lb_status_table(well)["configured"] is False


@pytest.mark.parametrize("value", [{}, [], "text"])
def test_what_isnt_a_dictionary_of_hosts_is_refused(value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="needs a dictionary of hosts"):
        lb_status_table(value)
