#!/usr/bin/python
# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_claim
short_description: Remember which packages a role installs, and keep their services from starting by themselves
version_added: 1.0.0
description:
  - Debian starts a service as soon as its package is installed, with the package's sample configuration. This module
    prevents that, also when the run breaks right after the installation.
  - With O(state=present), for packages that aren't installed, it first writes down what was found and which packages the
    role is about to install (C(/var/lib/hitless/NAME/claim.json)), then masks those units of O(units) that don't exist
    yet by a link to C(/dev/null) in C(/etc/systemd/system). A unit that exists is never masked.
    M(hitless.lb.service_config) lifts the mask together with the first good start.
  - With O(state=absent) it lifts the masks that are its own and returns the packages that the role had installed, so that
    only those are removed. With O(state=forget) it forgets the claim when everything is done.
  - It doesn't install or remove packages itself.
  - It needs root on the node.
options:
  name:
    description:
      - Name of the set, normally the role's name. All modules of this collection keep what they know of it in
        C(/var/lib/hitless/NAME) (root only).
      - Lower-case letters, digits, V(_) and V(-), at most 64 characters, starting with a letter.
    type: str
    required: true
  packages:
    description:
      - Names of Debian packages that the role needs.
      - Used with O(state=present) only.
    type: list
    elements: str
    default: []
  adopt:
    description:
      - Packages that are installed already and belong to the claim all the same, because something that the role did brought them.
      - Used with O(state=present) only.
    type: list
    elements: str
    default: []
  units:
    description:
      - systemd units that those packages bring. A name without a suffix means a service.
      - Used with O(state=present) only.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(present) claims the packages that are missing and masks their units.
      - V(absent) lifts the masks and returns what is to be removed. The claim stays, so that a broken removal can be repeated.
      - V(forget) removes the claim.
    type: str
    choices: [present, absent, forget]
    default: present
author:
  - hitless.lb contributors (!UNKNOWN)
