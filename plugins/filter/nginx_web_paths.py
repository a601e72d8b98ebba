# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.nginx_web_paths: the certificates that the role nginx_web has to look for on the node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._nginx_web import looked_for

DOCUMENTATION = r"""
name: nginx_web_paths
author: hitless.lb contributors
version_added: 1.0.0
short_description: List the certificates that the role nginx_web has to look for on the node
description:
  - Returns the paths of certificate and key of the role P(hitless.lb.nginx_web#role), those that were given or the one that a
    self-signed certificate has.
  - It never complains; variables that can't be used are for P(hitless.lb.nginx_web_plan#filter) to refuse.
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
  own:
    description: Names and addresses of the node itself, for a self-signed certificate.
    type: list
    elements: str
    required: true
seealso:
  - plugin: hitless.lb.nginx_web_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Which certificates would be used
  ansible.builtin.debug:
    msg: "{{ {'nginx_web_listeners': [{'port': 443, 'tls': true}]} | hitless.lb.nginx_web_paths(spec, ['web1']) }}"
"""

RETURN = r"""
_value:
  description: Absolute paths, each once.
  type: list
  elements: str
"""


def nginx_web_paths(variables: Mapping[str, Any], spec: Mapping[str, Any], own: Sequence[str]) -> list[str]:
    """List the paths of certificate and key."""
    return looked_for(variables, spec, own)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"nginx_web_paths": nginx_web_paths}
