# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.lb_members: the members of an inventory group as data for the roles."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: lb_members
author: hitless.lb contributors
version_added: 1.0.0
short_description: List hosts with the addresses that the inventory gives them
description:
  - Builds the lists that the roles work on (the load balancers, the web servers) from host names and inventory variables alone.
    Neither facts nor the hosts of the current play are asked, so C(--limit) and C(serial) can't shrink the result.
  - The address of a host is its C(lb_address); without it C(ansible_host); without that its name. It must be an IP address.
positional: _input
options:
  _input:
    description: Names of hosts, in the order that counts (the first load balancer is the home of the virtual IP).
    type: list
    elements: str
    required: true
  hostvars:
    description: Ansible's C(hostvars).
    type: dict
    required: true
  port:
    description:
      - Give every member this port (1 to 65535), unless its host has an C(lb_server_port) of its own. For servers of a backend.
      - Without it the members have no port, but C(address6) and C(priority). For load balancers.
    type: int
raises:
  - AnsibleFilterError for a host whose address isn't an IP address, and for two hosts with the same address.
"""

EXAMPLES = r"""
- name: The load balancers, in inventory order
  ansible.builtin.debug:
    msg: "{{ ['lb1', 'lb2'] | hitless.lb.lb_members(hostvars) }}"
    # [{"name": "lb1", "address": "192.0.2.11"}, {"name": "lb2", "address": "192.0.2.12"}]
"""

RETURN = r"""
_value:
  description: One dictionary a host, in the order given.
  type: list
  elements: dict
  contains:
    name:
      description: The host's name.
      type: str
    address:
      description: Its IP address.
      type: str
    address6:
      description: Its IPv6 address, where the host has C(lb_address6) and no port was asked for.
      type: str
    priority:
      description: Its VRRP priority, where the host has C(lb_priority) and no port was asked for.
      type: int
    port:
      description: Its port, when O(port) was given.
      type: int
"""


def lb_members(names: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]], port: int | None = None) -> list[dict[str, Any]]:
    """List hosts as ``{name, address}``, from inventory variables alone.

    :raises AnsibleFilterError: an address that isn't one, or that two hosts share.
    """
    members: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for name in names:
        host = hostvars[name]
        address = str(host.get("lb_address") or host.get("ansible_host") or name)
        try:
            address = str(ipaddress.ip_address(address))
        except ValueError:
            raise AnsibleFilterError(
                f"host {name}: its address is {address!r}, which is no IP address;"
                f" give the host lb_address (for example lb_address: 192.0.2.11)"
            ) from None
        if address in seen:
            raise AnsibleFilterError(f"hosts {seen[address]} and {name} have the same address {address}; give each its own lb_address")
        seen[address] = name
        member: dict[str, Any] = {"name": str(name), "address": address}
        if port is not None:
            member["port"] = int(host.get("lb_server_port") or port)
        else:
            for key, variable in (("address6", "lb_address6"), ("priority", "lb_priority")):
                if host.get(variable) is not None:
                    member[key] = host[variable]
        members.append(member)
    return members


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"lb_members": lb_members}
