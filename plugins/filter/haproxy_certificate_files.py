# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.haproxy_certificate_files: certificates and what belongs to them, as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import plain
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_tls import Refused, files

DOCUMENTATION = r"""
name: haproxy_certificate_files
author: hitless.lb contributors
version_added: 1.0.0
short_description: List the files in which HAProxy finds its certificates
description:
  - Certificates with their keys, CA certificates, revocation lists, lists of certificates, Diffie-Hellman parameters, and what HAProxy tells of the days
    that certificates last.
  - The file of a certificate keeps its name. It says how the running HAProxy is told a new content, so that no reload is needed for one.
  - Keys are written without a passphrase, into files that nobody but root reads. HAProxy reads them before it gives up root's rights.
positional: _input
options:
  _input:
    description: The model, as P(hitless.lb.haproxy_validate#filter) takes it.
    type: dict
    required: true
raises:
  - AnsibleFilterError for a certificate that can't be read; P(hitless.lb.haproxy_validate#filter) tells everything that is wrong.
seealso:
  - plugin: hitless.lb.haproxy_validate
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show where the certificates go
  ansible.builtin.debug:
    msg: "{{ {'certificates': haproxy_certificates} | hitless.lb.haproxy_certificate_files | map(attribute='path') }}"
"""

RETURN = r"""
_value:
  description: Files as M(hitless.lb.service_config) takes them.
  type: list
  elements: dict
"""


def haproxy_certificate_files(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List certificates and what belongs to them as files.

    :raises AnsibleFilterError: input that isn't a dictionary, or a certificate that can't be read.
    """
    if not isinstance(model, Mapping):
        raise AnsibleFilterError(f"haproxy_certificate_files takes a dictionary, not {type(model).__name__}")
    try:
        return files(plain(model))
    except Refused as refused:
        raise AnsibleFilterError(str(refused)) from None


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"haproxy_certificate_files": haproxy_certificate_files}
