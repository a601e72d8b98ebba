# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The members of a group, from inventory variables alone."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.filter.lb_members import lb_members


def test_the_address_comes_from_lb_address_then_ansible_host_then_the_name() -> None:
    hostvars: dict[str, dict[str, Any]] = {
        "a": {"lb_address": "192.0.2.1", "ansible_host": "a.example.org"},
        "b": {"ansible_host": "192.0.2.2"},
        "192.0.2.3": {},
    }
    assert [m["address"] for m in lb_members(hostvars, hostvars)] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_the_order_is_the_callers() -> None:
    hostvars = {"z": {"lb_address": "192.0.2.9"}, "a": {"lb_address": "192.0.2.1"}}
    assert [m["name"] for m in lb_members(["z", "a"], hostvars)] == ["z", "a"]


HOSTVARS: dict[str, dict[str, Any]] = {
    "a": {"lb_address": "192.0.2.1", "lb_address6": "2001:db8::1", "lb_priority": 200, "lb_server_port": 8081},
    "b": {"lb_address": "192.0.2.2"},
}


def test_a_load_balancer_has_its_ipv6_address_and_its_priority() -> None:
    assert lb_members(["a", "b"], HOSTVARS) == [
        {"name": "a", "address": "192.0.2.1", "address6": "2001:db8::1", "priority": 200},
        {"name": "b", "address": "192.0.2.2"},
    ]


def test_a_server_has_a_port() -> None:
    assert lb_members(["a", "b"], HOSTVARS, port=80) == [
        {"name": "a", "address": "192.0.2.1", "port": 8081},
        {"name": "b", "address": "192.0.2.2", "port": 80},
    ]


def test_a_name_that_is_no_address_is_refused() -> None:
    with pytest.raises(AnsibleFilterError) as error:
        lb_members(["lb1"], {"lb1": {"ansible_host": "lb1.example.org"}})
    assert str(error.value) == (
        "host lb1: its address is 'lb1.example.org', which is no IP address; give the host lb_address (for example lb_address: 192.0.2.11)"
    )


def test_a_shared_address_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match=r"hosts a and b have the same address 192\.0\.2\.1"):
        lb_members(["a", "b"], {"a": {"lb_address": "192.0.2.1"}, "b": {"lb_address": "192.0.2.1"}})
