# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.rsyslog_plan: the role rsyslog's variables, checked and laid out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._rsyslog import plan

DOCUMENTATION = r"""
name: rsyslog_plan
author: hitless.lb contributors
version_added: 1.0.0
short_description: Check the variables of the role rsyslog and lay them out
description:
  - Checks every variable of the role P(hitless.lb.rsyslog#role) against its argument specification, against the others, and against
    what was found on the node (who holds the port).
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
"""

EXAMPLES = r"""
- name: Look whether the variables of the role can be used
  ansible.builtin.debug:
    msg: "{{ {'rsyslog_input': 'unix'} | hitless.lb.rsyslog_plan(spec, node) }}"
"""

RETURN = r"""
_value:
  description: Input, streams, directives for logrotate, raw lines and probes.
  type: dict
"""


def rsyslog_plan(variables: Mapping[str, Any], spec: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Check the variables and lay them out.

    :raises AnsibleFilterError: all findings at once.
    """
    return plan(variables, spec, node)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"rsyslog_plan": rsyslog_plan}
