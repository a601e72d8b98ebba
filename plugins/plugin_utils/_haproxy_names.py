# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: names that lead nowhere, rules that are never reached, words that this HAProxy doesn't know. Not for use outside.

Each line is looked at once, and names are looked up in sets, so the time grows with the number of lines and no faster.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_files as files
from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_language as language
from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_limits as limits
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import (
    OTHERS,
    OWN_PEERS,
    Model,
    Section,
    empty,
    names,
    version_tuple,
)
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_render import check_line
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_values import as_dict, as_list, nearest

_RAW_SECTION = re.compile(r"(frontend|backend|listen|peers|resolvers|userlist|cache|http-errors|defaults|ring)\s+(\S+)")
_HASH = re.compile(r"\$[0-9a-z]{1,3}\$.+")
_RULES = ("tcp_request", "http_request", "tcp_response", "http_response", "http_after_response")
_LINES = (*_RULES, "acl", "stick", "use_backend", "use_server", "stats", "monitor", "http_error", "capture", "filter", "redirect")
_VARIABLES = {
    "userlist": "haproxy_userlists",
    "peers": "haproxy_peers",
    "resolvers": "haproxy_resolvers",
    "cache": "haproxy_caches",
    "http-errors": "haproxy_http_errors",
    "defaults": "haproxy_named_defaults",
    "map": "haproxy_maps",
    "acl": "haproxy_acl_files",
    "errorfile": "haproxy_error_files",
}
_CALLED = {
    "map": "map",
    "acl": "ACL file",
    "errorfile": "error file",
    "cache": "cache",
    "userlist": "userlist",
    "peers": "peers section",
    "resolvers": "resolvers section",
    "http-errors": "http-errors section",
    "defaults": "defaults",
    "table": "section with a stick table",
}


class Findings(list[str]):
    """What is wrong, in the order in which it was found."""

    def __init__(self, version: str | None = None, how: str = "is installed") -> None:
        super().__init__()
        self.numbers = version_tuple(version)
        self.haproxy = f"HAProxy {version}, which {how} on this node,"

    def add(self, path: str, text: str) -> None:
        """Note one finding: where, what was found, what to write instead."""
        self.append(f"{path}: {text}")

    def known(self, path: str, word: str, since: str = "", until: str = "") -> None:
        """Note a word that this HAProxy doesn't know (yet, or any more)."""
        if self.numbers is None:
            return
        if since and self.numbers < (version_tuple(since) or ()):
            self.add(path, f"{self.haproxy} doesn't know {word!r}, which came with {since}; leave it out, or install {since} or later")
        if until and self.numbers[:2] > (version_tuple(until) or ()):
            self.add(path, f"{self.haproxy} doesn't know {word!r} any more, {until} was the last that did; leave it out")


class Names:
    """Everything that can be named, and by which name."""

    def __init__(self, source: Mapping[str, Any], model: Model) -> None:
        raw: dict[str, list[str]] = {}
        for line in model.raw:
            match = _RAW_SECTION.match(line)
            if match:
                raw.setdefault(match[1], []).append(match[2])
        self.order: dict[str, list[str]] = {kind: [*names(model.others, kind), *raw.get(kind, [])] for kind in OTHERS}
        if model.stats_login:
            self.order["userlist"].append("stats")
        # HAProxy makes this one itself from /etc/resolv.conf.
        self.order["resolvers"].append("default")
        self.order["backend"] = [*names(model.sections, "backend", "listen"), *raw.get("backend", []), *raw.get("listen", [])]
        self.order["frontend"] = [*names(model.sections, "frontend", "listen"), *raw.get("frontend", []), *raw.get("listen", [])]
        self.order["defaults"] = list(model.named_defaults)
        tables = {
            section.name for section in model.sections if not empty(section.data.get("stick_table")) or not empty(section.data.get("raw"))
        }
        self.order["table"] = [*tables, *raw.get("backend", []), *raw.get("listen", []), *raw.get("frontend", [])]
        for kind, (key, _folder, _suffix) in files.KINDS.items():
            self.order[kind] = [str(as_dict(item).get("name", "")) for item in as_list(source.get(key))]
        self.sets = {kind: set(order) for kind, order in self.order.items()}

    def has(self, kind: str, name: str, path: str, findings: Findings) -> None:
        """Note a name that leads nowhere."""
        if language.computed(name):
            return
        if kind == "table" and "/" in name:
            kind, name = "peers", name.split("/", 1)[0]
        if kind == "peers" and name == OWN_PEERS and name not in self.sets["peers"]:
            findings.add(
                path, f"the peers section {OWN_PEERS!r} is made from haproxy_peer_nodes, which is empty; write the load balancers there"
            )
        elif name not in self.sets[kind]:
            known = [one for one in self.order[kind] if one != "default"]
            where = f" in {_VARIABLES[kind]}" if kind in _VARIABLES else ""
            findings.add(path, f"there is no {_CALLED.get(kind, kind)} {name!r}{where}; {nearest(name, known)}")


