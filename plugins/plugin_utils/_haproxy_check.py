# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: find everything in HAProxy's data model that can't work. Not for use outside of this collection.

``haproxy -c`` runs on the node later, and knows HAProxy's language best. Here is what it accepts although it is wrong, what
can be said in better words, and what has to be known before anything is touched.
"""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_files as files
from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_limits as limits
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import (
    BIND,
    CHECK_FORMS,
    DEFAULTS,
    FORMS,
    GLOBAL,
    GROUP,
    MODES,
    NAMESERVER,
    OTHERS,
    PEER_OPTIONS,
    SECTIONS,
    SERVER_OPTIONS,
    SYSTEMD_NOFILE,
    TEMPLATE,
    TIMEOUTS,
    TIMES,
    USER,
    VARIABLES,
    Keyword,
    Model,
    Section,
    complete,
    empty,
    is_unix,
    names,
    package_version,
    table_only,
    truth,
    version_tuple,
)
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_names import Findings, check_names
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_presets import PROGRAM
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_presets import findings as preset_findings
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_render import mode_of
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_tls import TEXTS, check_tls
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_values import as_dict, as_list, nearest

MINIMUM_VERSION = (2, 4)
SERVICE = "haproxy"

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_TIME = re.compile(r"[0-9]+(us|ms|s|m|h|d)?")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_PORTS = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_ANSWERS = re.compile(r"(return|redirect|deny|tarpit|reject|use-service|silent-drop)\b")
_SERVER_LINE = re.compile(r"(server|server-template|dispatch|use-server)\b|option\s+(http_proxy|transparent|dispatch)\b")
_RAW_BIND = re.compile(r"bind\s+(?P<addresses>\S+)(?:.*\sinterface\s+(?P<interface>\S+))?")
_RAW_ADDRESS = re.compile(r"(?:^|,)([^,$\"]*):([0-9]+(?:-[0-9]+)?)(?=,|$)")
_OUTER = {"name", "address", "port"}
_FILES = {key for key, _folder, _suffix in files.KINDS.values()}


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield path, str(key)
            yield from _strings(item, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _strings(item, f"{path}[{index}]")


def _whole(value: Any) -> int | None:
    """Read a whole number, also from text; booleans aren't numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    text = str(value)
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def _control_characters(source: Mapping[str, Any], variables: Mapping[str, str], findings: Findings) -> None:
    for key, given in source.items():
        flat = key in ("check", "log", "stats", "peer")
        value = given
        if key == "controller_texts":
            continue
        # Whole files, with lines of their own.
        texts = TEXTS.get(key) or (("content", "entries") if key in _FILES else ())
        if texts:
            value = [{k: v for k, v in as_dict(item).items() if k not in texts} for item in as_list(given)]
        reported = set()
        for place, text in _strings(value, ""):
            path = f"haproxy_{key}_{place[1:]}" if flat else f"{variables.get(key, f'haproxy_{key}')}{place}"
            if _CONTROL.search(text) and path not in reported:
                reported.add(path)
                findings.add(
                    path,
                    "has a line break or another control character; write one line a value (a list of lines where the option takes one)",
                )


def _port(value: Any, path: str, findings: Findings, ranges: bool = False) -> range | None:
    match = _PORTS.fullmatch(str(value)) if not isinstance(value, bool) else None
    if match and (ranges or match.group(2) is None):
        first = int(match.group(1))
        last = int(match.group(2) or first)
        if 1 <= first <= last <= 65535:
            return range(first, last + 1)
    what = "a port from 1 to 65535" + (", or a range such as '8000-8010'" if ranges else "")
    findings.add(path, f"{value!r} is no port; write {what}")
    return None


