# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every linter over the checkout, without the network: Python, types, YAML, Ansible, shell, documentation, changelog.

tools/lint.py [STEP …]   all steps, or only those whose name begins so (ruff, mypy, yamllint, ansible-lint, shellcheck, docs, changelog)
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import changelog
import docs
from common import CACHE, ROLES, ROOT, Failure, alone, copy_tree, finish, run, step, tree_files

COLLECTION = ROOT / ".collections" / "ansible_collections" / "hitless" / "lb"
PYTHON = ("plugins", "tools", "tests", "molecule")


def link() -> None:
    """The name under which Python, mypy and Ansible find the checkout."""
    if COLLECTION.resolve() != ROOT:
        COLLECTION.parent.mkdir(parents=True, exist_ok=True)
        COLLECTION.unlink(missing_ok=True)
        COLLECTION.symlink_to(Path("../../.."))


def python_folders() -> list[str]:
    return sorted({path.parts[0] for path in tree_files() if path.suffix == ".py" and path.parts[0] in PYTHON})


def ruff_check() -> str:
    run(["ruff", "check", "--output-format=concise", *python_folders()])
    return ""


def ruff_format() -> str:
    run(["ruff", "format", "--check", "--output-format=concise", *python_folders()])
    return ""


def mypy() -> str:
    return run(["mypy", COLLECTION.relative_to(ROOT) / "plugins", "tools"]).strip()


def yamllint() -> str:
    run(["yamllint", "--strict", "."])
    return ""


def ansible_lint() -> str:
    # An ansible-lint that was once called without --offline left a copy of the collection here, and would look into that one first.
    shutil.rmtree(ROOT / ".ansible" / "collections", ignore_errors=True)
    said = run(["ansible-lint", "--offline", "--nocolor", "--profile", "production", "--strict"])
    return said.strip().splitlines()[-1]


def plain_shell(template: str) -> str:
    """A template of a shell script as a script: what Jinja would fill in becomes a word, line by line."""
    template = re.sub(r"\{\{\s*ansible_managed\b.*?\}\}", "# managed", template)
    template = re.sub(r"\{\{.*?\}\}", "word", template, flags=re.DOTALL)
    return re.sub(r"\{%.*?%\}|\{#.*?#\}", "", template, flags=re.DOTALL)


def shellcheck() -> str:
    """Shell scripts, by their suffix or their first line, and templates of them."""
    rendered = CACHE / "lint" / "shell"
    shutil.rmtree(rendered, ignore_errors=True)
    scripts: list[str | Path] = []
    for path in tree_files():
        with (ROOT / path).open("rb") as stream:
            first = stream.readline(200)
        shell = first.startswith(b"#!") and first.rstrip().endswith((b"/sh", b"bash", b" sh", b"bash -eu"))
        if path.suffix == ".j2" and (shell or path.name.endswith(".sh.j2")):
            script = rendered / path.with_suffix("")
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text(plain_shell((ROOT / path).read_text(encoding="utf-8")), encoding="utf-8")
            scripts.append(script)
        elif path.suffix == ".sh" or shell:
            scripts.append(path)
    if not scripts:
        raise Failure("no shell script was found: the search is broken")
    run(["shellcheck", "--severity=style", *scripts])
    return f"{len(scripts)} scripts"


def plugin_docs() -> str:
    """Documentation of plugins and role specs, and that what they refer to exists."""
    copy = CACHE / "lint" / "ansible_collections" / "hitless" / "lb"
    copy_tree(copy)
    run(["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "self", "--skip-rstcheck", copy])
    return ""


def all_steps() -> dict[str, Callable[[], str]]:
    """The slow ones first: two run at a time."""
    found: dict[str, Callable[[], str]] = {
        "ansible-lint (production profile)": ansible_lint,
        "mypy": mypy,
        "docs of plugins and roles (antsibull-docs)": plugin_docs,
        "changelog": changelog.check,
        "yamllint": yamllint,
        "shellcheck": shellcheck,
        "ruff check": ruff_check,
        "ruff format": ruff_format,
    }
    for role in ROLES:
        found[f"docs of {role}: README"] = partial(docs.check_readme, ROOT / "roles" / role)
        found[f"docs of {role}: defaults"] = partial(docs.check_defaults, ROOT / "roles" / role)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP")
    wanted = tuple(parser.parse_args().steps)
    link()
    chosen = {name: action for name, action in all_steps().items() if not wanted or name.startswith(wanted)}
    with alone("lint"), ThreadPoolExecutor(max_workers=2) as pool:
        good = list(pool.map(lambda item: step(*item), chosen.items()))
    finish("lint", good)


if __name__ == "__main__":
    main()
