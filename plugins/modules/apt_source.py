#!/usr/bin/python
# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: apt_source
short_description: A package source for a few packages, tried before it is put in place
version_added: 1.0.0
description:
  - Writes a deb822 source to C(/etc/apt/sources.list.d/NAME.sources), its key to C(/etc/apt/keyrings/NAME.asc), and a pin to
    C(/etc/apt/preferences.d/NAME.pref), so that apt takes the packages of O(packages) from there. Other packages keep apt's own order.
  - A new or changed source is tried first, with lists in a folder of its own, also in check mode. When apt can't use it (no such address,
    a signature by another key) the task fails with apt's words and nothing is written.
  - It needs nothing on the node but apt, and root.
options:
  name:
    description: Name of the files. Lower-case letters, digits, V(_) and V(-).
    type: str
    required: true
  uris:
    description: Addresses of the repository.
    type: list
    elements: str
    default: []
  suites:
    description: Its suites.
    type: list
    elements: str
    default: []
  components:
    description: Its components. None where the suites end with a slash.
    type: list
    elements: str
    default: []
  key:
    description: The ASCII-armoured public key that signs it.
    type: str
  packages:
    description: Names or patterns of the packages that are taken from it.
    type: list
    elements: str
    default: []
  pin:
    description: The priority of O(packages), 1 to 999.
    type: int
    default: 990
  update:
    description: Fetch the source's lists also where nothing changes.
    type: bool
    default: false
  state:
    description: V(absent) removes the three files, and the lists of the source.
    type: str
    choices: [present, absent]
    default: present
author:
  - hitless.lb contributors (!UNKNOWN)
extends_documentation_fragment: [hitless.lb.attributes]
attributes:
  check_mode:
    support: full
    details: A new source is tried in check mode, too.
  diff_mode:
    support: full
seealso:
  - module: hitless.lb.package_candidate
