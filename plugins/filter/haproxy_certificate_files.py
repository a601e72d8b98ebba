# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.haproxy_certificate_files: certificates as files whose names change with the content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import plain
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_render import certificate_path

DOCUMENTATION = r"""
name: haproxy_certificate_files
author: hitless.lb contributors
version_added: 1.0.0
short_description: List the files in which HAProxy finds its certificates
description:
  - A file's name has the hash of its content, so that a configuration never meets a certificate that isn't its own.
  - The files belong to root and nobody else reads them. HAProxy reads them before it gives up root's rights.
positional: _input
options:
  _input:
    description: Certificates with C(name) and C(pem) (certificate, chain and private key in PEM).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show where the certificates go
  ansible.builtin.debug:
    msg: "{{ haproxy_certificates | hitless.lb.haproxy_certificate_files | map(attribute='path') }}"
"""

RETURN = r"""
_value:
  description: Files as M(hitless.lb.service_config) takes them.
  type: list
  elements: dict
"""


def haproxy_certificate_files(certificates: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """List certificates as files."""
    return [
        {
            "path": certificate_path(str(certificate["name"]), str(certificate["pem"])),
            "content": str(certificate["pem"]).rstrip("\n") + "\n",
            "owner": "root",
            "group": "root",
            "mode": "0600",
            "sensitive": True,
        }
        for certificate in plain(list(certificates))
    ]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"haproxy_certificate_files": haproxy_certificate_files}