extends_documentation_fragment: [hitless.lb.attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: hitless.lb.node_info
  - module: hitless.lb.service_config
"""

EXAMPLES = r"""
- name: Claim what is missing
  hitless.lb.package_claim:
    name: haproxy
    packages: [haproxy]
    units: [haproxy.service]
  register: claim

- name: Install it
  ansible.builtin.apt:
    name: "{{ claim.missing }}"
    update_cache: true
    policy_rc_d: 101
  when: claim.missing

- name: Learn what is to be removed
  hitless.lb.package_claim:
    name: haproxy
    state: absent
  register: claim

- name: Remove it
  ansible.builtin.apt:
    name: "{{ claim.removable }}"
    state: absent
    purge: true
  when: claim.removable

- name: Forget the claim when the packages are gone
  hitless.lb.package_claim:
    name: haproxy
    state: forget
"""

RETURN = r"""
missing:
  description: With O(state=present) the packages of O(packages) that aren't installed, in their order; empty otherwise.
  returned: always
  type: list
  elements: str
  sample: [haproxy]
packages:
  description: The packages that are installed because of this set, so far as the claim knows.
  returned: always
  type: list
  elements: str
  sample: [haproxy]
removable:
  description:
    - With O(state=absent) the packages to remove - those of RV(packages) that are still installed, with the packages that apt had installed
      for them alone. What nobody needed before is left out. Empty otherwise.
  returned: always
  type: list
  elements: str
  sample: [haproxy, liblua5.4-0]
masked:
  description: Units that this run masked (in check mode, would mask).
  returned: always
  type: list
  elements: str
  sample: [haproxy.service]
unmasked:
  description: Units whose mask this run lifted (in check mode, would lift).
  returned: always
  type: list
  elements: str
"""

import copy
import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hitless.lb.plugins.module_utils._files import LINK, NOTHING, Entry, FilesError, put_entry
from ansible_collections.hitless.lb.plugins.module_utils._node import installed_packages
from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome, run
from ansible_collections.hitless.lb.plugins.module_utils._store import Store, is_mask, mask_path, new_claim
from ansible_collections.hitless.lb.plugins.module_utils._systemd import Systemd, UnitStatus, unit_name

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "packages": {"type": "list", "elements": "str", "default": []},
    "adopt": {"type": "list", "elements": "str", "default": []},
    "units": {"type": "list", "elements": "str", "default": []},
    "state": {"type": "str", "choices": ["present", "absent", "forget"], "default": "present"},
}


Runner = t.Callable[[t.Sequence[str]], Outcome]


def removable(packages: t.Collection[str], installed: t.Collection[str], runner: Runner = run) -> list[str]:
    """The installed packages of some, and what apt had installed by itself for them alone.

    :raises RuntimeError: apt can't say.
    """

    def ask(*argv: str) -> set[str]:
        outcome = runner(argv)
        if outcome.rc != 0:
            raise RuntimeError(f"{' '.join(argv)} failed: {outcome.output}")
        return {
            name.split(":")[0] for name in re.findall(r"(?m)^(?:(?:Remv|Purg) )?([a-z0-9][a-z0-9.+-]+(?::\S+)?)(?: \[.*)?$", outcome.stdout)
        }

    own = sorted(name for name in packages if name in installed)
    if not own:
        return []
    # A mere suggestion keeps nothing: Python's of binutils would keep half a compiler.
    simulate = ("apt-get", "--simulate", "--quiet=2", "-o", "Debug::NoLocking=true", "-o", "APT::AutoRemove::SuggestsImportant=false")
    going = ask(*simulate, "remove", "--auto-remove", *own) - ask(*simulate, "autoremove")
    return own + sorted((going & ask("apt-mark", "showauto")) - set(own))


class UnitManager(t.Protocol):
    """The part of systemd that this module needs."""

    running: bool

    def show_many(self, names: t.Sequence[str]) -> dict[str, UnitStatus]: ...

    def daemon_reload(self) -> Outcome: ...


class Claim:
    """One set's claim on packages."""

    def __init__(self, store: Store, systemd: UnitManager, check: bool, unit_folder: str = "/etc/systemd/system") -> None:
        self.store = store
        self.systemd = systemd
        self.check = check
        self.unit_folder = unit_folder
        self.found = store.read_claim()
        self.claim: dict[str, t.Any] = copy.deepcopy(self.found) if self.found else new_claim()
        self.changed = False

    def _reload(self) -> None:
        if not self.systemd.running:
            return
        outcome = self.systemd.daemon_reload()
        if outcome.rc != 0:
            raise FilesError(f"systemctl daemon-reload failed: {outcome.output}")

    def present(
        self, packages: t.Sequence[str], units: t.Sequence[str], installed: t.Collection[str], adopt: t.Sequence[str] = ()
    ) -> dict[str, t.Any]:
        missing = [name for name in packages if name not in installed]
        masked: list[str] = []
        if missing:
            names = [unit_name(name) for name in units]
            for name, status in self.systemd.show_many(names).items():
                ours = name in self.claim["masks"]
                if name not in self.claim["units"]:
                    self.claim["units"][name] = {
                        "found": status.unit_file_state or "present" if status.exists else "absent",
                        "active": status.active,
                    }
                link = mask_path(name, self.unit_folder)
                if self.claim["units"][name]["found"] == "absent" and not os.path.lexists(link) and (ours or not status.exists):
                    masked.append(name)
                    self.claim["masks"] = sorted({*self.claim["masks"], name})
        if missing or adopt:
            self.claim["packages"] = sorted({*self.claim["packages"], *missing, *adopt})
        self.changed = self.claim != (self.found or new_claim()) or bool(masked)
        if self.changed and not self.check:
            self.store.write_claim(self.claim)
            for name in masked:
                put_entry(mask_path(name, self.unit_folder), Entry(kind=LINK, target=os.devnull))
            if masked:
                self._reload()
        return self.result(missing=missing, masked=masked)

    def absent(self) -> dict[str, t.Any]:
        lifted = [name for name in self.claim["masks"] if is_mask(mask_path(name, self.unit_folder))]
        self.changed = bool(lifted)
        if lifted and not self.check:
            for name in lifted:
                put_entry(mask_path(name, self.unit_folder), NOTHING)
            self._reload()
        return self.result(unmasked=lifted)

    def forget(self) -> dict[str, t.Any]:
        packages = list(self.claim["packages"])
        result = self.absent()
        self.changed = self.found is not None
        if not self.check:
            drop_claim(self.store)
        self.claim = new_claim()
        result.update(self.result(unmasked=result["unmasked"]), packages=packages)
        return result

    def result(self, missing: t.Sequence[str] = (), masked: t.Sequence[str] = (), unmasked: t.Sequence[str] = ()) -> dict[str, t.Any]:
        return {
            "changed": self.changed,
            "missing": list(missing),
            "packages": list(self.claim["packages"]),
            "removable": [],
            "masked": list(masked),
            "unmasked": list(unmasked),
            "diff": {"before": self.found or {}, "after": self.claim},
        }


def drop_claim(store: Store) -> None:
    """Remove the claim's file, and the folders when nothing else lies there."""
    if os.path.isdir(store.folder):
        put_entry(store.claim_path, NOTHING)
        store.forget_if_empty()


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    if os.geteuid() != 0:
        module.fail_json(msg="this needs root: run the task with become: true")
    try:
        claim = Claim(Store(params["name"]), Systemd(), module.check_mode)
        if params["state"] == "present":
            result = claim.present(params["packages"], params["units"], installed_packages(params["packages"]), params["adopt"])
        elif params["state"] == "absent":
            result = claim.absent()
            result["removable"] = removable(result["packages"], installed_packages(result["packages"]))
        else:
            result = claim.forget()
    except (FilesError, OSError, RuntimeError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