def _lines_of(section: Section) -> Iterator[tuple[str, str, str]]:
    """List the lines of a section with their keys and paths."""
    data = section.data
    for key in _LINES:
        if key in data:
            for index, line in enumerate(as_list(data[key])):
                yield key, section.path(f"{key}[{index}]"), str(line)


def _versions(key: str, path: str, line: str, findings: Findings) -> None:
    parts = language.words(line)
    if key in _RULES:
        name = language.bare(language.action(key, parts)[0])
        since = language.LATE_ACTIONS.get(key, {}).get(name) or language.ACTIONS.get(name)
        if since:
            findings.known(path, name, since)
    elif key == "filter" and parts:
        findings.known(path, parts[0], language.FILTERS.get(parts[0], ""))
    elif key == "acl" and len(parts) > 1:
        name = language.bare(parts[1].split(",", 1)[0])
        findings.known(path, name, language.FETCHES.get(name, ""))
    for name, since in language.late_words(line):
        findings.known(path, name, since)


def _reached(key: str, rules: list[Any], path: str, findings: Findings) -> None:
    """Note the first rule that no request ever gets to."""
    ended: dict[str, int] = {}
    for index, rule in enumerate(map(str, rules)):
        parts = language.words(rule)
        name, rule_set = language.action(key, parts)
        if rule_set in ended:
            findings.add(
                f"{path}[{index}]",
                f"is never reached, because {path}[{ended[rule_set]}] ({rules[ended[rule_set]]!r}) has no condition;"
                " put it in front of that one, or give that one an if",
            )
            return
        if language.bare(name) in language.FINAL[key] and not language.has_condition(parts):
            ended[rule_set] = index


def _acls(section: Section, findings: Findings) -> None:
    """Note conditions with an ACL that the section doesn't have; HAProxy takes them from nowhere else."""
    lines = [
        *map(str, as_list(section.data.get("acl"))),
        *(str(line)[4:] for line in as_list(section.data.get("raw")) if str(line).startswith("acl ")),
    ]
    known = {line.split()[0] for line in lines if line.split()}
    for key in (*_RULES, "use_backend", "use_server", "monitor"):
        for index, line in enumerate(map(str, as_list(section.data.get(key)))):
            for name in language.conditions(language.words(line)):
                # A line break is reported as such.
                if name not in known and line.isprintable():
                    findings.add(section.path(f"{key}[{index}]"), f"there is no acl {name!r} in {section.name}; {nearest(name, known)}")


