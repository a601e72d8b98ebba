# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the developer scripts share: where things are, running a command, a clean copy of the tree."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
# The environment that runs this script: its tools, however the script was called.
BIN = Path(sys.executable).parent
ROLES = ("haproxy", "keepalived", "nginx_web", "rsyslog")


class Failure(Exception):
    """Something isn't as it should be; the text says what."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The caller's environment, with this environment's tools first and no colours in captured output."""
    env = dict(os.environ)
    env["PATH"] = f"{BIN}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["ANSIBLE_NOCOLOR"] = "1"
    env["NO_COLOR"] = "1"
    # FORCE_COLOR and NO_COLOR together make several tools complain.
    env.pop("FORCE_COLOR", None)
    env.pop("ANSIBLE_FORCE_COLOR", None)
    env.update(extra or {})
    return env


def run(command: Sequence[str | Path], *, cwd: Path = ROOT, extra: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; on failure raise with its output."""
    argv = [str(part) for part in command]
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise Failure(f"{argv[0]} was not found; call this by make, or with .venv/bin/python") from error
    if done.returncode != 0:
        raise Failure(f"{' '.join(argv)}\n{done.stdout.rstrip()}\n(ended with {done.returncode})")
    return done.stdout


def tree_files() -> list[Path]:
    """The files of the checkout as git would commit them now, relative to its root: tracked, and new ones that aren't ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode != 0:
        raise Failure(f"git can't list the tree: {listed.stderr.decode().strip()}")
    # A file deleted but not yet committed is still listed.
    return sorted(path for name in listed.stdout.decode().split("\0") if name and (path := Path(name)) and (ROOT / path).is_file())


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One run at a time in a folder of .cache: a second one waits, and says so."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{name}: waiting for another run in this checkout to end", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def copy_tree(target: Path) -> int:
    """A clean copy of the tree at `target`, which is made anew; returns the number of files."""
    if target.exists():
        shutil.rmtree(target)
    files = tree_files()
    for path in files:
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, copy, follow_symlinks=False)
    return len(files)


def private_key(content: bytes) -> bool:
    """Whether a file holds a private key: the heading with a body of base64 below, not the heading alone."""
    return re.search(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(?:[A-Za-z-]+: [^\n]*\s+)*(?:[A-Za-z0-9+/=]{60,}\s+)", content) is not None


def step(name: str, action: Callable[[], str]) -> bool:
    """One step: one line when it is good, everything it has to say when it isn't."""
    started = time.monotonic()
    try:
        remark = action()
    except Failure as failure:
        print(f"FAILED {name} ({time.monotonic() - started:.1f} s)\n{failure}", flush=True)
        return False
    print(f"ok     {name} ({time.monotonic() - started:.1f} s){': ' + remark if remark else ''}", flush=True)
    return True


def finish(what: str, good: Sequence[bool]) -> NoReturn:
    """End the script: 0 only if every step was good and there was at least one."""
    if not good or not all(good):
        print(f"{what}: {len(good) - sum(good)} of {len(good)} steps failed", file=sys.stderr)
        raise SystemExit(1)
    raise SystemExit(0)