def _keyword(keyword: Keyword, value: Any, path: str, findings: Findings) -> None:
    kind = keyword.kind
    if empty(value):
        return
    if (keyword.since or keyword.until) and not (kind in ("flag", "no") and truth(value) is False):
        findings.known(path, keyword.word, keyword.since, keyword.until)
    if kind == "time" and not _TIME.fullmatch(str(value)):
        findings.add(path, f"{value!r} is no time; write a number with us, ms, s, m, h or d, for example '500ms' or '30s'")
    elif kind == "int":
        number = _whole(value)
        if number is None or number < 0:
            findings.add(path, f"{value!r} is no whole number from 0 on")
    elif kind in ("flag", "no", "onoff", "own") and truth(value) is None:
        findings.add(path, f"{value!r} is neither true nor false")
    elif kind == "mode" and value not in MODES:
        findings.add(path, f"{value!r} is no mode of this role; write 'http' or 'tcp'")
    elif kind == "timeout":
        _table(TIMEOUTS, as_dict(value), path, findings)
    elif kind == "default_server":
        _table(SERVER_OPTIONS, as_dict(value), path, findings)
    elif kind in ("form", "checks", "times"):
        _nested(keyword, value, path, findings)


def _nested(keyword: Keyword, value: Any, path: str, findings: Findings) -> None:
    """Look at lines that were given as their words."""
    if keyword.kind == "times":
        _table(TIMES[keyword.key], as_dict(value), path, findings)
    elif keyword.kind == "form":
        if isinstance(value, Mapping):
            _table(FORMS[keyword.key], value, path, findings, ("name",) if keyword.key == "cookie" else ())
            if keyword.key == "cookie" and empty(value.get("name")):
                findings.add(f"{path}.name", "is missing; write the name of the cookie")
    else:
        for index, item in enumerate(as_list(value)):
            if not isinstance(item, Mapping):
                continue
            place = f"{path}[{index}]"
            (word, given), *rest = item.items() or [("", None)]
            if rest:
                findings.add(place, f"has {', '.join(map(repr, item))} in one; write each as an item of its own")
            elif isinstance(given, Mapping) and word in CHECK_FORMS:
                _table(CHECK_FORMS[word], given, f"{place}.{word}", findings)
            elif isinstance(given, Mapping):
                findings.add(place, f"{word!r} takes no keys here; write one of {', '.join(CHECK_FORMS)}, or the whole line as text")


def _table(table: Mapping[str, Keyword], data: Mapping[str, Any], path: str, findings: Findings, extra: Iterable[str] = ()) -> None:
    for key, value in data.items():
        if key in table:
            _keyword(table[key], value, f"{path}.{key}" if path else key, findings)
        elif key not in extra:
            findings.add(
                f"{path}.{key}", f"is no key of this model; {nearest(key, [*table, *extra])} (any other line of HAProxy's goes to 'raw')"
            )