"""

EXAMPLES = r"""
- name: Take HAProxy from another repository
  hitless.lb.apt_source:
    name: haproxy
    uris: [https://deb.example.org/haproxy]
    suites: [trixie-backports-3.0]
    components: [main]
    key: "{{ lookup('ansible.builtin.file', 'haproxy.asc') }}"
    packages: [haproxy]
"""

RETURN = r"""
versions:
  description: The versions of O(packages) (those that are no pattern) that the source has. Empty with O(state=absent).
  returned: always
  type: dict
  sample: {haproxy: [3.0.11-1+deb13u9]}
configured:
  description: Whether the source is in place. In check mode a new one isn't.
  returned: always
  type: bool
"""

import contextlib
import os
import pwd
import re
import shutil
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hitless.lb.plugins.module_utils._files import (
    FILE,
    NOTHING,
    Entry,
    FilesError,
    make_directory,
    missing_parents,
    put_entry,
    read_entry,
    text_of,
)
from ansible_collections.hitless.lb.plugins.module_utils._process import run

APT = "/etc/apt"
UPDATE_LIMIT = 300.0

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "uris": {"type": "list", "elements": "str", "default": []},
    "suites": {"type": "list", "elements": "str", "default": []},
    "components": {"type": "list", "elements": "str", "default": []},
    # A public key: nothing that would have to be hidden.
    "key": {"type": "str", "no_log": False},
    "packages": {"type": "list", "elements": "str", "default": []},
    "pin": {"type": "int", "default": 990},
    "update": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


class SourceError(Exception):
    """The source can't be used."""


def paths(name: str, root: str = APT) -> dict[str, str]:
    """Where the three files lie."""
    return {
        "key": os.path.join(root, "keyrings", f"{name}.asc"),
        "pin": os.path.join(root, "preferences.d", f"{name}.pref"),
        "source": os.path.join(root, "sources.list.d", f"{name}.sources"),
    }


def source_text(params: t.Mapping[str, t.Any], key_path: str) -> str:
    """The deb822 source."""
    lines = [
        "# Managed by Ansible (hitless.lb).",
        "Types: deb",
        f"URIs: {' '.join(params['uris'])}",
        f"Suites: {' '.join(params['suites'])}",
    ]
    if params["components"]:
        lines.append(f"Components: {' '.join(params['components'])}")
    return "\n".join([*lines, f"Signed-By: {key_path}", ""])


def origin_of(params: t.Mapping[str, t.Any]) -> list[str]:
    """What a pin calls the source: the host of each address; empty for files."""
    hosts = []
    for uri in params["uris"]:
        match = re.match(r"[a-z]+://(?:[^/@]*@)?(\[[^\]]+\]|[^/:]+)", uri)
        hosts.append(match.group(1) if match and not uri.startswith(("file:", "copy:")) else "")
    return sorted(set(hosts))


def pin_text(params: t.Mapping[str, t.Any]) -> str:
    """The pin: these packages from there. Others of the same host keep apt's own order."""
    parts = ["# Managed by Ansible (hitless.lb)."]
    for host in origin_of(params):
        parts += [f"Package: {' '.join(params['packages'])}", f'Pin: origin "{host}"', f"Pin-Priority: {params['pin']}", ""]
    return "\n".join(parts)


def wanted_files(params: t.Mapping[str, t.Any], root: str = APT) -> dict[str, Entry]:
    """What is to lie where."""
    place = paths(params["name"], root)
    texts = {place["key"]: params["key"].strip() + "\n", place["pin"]: pin_text(params), place["source"]: source_text(params, place["key"])}
    return {path: Entry(kind=FILE, data=text.encode(), uid=os.geteuid(), gid=os.getegid()) for path, text in texts.items()}


def apt_options(source: str, lists: str = "") -> list[str]:
    """Make apt look at one source alone."""
    settings = [f"Dir::Etc::SourceList={source}", "Dir::Etc::SourceParts=/dev/null", "APT::Get::List-Cleanup=0"]
    if lists:
        settings.append(f"Dir::State::Lists={lists}")
    return [word for setting in settings for word in ("-o", setting)]


def update(options: t.Sequence[str]) -> None:
    """Fetch the lists of a source; what apt takes for a warning is an error here."""
    outcome = run(["apt-get", "update", "--quiet", *options, "-o", "APT::Update::Error-Mode=any"], timeout=UPDATE_LIMIT)
    if outcome.rc != 0:
        words = [line for line in outcome.output.splitlines() if re.match(r"[EW]:", line)]
        raise SourceError("\n".join(words) or outcome.output)


def versions(packages: t.Sequence[str], options: t.Sequence[str]) -> dict[str, list[str]]:
    """The versions that a source has of some packages."""
    # No cache: the one in place is of all sources.
    plain = [*options, "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]
    result: dict[str, list[str]] = {}
    for name in packages:
        if not re.search(r"[*?/\[]", name):
            lines = [line.split("|") for line in run(["apt-cache", "madison", *plain, name]).stdout.splitlines()]
            found = [fields[1].strip() for fields in lines if len(fields) == 3 and not fields[2].strip().endswith(" Sources")]
            result[name] = list(dict.fromkeys(found))
    return result


@contextlib.contextmanager
def trial(params: t.Mapping[str, t.Any]) -> t.Iterator[list[str]]:
    """The source in a folder of its own, with its lists fetched; gives the options with which apt sees it."""
    folder = tempfile.mkdtemp(prefix="hitless-apt-")
    try:
        os.chmod(folder, 0o755)
        partial = os.path.join(folder, "lists", "partial")
        os.makedirs(partial, mode=0o755)
        with contextlib.suppress(KeyError):
            # apt fetches as this user, where it can.
            os.chown(partial, pwd.getpwnam("_apt").pw_uid, 0)
        key, source = os.path.join(folder, "key.asc"), os.path.join(folder, "trial.sources")
        for path, text in ((key, params["key"].strip() + "\n"), (source, source_text(params, key))):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.chmod(path, 0o644)
        options = apt_options(source, os.path.join(folder, "lists"))
        update(options)
        yield options
    finally:
        shutil.rmtree(folder)


def put(changes: t.Mapping[str, Entry]) -> None:
    for path, entry in changes.items():
        for folder in missing_parents(path) if entry.exists else []:
            make_directory(folder)
        if entry.exists or os.path.isdir(os.path.dirname(path)):
            put_entry(path, entry)


def list_prefixes(targets: str) -> set[str]:
    """What the names of a source's lists begin with, from the URI, the base URI and the file of each target."""
    prefixes: set[str] = set()
    for line in targets.splitlines():
        uri, base, path = line.split("\t")
        rest = uri.removeprefix(base).replace("/", "_")
        if uri.startswith(base) and path.endswith(rest) and len(path) > len(rest):
            prefixes.add(path[: -len(rest)])
    return prefixes


def drop_lists(source: str) -> None:
    """Remove the lists of a source, so that apt forgets its packages at once."""
    if not os.path.exists(source):
        return
    outcome = run(["apt-get", "indextargets", "--format", "$(URI)\t$(BASE_URI)\t$(FILENAME)", *apt_options(source)])
    for prefix in list_prefixes(outcome.stdout):
        folder = os.path.dirname(prefix)
        for name in os.listdir(folder) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            if path.startswith(prefix) and os.path.isfile(path):
                os.unlink(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        required_if=[("state", "present", ["uris", "suites", "key", "packages"])],
    )
    params = module.params
    if os.geteuid() != 0:
        module.fail_json(msg="this needs root: run the task with become: true")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", params["name"]):
        module.fail_json(msg=f"name: {params['name']!r} has more than lower-case letters, digits, _ and -")
    place = paths(params["name"])
    result: dict[str, t.Any] = {"changed": False, "versions": {}, "configured": False}
    try:
        wanted = wanted_files(params) if params["state"] == "present" else dict.fromkeys(place.values(), NOTHING)
        found = {path: read_entry(path) for path in wanted}
        changes = {
            path: entry for path, entry in wanted.items() if not (found[path].same_content(entry) and found[path].same_attributes(entry))
        }
        result["changed"] = bool(changes)
        result["diff"] = [
            {"before_header": path, "after_header": path, "before": text_of(found[path]), "after": text_of(entry)}
            for path, entry in changes.items()
        ]
        if params["state"] == "absent":
            if changes and not module.check_mode:
                drop_lists(place["source"])
                put(changes)
        else:
            if changes:
                with trial(params) as options:
                    result["versions"] = versions(params["packages"], options)
                if not module.check_mode:
                    drop_lists(place["source"])
                    put(changes)
            if not module.check_mode and (changes or params["update"]):
                update(apt_options(place["source"]))
            result["configured"] = not (changes and module.check_mode)
            if result["configured"]:
                result["versions"] = versions(params["packages"], apt_options(place["source"]))
    except SourceError as error:
        module.fail_json(msg=f"apt can't use this package source: {error}")
    except (FilesError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
