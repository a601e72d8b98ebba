# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.lb_ca_certificates: the certificates that a service of load balancers and web servers needs from its own CA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: lb_ca_certificates
author: hitless.lb contributors
version_added: 1.0.0
short_description: List the certificates that the small CA makes for a service
description:
  - One for the clients of the service (V(lb-site)), one that the load balancers show to the web servers (V(lb-client)), and one for each
    web server (V(server-NAME)), which is good for the names of the service, too, since a web server that ends TLS itself answers to them.
  - The list is what the role P(hitless.lb.haproxy#role) takes with C(tasks_from=ca).
positional: _input
options:
  _input:
    description: The web servers, as P(hitless.lb.lb_members#filter) gives them; none where somebody else manages them.
    type: list
    elements: dict
    required: true
  vips:
    description: The virtual IPs, with or without prefix.
    type: list
    elements: str
    default: []
  names:
    description: More names and addresses by which clients reach the service. The first is the certificate's common name.
    type: list
    elements: str
    default: []
raises:
  - AnsibleFilterError where there is neither a name nor a virtual IP.
"""

EXAMPLES = r"""
- name: Which certificates a service needs
  ansible.builtin.debug:
    msg: "{{ lb_servers | hitless.lb.lb_ca_certificates(['192.0.2.100/24'], ['www.example.com']) }}"
"""

RETURN = r"""
_value:
  description: Certificates with C(name), C(common_name), C(names) and C(usage).
  type: list
  elements: dict
"""


def plain_addresses(vips: Iterable[str]) -> list[str]:
    """Virtual IPs without prefix or device."""
    return [str(vip).split()[0].split("/")[0] for vip in vips]


def lb_ca_certificates(
    servers: Iterable[Mapping[str, Any]], vips: Iterable[str] | None = None, names: Iterable[str] | None = None
) -> list[dict[str, Any]]:
    """List the certificates that a service needs.

    :raises AnsibleFilterError: nobody could call it by any name.
    """
    site = list(dict.fromkeys([*(str(name) for name in names or []), *plain_addresses(vips or [])]))
    if not site:
        raise AnsibleFilterError(
            "lb_names: there is neither a name nor a virtual IP (lb_vip) that a certificate could be made out to; write one"
        )
    result = [
        {"name": "lb-site", "common_name": site[0], "names": site, "usage": "server"},
        {"name": "lb-client", "common_name": "lb-client", "names": [], "usage": "client"},
    ]
    for server in servers:
        name, address = str(server["name"]), str(server["address"])
        own = list(dict.fromkeys([name, address, *site]))
        result.append({"name": f"server-{name}", "common_name": name, "names": own, "usage": "server"})
    return result


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"lb_ca_certificates": lb_ca_certificates}