class _Sockets:
    """Which addresses and ports are taken, and by whom."""

    def __init__(self, model: Model, node: Mapping[str, Any], nonlocal_bind: bool, findings: Findings) -> None:
        self.ipv6 = model.ipv6
        self.known = "interfaces" in node
        interfaces = [as_dict(interface) for interface in as_list(node.get("interfaces"))]
        self.interfaces = [str(interface.get("name")) for interface in interfaces]
        self.own = {str(as_dict(address).get("address")) for interface in interfaces for address in as_list(interface.get("addresses"))}
        sysctls = as_dict(node.get("sysctls"))
        self.nonlocal_bind = {4: nonlocal_bind, 6: nonlocal_bind}
        for family in (4, 6):
            self.nonlocal_bind[family] |= str(sysctls.get(f"net.ipv{family}.ip_nonlocal_bind")) == "1"
        self.findings = findings
        self.taken: dict[tuple[str, str, int, str], str] = {}
        self.others: dict[int, list[dict[str, Any]]] = {}
        unit = as_dict(as_dict(node.get("units")).get(f"{SERVICE}.service"))
        # Where root may not look into HAProxy's process (in most containers), its sockets belong to nobody.
        own = (SERVICE, "", None) if unit.get("active_state") in ("active", "reloading") else (SERVICE,)
        for listener in map(as_dict, as_list(node.get("listeners"))):
            if listener.get("protocol") == "tcp" and listener.get("process") not in own:
                self.others.setdefault(int(listener.get("port") or 0), []).append(listener)

    def _addresses(self, address: str) -> list[str]:
        if address == "*":
            return ["0.0.0.0", "::"] if self.ipv6 else ["0.0.0.0"]
        return [address]

    @staticmethod
    def _overlap(mine: str, theirs: str) -> bool:
        if mine == theirs or theirs in ("*", "::"):
            return True
        if theirs == "0.0.0.0":
            return ":" not in mine
        return mine == "::" or (mine == "0.0.0.0" and ":" not in theirs)

    def place(self, host: str, interface: str, path: str) -> None:
        """Look whether the node has what a bind line names: HAProxy notices only when it starts."""
        if not self.known:
            return
        if interface and interface not in self.interfaces:
            self.findings.add(path, f"this node has no interface {interface!r}; {nearest(interface, self.interfaces)}")
        if not _is_ip(host):
            return
        address = ipaddress.ip_address(host.partition("%")[0])
        if address.version == 6 and not self.ipv6:
            self.findings.add(path, f"{host} can't be bound, since this node has no IPv6; write an IPv4 address, or '*'")
        elif not (address.is_unspecified or address.is_loopback or str(address) in self.own or self.nonlocal_bind[address.version]):
            self.findings.add(
                path, f"{host} is no address of this node; write one that is, or '*', or permit it with haproxy_ip_nonlocal_bind: true"
            )

    def unix(self, address: str, where: str, path: str) -> None:
        """Take a Unix socket."""
        if address.startswith(("fd@", "sockpair@")):
            return
        name = address.removeprefix("unix@").removeprefix("uxst@")
        key = ("unix", name, 0, "")
        if key in self.taken:
            self.findings.add(path, f"{name} is bound twice, by {self.taken[key]} and by {where}; take one of the two away")
        self.taken[key] = where

    def bind(self, address: str, ports: range, interface: str, where: str, path: str) -> None:
        """Take the ports of one bind line."""
        prefix, _at, host = address.rpartition("@")
        host = host.strip("[]") or "*"
        if host == "*" and prefix.endswith("4"):
            host = "0.0.0.0"
        self.place(host, interface, path)
        udp = "quic" in prefix
        for port in ports:
            for one in self._addresses(host):
                key = ("udp" if udp else "tcp", one, port, interface)
                if key in self.taken:
                    self.findings.add(
                        path,
                        f"{host} port {port} is bound twice, by {self.taken[key]} and by {where}; take one of the two away or give it another port",
                    )
                    break
                self.taken[key] = where
            if udp:
                continue
            for listener in self.others.get(port, []):
                if self._overlap("::" if host == "*" and self.ipv6 else "0.0.0.0" if host == "*" else host, str(listener.get("address"))):
                    program = listener.get("process") or "a program that can't be seen"
                    pid = f" (process {listener['pid']})" if listener.get("pid") else ""
                    self.findings.add(
                        path,
                        f"port {port} on this node is held by {program}{pid} at {listener.get('address')}; stop that program or bind another port",
                    )
                    break


