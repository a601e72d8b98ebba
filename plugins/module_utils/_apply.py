# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a set of files to a running service, or leave everything as it was."""

from __future__ import annotations

import contextlib
import dataclasses
import grp
import os
import pwd
import secrets as random
import shutil
import signal
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.hitless.lb.plugins.module_utils import _sandbox
from ansible_collections.hitless.lb.plugins.module_utils._files import (
    FILE,
    LINK,
    NOTHING,
    Entry,
    FilesError,
    identity_of,
    make_directory,
    missing_parents,
    put_entry,
    read_entry,
    read_json,
    remove_directory_if_empty,
    restore_entry,
    text_of,
    write_json,
)
from ansible_collections.hitless.lb.plugins.module_utils._fileset import (
    ACTIONS,
    DIGEST_TEXT,
    PRESENT,
    RUNTIME,
    Change,
    FileSpec,
    Plan,
    Planner,
    diff_of,
    digest_of,
    redact,
    secrets_in,
    strongest,
    with_digest,
)
from ansible_collections.hitless.lb.plugins.module_utils._probe import Answer, Probe, descendants
from ansible_collections.hitless.lb.plugins.module_utils._process import Outcome, find_program
from ansible_collections.hitless.lb.plugins.module_utils._sandbox import Check, SandboxUnavailable
from ansible_collections.hitless.lb.plugins.module_utils._store import Store, is_mask, mask_path
from ansible_collections.hitless.lb.plugins.module_utils._systemd import UnitStatus, find_unit_file, unit_name

HEALTH_LIMIT = 5.0
SETTLE = 0.5
POLL = 0.05

HELD_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


class ApplyError(Exception):
    """The set couldn't be applied. ``rolled_back`` says that something had been changed and was put back."""

    def __init__(self, message: str, rolled_back: bool = False) -> None:
        super().__init__(message)
        self.rolled_back = rolled_back


class UnitManager(t.Protocol):
    """What is asked of systemd."""

    running: bool

    def show(self, name: str) -> UnitStatus: ...

    def daemon_reload(self) -> Outcome: ...

    def reset_failed(self, name: str) -> Outcome: ...

    def start(self, name: str) -> Outcome: ...

    def stop(self, name: str) -> Outcome: ...

    def reload(self, name: str) -> Outcome: ...

    def restart(self, name: str) -> Outcome: ...

    def enable(self, name: str) -> Outcome: ...

    def disable(self, name: str) -> Outcome: ...

    def is_enabled(self, name: str) -> bool: ...

    def journal_tail(self, name: str, since: float) -> str: ...


@dataclass(frozen=True)
class Request:
    """Everything that the caller wants."""

    unit: str
    files: tuple[FileSpec, ...] = ()
    checks: tuple[Check, ...] = ()
    probes: tuple[Probe, ...] = ()
    probe_timeout: float = 15.0
    new_process: bool = False
    enabled: bool = True
    variables: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


