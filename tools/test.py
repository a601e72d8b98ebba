# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every test, from the linters to Molecule, and say where the time went.

Stops at the first step that fails. Molecule's scenarios need the lab's names, so a running lab ends here; they are free again afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAB = str(ROOT / "molecule" / "shared" / "lab.sh")

# Each step: its name and the arguments of make. The quick ones first.
STEPS: list[tuple[str, list[str]]] = [
    ("lint", ["lint"]),
    ("unit", ["unit"]),
    ("sanity", ["sanity"]),
    ("build", ["build"]),
    ("molecule default, Debian 13", ["molecule", "SCENARIO=default", "DEBIAN=13"]),
    ("molecule default, Debian 12", ["molecule", "SCENARIO=default", "DEBIAN=12"]),
    ("molecule refusal, mixed", ["molecule", "SCENARIO=refusal", "DEBIAN=mixed"]),
    ("molecule lifecycle, mixed", ["molecule", "SCENARIO=lifecycle", "DEBIAN=mixed"]),
]


def main() -> int:
    """Run the steps in order and print a table of their times.

    :return: 0 if all passed, 1 if one failed.
    """
    subprocess.run([LAB, "take-down"], check=True)
    times: list[tuple[str, float, bool]] = []
    for name, arguments in STEPS:
        print(f"\n=== {name}", flush=True)
        started = time.monotonic()
        passed = subprocess.run(["make", "--no-print-directory", *arguments], cwd=ROOT, check=False).returncode == 0
        times.append((name, time.monotonic() - started, passed))
        if not passed:
            break
    if not all(passed for (name, seconds, passed) in times) and os.environ.get("CI"):
        subprocess.run([LAB, "down"], check=False)
    print("\n=== where the time went")
    for name, seconds, passed in times:
        print(f"  {seconds:7.1f} s  {'passed' if passed else 'FAILED'}  {name}")
    print(f"  {sum(seconds for (name, seconds, passed) in times):7.1f} s  in all")
    failed = sum(not passed for *_name, passed in times)
    print(f"{len(times) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
