# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection's tarball, import it as Galaxy would, and install it where nothing else is.

tools/build.py                everything, all in .cache/build
tools/build.py --print-path   without galaxy-importer; the last line is the path to give to ANSIBLE_COLLECTIONS_PATH

Of the installed copy only meta, playbooks, plugins and roles are kept: what can be called by name may need nothing else.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import shutil
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import specs
from common import BIN, CACHE, ROLES, ROOT, Failure, alone, finish, private_key, run, step, tree_files

BUILD = CACHE / "build"
INSTALLED = BUILD / "installed"
COLLECTION = INSTALLED / "ansible_collections" / "hitless" / "lb"
KEPT = ("meta", "playbooks", "plugins", "roles")
SECRET_NAMES = ("*.key", "*.pem", "id_*", "*.vault", "stats_password", ".env", "*.cfg.orig")


def isolated() -> dict[str, str]:
    """An environment in which Ansible sees the installed copy and what the `ansible` package brought, and nothing of the checkout."""
    empty = BUILD / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    config = BUILD / "empty.cfg"
    config.write_text("", encoding="utf-8")
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(INSTALLED),
        "ANSIBLE_CONFIG": str(config),
        # Nothing listens there: a request to Galaxy would fail at once.
        "ANSIBLE_GALAXY_SERVER": "http://127.0.0.1:9/",
        "ANSIBLE_HOME": str(BUILD / "home"),
        "PYTHONPATH": "",
    }


def tarball() -> Path:
    found = sorted(BUILD.glob("hitless-lb-*.tar.gz"))
    if len(found) != 1:
        raise Failure(f"expected one tarball in {BUILD}, found {len(found)}")
    return found[0]


def build() -> str:
    """From the checkout as it lies there, as a person would do it: build_ignore has to keep everything else out."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    run([BIN / "ansible-galaxy", "collection", "build", "--output-path", BUILD, ROOT], extra=isolated())
    return f"{tarball().name}, {tarball().stat().st_size // 1024} KB"


def expected_files(ignored: list[str]) -> set[str]:
    """What git knows, without what galaxy.yml's build_ignore takes out."""
    names = set()
    for path in tree_files():
        parts = [str(path), *(str(parent) for parent in path.parents)]
        if not any(fnmatch.fnmatch(part, pattern) for part in parts for pattern in ignored):
            names.add(str(path))
    return names - {"galaxy.yml"} | {"MANIFEST.json", "FILES.json"}


def contents() -> str:
    """Exactly the files of the tree, no secret among them."""
    galaxy: dict[str, Any] = specs.load(ROOT / "galaxy.yml")
    findings = []
    names = set()
    with tarfile.open(tarball()) as archive:
        for member in archive:
            if member.issym() or member.islnk():
                findings.append(f"{member.name} is a link")
            if member.isdir() and any(part in ("__pycache__", ".ansible", ".lab", ".cache") for part in Path(member.name).parts):
                findings.append(f"the folder {member.name} doesn't belong there: add it to build_ignore in galaxy.yml")
            if not member.isfile():
                continue
            names.add(member.name)
            if any(fnmatch.fnmatch(Path(member.name).name, pattern) for pattern in SECRET_NAMES):
                findings.append(f"{member.name} has the name of a secret")
            stream = archive.extractfile(member)
            if stream is not None and private_key(stream.read()):
                findings.append(f"{member.name} holds a private key")
    expected = expected_files(galaxy.get("build_ignore") or [])
    findings += [f"{name} is in the tarball and not in git: add it to build_ignore in galaxy.yml" for name in sorted(names - expected)[:10]]
    findings += [f"{name} is missing from the tarball" for name in sorted(expected - names)[:10]]
    findings += [f"{folder}/ is missing from the tarball" for folder in KEPT if not any(name.startswith(f"{folder}/") for name in names)]
    if findings:
        raise Failure("\n".join(findings))
    return f"{len(names)} files"


def importer() -> str:
    """galaxy-importer with the stricter rules on; a warning is a failure."""
    scratch = BUILD / "importer"
    scratch.mkdir(parents=True, exist_ok=True)
    environment = isolated()
    # The importer's own ansible-doc and ansible-lint find the dependencies where the `ansible` package put them.
    del environment["ANSIBLE_COLLECTIONS_PATH"]
    environment.update(GALAXY_IMPORTER_CONFIG=str(ROOT / "tools" / "galaxy-importer.cfg"), GALAXY_IMPORTER_TMP_ROOT_DIR=str(scratch))
    said = run([BIN / "python", "-m", "galaxy_importer.main", tarball()], cwd=scratch, extra=environment)
    findings = [line for line in said.splitlines() if re.match(r"(WARNING|ERROR|CRITICAL)\b", line)]
    if findings or "Importer processing completed successfully" not in said:
        raise Failure("\n".join(findings) or said)
    return "no warning"


def install() -> str:
    """Into an empty folder, with no Galaxy: the dependencies, and their versions, are looked for where Ansible finds them."""
    environment = isolated()
    run(
        [BIN / "ansible-galaxy", "collection", "install", "--offline", "--collections-path", INSTALLED, tarball()],
        cwd=BUILD / "empty",
        extra=environment,
    )
    removed = 0
    for entry in COLLECTION.iterdir():
        if entry.name not in KEPT:
            removed += 1
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    left = sorted(path.name for path in COLLECTION.iterdir())
    if left != sorted(KEPT):
        raise Failure(f"{COLLECTION} should hold {', '.join(KEPT)} and holds {', '.join(left)}")
    return f"kept {', '.join(KEPT)}; removed {removed} others"


def role_docs() -> str:
    """`ansible-doc` shows every role's options."""
    names = [f"hitless.lb.{role}" for role in ROLES]
    said = run([BIN / "ansible-doc", "--type", "role", "--json", *names], cwd=BUILD / "empty", extra=isolated())
    # A warning may come before it.
    known = json.loads(said[said.index("\n{") if "\n{" in said else 0 :])
    empty = [name for name in names if not known.get(name, {}).get("entry_points", {}).get("main", {}).get("options")]
    if empty:
        raise Failure(f"no options of {', '.join(empty)}")
    return f"{len(names)} roles"


def syntax(playbook: str) -> str:
    """The playbook, found by its name, with the example inventory."""
    said = run(
        [BIN / "ansible-playbook", f"hitless.lb.{playbook}", "--inventory", ROOT / "inventories" / "example", "--syntax-check"],
        cwd=BUILD / "empty",
        extra=isolated(),
    )
    if str(COLLECTION) not in said:
        raise Failure(f"the playbook didn't come from {COLLECTION}:\n{said}")
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print-path", action="store_true")
    print_path = parser.parse_args().print_path
    playbooks = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
    actions = [("build the tarball", build), ("what is in the tarball", contents), ("install the tarball", install)]
    actions += [(f"hitless.lb.{name} from the installed copy", partial(syntax, name)) for name in playbooks]
    if not print_path:
        actions.append(("ansible-doc of the installed roles", role_docs))
        actions.append(("galaxy-importer", importer))
    good = []
    with alone("build"):
        for number, (name, action) in enumerate(actions):
            good.append(step(name, action))
            # Without a tarball there is nothing to look at.
            if number == 0 and not good[0]:
                break
    if print_path and all(good):
        print(INSTALLED, flush=True)
    finish("build", good)


if __name__ == "__main__":
    main()
