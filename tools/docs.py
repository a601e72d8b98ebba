# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option tables in the roles' READMEs come from meta/argument_specs.yml (aar-doc makes them).

tools/docs.py [ROLE …]           write the tables
tools/docs.py --check [ROLE …]   only look whether they, and defaults/main.yml, say what the specs say
"""

from __future__ import annotations

import argparse
import difflib
import shutil
import tempfile
from functools import partial
from pathlib import Path

import specs
from common import ROLES, ROOT, Failure, finish, run, step

BEGIN = "<!-- BEGIN_ANSIBLE_DOCS -->"
END = "<!-- END_ANSIBLE_DOCS -->"


def aar_doc(role: Path) -> None:
    run(["aar-doc", "--config-file", ROOT / ".aar_doc.yml", role, "markdown"], cwd=ROOT)


def check_readme(role: Path) -> str:
    """Fail if the table isn't what aar-doc makes of the spec."""
    readme = role / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise Failure(f"{readme.relative_to(ROOT)}: needs {BEGIN} and {END}, once each")
    with tempfile.TemporaryDirectory() as scratch:
        # aar-doc takes the collection's name from galaxy.yml two folders up.
        copy = Path(scratch) / "roles" / role.name
        shutil.copytree(role, copy)
        shutil.copy(ROOT / "galaxy.yml", scratch)
        aar_doc(copy)
        fresh = (copy / "README.md").read_text(encoding="utf-8")
    if fresh != text:
        difference = difflib.unified_diff(text.splitlines(), fresh.splitlines(), "README.md", "from the spec", lineterm="", n=0)
        raise Failure(
            f"{readme.relative_to(ROOT)} doesn't say what the spec says; run: tools/docs.py {role.name}\n" + "\n".join(difference)
        )
    return ""


def check_defaults(role: Path) -> str:
    """Fail if a default isn't the spec's, by key and by value."""
    findings = specs.compare_defaults(role)
    if findings:
        raise Failure("\n".join(findings))
    return ""


def write(role: Path) -> str:
    readme = role / "README.md"
    before = readme.read_bytes() if readme.is_file() else b""
    if BEGIN.encode() not in before:
        raise Failure(f"{readme.relative_to(ROOT)}: put {BEGIN} and {END} where the table belongs")
    aar_doc(role)
    return "unchanged" if readme.read_bytes() == before else "written"


def steps(names: list[str], *, check: bool) -> list[bool]:
    good = []
    for name in names:
        role = ROOT / "roles" / name
        if check:
            good.append(step(f"roles/{name}/README.md agrees with its spec", partial(check_readme, role)))
            good.append(step(f"roles/{name}/defaults/main.yml agrees with its spec", partial(check_defaults, role)))
        else:
            good.append(step(f"roles/{name}/README.md", partial(write, role)))
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("roles", nargs="*", metavar="ROLE")
    arguments = parser.parse_args()
    finish("docs", steps(arguments.roles or list(ROLES), check=arguments.check))


if __name__ == "__main__":
    main()
