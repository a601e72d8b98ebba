# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set of files is, and which changes bring a host from what it has to what it should have."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.hitless.lb.plugins.module_utils._files import (
    ABSENT,
    DIRECTORY,
    FILE,
    LINK,
    NOTHING,
    OTHER,
    Entry,
    FilesError,
    checksum,
    missing_parents,
    read_entry,
    text_of,
)
from ansible_collections.hitless.lb.plugins.module_utils._runtime import Runtime
from ansible_collections.hitless.lb.plugins.module_utils._store import Store

DIGEST_TEXT = "@HITLESS_DIGEST@"

PRESENT = "present"
TAKEN_OUT = "taken_out"

BESIDE = "beside"

# In the order of their strength. With "runtime" the running service is told a new content over its socket.
RUNTIME = "runtime"
ACTIONS = ("none", RUNTIME, "reload", "restart")

UNIT_FILE_FOLDERS = ("/etc/systemd/", "/run/systemd/", "/usr/lib/systemd/", "/usr/local/lib/systemd/", "/lib/systemd/")

HIDDEN = "(the content is hidden)\n"
MASKED = "********"


def strongest(actions: t.Iterable[str]) -> str:
    """The action that covers all others."""
    return max(actions, key=ACTIONS.index, default="none")


@dataclass(frozen=True)
class FileSpec:
    """One file of a set, as the caller wants it.

    With ``link`` it is a symbolic link to that path. ``original`` is a place that somebody else agreed to (a diversion of
    dpkg's): what the path had goes there, and what lies there at the end comes back, whoever put it there.
    """

    path: str
    content: bytes = b""
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    sensitive: bool = False
    state: str = PRESENT
    action: str = "reload"
    keep_original: str = BESIDE
    runtime: Runtime | None = None
    link: str = ""
    original: str = ""

    @property
    def entry(self) -> Entry:
        """What is to lie at the path, with the caller's own owner."""
        return Entry(kind=LINK, target=self.link) if self.link else Entry(kind=FILE, data=self.content, mode=self.mode)


def digest_of(specs: t.Iterable[FileSpec]) -> str:
    """A name for what the service reads: the same for the same paths and contents, another for any other.

    Files that ask nothing of the service aren't part of it, so that a change of one doesn't look like another set. Nor is
    the content of one that can be told at runtime: the service says itself which one it has.
    """
    asking = [spec for spec in specs if spec.action != "none"]
    parts = sorted(
        [
            spec.path,
            spec.state,
            (f"link to {spec.link}" if spec.link else checksum(spec.content)) if spec.state == PRESENT and spec.action != RUNTIME else "",
        ]
        for spec in asking
    )
    return hashlib.sha256(json.dumps(parts).encode("utf-8")).hexdigest()[:32]


def with_digest(specs: t.Iterable[FileSpec], digest: str) -> list[FileSpec]:
    """The files with the digest written in where they ask for it."""
    mark, value = DIGEST_TEXT.encode(), digest.encode()
    return [dataclasses.replace(spec, content=spec.content.replace(mark, value)) for spec in specs]


def problems_of(specs: t.Sequence[FileSpec]) -> list[str]:
    """What is wrong with a list of files before anything is looked at."""
    found: list[str] = []
    seen: set[str] = set()
    for spec in specs:
        if not spec.path.startswith("/") or os.path.normpath(spec.path) != spec.path or spec.path == "/":
            found.append(f"files: {spec.path!r} must be an absolute path without '..', double or trailing slashes")
        if spec.path in seen:
            found.append(f"files: {spec.path} is listed twice")
        seen.add(spec.path)
    for spec in specs:
        folder = os.path.dirname(spec.path)
        while folder not in ("", "/"):
            if folder in seen:
                found.append(f"files: {spec.path} lies below {folder}, which is a file of the same list")
            folder = os.path.dirname(folder)
    return found


@dataclass(frozen=True)
class Change:
    """One path that becomes something else."""

    path: str
    before: Entry
    after: Entry
    action: str = "none"
    sensitive: bool = False
    # False for the copy of an original, which follows from the change of another path.
    main: bool = True

    @property
    def of_units(self) -> bool:
        """Whether systemd must read its unit files again."""
        return self.path.startswith(UNIT_FILE_FOLDERS)


@dataclass
class Plan:
    """Everything that is to be done to files, in order, and what is to be remembered of it."""

    changes: list[Change] = field(default_factory=list)
    records: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def action(self) -> str:
        return strongest(change.action for change in self.changes)

    @property
    def of_units(self) -> bool:
        return any(change.of_units for change in self.changes)

    @property
    def changed_files(self) -> list[str]:
        return [change.path for change in self.changes if change.main]


Reader = t.Callable[[str], Entry]
Resolver = t.Callable[[str, str], tuple[int, int]]