def _use_backend(section: Section, findings: Findings) -> None:
    rules = [str(rule) for rule in as_list(section.data.get("use_backend"))]
    for index, rule in enumerate(rules):
        parts = language.words(rule)
        if parts and not language.computed(parts[0]) and not language.has_condition(parts):
            path = section.path(f"use_backend[{index}]")
            if index + 1 < len(rules):
                findings.add(
                    section.path(f"use_backend[{index + 1}]"),
                    f"is never reached, because {path} ({rule!r}) has no condition; put it in front of that one, or give that one an if",
                )
            elif not empty(section.data.get("default_backend")):
                findings.add(
                    section.path("default_backend"),
                    f"is never reached, because {path} ({rule!r}) has no condition; give that one an if, or leave it out",
                )
            return


def _use_server(section: Section, findings: Findings) -> None:
    rules = as_list(section.data.get("use_server"))
    known = [str(as_dict(server).get("name", "")) for server in as_list(section.data.get("server"))] if rules else []
    for template in map(as_dict, as_list(section.data.get("server_template")) if rules else []):
        last = re.search(r"[0-9]+$", str(template.get("count") or 1))
        known += [f"{template.get('prefix', '')}{number}" for number in range(1, int(last[0] if last else 1) + 1)]
    raw = any(str(line).startswith("server") for line in as_list(section.data.get("raw")))
    for index, rule in enumerate(map(str, rules)):
        name = (language.words(rule) or [""])[0]
        if not raw and not language.computed(name) and name not in known:
            findings.add(section.path(f"use_server[{index}]"), f"{section.name} has no server {name!r}; {nearest(name, known)}")


def _tracks(model: Model) -> dict[str, set[str]]:
    """List the servers by section, where any server follows another one."""
    every = [(section, server) for section in model.sections for server in map(as_dict, as_list(section.data.get("server")))]
    if not any(not empty(server.get("track")) for _section, server in every):
        return {}
    result: dict[str, set[str]] = {section.name: set() for section, _server in every}
    for section, server in every:
        result[section.name].add(str(server.get("name", "")))
    return result


def _servers(section: Section, known: Names, tracked: dict[str, set[str]], findings: Findings) -> None:
    data = section.data
    for key in ("default_server", "server", "server_template"):
        for index, server in enumerate(map(as_dict, as_list(data.get(key)))):
            path = section.path(key) + (f"[{index}]" if key != "default_server" else "")
            if not empty(server.get("resolvers")):
                known.has("resolvers", str(server["resolvers"]), f"{path}.resolvers", findings)
            if not empty(server.get("track")):
                place, _slash, name = str(server["track"]).rpartition("/")
                servers = tracked.get(place or section.name)
                if servers is not None and name not in servers:
                    findings.add(f"{path}.track", f"{place or section.name} has no server {name!r}; {nearest(name, servers)}")
                elif servers is None:
                    known.has("backend", place, f"{path}.track", findings)


def _stick_table(section: Section, known: Names, findings: Findings) -> None:
    given = section.data.get("stick_table")
    if empty(given):
        return
    path = section.path("stick_table")
    if isinstance(given, Mapping):
        peers, stores = str(given.get("peers") or ""), [str(item) for item in as_list(given.get("store"))]
        if empty(given.get("type")) or empty(given.get("size")):
            findings.add(path, "needs a type and a size; write for example {type: ip, size: 100k, expire: 30m}")
    else:
        parts = language.words(str(given))
        values = dict(itertools.pairwise(parts))
        peers, stores = values.get("peers", ""), values.get("store", "").split(",")
    if peers:
        known.has("peers", peers, path + (".peers" if isinstance(given, Mapping) else ""), findings)
    for store in stores:
        name = language.bare(store)
        # gpt and gpc with a number of elements
        if name in language.STORES and (name.startswith("glitch") or "(" in store):
            findings.known(path, name, language.STORES[name])


