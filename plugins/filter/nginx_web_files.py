# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.nginx_web_files: certificates that were given as text, as files of a web server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._nginx_web import given_files
from ansible_collections.hitless.lb.plugins.plugin_utils._role_options import Findings, typed

DOCUMENTATION = r"""
name: nginx_web_files
author: hitless.lb contributors
version_added: 1.0.0
short_description: List certificates that were given as text as files of the role nginx_web
description:
  - Returns a file for every certificate with its key, and for every authority of clients' certificates, that the variables of the role
    P(hitless.lb.nginx_web#role) give as text and a listener uses.
  - A file's name has the hash of its content, so that a configuration never meets a certificate that isn't its own.
  - It takes good values for granted; P(hitless.lb.nginx_web_plan#filter) tells bad ones.
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
seealso:
  - plugin: hitless.lb.nginx_web_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show where the certificates go
  ansible.builtin.debug:
    msg: "{{ variables | hitless.lb.nginx_web_files(spec) | map(attribute='path') }}"
"""

RETURN = r"""
_value:
  description: Files as M(hitless.lb.service_config) takes them.
  type: list
  elements: dict
"""


def nginx_web_files(variables: Mapping[str, Any], spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List certificates and authorities as files."""
    return given_files(typed(variables, spec, Findings()))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"nginx_web_files": nginx_web_files}
