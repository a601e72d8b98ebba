# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.haproxy_ca_plan: what a small CA on the controller has to make."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import plain
from ansible_collections.hitless.lb.plugins.plugin_utils._small_ca import CaError, paths, plan

DOCUMENTATION = r"""
name: haproxy_ca_plan
author: hitless.lb contributors
version_added: 1.0.0
short_description: Work out what a small CA has to make
description:
  - Compares the certificates that are wanted with those that lie in the CA's directory on the controller.
  - One is made when it is missing, when it lasts less than 30 days, or when its names, its usage or its CA are others.
  - A CA whose key is missing or wrong is refused and never replaced.
positional: _input
options:
  _input:
    description: Certificates with C(name), C(common_name), C(names) and C(usage) (V(server) or V(client)).
    type: list
    elements: dict
    required: true
  directory:
    description: The CA's directory on the controller.
    type: str
    required: true
  texts:
    description: What the lookup P(hitless.lb.controller_texts#lookup) returned. Without it the filter lists the files that have to be read.
    type: dict
raises:
  - AnsibleFilterError with one line for each thing that is wrong.
"""

EXAMPLES = r"""
- name: Show what would be made
  ansible.builtin.debug:
    msg: "{{ wanted | hitless.lb.haproxy_ca_plan(directory, lookup('hitless.lb.controller_texts', wanted | hitless.lb.haproxy_ca_plan(directory))) }}"
  vars:
    directory: /srv/ca
    wanted: [{name: www, common_name: www.example.com, names: [www.example.com], usage: server}]
"""

RETURN = r"""
_value:
  description:
    - With C(texts) a dictionary. C(ca) and each of C(certificates) has C(make) and C(reason), the certificates also what the modules need.
    - Without C(texts) a list of dictionaries, each with C(src).
  type: raw
"""


def haproxy_ca_plan(
    certificates: Sequence[Mapping[str, Any]], directory: str, texts: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Any] | list[dict[str, str]]:
    """Work out what has to be made.

    :raises AnsibleFilterError: everything that is wrong.
    """
    wanted = plain(list(certificates))
    if texts is None:
        return [{"src": path} for path in paths(directory, wanted)]
    try:
        return plan(directory, wanted, plain(texts), time.time())
    except CaError as error:
        raise AnsibleFilterError(f"the CA was left alone:\n{error}") from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"haproxy_ca_plan": haproxy_ca_plan}