def _binds(section: Section, sockets: _Sockets, findings: Findings) -> None:
    where = f"{section.kind} {section.name}"
    binds = as_list(section.data.get("bind"))
    if section.kind != "backend" and not binds and not any(str(line).startswith("bind ") for line in as_list(section.data.get("raw"))):
        findings.add(section.path("bind"), f"{where} has no bind; write at least one, for example [{{address: '*', port: 80}}]")
    for index, bind in enumerate(map(as_dict, binds)):
        path = section.path(f"bind[{index}]")
        _table(BIND, bind, path, findings, ("address", "port"))
        address = str(bind.get("address", "*"))
        host = address.rpartition("@")[2].strip("[]")
        # The ready-made service has looked whether HAProxy was built with it.
        if address.startswith(("quic4@", "quic6@")) and section.where:
            findings.known(path, address.partition("@")[0], "2.8")
        if is_unix(address):
            sockets.unix(address, where, path)
        elif empty(bind.get("port")):
            findings.add(path, "has no port; write one from 1 to 65535")
        else:
            if host not in ("*", "") and not _is_ip(host):
                findings.add(f"{path}.address", f"{address!r} is no IP address; write one, or '*' for every address of the node")
            ports = _port(bind["port"], section.variables.get(f"bind[{index}].port", f"{path}.port"), findings, True)
            if ports:
                if truth(bind.get("transparent")):
                    sockets.own.add(str(ipaddress.ip_address(host)) if _is_ip(host) else host)
                sockets.bind(address, ports, str(bind.get("interface") or ""), where, path)
        crts = as_list(bind.get("crt"))
        # Of the ready-made service it is told where the certificates are given.
        own = f"bind[{index}].crt" not in section.variables
        if own and truth(bind.get("ssl")) and not crts and empty(bind.get("crt_list")) and " crt " not in f" {bind.get('raw', '')} ":
            findings.add(path, "has ssl without a certificate; write crt: [a name of haproxy_certificates, or a path]")
        if not truth(bind.get("ssl")) and (crts or not empty(bind.get("crt_list"))):
            findings.add(path, "has a certificate but no ssl; write ssl: true")
    for index, line in enumerate(map(str, as_list(section.data.get("raw")))):
        match = _RAW_BIND.match(line)
        for address, port in _RAW_ADDRESS.findall(match.group("addresses")) if match else ():
            path = section.path(f"raw[{index}]")
            ports = _port(port, path, findings, True)
            if ports and not is_unix(address):
                sockets.bind(address or "*", ports, (match.group("interface") or "") if match else "", where, path)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _servers(section: Section, findings: Findings) -> None:
    data = section.data
    base = section.path("server")
    seen: dict[str, int] = {}
    places: dict[tuple[str, str], int] = {}
    for index, server in enumerate(map(as_dict, as_list(data.get("server")))):
        path = f"{base}[{index}]"
        _table(SERVER_OPTIONS, server, path, findings, _OUTER)
        name = str(server.get("name", ""))
        if not _NAME.fullmatch(name):
            findings.add(f"{path}.name", f"{name!r} is no name; use letters, digits and _ . : -")
        elif name in seen:
            findings.add(f"{path}.name", f"{name!r} is already the name of {base}[{seen[name]}]; give every server of a section its own")
        seen.setdefault(name, index)
        address = str(server.get("address", ""))
        if not address or re.search(r"[\s'\"#\\]", address):
            findings.add(f"{path}.address", f"{address!r} is no address; write an IP address, a host name or a path of a Unix socket")
        elif re.fullmatch(r"[0-9.]+", address) and not _is_ip(address):
            findings.add(f"{path}.address", f"{address!r} is no IP address")
        elif is_unix(address):
            pass
        elif empty(server.get("port")):
            findings.add(f"{path}.port", "is missing; write the port of the server, from 1 to 65535")
        else:
            _port(server["port"], f"{path}.port", findings)
            place = (address, str(server["port"]))
            if (
                place in places
                and address != "0.0.0.0"
                and name
                and name != str(as_dict(as_list(data["server"])[places[place]]).get("name"))
            ):
                findings.add(
                    path,
                    f"{address} port {place[1]} is already {base}[{places[place]}]; one server would get twice the load, so leave one out",
                )
            places.setdefault(place, index)
        weight = _whole(server.get("weight", 1))
        if weight is not None and weight > 256:
            findings.add(f"{path}.weight", f"{weight} is too much; write 0 to 256")


def _templates(section: Section, findings: Findings) -> None:
    seen: set[str] = set()
    for index, template in enumerate(map(as_dict, as_list(section.data.get("server_template")))):
        path = section.path(f"server_template[{index}]")
        _table(SERVER_OPTIONS, template, path, findings, TEMPLATE)
        prefix, address = str(template.get("prefix", "")), str(template.get("address", ""))
        if not _NAME.fullmatch(prefix):
            findings.add(f"{path}.prefix", f"{prefix!r} is no beginning of a name; use letters, digits and _ . : -")
        if prefix in seen:
            findings.add(f"{path}.prefix", f"{prefix!r} is used twice; give every template of a section its own")
        seen.add(prefix)
        if not re.fullmatch(r"[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?", str(template.get("count", ""))):
            findings.add(f"{path}.count", f"{template.get('count')!r} is no number of servers; write one, or a range such as '1-10'")
        if not address or re.search(r"[\s'\"#\\]", address):
            findings.add(f"{path}.address", f"{address!r} is no address; write a host name, or the name of an SRV record")
        elif not address.startswith("_") and not is_unix(address):
            if empty(template.get("port")):
                findings.add(f"{path}.port", "is missing; write the port of the servers (only an SRV record brings its own)")
            else:
                _port(template["port"], f"{path}.port", findings)
        if (
            address.startswith("_")
            and empty(template.get("resolvers"))
            and empty(as_dict(section.data.get("default_server")).get("resolvers"))
        ):
            findings.add(
                f"{path}.resolvers", "is missing; an SRV record is asked for while HAProxy runs, by a section of haproxy_resolvers"
            )


