# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.nginx_web_plan: the role nginx_web's variables, checked and laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.utils.display import Display

from ansible_collections.hitless.lb.plugins.plugin_utils._nginx_web import plan

DOCUMENTATION = r"""
name: nginx_web_plan
author: hitless.lb contributors
version_added: 1.0.0
short_description: Check the variables of the role nginx_web and lay them out
description:
  - Checks every variable of the role P(hitless.lb.nginx_web#role) against its argument specification, against the others, and
    against what was found on the node (who holds the ports, whether there is IPv6, which certificates exist).
  - Returns what the role's templates and tasks need, or fails with everything that is wrong at once.
positional: _input
options:
  _input:
    description: The role's variables by name.
    type: dict
    required: true
  spec:
    description: The options of the role's argument specification.
    type: dict
    required: true
  node:
    description: What M(hitless.lb.node_info) returned.
    type: dict
    required: true
  own:
    description: Names and addresses of the node itself, for a self-signed certificate.
    type: list
    elements: str
    required: true
  now:
    description: The time as seconds since 1970, in place of the present.
    type: float
"""

EXAMPLES = r"""
- name: Look whether the variables of the role can be used
  ansible.builtin.debug:
    msg: "{{ {'nginx_web_listeners': [{'port': 80}]} | hitless.lb.nginx_web_plan(spec, node, ['web1']) }}"
"""

RETURN = r"""
_value:
  description: Directives of the site, certificate and probes.
  type: dict
"""


def nginx_web_plan(
    variables: Mapping[str, Any], spec: Mapping[str, Any], node: Mapping[str, Any], own: Sequence[str], now: float | None = None
) -> dict[str, Any]:
    """Check the variables and lay them out.

    :raises AnsibleFilterError: all findings at once.
    """
    result = plan(variables, spec, node, own, now)
    for warning in result["warnings"]:
        Display().warning(warning)
    return result


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"nginx_web_plan": nginx_web_plan}
