# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every template, rendered from the unit tests' fixtures, is accepted by the real checkers of this release."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from testing import lab


def test_the_products_own_checkers_accept_every_fixture() -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MOLECULE", "ANSIBLE", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n2", "-m", "checker", "-v", "tests/unit/roles"],
        cwd=lab.PROJECT,
        env=clean | {"HITLESS_CHECKERS": "lb1,web1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    # pytest is content with nothing to do: each checker has to have read something, in the lab.
    seen = set(re.findall(r"PASSED .*[\[-](\w+) [\d.]+ (?:lb1|web1)\b", done.stdout))
    assert seen == {"haproxy", "keepalived", "nginx", "rsyslogd", "logrotate"}, done.stdout
