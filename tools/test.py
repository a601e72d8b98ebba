# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every test, from the linters to Molecule, and say where the time went.

What needs no lab runs to its end, then the scenarios follow up to the first that fails. They need the lab's names, so a running lab ends here;
the names are free again afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAB = str(ROOT / "molecule" / "shared" / "lab.sh")

# Each step: its name and the arguments of make. These need no lab, so two of them run at a time; the longest first.
STATIC: list[tuple[str, list[str]]] = [
    ("sanity", ["sanity"]),
    ("lint", ["lint"]),
    ("unit", ["unit"]),
    ("build", ["build"]),
]
# One at a time: they share the lab's names, and nothing may disturb what they see.
SCENARIOS: list[tuple[str, list[str]]] = [
    ("molecule default, Debian 13", ["molecule", "SCENARIO=default", "DEBIAN=13"]),
    ("molecule default, Debian 12", ["molecule", "SCENARIO=default", "DEBIAN=12"]),
    ("molecule refusal, mixed", ["molecule", "SCENARIO=refusal", "DEBIAN=mixed"]),
    ("molecule tls, mixed", ["molecule", "SCENARIO=tls", "DEBIAN=mixed"]),
    ("molecule install, Debian 13", ["molecule", "SCENARIO=install", "DEBIAN=13"]),
    ("molecule lifecycle, mixed", ["molecule", "SCENARIO=lifecycle", "DEBIAN=mixed"]),
]


@dataclass(frozen=True)
class Outcome:
    """How a step went: its name, its time in s, and whether it passed."""

    name: str
    seconds: float
    passed: bool


def run(step: tuple[str, list[str]], quiet: bool = False) -> Outcome:
    """Run one step.

    :param step: its name and the arguments of make.
    :param quiet: show the output in one piece at its end, as another step runs beside it.
    """
    name, arguments = step
    if not quiet:
        print(f"\n=== {name}", flush=True)
    started = time.monotonic()
    done = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
    )
    seconds = time.monotonic() - started
    if quiet:
        print(f"\n=== {name}\n{done.stdout}", end="", flush=True)
    return Outcome(name, seconds, done.returncode == 0)


def main() -> int:
    """Run the steps and print a table of their times.

    :return: 0 if all passed, 1 if one failed.
    """
    started = time.monotonic()
    subprocess.run([LAB, "take-down"], check=True)
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda step: run(step, quiet=True), STATIC))
    for step in SCENARIOS:
        if not all(outcome.passed for outcome in outcomes):
            break
        outcomes.append(run(step))
    failed = sum(not outcome.passed for outcome in outcomes)
    if failed and os.environ.get("CI"):
        subprocess.run([LAB, "down"], check=False)
    print("\n=== where the time went")
    for outcome in outcomes:
        print(f"  {outcome.seconds:7.1f} s  {'passed' if outcome.passed else 'FAILED'}  {outcome.name}")
    print(f"  {time.monotonic() - started:7.1f} s  in all ({', '.join(name for name, _arguments in STATIC)} two at a time)")
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
