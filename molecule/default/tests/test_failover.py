# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The owner of the virtual IP falls ill in every way that the default set-up answers to, under a stream of requests."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from testing import lab

Action = Callable[[], object]


def haproxy_processes(signal: str) -> Action:
    """Send a signal to HAProxy's master and workers on lb1, all at once."""
    return lambda: lab.run("lb1", f"systemctl kill --kill-whom=all --signal={signal} haproxy")


FAULTS: dict[str, tuple[Action, Action]] = {
    "HAProxy stopped": (
        lambda: lab.run("lb1", "systemctl stop haproxy"),
        lambda: lab.run("lb1", "systemctl start haproxy"),
    ),
    "HAProxy frozen": (haproxy_processes("SIGSTOP"), haproxy_processes("SIGCONT")),
    "Keepalived stopped": (
        lambda: lab.run("lb1", "systemctl stop keepalived"),
        lambda: lab.run("lb1", "systemctl start keepalived"),
    ),
    "the whole container frozen": (lambda: lab.docker("pause", "lb1"), lambda: lab.docker("unpause", "lb1", check=False)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_virtual_ip_moves_and_comes_home(fault: str) -> None:
    inject, heal = FAULTS[fault]
    standby = lab.mac_of("lb2")
    try:
        with lab.stream() as requests:
            began = time.time()
            inject()
            lab.wait_for(
                "the client served by lb2",
                lambda: lab.mac_of_vip() == standby and bool(lab.greeting()),
            )
            moved = time.time()
            # A frozen node may still hold the address: only those that can be asked count, and the client's own view.
            lab.wait_for("lb2 the one owner that can be asked", lambda: lab.owners() == ["lb2"])
            lab.wait_for("service from lb2 for a while", lambda: time.time() > moved + 2)
            healed = time.time()
            heal()
            lab.wait_at_home()
            home = time.time()
            lab.wait_for("service at home for a while", lambda: time.time() > home + 2)
    finally:
        heal()
    print(f"{fault}: moved within {moved - began:.1f} s, home {home - healed:.1f} s after the healing")
    assert requests.lost_between(moved + 0.5, healed - 0.1) == [], requests.summary()
    assert requests.lost_between(home + 0.5) == [], requests.summary()
    assert home - healed <= 10 + 5, "home within 10 s (and room for a busy machine) of both nodes being healthy"
    assert lab.exactly_one_owner() == "lb1"
    assert lab.mac_of_vip() == lab.mac_of("lb1")


def test_haproxy_killed_service_goes_on() -> None:
    with lab.stream() as requests:
        haproxy_processes("SIGKILL")()
        killed = time.time()
        lab.wait_for("an answer through the virtual IP", lambda: bool(lab.greeting()))
        served = time.time()
        lab.wait_at_home()
        lab.wait_for("requests after the recovery", lambda: time.time() > served + 4)
    # systemd is back first or the VIP moves, and then comes home: either way the service goes on.
    assert served - killed < 5
    assert requests.lost_between(killed + 5) == [], requests.summary()
    assert lab.exactly_one_owner() == "lb1"


def test_keepalived_killed_leaves_one_owner() -> None:
    with lab.stream() as requests:
        lab.run("lb1", "systemctl kill --kill-whom=all --signal=SIGKILL keepalived")
        killed = time.time()
        lab.wait_at_home()
        home = time.time()
        lab.wait_for("requests after the recovery", lambda: time.time() > home + 2)
    assert requests.lost_between(killed + 5) == [], requests.summary()
    assert lab.exactly_one_owner() == "lb1"


@pytest.mark.parametrize("names", [("lb1",), ("lb2",), ("web1",), ("lb1", "lb2")], ids="+".join)
def test_a_reboot_needs_nobodys_help(names: tuple[str, ...]) -> None:
    for name in names:
        lab.docker("stop", "-t", "20", name)
    for name in names:
        lab.docker("start", name)
    lab.wait_at_home(60)
    lab.wait_for("both web servers up", lambda: (lab.web_state("web1"), lab.web_state("web2")) == ("UP", "UP"))
    assert lab.exactly_one_owner() == "lb1"
    for name in names:
        lab.wait_for("all units up", lambda name=name: lab.node(name).run("systemctl is-system-running").stdout.strip() == "running")
    lab.wait_for("answers from both", lambda: {lab.greeting() for number in range(4)} == {"web1", "web2"})


def test_vrrp_blocked_is_reported_by_status_and_site() -> None:
    block = "nft add table inet lab_block; nft 'add chain inet lab_block input { type filter hook input priority 0; }'"
    try:
        for name in lab.LOAD_BALANCERS:
            lab.run(name, f"{block}; nft add rule inet lab_block input ip protocol 112 drop")
        lab.wait_for("two owners, as neither hears the other", lambda: lab.owners() == ["lb1", "lb2"])
        for play in (lab.playbook("playbooks/status.yml"), lab.playbook("site.yml", variables={"lb_status_attempts": 3})):
            assert play.rc != 0, play.output
            assert "lb1" in play.output and "lb2" in play.output
            assert "VRRP" in play.output and "112" in play.output, play.output
            assert "nft " in play.output and "ufw " in play.output and "firewall-cmd " in play.output, play.output
            assert sum(play.changed.values()) == 0, play.output
    finally:
        for name in lab.LOAD_BALANCERS:
            lab.run(name, "nft delete table inet lab_block || true")
    lab.wait_at_home()
    assert lab.exactly_one_owner() == "lb1"
    healed = lab.playbook("playbooks/status.yml")
    assert healed.rc == 0, healed.output