def _external_check(model: Model, findings: Findings) -> None:
    for section in model.sections:
        option = [str(item).split(" ", 1)[0] for item in as_list(section.data.get("option"))]
        wanted = "external-check" in option or not empty(section.data.get("external_check"))
        if not wanted:
            continue
        path = section.path("option" if "external-check" in option else "external_check")
        lacks = [f"{key}: true" for key in ("external_check", "insecure_fork_wanted") if not model.global_.get(key)]
        if lacks:
            findings.add(path, f"an external check runs a program, which HAProxy may not do; write haproxy_global: {{{', '.join(lacks)}}}")
        if not empty(model.global_.get("chroot")):
            findings.add(
                path,
                f"an external check can't run programs of the node while HAProxy is locked into {model.global_['chroot']};"
                " write haproxy_global: {chroot: ''}",
            )
        if not any(str(line).startswith("command ") for line in as_list(section.data.get("external_check"))):
            findings.add(section.path("external_check"), "has no command; write for example [command /usr/local/bin/check]")


def _named_defaults(source: Mapping[str, Any], known: Names, findings: Findings) -> None:
    seen: set[str] = set()
    every = [as_dict(data) for data in as_list(source.get("named_defaults"))]
    origin = {str(data.get("name", "")): str(data["from"]) for data in every if not empty(data.get("from"))}
    for index, data in enumerate(every):
        path, name = f"haproxy_named_defaults[{index}]", str(data.get("name", ""))
        if name in ("http", "tcp"):
            findings.add(f"{path}.name", f"{name!r} is what the role calls its own defaults; choose another name")
        if name in seen:
            findings.add(f"{path}.name", f"{name!r} is used twice; give every defaults its own name")
        seen.add(name)
        if not empty(data.get("from")):
            known.has("defaults", str(data["from"]), f"{path}.from", findings)
        walk, steps = name, 0
        while walk in origin and steps <= len(origin):
            walk, steps = origin[walk], steps + 1
        if steps > len(origin):
            findings.add(f"{path}.from", f"{name!r} comes from itself in the end; leave one from out")


def _files(source: Mapping[str, Any], findings: Findings) -> None:
    for kind, (key, _folder, _suffix) in files.KINDS.items():
        seen: set[str] = set()
        for index, data in enumerate(map(as_dict, as_list(source.get(key)))):
            path, name = f"haproxy_{key}[{index}]", str(data.get("name", ""))
            if not files.NAME.fullmatch(name):
                findings.add(f"{path}.name", f"{name!r} is no name; use letters, digits and _ . -")
            if name in seen:
                findings.add(f"{path}.name", f"{name!r} is used twice; give every {_CALLED[kind]} its own name")
            seen.add(name)
            if kind != "errorfile":
                _entries(data, path, findings)
            elif empty(data.get("content")):
                findings.add(f"{path}.content", "is empty; write what the client shall see")
            elif not str(data["content"]).startswith("HTTP/") and len(str(data["content"]).encode()) > 15000:
                findings.add(f"{path}.content", "has more than 15000 bytes, which doesn't fit HAProxy's buffer; make it smaller")


def _entries(data: Mapping[str, Any], path: str, findings: Findings) -> None:
    entries = data.get("entries")
    items = entries.items() if isinstance(entries, Mapping) else ((entry, "x") for entry in as_list(entries))
    for key, value in items:
        text = f"{key} {value}"
        if "\n" in text or "\r" in text or not str(key).strip() or str(key).startswith("#"):
            findings.add(f"{path}.entries", f"{str(key)!r} is no entry; write one line each, which doesn't begin with #")
        elif isinstance(entries, Mapping) and re.search(r"\s", str(key)):
            findings.add(f"{path}.entries", f"the key {str(key)!r} has a blank, where HAProxy would end it; write it without")


