# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.lb_preload: load the collection's filters and lookups once, for all tasks that follow."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
name: lb_preload
author: hitless.lb contributors
version_added: 1.0.0
short_description: Load this collection's filters and lookups once, for all tasks that follow
description:
  - Passes its input on as it is.
  - Ansible runs each task for each host in a process of its own, a fork of the one that reads the playbook. What a task loads is gone with its
    process, and code of a collection is compiled whenever it is loaded. So every task with a filter pays for it again.
  - The condition of a C(meta) task is evaluated by the process that reads the playbook. What is loaded there, all later tasks inherit.
  - Nothing depends on it but the time that a run takes.
positional: _input
options:
  _input:
    description: Anything.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Load the filters once (false ends nothing)
  ansible.builtin.meta: end_play
  when: false | hitless.lb.lb_preload
"""

RETURN = r"""
_value:
  description: What came in.
  type: raw
"""


def lb_preload(value: Any) -> Any:
    """Import the modules in which this collection has its filters and lookups."""
    plugins = Path(__file__).resolve().parent.parent
    package = __name__.rsplit(".", 2)[0]
    for kind in ("filter", "lookup"):
        for path in sorted((plugins / kind).glob("*.py")):
            importlib.import_module(f"{package}.{kind}.{path.stem}")
    return value


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"lb_preload": lb_preload}
