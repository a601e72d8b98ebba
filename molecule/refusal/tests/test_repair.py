# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that somebody broke by hand, or whose last run was killed half way, is repaired by a run with good values."""

from __future__ import annotations

import subprocess

import pytest
from testing import lab

# What somebody did, on which nodes: (node, unit, command). What lies on different nodes, or in different roles, is repaired by one run.
BROKEN_BY_HAND = {
    "haproxy.cfg, and nginx stopped and its site gone": (
        ("lb2", "haproxy", "echo garbage > /etc/haproxy/haproxy.cfg; systemctl restart haproxy || true"),
        ("web2", "nginx", "rm /etc/nginx/conf.d/hitless.conf; systemctl stop nginx"),
    ),
    "keepalived.conf, and rsyslog's file": (
        ("lb2", "keepalived", "echo garbage > /etc/keepalived/keepalived.conf; systemctl restart --no-block keepalived"),
        ("lb2", "rsyslog", "for f in /etc/rsyslog.d/*hitless*; do echo 'garbage(' > $f; done; systemctl restart rsyslog || true"),
    ),
    "keepalived.conf removed, and nginx's site": (
        ("lb2", "keepalived", "rm /etc/keepalived/keepalived.conf; systemctl stop keepalived"),
        ("web2", "nginx", "for f in /etc/nginx/conf.d/*hitless*; do echo garbage > $f; done; systemctl restart nginx || true"),
    ),
    "a unit disabled": (("lb2", "haproxy", "systemctl disable --now haproxy"),),
    "the owner's haproxy.cfg": (("lb1", "haproxy", "echo garbage > /etc/haproxy/haproxy.cfg; systemctl restart haproxy || true"),),
}


@pytest.mark.parametrize("what", BROKEN_BY_HAND)
def test_broken_by_hand(what: str) -> None:
    lab.wait_at_home(60)
    with lab.stream(rate=20) as requests:
        for name, _unit, command in BROKEN_BY_HAND[what]:
            lab.run(name, command)
        lab.wait_for("the service through the virtual IP", lambda: bool(lab.greeting()))
        play = lab.playbook("site.yml")
        assert play.rc == 0, play.output
        assert all(play.changed[name] > 0 for name, _unit, _command in BROKEN_BY_HAND[what]), play.output
        lab.wait_at_home()
    for name, unit, _command in BROKEN_BY_HAND[what]:
        service = lab.node(name).service(unit)
        assert service.is_running and service.is_enabled, unit
    if what != "the owner's haproxy.cfg":
        assert requests.lost == [], requests.summary()


def test_a_run_killed_half_way() -> None:
    lab.wait_at_home(60)
    good = lab.run("lb2", "cat /etc/haproxy/haproxy.cfg")
    # Kills the module on the node as soon as it has begun to swap files in: its undo journal is there.
    trap = (
        "while [ $SECONDS -lt 90 ]; do"
        " if [ -e /var/lib/hitless/haproxy/journal.json ]; then pkill -KILL -x python3; echo caught; exit 0; fi;"
        " done; echo missed"
    )
    with lab.stream(rate=20) as requests:
        catcher = subprocess.Popen(["docker", "exec", "lb2", "bash", "-c", trap], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        killed = lab.playbook("site.yml", "--limit", "lb2", variables={"lb_http_port": 8081})
        output, errors = catcher.communicate(timeout=120)
        assert "caught" in output, errors
        assert killed.rc != 0, killed.output
        play = lab.playbook("site.yml")
        assert play.rc == 0, play.output
    assert requests.lost == [], requests.summary()
    assert lab.run("lb2", "cat /etc/haproxy/haproxy.cfg") == good
    assert "Greeting" in lab.curl(f"http://{lab.ADDRESSES['lb2']}:8080/healthz")
    again = lab.playbook("site.yml")
    assert again.rc == 0 and sum(again.changed.values()) == 0, again.output
