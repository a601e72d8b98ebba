# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.haproxy_sections: HAProxy's data model as the lines of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import complete, plain
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_render import render

DOCUMENTATION = r"""
name: haproxy_sections
author: hitless.lb contributors
version_added: 1.0.0
short_description: Write HAProxy's data model as sections of its configuration
description:
  - Fills in what the role takes for granted (see the role P(hitless.lb.haproxy#role)) and writes every value in HAProxy's words. A template has only to
    lay the lines out.
  - The time grows with the number of values and no faster.
  - It takes good values for granted; P(hitless.lb.haproxy_validate#filter) tells bad ones.
positional: _input
options:
  _input:
    description:
      - The model. Its keys are C(global), C(defaults), C(frontends), C(backends), C(listen), C(servers), C(http_port), C(check), C(monitor), C(stats),
        C(certificates), C(ca_files), C(crl_files), C(crt_lists), C(dh_parameters), C(tls_profile), C(tls_legacy), C(log), C(named_defaults), C(peers),
        C(peer) (C(nodes), C(address), C(port)), C(resolvers), C(userlists), C(caches), C(http_errors), C(maps), C(acl_files), C(error_files),
        C(rate_limit), C(raw), and those of the ready-made service's TLS (C(tls), C(https_port), C(tls_crt) and so on), with the values of the role's
        variables of those names, and C(controller_texts), what P(hitless.lb.controller_texts#lookup) found of them. All may be missing.
    type: dict
    required: true
  node:
    description: What M(hitless.lb.node_info) returned of the node. C(ipv6) and C(packages) are used.
    type: dict
    default: {}
raises:
  - AnsibleFilterError for input that isn't a dictionary.
seealso:
  - plugin: hitless.lb.haproxy_validate
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the configuration for two servers
  ansible.builtin.debug:
    msg: "{{ {'servers': servers} | hitless.lb.haproxy_sections({'ipv6': true}) }}"
  vars:
    servers:
      - {name: web1, address: 192.0.2.21, port: 80}
      - {name: web2, address: 192.0.2.22, port: 80}
"""

RETURN = r"""
_value:
  description: The sections in the order in which they are written.
  type: list
  elements: dict
  contains:
    name:
      description: The section's first line, such as V(backend web from http). Empty for lines that bring their own sections.
      type: str
    lines:
      description: The lines below it, without indentation.
      type: list
      elements: str
"""


def haproxy_sections(model: Mapping[str, Any], node: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Write the model as sections.

    :raises AnsibleFilterError: input that isn't a dictionary.
    """
    if not isinstance(model, Mapping):
        raise AnsibleFilterError(f"haproxy_sections takes a dictionary, not {type(model).__name__}")
    return render(complete(plain(model), plain(node or {})))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"haproxy_sections": haproxy_sections}
