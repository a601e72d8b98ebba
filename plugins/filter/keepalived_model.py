# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.keepalived_model: the variables of the role keepalived as the blocks of keepalived.conf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived import shape

DOCUMENTATION = r"""
name: keepalived_model
author: hitless.lb contributors
version_added: 1.0.0
short_description: Check the variables of the role keepalived and lay them out for keepalived.conf
description:
  - Derives peers and priorities from the list of load balancers, finds the interface from the node's address, gives IPv4 and IPv6
    addresses an instance each, works out the weight of the check, and puts everything in the order in which keepalived.conf has it.
  - Refuses what Keepalived would refuse, and what it would accept silently although the virtual IP could then never move, never come
    home, or live on two nodes. Everything that is wrong is reported at once.
positional: _input, node
options:
  _input:
    description: The role's variables without their prefix C(keepalived_).
    type: dict
    required: true
  node:
    description: What M(hitless.lb.node_info) said about the node.
    type: dict
    required: true
  neighbors:
    description:
      - For every virtual IP and every peer the MAC that answers for it, as M(hitless.lb.node_info) returns it.
      - A virtual IP that answers from a host that is none of the peers is refused.
    type: dict
    default: {}
raises:
  - AnsibleFilterError with every finding - the variable, what was found, what to write instead.
"""

EXAMPLES = r"""
- name: Work out what keepalived.conf will say
  ansible.builtin.set_fact:
    model: >-
      {{ {'virtual_ipaddress': ['192.0.2.100'],
          'nodes': [{'name': 'lb1', 'address': '192.0.2.11'}, {'name': 'lb2', 'address': '192.0.2.12'}]}
         | hitless.lb.keepalived_model(node) }}
"""

RETURN = r"""
_value:
  description: The model that the role's templates lay out.
  type: dict
  contains:
    blocks:
      description: The blocks of keepalived.conf, each with its header, its lines, the blocks in it and its raw lines.
      type: list
      elements: dict
    raw:
      description: Lines for the end of keepalived.conf.
      type: list
      elements: str
    daemon_args:
      description: The command line of keepalived.
      type: list
      elements: str
    restart_settings:
      description: Lines whose change takes a restart.
      type: list
      elements: str
    start_after:
      description: Units that start before keepalived.
      type: list
      elements: str
    packages:
      description: Packages that the check needs.
      type: list
      elements: str
    script_user:
      description: The user that runs the scripts.
      type: str
    runs:
      description: Which user runs which program.
      type: list
      elements: dict
    instances:
      description: Name, interface and virtual addresses of every instance, and whether a check may put it into the state FAULT.
      type: list
      elements: dict
    addresses:
      description: Every virtual address with its interface, for a keepalived that ended and left it behind.
      type: list
      elements: list
    states:
      description: Names of the instances for the program that looks at their states.
      type: list
      elements: str
    neighbors:
      description: For every interface the addresses whose owner has to be asked for before the configuration is applied.
      type: dict
"""


def keepalived_model(
    inputs: Mapping[str, Any], node: Mapping[str, Any], neighbors: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Turn the role's variables into the model of keepalived.conf.

    :raises AnsibleFilterError: something in them can't work; the message has every finding.
    """
    if not isinstance(inputs, Mapping) or not isinstance(node, Mapping):
        raise AnsibleFilterError("keepalived_model needs a dictionary of variables, and what hitless.lb.node_info returned")
    model, findings = shape({**inputs, "neighbors": neighbors or {}}, node)
    if findings:
        count = "1 value" if len(findings) == 1 else f"{len(findings)} values"
        raise AnsibleFilterError(
            f"{count} for keepalived can't be used, and nothing was changed:\n" + "\n".join(f"- {text}" for text in findings)
        )
    return model


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"keepalived_model": keepalived_model}
