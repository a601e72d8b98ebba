# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program with a time limit, away from the signals that the terminal sends."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t
from dataclasses import dataclass

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

TIMED_OUT = 124
NOT_FOUND = 127


@dataclass(frozen=True)
class Outcome:
    """How a program ended and what it said."""

    rc: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Everything it said, errors first."""
        return "\n".join(part.strip() for part in (self.stderr, self.stdout) if part.strip())


def environment(extra: t.Mapping[str, str] | None = None) -> dict[str, str]:
    """A plain environment: messages in English, the usual search path."""
    result = {
        "PATH": SEARCH_PATH,
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "C",
        "HOME": "/root",
        "SYSTEMD_PAGER": "",
        "SYSTEMD_COLORS": "0",
    }
    result.update(extra or {})
    return result


def find_program(name: str) -> str | None:
    """Where a program is; None when there is none."""
    candidates = [name] if os.sep in name else [os.path.join(folder, name) for folder in SEARCH_PATH.split(":")]
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return None


def run(
    argv: t.Sequence[str],
    timeout: float = 60.0,
    extra: t.Mapping[str, str] | None = None,
    cwd: str = "/",
    account: tuple[int, int] | None = None,
) -> Outcome:
    """Run a program to its end. A missing program is 127, one that takes too long is killed and is 124.

    ``account`` is the user and the group that it runs as, without any other group.
    """
    program = find_program(argv[0])
    if program is None:
        return Outcome(NOT_FOUND, "", f"{argv[0]}: not found")
    try:
        process = subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(extra),
            cwd=cwd,
            start_new_session=True,
            user=account[0] if account else None,
            group=account[1] if account else None,
            # Only root can give groups up, and only root has another account.
            extra_groups=[] if account and os.geteuid() == 0 else None,
            umask=0o022 if account else -1,
        )
    except OSError as error:
        return Outcome(NOT_FOUND, "", f"{program}: {error.strerror}")
    try:
        stdout, stderr = process.communicate(timeout=timeout)
        rc = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        stderr += f"\n{argv[0]} was stopped after {timeout:g} seconds".encode()
        rc = TIMED_OUT
    return Outcome(rc, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace"))
