#!/usr/bin/python
# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_candidate
short_description: Which version of an installed package is wanted, and its programs unpacked aside
version_added: 1.0.0
description:
  - Decides which version of a package is to be installed in place of the present one. When it is another one, its package and the new
    libraries that it needs are fetched and unpacked into O(directory), where its programs can be tried before anything is touched.
  - It installs nothing. It needs root on the node.
options:
  package:
    description: Name of the package.
    type: str
    required: true
  versions:
    description:
      - The versions to choose from, such as RV(hitless.lb.apt_source#module:versions). One of them must be installed in the end.
      - Without it the choice is apt's own candidate, and a version that is installed stays.
    type: list
    elements: str
  version:
    description: Only this version; with a star at its end, all that begin with it.
    type: str
    default: ""
  upgrade:
    description: Take the newest version also where the installed one would do.
    type: bool
    default: false
  downgrade:
    description: Accept a version that is older than the installed one. A version that no source has any more gives way to the candidate then.
    type: bool
    default: false
  fetch:
    description: Fetch and unpack the package. Without it only the versions are told.
    type: bool
    default: true
  directory:
    description: The folder for the unpacked files. It is emptied first.
    type: path
    required: true
  state:
    description: V(absent) removes O(directory).
    type: str
    choices: [present, absent]
    default: present
author:
  - hitless.lb contributors (!UNKNOWN)
extends_documentation_fragment: [hitless.lb.attributes]
attributes:
  check_mode:
    support: full
    details: The folder is made in check mode, too, so that the new version can be tried; it is removed by O(state=absent), in check mode as well.
  diff_mode:
    support: none
    details: Nothing on the node changes but the folder.
seealso:
  - module: hitless.lb.apt_source
"""

EXAMPLES = r"""
- name: Look which version is to be installed
  hitless.lb.package_candidate:
    package: haproxy
    upgrade: true
    directory: /var/lib/hitless/haproxy-candidate
  register: candidate

- name: Try its program
  ansible.builtin.command:
    argv: [env, "LD_LIBRARY_PATH={{ candidate.libraries }}", "{{ candidate.root }}/usr/sbin/haproxy", -c, -f, /etc/haproxy/haproxy.cfg]
  when: candidate.wanted != candidate.installed
  changed_when: false

- name: Remove what was unpacked
  hitless.lb.package_candidate:
    package: haproxy
    directory: /var/lib/hitless/haproxy-candidate
    state: absent
"""

RETURN = r"""
installed:
  description: The version that is installed; empty when none is.
  returned: always
  type: str
wanted:
  description: The version that is to be installed. The same as RV(installed) when nothing is to be done.
  returned: always
  type: str
candidate:
  description: The version that apt would install if none was; empty when it knows none.
  returned: always
  type: str
root:
  description: Where the new version's files lie; empty when nothing was fetched.
  returned: always
  type: str
libraries:
  description: The folders of the libraries below RV(root), with colons in between, as the loader takes them.
  returned: always
  type: str
"""

import functools
import glob
import os
import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hitless.lb.plugins.module_utils._node import installed_packages, parse_policy
from ansible_collections.hitless.lb.plugins.module_utils._process import run

FETCH_LIMIT = 600.0

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "package": {"type": "str", "required": True},
    "versions": {"type": "list", "elements": "str"},
    "version": {"type": "str", "default": ""},
    "upgrade": {"type": "bool", "default": False},
    "downgrade": {"type": "bool", "default": False},
    "fetch": {"type": "bool", "default": True},
    "directory": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


class CandidateError(Exception):
    """No version can be chosen, or it can't be fetched."""


def compare(left: str, right: str) -> int:
    """Compare two versions as dpkg does."""
    if left == right:
        return 0
    return 1 if run(["dpkg", "--compare-versions", left, "gt", right]).rc == 0 else -1


def newest(versions: t.Iterable[str]) -> str:
    return max(versions, key=functools.cmp_to_key(compare), default="")


def matches(version: str, pattern: str) -> bool:
    return not pattern or version == pattern or (pattern.endswith("*") and version.startswith(pattern[:-1]))


def choose(params: t.Mapping[str, t.Any], installed: str, candidate: str, known: t.Collection[str]) -> str:
    """The version that is to be installed; the installed one where nothing is to be done."""
    name = params["package"]
    if params["versions"] is not None:
        good = [version for version in params["versions"] if matches(version, params["version"])]
        if not good:
            there = ", ".join(params["versions"]) or "none at all"
            asked = f" {params['version']}" if params["version"] else ""
            raise CandidateError(f"the package source has no {name}{asked}; it has {there}")
        wanted = installed if installed in good and not params["upgrade"] else newest(good)
        if installed and compare(wanted, installed) < 0 and not params["downgrade"]:
            raise CandidateError(
                f"{name} {installed} is installed, and the package source has only older ones (the newest is {wanted}). "
                "If it is to go back to that, permit it with downgrade (in the role haproxy: haproxy_downgrade: true)"
            )
        return wanted
    if not installed or not candidate:
        return installed or candidate
    if params["downgrade"] and known and installed not in known:
        # What is installed is apt's candidate where all others are older.
        return candidate if candidate in known else newest(known)
    return candidate if params["upgrade"] and compare(candidate, installed) > 0 else installed


def versions_known(name: str) -> set[str]:
    """The versions that apt's sources have."""
    lines = [line.split("|") for line in run(["apt-cache", "madison", name]).stdout.splitlines()]
    return {fields[1].strip() for fields in lines if len(fields) == 3}


def fetch(name: str, version: str, directory: str) -> tuple[str, str]:
    """Unpack a version and the libraries that it needs; returns where, and the folders of the libraries."""
    drop(directory)
    archives, root = os.path.join(directory, "archives"), os.path.join(directory, "root")
    os.makedirs(os.path.join(archives, "partial"), mode=0o755)
    os.chmod(directory, 0o755)
    os.mkdir(root)
    argv = ["apt-get", "install", "--download-only", "--yes", "--quiet=2", "--no-install-recommends", "--allow-downgrades"]
    settings = [f"Dir::Cache::Archives={archives}", "Debug::NoLocking=true", "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache="]
    outcome = run([*argv, *(word for one in settings for word in ("-o", one)), f"{name}={version}"], timeout=FETCH_LIMIT)
    packages = sorted(glob.glob(os.path.join(archives, "*.deb")))
    if outcome.rc != 0 or not packages:
        raise CandidateError(f"{name} {version} couldn't be fetched: {outcome.output}")
    for package in packages:
        outcome = run(["dpkg-deb", "--extract", package, root])
        if outcome.rc != 0:
            raise CandidateError(f"{os.path.basename(package)} couldn't be unpacked: {outcome.output}")
    shutil.rmtree(archives)
    folders = [
        folder for pattern in ("usr/lib/*-linux-*", "lib/*-linux-*", "usr/lib", "lib") for folder in glob.glob(os.path.join(root, pattern))
    ]
    return root, ":".join(sorted(folders))


def drop(directory: str) -> None:
    if os.path.lexists(directory):
        shutil.rmtree(directory)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    if os.geteuid() != 0:
        module.fail_json(msg="this needs root: run the task with become: true")
    name = params["package"]
    try:
        installed = installed_packages([name]).get(name, "")
        if params["state"] == "absent":
            drop(params["directory"])
            module.exit_json(changed=False, installed=installed, wanted=installed, candidate="", root="", libraries="")
        candidate = parse_policy(run(["apt-cache", "policy", name]).stdout).get(name) or ""
        wanted = choose(params, installed, candidate, versions_known(name))
        root, libraries = "", ""
        if installed and wanted != installed and params["fetch"]:
            root, libraries = fetch(name, wanted, params["directory"])
    except CandidateError as error:
        drop(params["directory"])
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, installed=installed, wanted=wanted, candidate=candidate, root=root, libraries=libraries)


if __name__ == "__main__":
    main()
