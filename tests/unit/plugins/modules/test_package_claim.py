# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims on packages, on a host below one folder."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.hitless.lb.plugins.module_utils._files import FilesError
from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome
from ansible_collections.hitless.lb.plugins.module_utils._store import Store
from ansible_collections.hitless.lb.plugins.module_utils._systemd import UnitStatus
from ansible_collections.hitless.lb.plugins.modules import package_claim
from ansible_collections.hitless.lb.plugins.modules.package_claim import Claim, removable


class Manager:
    """Knows some units; everything else is as the links on the disk say."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.units: dict[str, UnitStatus] = {}
        self.reloads = 0
        self.running = True
        self.answer = Outcome(0, "", "")

    def show_many(self, names: t.Sequence[str]) -> dict[str, UnitStatus]:
        masked = {name: UnitStatus(name, load_state="masked") for name in names if (self.folder / name).is_symlink()}
        return {name: masked.get(name) or self.units.get(name) or UnitStatus(name) for name in names}

    def daemon_reload(self) -> Outcome:
        self.reloads += 1
        return self.answer


class Host:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "system"
        self.folder.mkdir()
        self.manager = Manager(self.folder)
        self.store = Store("thing", str(root / "state"), str(root / "run"))

    def claim(self, check: bool = False) -> Claim:
        return Claim(self.store, self.manager, check, str(self.folder))

    def present(self, installed: t.Collection[str] = (), check: bool = False) -> dict[str, t.Any]:
        return self.claim(check).present(["thing", "helper"], ["thing"], installed)

    @property
    def mask(self) -> Path:
        return self.folder / "thing.service"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_missing_packages_are_claimed_and_their_units_masked(host: Host) -> None:
    planned = host.present(check=True)
    assert not host.mask.is_symlink() and not os.path.exists(host.store.folder)
    result = host.present()
    assert planned == result
    assert (result["changed"], result["missing"], result["masked"]) == (True, ["thing", "helper"], ["thing.service"])
    assert os.readlink(host.mask) == "/dev/null"
    assert host.manager.reloads == 1
    assert host.store.read_claim() == {
        "version": 1,
        "packages": ["helper", "thing"],
        "units": {"thing.service": {"found": "absent", "active": False}},
        "masks": ["thing.service"],
    }


def test_nothing_missing_is_nothing_to_claim(host: Host) -> None:
    result = host.present(installed=["thing", "helper"])
    assert (result["changed"], result["missing"]) == (False, [])
    assert not os.path.exists(host.store.folder)


def test_a_broken_run_can_be_repeated(host: Host) -> None:
    host.present()
    again = host.present()
    assert (again["changed"], again["missing"], again["masked"]) == (False, ["thing", "helper"], [])
    # Killed after the claim was written and before the link was made.
    host.mask.unlink()
    assert host.present()["masked"] == ["thing.service"]
    assert host.mask.is_symlink()


def test_a_unit_that_exists_is_never_masked(host: Host) -> None:
    host.manager.units["thing.service"] = UnitStatus("thing.service", load_state="loaded", active_state="active", unit_file_state="enabled")
    result = host.present(installed=["thing"])
    assert (result["missing"], result["masked"], result["packages"]) == (["helper"], [], ["helper"])
    assert not host.mask.is_symlink()
    claim = host.store.read_claim()
    assert claim is not None and claim["units"]["thing.service"] == {"found": "enabled", "active": True}


def test_a_foreign_mask_is_not_ours(host: Host) -> None:
    host.mask.symlink_to("/dev/null")
    assert host.present()["masked"] == []
    assert host.claim().absent()["unmasked"] == []
    assert host.mask.is_symlink()


def test_removal_lifts_our_mask_and_names_our_packages(host: Host) -> None:
    host.present(installed=["helper"])
    planned = host.claim(check=True).absent()
    assert host.mask.is_symlink()
    result = host.claim().absent()
    assert planned == result
    assert (result["changed"], result["packages"], result["unmasked"]) == (True, ["thing"], ["thing.service"])
    assert not host.mask.is_symlink()
    again = host.claim().absent()
    assert (again["changed"], again["packages"]) == (False, ["thing"])


def test_forgetting_leaves_nothing(host: Host) -> None:
    host.present()
    assert host.claim(check=True).forget()["changed"]
    assert host.store.read_claim() is not None
    result = host.claim().forget()
    assert (result["changed"], result["packages"]) == (True, ["helper", "thing"])
    assert os.listdir(host.root) == ["system"] and os.listdir(host.folder) == []
    assert host.claim().forget()["changed"] is False
    assert host.claim().absent()["packages"] == []


def test_forgetting_leaves_what_others_keep(host: Host) -> None:
    host.present()
    Path(host.store.state_path).write_text("{}")
    host.claim().forget()
    assert os.listdir(host.store.folder) == ["state.json"]


def test_where_systemd_does_not_run(host: Host) -> None:
    host.manager.running = False
    host.present()
    assert host.mask.is_symlink() and host.manager.reloads == 0


def test_a_failing_systemd_is_said(host: Host) -> None:
    host.manager.answer = Outcome(1, "", "no bus")
    with pytest.raises(FilesError, match="no bus"):
        host.present()


@pytest.mark.parametrize("name", ["", "a/b", "..", "A", "1x", "x" * 65])
def test_names_that_are_no_names(name: str) -> None:
    with pytest.raises(FilesError, match="isn't a name of a set"):
        Store(name)


def test_documentation_and_argument_spec_are_the_same() -> None:
    documented = yaml.safe_load(package_claim.DOCUMENTATION)["options"]
    assert set(documented) == set(package_claim.ARGUMENT_SPEC)
    for name, option in package_claim.ARGUMENT_SPEC.items():
        for key in ("type", "elements", "choices", "default", "required"):
            assert documented[name].get(key) == option.get(key), (name, key)


def apt(going: str, needless: str, automatic: str, rc: int = 0) -> t.Callable[[t.Sequence[str]], Outcome]:
    """An apt that says what it would do."""

    def answer(argv: t.Sequence[str]) -> Outcome:
        if argv[0] == "apt-mark":
            return Outcome(rc, automatic, "")
        return Outcome(rc, needless if argv[-1] == "autoremove" else going, "")

    return answer


def test_what_apt_installed_for_a_package_alone_goes_with_it() -> None:
    runner = apt("Remv haproxy [2.6]\nRemv liblua5.3-0 [5.3]\nRemv old [1]\nRemv mine [1]\n", "Remv old [1]\n", "liblua5.3-0\nold\n")
    # "old" was needless before, "mine" was asked for by somebody.
    assert removable(["haproxy"], {"haproxy"}, runner) == ["haproxy", "liblua5.3-0"]


def test_nothing_is_removable_when_the_packages_have_gone() -> None:
    assert removable(["haproxy"], set(), apt("Remv other [1]", "", "other")) == []


def test_an_apt_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="autoremove"):
        removable(["haproxy"], {"haproxy"}, lambda argv: Outcome(100 if argv[-1] == "autoremove" else 0, "", "broken"))


def test_what_came_as_a_dependency_is_adopted(host: Host) -> None:
    result = host.claim().present([], [], [], ["libthing"])
    assert (result["changed"], result["packages"]) == (True, ["libthing"])
    assert host.claim().present([], [], [], ["libthing"])["changed"] is False
    assert host.present()["packages"] == ["helper", "libthing", "thing"]


def test_a_suggestion_keeps_nothing() -> None:
    asked: list[t.Sequence[str]] = []

    def runner(argv: t.Sequence[str]) -> Outcome:
        asked.append(argv)
        return Outcome(0, "", "")

    removable(["haproxy"], {"haproxy"}, runner)
    assert all("APT::AutoRemove::SuggestsImportant=false" in argv for argv in asked if argv[0] == "apt-get")