def _others(model: Model, sockets: _Sockets, findings: Findings) -> None:
    """Look at the sections that aren't proxies."""
    for section in model.others:
        _table(OTHERS[section.kind], section.data, section.where, findings, ("name",))
        where = f"{section.kind} {section.name}"
        tables: dict[str, tuple[Mapping[str, Keyword], tuple[str, ...]]] = {
            "peer": (PEER_OPTIONS, ("name", "address", "port")),
            "nameserver": ({}, NAMESERVER),
            "user": ({}, USER),
            "group": ({}, GROUP),
            "bind": (BIND, ("address", "port")),
        }
        for key, (table, extra) in tables.items():
            for index, item in enumerate(map(as_dict, as_list(section.data.get(key)))):
                path = section.path(f"{key}[{index}]")
                _table(table, item, path, findings, extra)
                if not _NAME.fullmatch(str(item.get("name", ""))) and key != "bind":
                    findings.add(f"{path}.name", f"{str(item.get('name', ''))!r} is no name; use letters, digits and _ . : -")
                ports = _port(item["port"], f"{path}.port", findings, True) if key == "bind" and not empty(item.get("port")) else None
                if ports:
                    sockets.bind(str(item.get("address", "*")), ports, str(item.get("interface") or ""), where, path)
                if key == "peer":
                    _peer(section, item, path, where, model, sockets, findings)
        asks = any(not empty(section.data.get(key)) for key in ("nameserver", "raw")) or truth(section.data.get("parse_resolv_conf"))
        if section.kind == "resolvers" and not asks:
            findings.add(section.path("nameserver"), f"{where} asks nobody; write a nameserver, or parse_resolv_conf: true")


def _peer(section: Section, peer: dict[str, Any], path: str, where: str, model: Model, sockets: _Sockets, findings: Findings) -> None:
    own = str(peer.get("name")) == str(model.global_.get("localpeer") or "")
    address = str(peer.get("address") or "")
    if own and not empty(section.data.get("bind")):
        return
    if not _is_ip(address):
        findings.add(f"{path}.address" if section.where else path, f"{address!r} is no IP address; write that of the peer")
        return
    if empty(peer.get("port")):
        findings.add(f"{path}.port", "is missing; write the port of the peer, from 1 to 65535")
        return
    ports = _port(peer["port"], f"{path}.port" if section.where else "haproxy_peer_port", findings)
    if ports and own:
        sockets.bind(address, ports, "", where, path)


def _answers_itself(data: Mapping[str, Any]) -> bool:
    rules = [*as_list(data.get("http_request")), *(f"{line}" for line in as_list(data.get("tcp_request")))]
    raw = [str(line) for line in as_list(data.get("raw"))]
    return (
        any(_ANSWERS.match(str(rule)) for rule in rules)
        or any(_SERVER_LINE.match(line) for line in raw)
        or any(_ANSWERS.search(line) for line in raw if line.startswith("http-request"))
        or not empty(data.get("stats"))
    )


def _targets(section: Section) -> Iterator[tuple[str, str]]:
    if not empty(section.data.get("default_backend")):
        yield section.path("default_backend"), str(section.data["default_backend"])
    for index, rule in enumerate(as_list(section.data.get("use_backend"))):
        yield section.path(f"use_backend[{index}]"), (str(rule).split() or [""])[0]


