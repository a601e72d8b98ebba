# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test starts and ends with the virtual IP at home, and with a healed lab whatever the test did to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(autouse=True)
def _at_home() -> Iterator[None]:
    from testing import lab

    lab.wait_at_home(60)
    yield
    lab.wait_at_home(60)
