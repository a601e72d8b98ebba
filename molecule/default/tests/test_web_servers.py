# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server goes away and comes back, under a stream of requests."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from testing import lab

FAULTS: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "nginx stopped": (
        lambda: lab.run("web1", "systemctl stop nginx"),
        lambda: lab.run("web1", "systemctl start nginx"),
    ),
    "the whole container stopped": (lambda: lab.docker("stop", "-t", "20", "web1"), lambda: lab.docker("start", "web1")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lost_web_server_costs_nothing_after_its_detection(fault: str) -> None:
    inject, heal = FAULTS[fault]
    try:
        with lab.stream() as requests:
            inject()
            lab.wait_for("web1 shown down", lambda: lab.web_state("web1").startswith("DOWN"))
            down = time.time()
            lab.wait_for("requests after the detection", lambda: time.time() > down + 3)
            lab.exactly_one_owner()
            before_heal = time.time()
            heal()
            lab.wait_for("web1 shown up again", lambda: lab.web_state("web1") == "UP")
            up = time.time()
            lab.wait_for("requests after the recovery", lambda: time.time() > up + 2)
    finally:
        heal()
    assert requests.lost_between(down) == [], requests.summary()
    between = {a.server for a in requests.answers if a.good and down <= a.start <= before_heal}
    assert between == {"web2"}
    assert requests.servers_after(up + 1) == {"web1", "web2"}
    assert lab.exactly_one_owner() == "lb1"