def _users(section: Section, findings: Findings) -> None:
    data = section.data
    groups = {str(as_dict(group).get("name", "")) for group in as_list(data.get("group"))}
    seen: set[str] = set()
    for index, user in enumerate(map(as_dict, as_list(data.get("user")))):
        path, name = section.path(f"user[{index}]"), str(user.get("name", ""))
        if name in seen:
            findings.add(f"{path}.name", f"{name!r} is used twice; give every user of a userlist its own name")
        seen.add(name)
        given = [key for key in ("password", "insecure_password") if not empty(user.get(key))]
        if len(given) != 1:
            what = "has no password" if not given else "has password and insecure_password"
            findings.add(path, f"{what}; write password with a hash (openssl passwd -6), or insecure_password with the password itself")
        elif given == ["password"] and not _HASH.fullmatch(str(user["password"])):
            findings.add(
                f"{path}.password", "is no hash; write one (openssl passwd -6), or insecure_password for a password that isn't hashed"
            )
        for group in map(str, as_list(user.get("groups"))):
            if group not in groups:
                findings.add(f"{path}.groups", f"there is no group {group!r} in this userlist; {nearest(group, groups)}")


def _peers(section: Section, source: Mapping[str, Any], model: Model, findings: Findings) -> None:
    own = str(model.global_.get("localpeer") or "")
    peers = [as_dict(peer) for peer in as_list(section.data.get("peer"))]
    known = [str(peer.get("name", "")) for peer in peers]
    for name in sorted({name for name in known if known.count(name) > 1}):
        findings.add(section.path("peer"), f"{name!r} is used twice; give every peer its own name")
    if peers and "peer" in source and not section.where and not own:
        address = str(as_dict(source.get("peer")).get("address") or "")
        findings.add(
            "haproxy_peer_address",
            f"{address!r} is the address of none of haproxy_peer_nodes, so this node can't tell which of them it is; write this node's own address",
        )
    elif peers and own and own not in known:
        findings.add(section.path("peer"), f"this node is {own!r}, which is none of the peers; {nearest(own, known)}")
    elif peers and not own:
        findings.add(section.path("peer"), "this node can't tell which of the peers it is; write haproxy_global: {localpeer: its name}")


def _others(source: Mapping[str, Any], model: Model, findings: Findings) -> None:
    seen: dict[tuple[str, str], Section] = {}
    if model.stats_login:
        seen["userlist", "stats"] = Section("userlist", "stats", {}, "the role itself (userlist stats)")
    for section in model.others:
        if not re.fullmatch(r"[A-Za-z0-9_.:-]+", section.name):
            findings.add(section.path("name"), f"{section.name!r} is no name; use letters, digits and _ . : -")
        other = seen.setdefault((section.kind, section.name), section)
        if other is not section:
            findings.add(section.path("name"), f"{section.name!r} is already used by {other.where}; choose another name")
        if section.kind == "userlist":
            _users(section, findings)
        elif section.kind == "peers":
            _peers(section, source, model, findings)
        elif section.kind == "cache":
            for key in ("total_max_size", "max_age"):
                if empty(section.data.get(key)):
                    findings.add(section.path(key), "is missing; write a number (megabytes for total_max_size, seconds for max_age)")


def _rate_limit(source: Mapping[str, Any], known: Names, findings: Findings) -> None:
    given = as_dict(source.get("rate_limit"))
    for key in given:
        if key not in limits.KEYS:
            findings.add(f"haproxy_rate_limit.{key}", f"is no key of this model; {nearest(key, limits.KEYS)}")
    for name in map(str, as_list(given.get("frontends"))):
        known.has("frontend", name, "haproxy_rate_limit.frontends", findings)
    status = given.get("status")
    if status is not None and str(status) not in (
        "400",
        "401",
        "403",
        "404",
        "405",
        "408",
        "410",
        "413",
        "425",
        "429",
        "500",
        "501",
        "502",
        "503",
    ):
        findings.add("haproxy_rate_limit.status", f"{status!r} is no status that HAProxy answers with; write 429, 403 or 503")


def _formats(section: Section, findings: Findings) -> None:
    """Note two log formats in one section; only one of them can hold."""
    options = [str(option).split(" ", 1)[0] for option in as_list(section.data.get("option"))]
    for option in ("httplog", "httpslog", "tcplog"):
        if option in options and not empty(section.data.get("log_format")):
            findings.add(section.path("log_format"), f"stands beside option {option!r}, and only one of the two can hold; leave one out")


