# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.haproxy_validate: everything that is wrong with HAProxy's data model, at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_check import check
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import plain
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_tls import expiry_warnings

DOCUMENTATION = r"""
name: haproxy_validate
author: hitless.lb contributors
version_added: 1.0.0
short_description: Refuse what HAProxy can't work with
description:
  - Looks at the whole data model of the role P(hitless.lb.haproxy#role) and reports everything that is wrong at once, with the variable's name, what was found
    and what to write instead.
  - It finds what C(haproxy -c) accepts although it is wrong (a backend without servers, an address bound twice, missing timeouts, more connections
    than open files), names that lead nowhere (with the nearest existing one) also within rules, rules that are never reached, keywords that the node's
    HAProxy doesn't know, passwords that aren't hashed, line breaks that would smuggle lines in, statistics without a login, a port
    that another program on the node holds, and a package that is too old.
  - Certificates are read, their keys, chains, signatures, dates and names looked at. Of one that expires in less than 21 days it warns.
  - C(raw) lines, and names that HAProxy computes while it runs, are left to HAProxy.
positional: _input
options:
  _input:
    description: The model, as P(hitless.lb.haproxy_sections#filter) takes it; in addition C(limit_nofile), the number of open files that systemd allows,
      and C(ip_nonlocal_bind), whether foreign addresses can be bound.
    type: dict
    required: true
  node:
    description: What M(hitless.lb.node_info) returned of the node. C(ipv6), C(packages), C(units), C(listeners), C(interfaces) and C(sysctls) are used.
    type: dict
    default: {}
raises:
  - AnsibleFilterError with one line for each thing that is wrong.
seealso:
  - plugin: hitless.lb.haproxy_sections
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Refuse what can't work
  ansible.builtin.assert:
    that: model is mapping and model | hitless.lb.haproxy_validate(node)
"""

RETURN = r"""
_value:
  description: True when nothing is wrong.
  type: bool
"""


def haproxy_validate(model: Mapping[str, Any], node: Mapping[str, Any] | None = None) -> bool:
    """Refuse a model that can't work.

    :raises AnsibleFilterError: all findings, one a line.
    """
    if not isinstance(model, Mapping):
        raise AnsibleFilterError(f"haproxy_validate takes a dictionary, not {type(model).__name__}")
    findings = check(plain(model), plain(node or {}))
    if findings:
        count = "1 thing" if len(findings) == 1 else f"{len(findings)} things"
        lines = "\n".join(f"- {finding}" for finding in findings)
        raise AnsibleFilterError(f"HAProxy was left alone: {count} to correct.\n{lines}")
    for warning in expiry_warnings(plain(model)):
        Display().warning(warning)
    return True


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"haproxy_validate": haproxy_validate}
