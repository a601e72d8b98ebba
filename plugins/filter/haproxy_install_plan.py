# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.haproxy_install_plan: where HAProxy's program comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_install import plan
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import plain

DOCUMENTATION = r"""
name: haproxy_install_plan
author: hitless.lb contributors
version_added: 1.0.0
short_description: Where HAProxy's program comes from
description:
  - Reads the options of the role P(hitless.lb.haproxy#role) that say how HAProxy is installed, refuses what can't be meant, and returns what the role's
    tasks need.
  - A tarball that lies on the controller is opened, so that a wrong sum, and a feature that its version doesn't have, are refused before any node is
    touched.
positional: _input
options:
  _input:
    description: C(method), C(repository) and C(source), as the role's options C(haproxy_install_method), C(haproxy_repository) and C(haproxy_source) have
      them, and C(state).
    type: dict
    required: true
raises:
  - AnsibleFilterError with one line for each thing that is wrong.
seealso:
  - plugin: hitless.lb.haproxy_validate
    plugin_type: filter
  - module: hitless.lb.haproxy_build
  - module: hitless.lb.apt_source
"""

EXAMPLES = r"""
- name: Show which version a tarball has
  ansible.builtin.debug:
    msg: "{{ (options | hitless.lb.haproxy_install_plan).version }}"
  vars:
    options:
      method: source
      source:
        tarball: /srv/files/haproxy-3.0.11.tar.gz
        sha256: 3a17f8d3e5e3b5a4ff6e5a1a0d7d4a8d9a9cbfa4f7b3c1f0e2d6b5a4c3d2e1f0
"""

RETURN = r"""
_value:
  description:
    - C(method); C(version), empty where only the node can tell it; C(binary), the program that a build makes.
    - With C(method=source) also C(source) with the tarball, the words for make, the packages that the build needs and the folder of the result.
    - With C(method=repository) also C(repository) with all its values filled in and the key as text.
  type: dict
"""


def haproxy_install_plan(options: Mapping[str, Any]) -> dict[str, Any]:
    """Say where HAProxy comes from.

    :raises AnsibleFilterError: all findings, one a line.
    """
    if not isinstance(options, Mapping):
        raise AnsibleFilterError(f"haproxy_install_plan takes a dictionary, not {type(options).__name__}")
    result, findings = plan(plain(options))
    if findings:
        count = "1 thing" if len(findings) == 1 else f"{len(findings)} things"
        lines = "\n".join(f"- {finding}" for finding in findings)
        raise AnsibleFilterError(f"HAProxy was left alone: {count} to correct.\n{lines}")
    return result


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"haproxy_install_plan": haproxy_install_plan}
