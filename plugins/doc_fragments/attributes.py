# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of all modules says in the same words."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of a module; it adds what it supports in check and diff mode."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return what it would return otherwise.
  diff_mode:
    description: Returns details on what has changed.
  idempotent:
    description: Running it twice in a row changes nothing the second time.
    support: full
  platform:
    description: Where it runs.
    support: full
    platforms: debian
"""