@dataclass
class Result:
    """What was done (in check mode, what would be)."""

    changed: bool = False
    changed_files: list[str] = field(default_factory=list)
    action: str = "none"
    reason: str = ""
    validated: bool = False
    rolled_back: bool = False
    digest: str = ""
    recovered: bool = False
    diff: list[dict[str, t.Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Decision:
    """What the service needs, and why."""

    action: str
    reason: str = ""
    # Whether a restart may follow when a reload isn't enough: only where nothing good can be lost by it.
    escalate: bool = False


@contextlib.contextmanager
def signals_held() -> t.Iterator[None]:
    """Hold back the polite signals; the first that came takes effect at the end."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: received.append(number)) for number in HELD_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            os.kill(os.getpid(), received[0])


def resolve_owner(owner: str, group: str) -> tuple[int, int]:
    """The numbers of a user and a group. KeyError names what doesn't exist."""
    return (
        int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid,
        int(group) if group.isdigit() else grp.getgrnam(group).gr_gid,
    )


class Applier:
    """Applies one request for one set."""

    def __init__(
        self,
        store: Store,
        systemd: UnitManager,
        request: Request,
        check_mode: bool = False,
        unit_folder: str = "/etc/systemd/system",
    ) -> None:
        self.store = store
        self.systemd = systemd
        self.check_mode = check_mode
        self.unit_folder = unit_folder
        self.unit = unit_name(request.unit)
        self.digest = digest_of(request.files)
        self.request = dataclasses.replace(
            request,
            files=tuple(with_digest(request.files, self.digest)),
            probes=tuple(fill_probe(probe, self.digest) for probe in request.probes),
        )
        self.state: dict[str, t.Any] = {}
        self.journal: dict[str, t.Any] | None = None
        self.restored: dict[str, Entry] = {}
        self.transacted = False
        # Whether a broken run may have told the service contents that aren't on the disk.
        self.tell_all = False
        # The probes that held before anything was changed; None while nobody has asked.
        self.good_before: list[Probe] | None = None
        self.result = Result(digest=self.digest)

    # -- public ------------------------------------------------------------------------------------------------------

    def present(self) -> Result:
        """Bring the files and the service to where they should be."""
        with self._exclusive():
            self._load()
            self._recover()
            with self._recovery_ended_on_refusal():
                status = self._status()
                self._refuse_impossible_unit(status)
                plan = self._planner().present(self.request.files, self._resolve)
                self.result.warnings += plan.warnings
                decision = self._decide(status, plan)
                self._finish(plan, decision, status, want_active=True, want_enabled=self.request.enabled)
            return self.result

    def absent(self) -> Result:
        """Give everything back as it was found."""
        with self._exclusive():
            self._load()
            self._recover()
            if not self.state:
                self._end_recovery()
                return self.result
            with self._recovery_ended_on_refusal():
                found = self.state["found"]
                status = self._status()
                plan = self._planner().absent()
                self.result.warnings += plan.warnings
                decision = self._decide_absent(status, plan, found)
                self._finish(plan, decision, status, want_active=found["active"], want_enabled=found["enabled"], removing=True)
            return self.result

    # -- what there is -----------------------------------------------------------------------------------------------

    def _exclusive(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.check_mode else self.store.locked()

    @contextlib.contextmanager
    def _recovery_ended_on_refusal(self) -> t.Iterator[None]:
        """When a run that follows a broken one is refused, the service gets the files that were put back."""
        try:
            yield
        except Exception as error:
            if not self.transacted and not self.check_mode:
                try:
                    self._end_recovery()
                except (ApplyError, FilesError, OSError) as second:
                    raise ApplyError(f"{error}; and after a run that had been broken off: {second}") from error
            raise

    def _load(self) -> None:
        self.state = self.store.read_state() or {}
        journal = read_json(self.store.journal_path)
        if journal:
            raw_state = read_json(self.store.state_path) or {}
            if journal["transaction"] != raw_state.get("transaction"):
                self.journal = journal

    def _status(self) -> UnitStatus:
        return self.systemd.show(self.unit)

    def _read(self, path: str) -> Entry:
        """What lies at a path; after a broken run in check mode, what would lie there once it was cleaned up."""
        return self.restored.get(path) or read_entry(path)

    def _planner(self) -> Planner:
        return Planner(self.store, self.state.get("files", {}), self._read)

    def _resolve(self, owner: str, group: str) -> tuple[int, int]:
        try:
            return resolve_owner(owner, group)
        except KeyError as error:
            if not self.check_mode:
                raise FilesError(f"{str(error).strip(chr(34))}; install the package that brings it first") from error
            warning = f"{str(error).strip(chr(34))} yet; the owner of its files couldn't be looked up"
            if warning not in self.result.warnings:
                self.result.warnings.append(warning)
            return (0, 0)

    @property
    def _our_mask(self) -> bool:
        """Whether the unit is masked by a claim of this set."""
        claim = self.store.read_claim() or {}
        return self.unit in claim.get("masks", []) and is_mask(mask_path(self.unit, self.unit_folder))

    def _refuse_impossible_unit(self, status: UnitStatus) -> None:
        if status.masked and not self._our_mask:
            raise ApplyError(f"{self.unit} is masked, and not by this collection. If it is to run, say so: systemctl unmask {self.unit}")
        if self.check_mode or not self.systemd.running:
            return
        installed = find_unit_file(self.unit, _UNIT_FOLDERS_OF_PACKAGES) if status.masked else status.exists
        listed = any(os.path.basename(spec.path) == self.unit and spec.path.startswith("/etc/systemd/") for spec in self.request.files)
        if not installed and not listed:
            raise ApplyError(f"there is no {self.unit} on this host; install the package that brings it first")

    # -- deciding ----------------------------------------------------------------------------------------------------

    def _decide(self, status: UnitStatus, plan: Plan) -> Decision:
        """What the service needs to run this set."""
        if not self.systemd.running:
            self.result.warnings.append(
                f"systemd doesn't run this host: the files of {self.unit} are put in place, the service isn't touched"
            )
            return Decision("none")
        if not status.active:
            return Decision("restart" if status.in_transition else "start", f"it is {status.active_state}")
        wanted = plan.action
        if self.journal and self.journal["told"]:
            wanted = strongest([wanted, self.journal["action"] if self.journal["action"] in ACTIONS else "reload"])
            self.tell_all = True
        known = [Probe.from_dict(raw) for raw in self.state.get("probes", [])]
        decision = self._decide_unchanged(status, plan, known) if wanted == "none" else self._decide_changed(wanted, known)
        if decision.action == "reload" and not status.can_reload:
            return dataclasses.replace(decision, action="restart")
        return decision

    def _decide_changed(self, wanted: str, known: t.Sequence[Probe]) -> Decision:
        answers = self._poll(known, HEALTH_LIMIT)
        self.good_before = [probe for probe, answer in answers if answer.ok]
        deaf = [probe for probe, answer in answers if not answer.reached]
        if any(not probe.running for probe in deaf):
            return Decision("restart", f"it didn't answer before: {deaf[0].label}")
        if wanted == RUNTIME:
            # What it runs has to be this very set but for the contents that it can be told.
            others = [probe for probe, answer in self._poll(self.request.probes, POLL) if probe.running and not answer.ok]
            if others:
                return Decision("reload", "it runs another set than its files say", escalate=bool(deaf))
        return Decision(wanted, "its files change", escalate=bool(deaf))

    def _decide_unchanged(self, status: UnitStatus, plan: Plan, known: t.Sequence[Probe]) -> Decision:
        answers = self._poll(self.request.probes, HEALTH_LIMIT)
        self.good_before = [probe for probe, answer in answers if answer.ok]
        failing = [(probe, answer) for probe, answer in answers if not answer.ok]
        if failing:
            probe, answer = failing[0]
            if known and list(known) != list(self.request.probes) and all(answer.ok for _probe, answer in self._poll(known, POLL)):
                raise ApplyError(f"{self.unit} runs well by the former probes, but not by the new one: {probe.label}: {answer.detail}")
            deaf = [probe for probe, answer in failing if not answer.reached]
            if any(not probe.running for probe in deaf):
                return Decision("restart", f"it doesn't answer: {deaf[0].label}")
            reason = "it runs another set than its files say" if probe.running else f"it doesn't answer as it should: {probe.label}"
            return Decision("reload", reason, escalate=bool(deaf))
        if not any(probe.running for probe in self.request.probes):
            stale = self._stale(status, plan)
            if stale:
                return Decision(strongest(spec.action for spec in stale), f"{stale[0].path} is newer than what it runs")
        for spec in self._told_at_runtime:
            if spec.runtime and not spec.runtime.question().ask().ok:
                return Decision(RUNTIME, f"it has another content of {spec.path}")
        return Decision("none")

    def _decide_absent(self, status: UnitStatus, plan: Plan, found: t.Mapping[str, t.Any]) -> Decision:
        if not self.systemd.running or not status.exists:
            return Decision("none")
        if not found["active"]:
            return Decision("stop" if status.active or status.in_transition else "none", "it didn't run when it was found")
        if not status.active:
            return Decision("start", "it ran when it was found")
        action = plan.action
        if action == "reload" and not status.can_reload:
            action = "restart"
        return Decision(action, "its files change")

    def _stale(self, status: UnitStatus, plan: Plan) -> list[FileSpec]:
        """The files that changed after the service read them.

        A file is known to be read when it is older than the last start or good reload, or when it is still the very one
        that was there after the last good run. What would ask for a restart must look changed, too: a new owner, or the
        same file brought back from a backup, isn't worth one.
        """
        record = (read_json(self.store.record_path) or {}).get("files", {})
        read_at = max(status.started, status.changed if status.reload_ok else 0.0)
        # Where only owner or mode was changed by somebody, so was the change time; the content is the same.
        mended = set(plan.changed_files)
        stale: list[FileSpec] = []
        for spec in self.request.files:
            identity = identity_of(spec.path)
            if spec.state != PRESENT or spec.action in ("none", RUNTIME) or spec.path in mended or identity is None:
                continue
            known = record.get(spec.path)
            if identity[2] / 1e9 <= read_at or known == list(identity):
                continue
            if spec.action == "restart" and known and known[3:] == list(identity[3:]):
                continue
            stale.append(spec)
        return stale

    # -- telling the running service ---------------------------------------------------------------------------------

    @property
    def _told_at_runtime(self) -> list[FileSpec]:
        """The files whose content the running service can be told."""
        return [spec for spec in self.request.files if spec.action == RUNTIME and spec.state == PRESENT]

    def _questions(self) -> tuple[Probe, ...]:
        """What the service must say of these files, however they got there."""
        return tuple(spec.runtime.question() for spec in self._told_at_runtime if spec.runtime)

    def _tell(self, plan: Plan) -> str | None:
        """Tell the service what has changed, then look; returns what is wrong."""
        changed = set(plan.changed_files)
        for spec in self._told_at_runtime:
            if spec.runtime and (self.tell_all or spec.path in changed or not spec.runtime.question().ask().ok):
                problem = spec.runtime.run(spec.content)
                if problem:
                    return problem
        return self._look((*self.request.probes, *self._questions()))

    # -- looking -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _poll(probes: t.Sequence[Probe], limit: float) -> list[tuple[Probe, Answer]]:
        """Ask all probes until they hold together, or the time is over."""
        until = time.monotonic() + limit
        while True:
            answers = [(probe, probe.ask()) for probe in probes]
            if all(answer.ok for _probe, answer in answers) or time.monotonic() >= until:
                return answers
            time.sleep(POLL)

    def _look(self, probes: t.Sequence[Probe], older: t.AbstractSet[tuple[int, str]] | None = None) -> str | None:
        """Wait until the service answers; returns what is wrong, None when nothing is.

        ``older`` are the processes before a reload, when a new one is proof that it was accepted.
        """
        until = time.monotonic() + self.request.probe_timeout
        quiet_since: float | None = None
        while True:
            problem = self._problem(probes, older)
            now = time.monotonic()
            if problem is None:
                if probes:
                    return None
                quiet_since = now if quiet_since is None else quiet_since
                if now - quiet_since >= SETTLE:
                    return None
            else:
                quiet_since = None
                if now >= until:
                    return problem
                if self._status().active_state == "failed":
                    return problem
            time.sleep(POLL)

    def _problem(self, probes: t.Sequence[Probe], older: t.AbstractSet[tuple[int, str]] | None) -> str | None:
        for probe in probes:
            answer = probe.ask()
            if not answer.ok:
                if probe.running and answer.reached:
                    return f"it still runs another set of files ({probe.label}: {answer.detail})"
                return f"{probe.label}: {answer.detail}"
        status = self._status()
        if not status.active:
            return f"{self.unit} is {status.active_state}"
        if older is not None and not descendants(status.main_pid) - older:
            return "it started no new process, so it didn't accept the reload"
        return None

    # -- validating --------------------------------------------------------------------------------------------------

    def _checks(self, removing: bool) -> list[Check]:
        """The checks whose program is installed."""
        checks: list[Check] = []
        for check in self.request.checks or (tuple(check_from_dict(raw) for raw in self.state.get("checks", [])) if removing else ()):
            if find_program(check.argv[0]) is not None:
                checks.append(check)
            elif self.check_mode:
                self.result.warnings.append(f"{check.argv[0]} isn't installed yet, so the files of {self.unit} couldn't be checked")
            else:
                raise ApplyError(f"{check.argv[0]}, the checker for {self.unit}, isn't installed")
        return checks

    def _validate(self, plan: Plan, removing: bool) -> bool:
        """Show the future tree to the checkers. False when it must be done in place, after the swap."""
        checks = self._checks(removing)
        future = dict(self.restored)
        future.update({change.path: change.after for change in plan.changes})
        try:
            complaint = _sandbox.run_checks(future, checks)
        except SandboxUnavailable as error:
            if self.check_mode:
                self.result.warnings.append(f"no private mount namespace here ({error}), so the files of {self.unit} couldn't be checked")
            return False
        if complaint:
            raise ApplyError(f"the new files of {self.unit} are refused, nothing was changed: {complaint}")
        self.result.validated = bool(checks)
        return True

    # -- doing -------------------------------------------------------------------------------------------------------

    def _finish(
        self, plan: Plan, decision: Decision, status: UnitStatus, want_active: bool, want_enabled: bool, removing: bool = False
    ) -> None:
        enable = self._enable_change(status, want_enabled, removing)
        result = self.result
        result.changed_files = plan.changed_files
        result.action = decision.action
        result.reason = decision.reason
        result.changed = bool(plan.changes or decision.action != "none" or enable or self.journal or removing)
        result.diff = [entry for change in plan.changes if change.main for entry in diff_of(change)]
        result.diff += self._unit_diff(status, decision, enable)
        if not result.changed:
            if not self.check_mode:
                self._remember_quietly(plan)
            return
        in_sandbox = True
        if want_active and (plan.changes or decision.action != "none"):
            in_sandbox = self._validate(plan, removing)
        if self.check_mode:
            return
        self.transacted = True
        with signals_held():
            self._transact(plan, decision, status, enable, removing, check_in_place=not in_sandbox)

    def _enable_change(self, status: UnitStatus, wanted: bool, removing: bool) -> str:
        """What is to be done about the start at boot: enable, disable or nothing."""
        if not self.systemd.running:
            if find_program("systemctl") is None or not status.exists:
                return ""
            is_enabled = self.systemd.is_enabled(self.unit)
        elif not status.exists:
            return "enable" if wanted and self.check_mode and not removing else ""
        elif status.unit_file_state in ("static", "generated", "indirect", "alias", "transient", ""):
            return ""
        else:
            is_enabled = status.enabled
        if wanted == is_enabled:
            return ""
        return "enable" if wanted else "disable"

    def _unit_diff(self, status: UnitStatus, decision: Decision, enable: str) -> list[dict[str, t.Any]]:
        if decision.action == "none" and not enable:
            return []
        before: dict[str, t.Any] = {"active": status.active_state, "unit_file": status.unit_file_state or "absent"}
        after = dict(before)
        if decision.action in ("start", "restart", "reload", RUNTIME):
            after["active"] = f"active ({decision.action}: {decision.reason})"
        elif decision.action == "stop":
            after["active"] = f"inactive (stop: {decision.reason})"
        if enable:
            after["unit_file"] = f"{enable}d"
        return [{"before_header": self.unit, "after_header": self.unit, "before": before, "after": after}]

    def _transact(self, plan: Plan, decision: Decision, status: UnitStatus, enable: str, removing: bool, check_in_place: bool) -> None:
        """From here on everything happens, or nothing."""
        since = time.time()
        told = False
        try:
            directories = self._begin(plan, decision, status)
            for change in plan.changes:
                for folder in missing_parents(change.path) if change.after.exists else []:
                    make_directory(folder)
                put_entry(change.path, change.after)
            if check_in_place:
                complaint = _sandbox.run_checks_in_place(self._checks(removing))
                if complaint:
                    raise ApplyError(f"the new files of {self.unit} are refused: {complaint}")
                self.result.validated = True
            for folder in reversed(self.state.get("directories", [])):
                remove_directory_if_empty(folder)
            if decision.action != "none":
                told = self._open["told"] = True
                write_json(self.store.journal_path, self._open)
            self._serve(plan, decision, enable, removing)
            self._commit(plan, directories, removing)
        except Exception as error:
            words = self.systemd.journal_tail(self.unit, since) if told and self.systemd.running else ""
            outcome = self._roll_back()
            said = f". It said: {words}" if words else ""
            raise ApplyError(f"{str(error).rstrip('. ')}{said.rstrip('. ')}. {outcome}", rolled_back=True) from error

    @property
    def _open(self) -> dict[str, t.Any]:
        """The journal of the transaction that is under way."""
        if self.journal is None:
            raise RuntimeError("no transaction is under way")
        return self.journal

    def _begin(self, plan: Plan, decision: Decision, status: UnitStatus) -> list[str]:
        """Write down how everything was, before anything is touched."""
        former = self.journal or {}
        self.store.make()
        transaction = random.token_hex(8)
        undo = self.store.undo_folder(transaction)
        make_directory(undo, 0o700)
        if any(change.path.startswith(self.store.originals + os.sep) for change in plan.changes):
            make_directory(self.store.originals, 0o700)
        directories: list[str] = []
        entries: list[dict[str, t.Any]] = []
        for number, change in enumerate(plan.changes):
            if change.after.exists:
                directories += [folder for folder in missing_parents(change.path) if folder not in directories]
            if change.before.kind == FILE:
                copy = Entry(kind=FILE, data=change.before.data, mode=0o600, uid=os.getuid(), gid=os.getgid())
                put_entry(os.path.join(undo, str(number)), copy)
            entries.append({"path": change.path, "copy": str(number) if change.before.kind == FILE else None, **change.before.to_dict()})
        self.journal = {
            "version": 1,
            "transaction": transaction,
            "entries": entries,
            "directories": directories,
            "action": decision.action,
            "of_units": plan.of_units,
            # Whether the service was told to read what lay there in between, by this run or by a broken one before it.
            "told": former.get("told", False),
            "active": former.get("active", status.active),
            "unit_file_state": former.get("unit_file_state", self._unit_file_state(status)),
            "masked": former.get("masked", self._our_mask),
        }
        write_json(self.store.journal_path, self.journal)
        self.store.drop_undo_folders(keep=transaction)
        return directories

    def _unit_file_state(self, status: UnitStatus) -> str:
        if self.systemd.running or not status.exists:
            return status.unit_file_state
        return "enabled" if self.systemd.is_enabled(self.unit) else "disabled"

    def _serve(self, plan: Plan, decision: Decision, enable: str, removing: bool) -> None:
        """Make the service run what lies there now."""
        unmasked = self._our_mask and not removing
        if unmasked:
            put_entry(mask_path(self.unit, self.unit_folder), NOTHING)
        if self.systemd.running and (unmasked or plan.of_units or self._status().need_daemon_reload):
            self._must(self.systemd.daemon_reload(), "systemctl daemon-reload failed")
            status = self._status()
            if status.load_state not in ("loaded", "not-found", "masked"):
                raise ApplyError(f"systemd can't use {self.unit} with its new files: it is {status.load_state}")
            if unmasked or (plan.of_units and not removing):
                # The unit may have come with these files.
                enable = self._enable_change(status, self.request.enabled, removing)
        if enable == "enable":
            # Before the start: aliases come with it (rsyslog's socket triggers syslog.service, which is one).
            self._must(self.systemd.enable(self.unit), f"{self.unit} couldn't be enabled")
        if decision.action == "stop":
            self._must(self.systemd.stop(self.unit), f"{self.unit} couldn't be stopped")
        elif decision.action != "none":
            probes = () if removing else (*self.request.probes, *self._questions())
            action = decision.action
            problem = self._tell(plan) if action == RUNTIME else self._act(action, probes)
            if problem and action == RUNTIME:
                # The checkers were content with these files, so a reload takes what can't be told.
                self.result.warnings.append(
                    f"{self.unit} wouldn't take the new content while it runs, so it was told to read its files: {self.safe(problem)}"
                )
                self.result.action = action = self._open["action"] = "reload" if self._status().can_reload else "restart"
                write_json(self.store.journal_path, self._open)
                problem = self._act(action, probes)
            if problem and action == "reload" and decision.escalate:
                self.result.action = "restart"
                problem = self._act("restart", probes)
            if problem:
                raise ApplyError(f"{self.unit} doesn't answer as it should with the new files: {problem}")
        if enable == "disable":
            self._must(self.systemd.disable(self.unit), f"{self.unit} couldn't be disabled")

    @staticmethod
    def _must(outcome: Outcome, message: str) -> None:
        if outcome.rc != 0:
            raise ApplyError(f"{message}: {outcome.output}")

    def _act(self, action: str, probes: t.Sequence[Probe]) -> str | None:
        """Start, reload or restart, then look; returns what is wrong."""
        older: set[tuple[int, str]] | None = None
        if action == "reload":
            if self.request.new_process:
                older = descendants(self._status().main_pid)
            outcome = self.systemd.reload(self.unit)
        else:
            self.systemd.reset_failed(self.unit)
            outcome = self.systemd.start(self.unit) if action == "start" else self.systemd.restart(self.unit)
        if outcome.rc != 0:
            return f"systemctl {action} failed: {without_hints(outcome.output)}"
        return self._look(probes, older)

    def _commit(self, plan: Plan, directories: list[str], removing: bool) -> None:
        """The moment from which the new set is the good one."""
        transaction = self._open["transaction"]
        if removing:
            write_json(self.store.state_path, {"version": 1, "transaction": transaction, "removed": True})
        else:
            write_json(self.store.state_path, self._new_state(plan, transaction, directories))
        self._end_transaction()
        if removing:
            self._forget()
        else:
            self._record()

    def _new_state(self, plan: Plan, transaction: str, directories: list[str]) -> dict[str, t.Any]:
        found = self.state.get("found")
        if found is None:
            found = self._found()
        return {
            "version": 1,
            "transaction": transaction,
            "digest": self.digest,
            "unit": self.unit,
            "files": plan.records,
            "directories": sorted(folder for folder in {*self.state.get("directories", []), *directories} if os.path.isdir(folder)),
            "found": found,
            "probes": [probe.to_dict() for probe in self.request.probes],
            "checks": [check_to_dict(check) for check in self.request.checks],
        }

    def _found(self) -> dict[str, t.Any]:
        """How the unit was before this set came: as the claim saw it, else as the journal did."""
        claim = (self.store.read_claim() or {}).get("units", {}).get(self.unit)
        if claim:
            return {"active": claim["active"], "enabled": claim["found"].startswith(("enabled", "static"))}
        return {"active": self._open["active"], "enabled": self._open["unit_file_state"].startswith(("enabled", "static"))}

    def _end_transaction(self) -> None:
        put_entry(self.store.journal_path, NOTHING)
        self.store.drop_undo_folders()
        claim = self.store.read_claim()
        if claim and self.unit in claim["masks"] and not is_mask(mask_path(self.unit, self.unit_folder)):
            claim["masks"] = [name for name in claim["masks"] if name != self.unit]
            self.store.write_claim(claim)
        self.journal = None

    def _record(self) -> None:
        """Remember which inodes the service has read. Lost at a reboot, after which it has read everything anew."""
        identities = {spec.path: identity_of(spec.path) for spec in self.request.files if spec.state == PRESENT}
        make_directory(self.store.run_root, 0o700)
        write_json(self.store.record_path, {"files": {path: value for path, value in identities.items() if value}})

    def _remember_quietly(self, plan: Plan) -> None:
        """Keep the memory in step where nothing on the host changes (another probe, another action)."""
        state = self._new_state(plan, self.state["transaction"], []) if self.state else None
        if state and state != self.state:
            write_json(self.store.state_path, state)

    def _forget(self) -> None:
        for path in (self.store.state_path, self.store.record_path):
            if os.path.isdir(os.path.dirname(path)):
                put_entry(path, NOTHING)
        if self.store.read_claim() is None:
            shutil.rmtree(self.store.folder)
        self.store.forget_if_empty()

    # -- undoing -----------------------------------------------------------------------------------------------------

    def _entries_of_journal(self) -> list[tuple[str, Entry]]:
        """How the paths were before the broken run, the last changed first."""
        undo = self.store.undo_folder(self._open["transaction"])
        result: list[tuple[str, Entry]] = []
        for raw in reversed(self._open["entries"]):
            data = b""
            if raw["copy"] is not None:
                copy = read_entry(os.path.join(undo, raw["copy"]))
                if not copy.exists:
                    raise FilesError(
                        f"the copy of {raw['path']} that a broken run left in {undo} is gone; remove {self.store.journal_path}"
                    )
                data = copy.data
            result.append((raw["path"], Entry.from_dict(raw, data)))
        return result

    def _restore_files(self) -> None:
        """Put the files, the folders and our mask back as the journal says. Can be repeated."""
        for path, entry in self._entries_of_journal():
            if entry.exists:
                for folder in missing_parents(path):
                    make_directory(folder)
            if entry.exists or os.path.isdir(os.path.dirname(path)):
                restore_entry(path, entry)
        for folder in reversed(self._open["directories"]):
            remove_directory_if_empty(folder)
        reload_units = self._open["of_units"]
        if self._open["masked"] and not self._our_mask:
            put_entry(mask_path(self.unit, self.unit_folder), Entry(kind=LINK, target=os.devnull))
            reload_units = True
        if reload_units and self.systemd.running:
            self._must(self.systemd.daemon_reload(), "systemctl daemon-reload failed")

    def _tidy(self) -> None:
        """Leave nothing behind where this set had nothing before."""
        self.store.drop_undo_folders()
        if not self.state and self.store.read_claim() is None:
            shutil.rmtree(self.store.folder, ignore_errors=True)
            self.store.forget_if_empty()

    def _restore_state(self) -> None:
        """Forget a new state that was written when something failed after it."""
        if self.state:
            if read_json(self.store.state_path) != self.state:
                write_json(self.store.state_path, self.state)
        elif os.path.exists(self.store.state_path):
            put_entry(self.store.state_path, NOTHING)

    def _recover(self) -> None:
        """Clean up after a run that was killed half way: its files go back first."""
        if self.journal is None:
            if not self.check_mode and os.path.exists(self.store.journal_path):
                self._end_transaction()
                if not self.state:
                    self._forget()
            return
        self.result.recovered = True
        if self.check_mode:
            self.restored = dict(self._entries_of_journal())
            return
        with signals_held():
            self._restore_files()

    def _end_recovery(self) -> None:
        """After a broken run and no new transaction: the service must run what was put back."""
        if self.journal is None:
            return
        self.result.changed = True
        if self.check_mode:
            return
        with signals_held():
            self._put_service_back()
            self._end_transaction()
            self._tidy()

    def _roll_back(self) -> str:
        """Everything as it was before; returns the words for it."""
        if self.journal is None:
            self._tidy()
            return "Nothing was changed."
        try:
            self._restore_files()
            self._restore_state()
            problem = self._put_service_back()
            self._end_transaction()
        except (ApplyError, FilesError, OSError, RuntimeError) as error:
            return f"Putting the previous files back failed, the next run tries again: {error}"
        if problem:
            return f"The previous files are back, but {self.unit} doesn't answer with them either: {problem}"
        self._tidy()
        return "Everything was put back as it was before."

    def _put_service_back(self) -> str | None:
        """The service as it was before the transaction, with the files that are back now."""
        if not self.systemd.running:
            return None
        status = self._status()
        problem: str | None = None
        if self._open["active"]:
            if self._open["told"] or not status.active:
                known = [Probe.from_dict(raw) for raw in self.state.get("probes", [])]
                probes = known if self.good_before is None else self.good_before
                # What was told at runtime is gone with a reload, too: the service reads its files.
                gentle = self._open["action"] in ("reload", RUNTIME) and status.active and status.can_reload
                problem = self._act("reload" if gentle else "restart", probes)
                if problem and gentle:
                    problem = self._act("restart", probes)
            if problem is None:
                self._record()
        elif status.exists and (status.active or status.in_transition or status.active_state == "failed"):
            self.systemd.stop(self.unit)
            self.systemd.reset_failed(self.unit)
        before = self._open["unit_file_state"]
        now = self._status().unit_file_state
        if before == "disabled" and now == "enabled":
            self._must(self.systemd.disable(self.unit), f"{self.unit} couldn't be disabled again")
        elif before == "enabled" and now == "disabled":
            self._must(self.systemd.enable(self.unit), f"{self.unit} couldn't be enabled again")
        return problem

    # -- saying ------------------------------------------------------------------------------------------------------

    def safe(self, message: str) -> str:
        """A message without anything from a sensitive file."""
        hidden: set[str] = set(self.request.secrets)
        sensitive = {spec.path for spec in self.request.files if spec.sensitive}
        for spec in self.request.files:
            if spec.sensitive:
                hidden |= secrets_in(spec.content.decode("utf-8", "replace"))
        for path, record in self.state.get("files", {}).items():
            if record["sensitive"] or path in sensitive:
                with contextlib.suppress(OSError):
                    hidden |= secrets_in(text_of(read_entry(path)))
        return redact(message, {secret for secret in hidden if secret != self.digest})

    def explain(self, message: str) -> str:
        """An error with the names of the variables that can mend it."""
        text = self.safe(message).strip()
        if self.result.recovered:
            text = f"{text.rstrip('.')}. An earlier run had been broken off half way and was undone first"
        if self.request.variables:
            text = f"{text.rstrip('.')}. Correct one of: {', '.join(self.request.variables)}"
        return text


_UNIT_FOLDERS_OF_PACKAGES = ("/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def fill_probe(probe: Probe, digest: str) -> Probe:
    """A probe with the digest written in where it asks for it."""

    def fill(value: str | None) -> str | None:
        return None if value is None else value.replace(DIGEST_TEXT, digest)

    return dataclasses.replace(
        probe,
        target=probe.target.replace(DIGEST_TEXT, digest),
        argv=tuple(part.replace(DIGEST_TEXT, digest) for part in probe.argv),
        send=fill(probe.send),
        expect=fill(probe.expect),
    )


def without_hints(text: str) -> str:
    """What systemctl says, without its advice to call something else."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(("See ", "Warning: The unit file")))


def check_to_dict(check: Check) -> dict[str, t.Any]:
    return {"argv": list(check.argv), "ok_rc": list(check.ok_rc), "reject_output": check.reject_output}


def check_from_dict(raw: t.Mapping[str, t.Any]) -> Check:
    return Check(tuple(raw["argv"]), tuple(raw.get("ok_rc") or (0,)), raw.get("reject_output"))


__all__ = ["Applier", "ApplyError", "Change", "Request", "Result", "check_from_dict"]
