# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test sanity, every test, without an ignore file, on a clean copy of the checkout in .cache/sanity.

tools/sanity.py [TEST …]   all tests, or only those named

ansible-test refuses a link as a collection, so it gets a copy; its own environments are kept in .cache/sanity/home, so a second run is quicker.
"""

from __future__ import annotations

import argparse
import configparser
import importlib.util
import re
import socket
import sys
from pathlib import Path

from common import BIN, CACHE, Failure, alone, copy_tree, finish, run, step

HOME = CACHE / "sanity" / "home"
COLLECTION = CACHE / "sanity" / "ansible_collections" / "hitless" / "lb"
DOWNLOADS = "ci-files.testing.ansible.com"

# What pip says while ansible-test fills its environments, and what is said of every test
CHATTER = re.compile(
    r"\s*(Collecting|Downloading|Installing|Successfully|Looking in|Processing|Attempting|Found existing|Uninstalling|Using cached|Requirement|━"
    r"|Running sanity test|See documentation)"
)

# In place of the pip bootstrap that ansible-test downloads: the one that Python ships.
STAND_IN = '''"""Bootstraps pip by ensurepip, where ansible-test's own download can't be reached."""

import ensurepip
import os
import subprocess
import sys

ensurepip.bootstrap(default_pip=True)
# ensurepip turns pip's configuration off for this process; the installation below needs it.
os.environ.pop("PIP_CONFIG_FILE", None)
# Python's own pip does; another version of it would only cost time.
packages = [argument for argument in sys.argv[1:] if not argument.startswith(("-", "pip=="))]
if packages:
    sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *packages]))
'''


def pip_settings() -> str:
    """pip's settings for ansible-test, which drops every PIP_* variable: the caller's own, and the caller's cache."""
    settings: dict[str, str] = {}
    for line in run([BIN / "pip", "config", "list"]).splitlines():
        name, value = line.split("=", maxsplit=1)
        section, option = name.rsplit(".", maxsplit=1)
        if section in ("global", "install", ":env:"):
            settings[option] = value.strip("'\"")
    settings["cache-dir"] = run([BIN / "pip", "cache", "dir"]).strip()
    parser = configparser.RawConfigParser()
    parser.read_dict({"global": settings})
    target = HOME / ".config" / "pip" / "pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8") as stream:
        parser.write(stream)
    return ""


def pip_bootstrap() -> str:
    """See to it that ansible-test can fill its environments."""
    spec = importlib.util.find_spec("ansible_test")
    if spec is None or not spec.submodule_search_locations:
        raise Failure("ansible-test isn't installed in this environment")
    source = Path(next(iter(spec.submodule_search_locations))) / "_internal" / "python_requirements.py"
    version = re.search(r"pip='([0-9.]+)'", source.read_text(encoding="utf-8"))
    if version is None:
        raise Failure(f"{source} names no version of pip any more: this script has to learn how ansible-test fills its environments now")
    cached = HOME / ".ansible" / "test" / "cache" / f"get_pip_{version[1].replace('.', '_')}.py"
    if cached.exists():
        return "pip's bootstrap is there already"
    try:
        socket.create_connection((DOWNLOADS, 443), timeout=5).close()
    except OSError as error:
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(STAND_IN, encoding="utf-8")
        return f"{DOWNLOADS} can't be reached ({error}): pip comes from Python's ensurepip"
    return f"pip's bootstrap comes from {DOWNLOADS}"


def clean_copy() -> str:
    count = copy_tree(COLLECTION)
    # A repository of its own: ansible-test asks git for the files, and the checkout's repository ignores .cache.
    run(["git", "init", "--quiet"], cwd=COLLECTION)
    ignores = sorted(path.name for path in (COLLECTION / "tests" / "sanity").glob("ignore*.txt"))
    if ignores:
        raise Failure(f"tests/sanity has ignore files ({', '.join(ignores)}): mend what they hide")
    return f"{count} files"


def sanity(names: list[str]) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command: list[str | Path] = [BIN / "ansible-test", "sanity", "--python", version, "--color", "no"]
    for name in names:
        command += ["--test", name]
    try:
        said = run(command, cwd=COLLECTION, extra={"HOME": str(HOME)})
    except Failure as failure:
        findings = [line for line in str(failure).splitlines() if not CHATTER.match(line)]
        raise Failure("\n".join(findings) or str(failure)) from failure
    skipped = [line for line in said.splitlines() if re.search(r"skipp(ed|ing)", line, re.IGNORECASE)]
    if skipped:
        raise Failure("ansible-test skipped something:\n" + "\n".join(skipped))
    ran = set(re.findall(r"^Running sanity test \"([^\"]+)\"", said, re.MULTILINE))
    # A name a line; a warning about the locale may stand between them.
    listed = run([BIN / "ansible-test", "sanity", "--list-tests"], cwd=COLLECTION, extra={"HOME": str(HOME)})
    expected = set(names or re.findall(r"(?m)^[a-z0-9-]+$", listed))
    if ran != expected:
        raise Failure(f"expected {', '.join(sorted(expected))}\nand ran {', '.join(sorted(ran))}\n{said}")
    return f"{len(ran)} tests on Python {version}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", metavar="TEST")
    tests = parser.parse_args().tests
    good = []
    with alone("sanity"):
        for name, action in (
            ("settings of pip for ansible-test", pip_settings),
            ("bootstrap of pip for ansible-test", pip_bootstrap),
            ("clean copy of the checkout", clean_copy),
            ("ansible-test sanity", lambda: sanity(tests)),
        ):
            good.append(step(name, action))
            if not good[-1]:
                break
    finish("sanity", good)


if __name__ == "__main__":
    main()
