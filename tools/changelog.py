# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CHANGELOG.md comes from changelogs/: the releases in changelog.yaml, and on top what the fragments say about the next one.

tools/changelog.py             write CHANGELOG.md
tools/changelog.py --check     only look whether it is up to date
tools/changelog.py --release   make the release that galaxy.yml names: its fragments move into changelog.yaml
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import specs
from common import ROOT, Failure, finish, run, step


def antsibull(tree: Path) -> None:
    """Release the version in galaxy.yml if there are fragments for it, else only lay the changelog out."""
    galaxy: dict[str, Any] = specs.load(tree / "galaxy.yml")
    fragments = list((tree / "changelogs" / "fragments").glob("*.yml"))
    released = tree / "changelogs" / "changelog.yaml"
    known = (specs.load(released) or {}).get("releases", {}) if released.is_file() else {}
    if fragments and str(galaxy["version"]) in known:
        raise Failure(f"{galaxy['version']} is released already and there are fragments for the next one: raise the version in galaxy.yml")
    if not fragments and not known:
        raise Failure("changelogs/fragments is empty and nothing was released yet: a changelog needs a fragment")
    run(["antsibull-changelog", "release" if fragments else "generate"], cwd=tree)


def scratch_copy(scratch: Path) -> Path:
    """What antsibull-changelog reads: metadata, changelogs, plugins and roles."""
    tree = scratch / "ansible_collections" / "hitless" / "lb"
    tree.mkdir(parents=True)
    shutil.copy(ROOT / "galaxy.yml", tree)
    for folder in ("changelogs", "meta", "plugins", "roles", "playbooks"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__", ".plugin-cache.yaml"))
    return tree


def fresh() -> str:
    with tempfile.TemporaryDirectory() as scratch:
        tree = scratch_copy(Path(scratch))
        antsibull(tree)
        return (tree / "CHANGELOG.md").read_text(encoding="utf-8")


def check() -> str:
    run(["antsibull-changelog", "lint"])
    if (ROOT / "changelogs" / "changelog.yaml").is_file():
        run(["antsibull-changelog", "lint-changelog-yaml", "changelogs/changelog.yaml"])
    committed = ROOT / "CHANGELOG.md"
    if not committed.is_file() or committed.read_text(encoding="utf-8") != fresh():
        raise Failure("CHANGELOG.md doesn't say what changelogs/ says; run: tools/changelog.py")
    return ""


def write() -> str:
    (ROOT / "CHANGELOG.md").write_text(fresh(), encoding="utf-8")
    return ""


def release() -> str:
    antsibull(ROOT)
    return f"version {specs.load(ROOT / 'galaxy.yml')['version']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true")
    choice.add_argument("--release", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        finish("changelog", [step("changelog agrees with its fragments", check)])
    elif arguments.release:
        finish("changelog", [step("release", release)])
    else:
        finish("changelog", [step("CHANGELOG.md", write)])


if __name__ == "__main__":
    main()
