# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.haproxy_files: maps, ACL files and error files as files beside HAProxy's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_files import files
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import plain

DOCUMENTATION = r"""
name: haproxy_files
author: hitless.lb contributors
version_added: 1.0.0
short_description: List the maps, ACL files and error files of HAProxy's data model
description:
  - A file keeps its path whatever is in it, because HAProxy's runtime socket knows a map by its path. Written in one set with the configuration,
    it is seen by the checker and by the service as a whole.
  - Lines of the model name a file with C(@map:NAME@), C(@acl:NAME@) or C(@errorfile:NAME@), see P(hitless.lb.haproxy_sections#filter).
positional: _input
options:
  _input:
    description: The model, as P(hitless.lb.haproxy_sections#filter) takes it. C(maps), C(acl_files) and C(error_files) are used.
    type: dict
    required: true
raises:
  - AnsibleFilterError for input that isn't a dictionary.
seealso:
  - plugin: hitless.lb.haproxy_sections
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show where a map goes
  ansible.builtin.debug:
    msg: "{{ {'maps': [{'name': 'tenants', 'entries': {'a.example.com': 'a'}}]} | hitless.lb.haproxy_files }}"
"""

RETURN = r"""
_value:
  description: Files as M(hitless.lb.service_config) takes them.
  type: list
  elements: dict
"""


def haproxy_files(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the files.

    :raises AnsibleFilterError: input that isn't a dictionary.
    """
    if not isinstance(model, Mapping):
        raise AnsibleFilterError(f"haproxy_files takes a dictionary, not {type(model).__name__}")
    return files(plain(model))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"haproxy_files": haproxy_files}
