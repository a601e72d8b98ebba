# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all unit tests share: they test this checkout, and give the same answer every time."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

import ansible_collections.hitless.lb

ROOT = Path(__file__).resolve().parents[2]

# Two slow cores are no finding, and a red test has to be red for the next person, too.
hypothesis.settings.register_profile("checkout", deadline=None, derandomize=True, print_blob=False)
hypothesis.settings.load_profile("checkout")


def pytest_configure() -> None:
    """Stop when `ansible_collections.hitless.lb` is somebody else's copy: its tests would say nothing about this one."""
    found = [Path(path).resolve() for path in ansible_collections.hitless.lb.__path__]
    if found[:1] != [ROOT]:
        raise pytest.UsageError(f"hitless.lb is imported from {found}, not from {ROOT}; run: PYTHONPATH=.collections pytest")


@pytest.fixture(scope="session")
def collection_root() -> Path:
    """The root of the checkout."""
    return ROOT