class Planner:
    """Compares the files on the disk with a list of files and with what was managed before."""

    def __init__(self, store: Store, records: t.Mapping[str, t.Mapping[str, t.Any]], read: Reader = read_entry) -> None:
        self.store = store
        self.records = records
        self.read = read
        self.plan = Plan()

    def _look(self, path: str) -> Entry:
        entry = self.read(path)
        if entry.kind in (DIRECTORY, OTHER):
            kind = "directory" if entry.kind == DIRECTORY else "special file"
            raise FilesError(f"{path} is a {kind}; a regular file or a link was expected there")
        return entry

    def _change(self, path: str, before: Entry, after: Entry, **details: t.Any) -> None:
        self.plan.changes.append(Change(path, before, after, **details))

    def _keep(self, spec: FileSpec, entry: Entry, known: str | None) -> str:
        """Put the original of a path in a safe place; returns the place."""
        place = known
        if place is None and spec.keep_original == BESIDE:
            beside = f"{spec.path}.disabled" if spec.state == TAKEN_OUT else f"{spec.path}.orig"
            if not self._look(beside).exists:
                place = beside
        place = place or self.store.original_path(spec.path)
        self._change(place, self._look(place), entry, sensitive=spec.sensitive, main=False)
        return place

    def wanted(self, spec: FileSpec, uid: int, gid: int) -> None:
        """Plan for a file that is listed."""
        record = self.records.get(spec.path)
        original = record.get("original") if record else None
        before = self._look(spec.path)
        ours = record is not None and record["state"] == PRESENT
        if spec.state == TAKEN_OUT:
            if before.exists:
                if not ours:
                    original = self._keep(spec, before, original)
                self._change(spec.path, before, NOTHING, action=spec.action, sensitive=spec.sensitive)
        else:
            if before.exists and not ours and original is None:
                original = self._keep(spec, before, spec.original or None)
            missing_parents(spec.path)
            after = dataclasses.replace(spec.entry, uid=uid, gid=gid)
            if not before.same_content(after):
                # A service can be told a new content of what it has read, not a new file.
                action = "reload" if spec.action == RUNTIME and before.kind != FILE else spec.action
                self._change(spec.path, before, after, action=action, sensitive=spec.sensitive)
            elif not before.same_attributes(after):
                self._change(spec.path, before, after, sensitive=spec.sensitive)
        self.plan.records[spec.path] = {
            "order": len(self.plan.records),
            "state": spec.state,
            "action": spec.action,
            "sensitive": spec.sensitive,
            "original": original,
        }
        if spec.original:
            # Whatever dpkg puts there later is what comes back, also where there was nothing at first.
            self.plan.records[spec.path] |= {"original": spec.original, "diverted": True}

    def unwanted(self, path: str) -> None:
        """Plan for a file that was managed and isn't any more: the original comes back, or the path goes."""
        record = self.records[path]
        action = "reload" if record["action"] == RUNTIME else record["action"]
        details = {"action": action, "sensitive": record["sensitive"]}
        before = self._look(path)
        place: str = record.get("original") or ""
        kept = self._look(place) if place else NOTHING
        if record["state"] == TAKEN_OUT and before.exists:
            # Somebody put a new one there meanwhile: it stays.
            if kept.exists and kept.same_content(before):
                self._change(place, kept, NOTHING, sensitive=record["sensitive"], main=False)
            elif kept.exists:
                self.plan.warnings.append(f"{path} was there again, so what had been taken out of its place stays in {place}")
            return
        if place and not kept.exists and not record.get("diverted"):
            self.plan.warnings.append(f"the original of {path} isn't in {place} any more, so it can't be given back")
        if before.kind == ABSENT and kept.kind == ABSENT:
            return
        if not (before.same_content(kept) and before.same_attributes(kept)):
            self._change(path, before, kept, **details)
        if kept.exists:
            self._change(place, kept, NOTHING, sensitive=record["sensitive"], main=False)

    def present(self, specs: t.Sequence[FileSpec], resolve: Resolver) -> Plan:
        """The plan for a list of files."""
        for spec in specs:
            uid, gid = resolve(spec.owner, spec.group)
            self.wanted(spec, uid, gid)
        listed = {spec.path for spec in specs}
        for path in self._last_first(set(self.records) - listed):
            self.unwanted(path)
        return self.plan

    def _last_first(self, paths: t.Collection[str]) -> list[str]:
        """The main file goes before those that it refers to."""
        return sorted(paths, key=lambda path: self.records[path]["order"], reverse=True)

    def absent(self) -> Plan:
        """The plan that gives everything back."""
        for path in self._last_first(self.records):
            self.unwanted(path)
        return self.plan


def diff_of(change: Change) -> list[dict[str, t.Any]]:
    """What --diff shows of a change."""
    result: list[dict[str, t.Any]] = []
    if not change.before.same_content(change.after):
        before, after = text_of(change.before), text_of(change.after)
        if change.sensitive:
            before = HIDDEN if change.before.exists else ""
            after = HIDDEN.replace("content", "new content") if change.after.exists else ""
        result.append({"before_header": change.path, "after_header": change.path, "before": before, "after": after})
    if change.before.kind == FILE and change.after.kind == FILE and not change.before.same_attributes(change.after):
        result.append(
            {
                "before_header": f"{change.path} (attributes)",
                "after_header": f"{change.path} (attributes)",
                "before": _attributes(change.before),
                "after": _attributes(change.after),
            }
        )
    return result


def _attributes(entry: Entry) -> dict[str, t.Any]:
    return {"mode": f"{entry.mode:04o}", "uid": entry.uid, "gid": entry.gid}


SECRET_WORD = re.compile(
    r"(?i)\b[\w-]*(?:pass(?:word|wd|phrase)?|secret|auth(?:_pass)?|token|api_?key|community|credentials?)[\w-]*\s*[=:]?\s+[\"']?([^\s\"';]{3,})"
)
SECRET_SHAPE = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[A-Za-z0-9+/=$._-]{16,}")


def secrets_in(content: str) -> set[str]:
    """The parts of a sensitive file that must never be repeated in a message.

    What follows a word such as "password" or "auth", what looks like a key or a hash, and every longer line as a whole.
    """
    found: set[str] = set()
    for line in content.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found.update(match.group(1) for match in SECRET_WORD.finditer(stripped))
        found.update(SECRET_SHAPE.findall(stripped))
        if len(stripped) >= 12:
            found.add(stripped)
    return found


def redact(text: str, secrets: t.Iterable[str]) -> str:
    """A message without secrets. Long ones first, so that no part of one is left over."""
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        text = text.replace(secret, MASKED)
    return text