def _section(section: Section, backends: list[str], known: set[str], reached: set[str], findings: Findings) -> None:
    data = section.data
    if not _NAME.fullmatch(section.name):
        findings.add(section.path("name"), f"{section.name!r} is no name; use letters, digits and _ . : -")
    _table(SECTIONS[section.kind], data, section.where, findings, ("name", "from"))
    for path, target in _targets(section):
        if "%[" not in target and target not in known:
            findings.add(path, f"there is no backend {target!r}; {nearest(target, backends)}")
    if section.kind == "frontend":
        goes_on = bool(list(_targets(section))) or not empty(data.get("monitor_uri")) or _answers_itself(data)
        if not goes_on and not any("use_backend" in str(line) or "default_backend" in str(line) for line in as_list(data.get("raw"))):
            findings.add(
                section.path("default_backend"), f"frontend {section.name} leads to no backend; write default_backend or use_backend"
            )
        return
    if not any(not empty(data.get(key)) for key in ("server", "server_template")) and not (
        _answers_itself(data) or list(_targets(section)) or (table_only(section) and section.name not in reached)
    ):
        findings.add(
            section.path("server"),
            f"{section.kind} {section.name} has no servers, so every request would end in an error; write at least one {{name, address, port}}",
        )
    _servers(section, findings)
    _templates(section, findings)


def _duplicates(model: Model, findings: Findings) -> None:
    seen: dict[tuple[str, str], Section] = {}
    for section in model.sections:
        # A listen section is a frontend and a backend at once.
        for side in ("frontend", "backend"):
            if section.kind not in (side, "listen"):
                continue
            other = seen.setdefault((side, section.name), section)
            if other is not section:
                place = other.where or "the role's own section"
                if other.where == "haproxy_monitor" or not other.where:
                    place = f"the role itself ({other.kind} {other.name})"
                findings.add(section.path("name"), f"{section.name!r} is already used by {place}; choose another name")
                break


def _modes(model: Model, findings: Findings) -> None:
    modes = {section.name: mode_of(section, model) for section in model.sections if section.kind != "frontend"}
    for section in model.sections:
        mine = mode_of(section, model)
        for path, target in _targets(section):
            theirs = modes.get(target, mine)
            if mine != theirs:
                findings.add(
                    path, f"{section.kind} {section.name} has mode {mine}, but {target!r} has mode {theirs}; give both the same mode"
                )


def _limits(model: Model, limit_nofile: int, findings: Findings) -> None:
    maxconn, where = _whole(model.global_.get("maxconn") or 0) or 0, "haproxy_global.maxconn"
    for index, line in enumerate(as_list(model.global_.get("raw"))):
        # HAProxy takes minutes of a CPU to find out that this is too much.
        match = re.fullmatch(r"\s*maxconn\s+([0-9]{1,18})(\s.*)?", str(line))
        if match:
            maxconn, where = int(match.group(1)), f"haproxy_global.raw[{index}]"
    hard = _whole(model.global_.get("fd_hard_limit") or 0) or 0
    servers = sum(len(as_list(section.data.get("server"))) for section in model.sections)
    binds = sum(len(as_list(section.data.get("bind"))) for section in model.sections)
    # Two sockets a connection, one a check and listener, and what the process needs for itself.
    spare = servers + binds + 200
    limit, source = limit_nofile, "haproxy_limit_nofile"
    if 0 < hard < limit_nofile:
        limit, source = hard, "haproxy_global.fd_hard_limit"
    if maxconn * 2 + spare > limit:
        findings.add(
            where,
            f"{maxconn} connections take about {maxconn * 2 + spare} open files, but {source} allows {limit}; "
            f"write at most {max(0, (limit - spare) // 2)}, or raise {source}",
        )


def _timeouts(source: Mapping[str, Any], model: Model, findings: Findings) -> None:
    places = {"haproxy_defaults": model.defaults}
    for index, data in enumerate(map(as_dict, as_list(source.get("named_defaults")))):
        path = f"haproxy_named_defaults[{index}]"
        _table(DEFAULTS, data, path, findings, ("name", "from"))
        if not _NAME.fullmatch(str(data.get("name", ""))):
            findings.add(f"{path}.name", f"{str(data.get('name', ''))!r} is no name; use letters, digits and _ . : -")
        places[path] = model.named_defaults[str(data.get("name", ""))]
    for path, data in places.items():
        timeout = as_dict(data.get("timeout"))
        for key in ("connect", "client", "server"):
            if empty(timeout.get(key)):
                findings.add(f"{path}.timeout.{key}", "is empty, so a connection could hang for ever; write a time, for example '30s'")


