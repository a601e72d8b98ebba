# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs with a time limit."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome, find_program, run


def test_what_it_says_and_how_it_ends() -> None:
    outcome = run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert outcome == Outcome(3, "out\n", "err\n")
    assert outcome.output == "err\nout"


def test_plain_english_and_no_input() -> None:
    assert run(["sh", "-c", 'echo "$LC_ALL $MARK"; cat'], extra={"MARK": "x"}).stdout == "C.UTF-8 x\n"


def test_a_missing_program(tmp_path: Path) -> None:
    assert run(["no-such-program"]).rc == 127
    plain = tmp_path / "plain"
    plain.write_text("")
    assert find_program(str(plain)) is None
    plain.chmod(0o755)
    assert find_program(str(plain)) == str(plain)
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    assert run([str(broken)]).rc == 127


def test_a_time_limit_ends_its_children_too() -> None:
    begin = time.monotonic()
    outcome = run(["sh", "-c", "echo begun; sleep 50 & sleep 50"], timeout=0.3)
    assert time.monotonic() - begin < 5
    assert outcome.rc == 124 and outcome.stdout == "begun\n" and "stopped after 0.3 seconds" in outcome.stderr


def test_it_is_away_from_our_signals() -> None:
    assert int(run(["sh", "-c", "ps -o sid= -p $$ 2>/dev/null || cut -d' ' -f6 /proc/$$/stat"]).stdout) != os.getsid(0)


def test_another_account_and_folder(tmp_path: Path) -> None:
    # Only root can be somebody else.
    account = (os.getuid(), os.getgid()) if os.getuid() else (65534, 65534)
    outcome = run(["sh", "-c", "id -u; id -g; pwd; umask"], cwd=str(tmp_path), account=account)
    assert outcome.stdout.split() == [str(account[0]), str(account[1]), str(tmp_path), "0022"], outcome.output
