# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the products' own checkers are: on this machine, and in the lab's containers that HITLESS_CHECKERS names (lb1,web1).

Scenario `default` sets the variable, so that every fixture meets the checkers of each release that the scenario runs on.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"


@dataclass(frozen=True)
class Checker:
    """A program that reads configuration files, and the container that has it (empty: this machine)."""

    program: str
    container: str
    version: str

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program where it is, with a folder of files under its own path there.

        :param folder: what the program reads; in a container it is there for this run only.
        :param arguments: of the program.
        :return: the result, whatever it is.
        """
        if not self.container:
            return subprocess.run([self.program, *arguments], capture_output=True, text=True, check=False, timeout=60)
        there = shlex.quote(str(folder))
        command = f"mkdir -p {there} && tar -C {there} -xf - && {{ {shlex.join([self.program, *arguments])}; code=$?; rm -rf {there}; exit $code; }}"
        archive = subprocess.run(["tar", "-C", str(folder), "-cf", "-", "."], capture_output=True, check=True, timeout=60).stdout
        done = subprocess.run(
            ["docker", "exec", "-i", self.container, "sh", "-c", command], input=archive, capture_output=True, check=False, timeout=60
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def __str__(self) -> str:
        """Name it as a test's parameter."""
        return f"{Path(self.program).name} {self.version} {self.container}".strip()


def checkers(name: str, version: str = "-v") -> list[Checker]:
    """Find a checker wherever it is installed.

    :param name: of the program.
    :param version: the argument that makes it tell its version.
    :return: none, one, or several.
    """
    here = shutil.which(name, path=PATH)
    found = [Checker(here, "", said([here, version]))] if here else []
    for container in filter(None, os.environ.get("HITLESS_CHECKERS", "").split(",")):
        place = ["docker", "exec", container]
        path = subprocess.run(
            [*place, "sh", "-c", f"PATH={PATH} command -v {name}"], capture_output=True, text=True, check=False
        ).stdout.strip()
        if path:
            found.append(Checker(path, container, said([*place, path, version])))
    return found


def said(command: list[str]) -> str:
    """Give the version that a program tells."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    match = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return match[0] if match else ""