def _login(source: Mapping[str, Any], node: Mapping[str, Any], findings: Findings) -> None:
    stats = as_dict(source.get("stats"))
    user, password = str(stats.get("user") or ""), str(stats.get("password") or "")
    for key, wanted in (("enabled", "haproxy_stats_enabled"), ("metrics", "haproxy_metrics_enabled")):
        missing = [name for name, value in (("haproxy_stats_user", user), ("haproxy_stats_password", password)) if not value]
        if stats.get(key) and missing:
            findings.add(wanted, f"is true, but there is no login; write {' and '.join(missing)}, or leave {wanted} false")
    said = as_dict(node.get("programs")).get(PROGRAM)
    if stats.get("metrics") and said and not re.search(r"(^|\s)\+PROMEX(\s|$)", said):
        findings.add(
            "haproxy_metrics_enabled",
            "is true, but this HAProxy is built without the exporter for Prometheus (see haproxy -vv);"
            " add USE_PROMEX to haproxy_source.features, or write haproxy_metrics_enabled: false",
        )
    if ":" in user:
        findings.add("haproxy_stats_user", "has a colon, which HTTP's basic login can't carry; choose another name")


def _package(node: Mapping[str, Any], findings: Findings) -> None:
    version, how = package_version(node)
    numbers = version_tuple(version)
    if numbers is not None and numbers < MINIMUM_VERSION:
        findings.add(
            "haproxy",
            f"version {version} {how} on this node, but this role needs 2.4 or later; upgrade the release or add a package source that has it",
        )


VARIABLE_OF = {
    "global": "haproxy_global",
    "defaults": "haproxy_defaults",
    "frontends": "haproxy_frontends",
    "backends": "haproxy_backends",
    "listen": "haproxy_listen",
    "servers": "haproxy_servers",
    "monitor": "haproxy_monitor",
    "certificates": "haproxy_certificates",
    "peer": "haproxy_peer",
    "raw": "haproxy_raw",
}


def check(source: Mapping[str, Any], node: Mapping[str, Any], now: float | None = None) -> list[str]:
    """List everything that is wrong, worst never first: in the order of the variables."""
    findings = Findings(*package_version(node))
    _control_characters(source, VARIABLE_OF, findings)
    model = complete(source, node)
    _package(node, findings)
    _table(GLOBAL, as_dict(source.get("global")), "haproxy_global", findings)
    _table(DEFAULTS, as_dict(source.get("defaults")), "haproxy_defaults", findings)
    _timeouts(source, model, findings)
    _limits(model, int(source.get("limit_nofile") or SYSTEMD_NOFILE), findings)
    _login(source, node, findings)
    check_tls(source, time.time() if now is None else now, findings.add)
    for path, text in preset_findings(source, node):
        findings.add(path, text)
    _duplicates(model, findings)
    backends = names(model.sections, "backend", "listen")
    for line in model.raw:
        match = re.match(r"(?:backend|listen)\s+(\S+)", line)
        if match:
            backends.append(match[1])
    known = set(backends)
    reached = {target for section in model.sections for _path, target in _targets(section)}
    sockets = _Sockets(model, node, source.get("ip_nonlocal_bind") is not False, findings)
    for section in model.sections:
        _section(section, backends, known, reached, findings)
        _binds(section, sockets, findings)
    _others(model, sockets, findings)
    for key, value in as_dict(source.get("rate_limit")).items():
        if key in limits.KEYS:
            _keyword(Keyword(key, limits.KEYS[key]), value, f"haproxy_rate_limit.{key}", findings)
    check_names(source, model, findings)
    _modes(model, findings)
    return findings


__all__ = ["MINIMUM_VERSION", "VARIABLES", "check"]