def _options(section: Section, findings: Findings) -> None:
    _formats(section, findings)
    for index, option in enumerate(as_list(section.data.get("option"))):
        name = re.sub(r"^no\s+", "", str(option)).split(" ", 1)[0]
        if name in language.OPTIONS or name in language.GONE_OPTIONS:
            findings.known(
                section.path(f"option[{index}]"), f"option {name}", language.OPTIONS.get(name, ""), language.GONE_OPTIONS.get(name, "")
            )
    name = language.bare((str(section.data.get("balance") or "").split() or [""])[0])
    if name in language.BALANCE:
        findings.known(section.path("balance"), f"balance {name}", language.BALANCE[name])
    for key in ("log_format", "log_format_sd", "error_log_format", "unique_id_format"):
        for name, since in language.late_words(str(section.data.get(key) or "")):
            findings.known(section.path(key), name, since)
    if section.data.get("log_format") == "https":
        findings.known(section.path("log_format"), "option httpslog", language.OPTIONS["httpslog"])


def _files_named(path: str, line: str, known: Names, findings: Findings) -> None:
    for kind, name in files.references(line):
        if name not in known.sets[kind]:
            known.has(kind, name, path, findings)


def _proxy(section: Section, known: Names, tracked: dict[str, set[str]], findings: Findings) -> None:
    data = section.data
    if not empty(data.get("from")):
        known.has("defaults", str(data["from"]), section.path("from"), findings)
    _options(section, findings)
    for key, path, line in _lines_of(section):
        for kind, name in language.references(line):
            known.has(kind, name, path, findings)
        _versions(key, path, line, findings)
        if key == "filter" and line.startswith("cache "):
            known.has("cache", line.split()[1], path, findings)
    for key in ("http_check", "tcp_check"):
        for index, line in enumerate(as_list(data.get(key))):
            if not check_line(line).strip():
                findings.add(section.path(f"{key}[{index}]"), "is empty; leave it out")
    for index, line in enumerate(map(str, as_list(data.get("errorfiles")))):
        known.has("http-errors", (line.split() or [""])[0], section.path(f"errorfiles[{index}]"), findings)
    for key in _RULES:
        if key in data:
            _reached(key, as_list(data[key]), section.path(key), findings)
    _acls(section, findings)
    _use_backend(section, findings)
    _use_server(section, findings)
    _servers(section, known, tracked, findings)
    _stick_table(section, known, findings)


def check_names(source: Mapping[str, Any], model: Model, findings: Findings) -> None:
    """Find names that lead nowhere, rules that are never reached, and words that this HAProxy doesn't know."""
    known = Names(source, model)
    _named_defaults(source, known, findings)
    _files(source, findings)
    _others(source, model, findings)
    _rate_limit(source, known, findings)
    _external_check(model, findings)
    tracked = _tracks(model)
    _options(Section("defaults", "", as_dict(source.get("defaults")), "haproxy_defaults"), findings)
    for index, data in enumerate(map(as_dict, as_list(source.get("named_defaults")))):
        _options(Section("defaults", "", data, f"haproxy_named_defaults[{index}]"), findings)
    for section in model.sections:
        _proxy(section, known, tracked, findings)
    # Files are named by a sign of their own, so they are found in every line, raw ones too.
    for section in [*model.sections, *model.others]:
        for key, value in section.data.items():
            if isinstance(value, str) and ("@" in value or "/etc/haproxy/" in value):
                _files_named(section.path(key), value, known, findings)
            elif isinstance(value, list) and key not in ("server", "bind", "peer", "user"):
                for index, line in enumerate(value):
                    if isinstance(line, str) and ("@" in line or "/etc/haproxy/" in line):
                        _files_named(section.path(f"{key}[{index}]"), line, known, findings)
    for index, line in enumerate(model.raw):
        _files_named(f"haproxy_raw[{index}]", line, known, findings)
