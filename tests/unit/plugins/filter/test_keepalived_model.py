# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter keepalived_model: what it returns, and how it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.filter.keepalived_model import FilterModule, keepalived_model

NODE: dict[str, Any] = {
    "hostname": "lb2",
    "container": "docker",
    "ipv6": False,
    "packages": {"keepalived": {"installed": None, "candidate": None}},
    "interfaces": [
        {
            "name": "eth0",
            "up": True,
            "mac": "02:42:00:00:00:0c",
            "addresses": [
                {"address": "192.0.2.12", "prefix": 24, "family": 4},
                {"address": "192.0.2.100", "prefix": 32, "family": 4},
            ],
        }
    ],
}
INPUTS: dict[str, Any] = {
    "virtual_ipaddress": "192.0.2.100, 192.0.2.101",
    "nodes": [{"name": "lb1", "address": "192.0.2.11"}, {"name": "lb2", "address": "192.0.2.12"}],
    "release_version": "2.2.7",
}


def test_it_is_registered() -> None:
    assert FilterModule().filters() == {"keepalived_model": keepalived_model}


def test_the_model_has_what_the_role_uses() -> None:
    model = keepalived_model(INPUTS, NODE)
    assert model["instances"] == [{"name": "vip", "interface": "eth0", "vips": ["192.0.2.100", "192.0.2.101"], "may_fault": False}]
    assert model["states"] == ["vip"]
    assert model["script_user"] == "keepalived_script"
    assert model["addresses"] == [["192.0.2.100/32", "eth0"], ["192.0.2.101/32", "eth0"]]
    assert model["packages"] == []


def test_only_addresses_that_the_node_has_not_are_asked_for() -> None:
    assert keepalived_model(INPUTS, NODE)["neighbors"] == {"eth0": ["192.0.2.101", "192.0.2.11"]}
    assert keepalived_model({**INPUTS, "virtual_ipaddress": ["192.0.2.100"]}, NODE)["neighbors"] == {}


def test_the_release_stands_for_the_package_that_is_not_installed_yet() -> None:
    with pytest.raises(AnsibleFilterError, match=r"Keepalived 2\.2\.7 on this node"):
        keepalived_model({**INPUTS, "check": {"type": "http", "interval": 0.2}}, NODE)


def test_a_check_that_may_end_in_fault_is_allowed_to() -> None:
    assert keepalived_model({**INPUTS, "nopreempt": True}, NODE)["states"] == ["vip:fault"]


def test_every_finding_is_in_the_message() -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        keepalived_model({**INPUTS, "advert_int": 0, "virtual_router_id": 256}, NODE)
    lines = str(caught.value).splitlines()
    assert lines[0] == "2 values for keepalived can't be used, and nothing was changed:"
    assert [line.split(":")[0] for line in lines[1:]] == ["- keepalived_virtual_router_id", "- keepalived_advert_int"]


def test_one_finding_is_one() -> None:
    with pytest.raises(AnsibleFilterError, match=r"^1 value for keepalived can't be used"):
        keepalived_model({**INPUTS, "virtual_router_id": 256}, NODE)


def test_somebody_elses_answer_is_refused() -> None:
    macs = {"192.0.2.101": "02:00:00:00:00:01", "192.0.2.11": "02:42:00:00:00:0b"}
    with pytest.raises(AnsibleFilterError, match=r"192\.0\.2\.101 already answers from elsewhere: 02:00:00:00:00:01"):
        keepalived_model(INPUTS, NODE, neighbors=macs)
    assert keepalived_model(INPUTS, NODE, neighbors={**macs, "192.0.2.101": "02:42:00:00:00:0b"})


@pytest.mark.parametrize(("inputs", "node"), [("text", {}), ({}, ["list"])])
def test_what_isnt_a_dictionary_is_refused(inputs: Any, node: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="needs a dictionary"):
        keepalived_model(inputs, node)
