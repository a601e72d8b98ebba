# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: HAProxy's configuration as data. Not for use outside of this collection.

The tables name every keyword of the data model once, in the order in which it is written. A key is HAProxy's own keyword
with ``-`` and ``.`` written as ``_``; the few that had to be called otherwise carry the keyword explicitly. The renderer,
the validation and the test of the role's argument specification all read these tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# How a value is written, and thereby what it must look like:
#   word    one argument, quoted where it needs to be       line     the rest of the line, as it is
#   lines   a list: one line each, as they are              int      a whole number
#   time    HAProxy's time (500ms, 30s, 5m)                 flag     true: the keyword alone
#   no      true: the keyword; false: "no-" and the keyword words    a list of words, the keyword before each
#   csv     a list of words joined with commas
#   mode    one of the modes                                options  "option ..." lines, "no ..." turned round
#   timeout a dictionary of times                           tune     a dictionary of tune.* settings
#   raw     lines without a keyword                         rawtext  text at the end of the line
#   binds, servers, default_server, retry_guard             see the renderer


@dataclass(frozen=True)
class Keyword:
    """One key of the data model."""

    key: str
    kind: str
    keyword: str = ""
    off: str = ""

    @property
    def word(self) -> str:
        """HAProxy's keyword."""
        return self.keyword or self.key.replace("_", "-")


def _table(*rows: tuple[str, ...]) -> dict[str, Keyword]:
    return {row[0]: Keyword(*row) for row in rows}


GLOBAL = _table(
    ("chroot", "word"),
    ("user", "word"),
    ("group", "word"),
    ("log", "lines"),
    ("log_send_hostname", "flag"),
    ("stats_socket", "lines", "stats socket"),
    ("stats_timeout", "time", "stats timeout"),
    ("fd_hard_limit", "int"),
    ("maxconn", "int"),
    ("nbthread", "int"),
    ("cpu_map", "lines"),
    ("hard_stop_after", "time"),
    ("mworker_max_reloads", "int"),
    ("spread_checks", "int"),
    ("ca_base", "word"),
    ("crt_base", "word"),
    ("ssl_default_bind_options", "line"),
    ("ssl_default_bind_ciphers", "word"),
    ("ssl_default_bind_ciphersuites", "word"),
    ("ssl_default_bind_curves", "word"),
    ("ssl_default_server_options", "line"),
    ("ssl_default_server_ciphers", "word"),
    ("ssl_default_server_ciphersuites", "word"),
    ("ssl_dh_param_file", "word"),
    ("tune", "tune"),
    ("raw", "raw"),
)

TIMEOUTS = _table(
    ("connect", "time"),
    ("client", "time"),
    ("client_fin", "time"),
    ("server", "time"),
    ("server_fin", "time"),
    ("queue", "time"),
    ("http_request", "time"),
    ("http_keep_alive", "time"),
    ("tarpit", "time"),
    ("tunnel", "time"),
    ("check", "time"),
)

BIND = _table(
    ("name", "word"),
    ("interface", "word"),
    ("ssl", "flag"),
    ("crt", "words"),
    ("crt_list", "word"),
    ("ca_file", "word"),
    ("crl_file", "word"),
    ("verify", "word"),
    ("alpn", "csv"),
    ("ssl_min_ver", "word"),
    ("ciphers", "word"),
    ("ciphersuites", "word"),
    ("curves", "word"),
    ("strict_sni", "flag"),
    ("accept_proxy", "flag"),
    ("transparent", "flag"),
    ("maxconn", "int"),
    ("backlog", "int"),
    ("user", "word"),
    ("group", "word"),
    ("mode", "word"),
    ("raw", "rawtext"),
)

SERVER_OPTIONS = _table(
    ("check", "no"),
    ("check_address", "word", "addr"),
    ("check_port", "int", "port"),
    ("check_ssl", "no"),
    ("check_sni", "word"),
    ("check_alpn", "csv"),
    ("check_send_proxy", "no"),
    ("inter", "time"),
    ("fastinter", "time"),
    ("downinter", "time"),
    ("rise", "int"),
    ("fall", "int"),
    ("observe", "word"),
    ("error_limit", "int"),
    ("on_error", "word"),
    ("on_marked_down", "word"),
    ("on_marked_up", "word"),
    ("weight", "int"),
    ("backup", "no"),
    ("disabled", "no", "", "enabled"),
    ("slowstart", "time"),
    ("maxconn", "int"),
    ("minconn", "int"),
    ("maxqueue", "int"),
    ("cookie", "word"),
    ("ssl", "no"),
    ("verify", "word"),
    ("verifyhost", "word"),
    ("ca_file", "word"),
    ("crl_file", "word"),
    ("crt", "word"),
    ("sni", "word"),
    ("alpn", "csv"),
    ("ssl_min_ver", "word"),
    ("send_proxy", "no"),
    ("send_proxy_v2", "no"),
    ("init_addr", "csv"),
    ("resolvers", "word"),
    ("source", "line"),
    ("track", "word"),
    ("pool_max_conn", "int"),
    ("pool_purge_delay", "time"),
    ("raw", "rawtext"),
)

_DESCRIPTION = ("description", "line")
_MODE = ("mode", "mode")
_LOG = (("log", "lines"), ("log_format", "word"), ("log_tag", "word"))
_COMMON = (("option", "options"), ("timeout", "timeout"), ("errorfile", "lines"), ("compression", "lines"))
_CLIENT_SIDE = (("maxconn", "int"), ("backlog", "int"), ("monitor_uri", "word"), ("capture", "lines"))
_SERVER_SIDE = (
    ("balance", "line"),
    ("hash_type", "line"),
    ("cookie", "line"),
    ("retries", "int"),
    ("retry_on", "line"),
    ("http_reuse", "word"),
    ("fullconn", "int"),
    ("load_server_state_from_file", "word"),
)
_CHECKS = (("http_check", "lines"), ("tcp_check", "lines"))
_TABLES = (("stick_table", "line"),)
_RULES_IN = (("tcp_request", "lines"), ("http_request", "lines"))
_RULES_OUT = (("http_response", "lines"), ("http_after_response", "lines"))
_SERVERS = (("default_server", "default_server"), ("server", "servers"))
_GUARD = ("disable_l7_retry", "retry_guard")

DEFAULTS = _table(
    _MODE,
    *_LOG,
    *_COMMON,
    ("maxconn", "int"),
    ("backlog", "int"),
    *_SERVER_SIDE,
    ("default_server", "default_server"),
    ("raw", "raw"),
)

FRONTEND = _table(
    _DESCRIPTION,
    _MODE,
    ("bind", "binds"),
    *_LOG,
    *_CLIENT_SIDE,
    *_COMMON,
    *_TABLES,
    ("acl", "lines"),
    *_RULES_IN,
    *_RULES_OUT,
    ("stats", "lines"),
    ("raw", "raw"),
    ("use_backend", "lines", "use_backend"),
    ("default_backend", "word", "default_backend"),
)

BACKEND = _table(
    _DESCRIPTION,
    _MODE,
    *_LOG,
    *_COMMON,
    *_SERVER_SIDE,
    *_CHECKS,
    *_TABLES,
    ("acl", "lines"),
    ("stick", "lines"),
    ("tcp_request", "lines"),
    _GUARD,
    ("http_request", "lines"),
    ("tcp_response", "lines"),
    *_RULES_OUT,
    ("stats", "lines"),
    ("raw", "raw"),
    ("use_server", "lines"),
    *_SERVERS,
)

LISTEN = _table(
    _DESCRIPTION,
    _MODE,
    ("bind", "binds"),
    *_LOG,
    *_CLIENT_SIDE,
    *_COMMON,
    *_SERVER_SIDE,
    *_CHECKS,
    *_TABLES,
    ("acl", "lines"),
    ("stick", "lines"),
    ("tcp_request", "lines"),
    _GUARD,
    ("http_request", "lines"),
    ("tcp_response", "lines"),
    *_RULES_OUT,
    ("stats", "lines"),
    ("raw", "raw"),
    ("use_backend", "lines", "use_backend"),
    ("use_server", "lines"),
    ("default_backend", "word", "default_backend"),
    *_SERVERS,
)

SECTIONS = {"frontend": FRONTEND, "backend": BACKEND, "listen": LISTEN}
VARIABLES = {"frontend": "haproxy_frontends", "backend": "haproxy_backends", "listen": "haproxy_listen"}
MODES = ("http", "tcp")

# Options that HAProxy refuses or complains of outside of HTTP mode; a "defaults" section for TCP is written without them.
HTTP_ONLY_OPTIONS = {
    "forwardfor",
    "forwarded",
    "originalto",
    "httpslog",
    "httpclose",
    "http-server-close",
    "http-keep-alive",
    "http-pretend-keepalive",
    "http-buffer-request",
    "http-ignore-probes",
    "http-no-delay",
    "http-use-htx",
    "http-use-proxy-header",
    "idle-close-on-response",
    "accept-invalid-http-request",
    "accept-invalid-http-response",
    "h1-case-adjust-bogus-client",
    "h1-case-adjust-bogus-server",
    "checkcache",
    "prefer-last-server",
}
HTTP_ONLY_KEYS = {"retry_on", "http_reuse", "cookie", "compression", "disable_l7_retry"}
HTTP_ONLY_TIMEOUTS = {"http_request", "http_keep_alive", "tarpit"}

# What HAProxy may send a second time although a server has seen it already: only what changes nothing on the server.
RETRY_GUARD = "unless { method GET HEAD OPTIONS TRACE }"

DEFAULT_GLOBAL: dict[str, Any] = {
    "chroot": "/var/lib/haproxy",
    "user": "haproxy",
    "group": "haproxy",
    "log_send_hostname": True,
    "stats_timeout": "2m",
    "fd_hard_limit": 50000,
    "hard_stop_after": "15m",
    "mworker_max_reloads": 50,
    "ssl_default_bind_options": "ssl-min-ver TLSv1.2 no-tls-tickets",
    "ssl_default_bind_ciphers": (
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    ),
    "ssl_default_bind_ciphersuites": "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
    "ssl_default_bind_curves": "X25519:prime256v1:secp384r1",
}
DEFAULT_DEFAULTS: dict[str, Any] = {
    "mode": "http",
    "log": ["global"],
    "option": [
        "httplog",
        "dontlognull",
        "log-health-checks",
        "forwardfor",
        "redispatch 1",
        "idle-close-on-response",
    ],
    "timeout": {
        "connect": "500ms",
        "client": "30s",
        "server": "30s",
        "queue": "10s",
        "http_request": "10s",
        "http_keep_alive": "10s",
        "tunnel": "1h",
        "check": "1s",
    },
    "balance": "roundrobin",
    "retries": 3,
    "retry_on": "conn-failure empty-response 0rtt-rejected 503",
    "http_reuse": "safe",
    "default_server": {
        "check": True,
        "inter": "1s",
        "fastinter": "250ms",
        "rise": 2,
        "fall": 2,
        "observe": "layer4",
        "error_limit": 3,
        "on_error": "mark-down",
    },
}
_LOG_OPTIONS = {"httplog", "httpslog", "tcplog"}
DEFAULT_MONITOR: dict[str, Any] = {"address": "127.0.0.1", "port": 8404, "uri": "/healthz"}

ADMIN_SOCKET = "/run/haproxy/admin.sock"
ADMIN_SOCKET_LINE = f"{ADMIN_SOCKET} user root group haproxy mode 660 level admin"
CERTIFICATE_DIRECTORY = "/etc/haproxy/certs"
SYSTEMD_NOFILE = 524288

# A listening socket as another table writes it: HAProxy takes these without a port.
_UNIX_PREFIXES = ("/", "unix@", "uxst@", "uxdg@", "abns@", "fd@", "sockpair@")


@dataclass
class Section:
    """A proxy section, and where a person finds it in the variables."""

    kind: str
    name: str
    data: dict[str, Any]
    where: str
    variables: dict[str, str] = field(default_factory=dict)

    def path(self, key: str) -> str:
        """Where the value under a key comes from."""
        return self.variables.get(key, f"{self.where}.{key}" if self.where else key)


@dataclass
class Model:
    """Everything that shapes one haproxy.cfg, with the role's own values filled in."""

    global_: dict[str, Any]
    defaults: dict[str, Any]
    sections: list[Section]
    raw: list[str]
    certificates: dict[str, dict[str, Any]]
    stats_login: tuple[str, str] | None
    ipv6: bool


def plain(value: Any) -> Any:
    """Copy data out of Ansible's containers into ordinary ones."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def empty(value: Any) -> bool:
    """Tell whether a value means that its line is left out."""
    return value is None or value == "" or value == [] or value == {}


def truth(value: Any) -> bool | None:
    """Read a boolean as Ansible does; none for what is neither."""
    if isinstance(value, bool):
        return value
    return {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}.get(str(value).lower())


def as_list(value: Any) -> list[Any]:
    """Take a single value for a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def as_dict(value: Any) -> dict[str, Any]:
    """Take anything else for an empty dictionary; the validation says what is wrong with it."""
    return dict(value) if isinstance(value, Mapping) else {}


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Put values over the role's own; dictionaries key by key, everything else as a whole."""
    result = dict(base)
    for key, value in override.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def version_tuple(version: str | None) -> tuple[int, ...] | None:
    """Read the numbers at the start of a Debian version, without its epoch."""
    match = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", version or "")
    return tuple(int(part) for part in match.group(1).split(".")) if match else None


def package_version(node: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Find the version of HAProxy on a node, and whether it is installed (or only what apt would install)."""
    package = as_dict(as_dict(node.get("packages")).get("haproxy"))
    installed = package.get("installed")
    return (str(installed), True) if installed else (package.get("candidate") or None, False)


_SAFE_WORD = re.compile(r"[\w@%+=:,./?&~^*!;<>()\[\]{}|-]+", re.ASCII)


def quote(value: Any) -> str:
    """Write a value as one argument, whatever characters it has."""
    text = str(value)
    if _SAFE_WORD.fullmatch(text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def is_unix(address: str) -> bool:
    """Tell whether an address needs no port."""
    return address.startswith(_UNIX_PREFIXES)


def _ready_made(model: Mapping[str, Any]) -> list[Section]:
    """Make the service that the list of servers alone asks for."""
    servers = as_list(model.get("servers"))
    if not servers:
        return []
    check = as_dict(model.get("check"))
    frontend = Section(
        "frontend",
        "http",
        {
            "name": "http",
            "bind": [{"address": "*", "port": model.get("http_port", 80)}],
            "http_request": ["set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]"],
            "default_backend": "web",
        },
        "",
        {"bind[0].port": "haproxy_http_port", "bind[0]": "haproxy_http_port"},
    )
    backend = Section(
        "backend",
        "web",
        {
            "name": "web",
            "http_check": [
                f"send meth GET uri {quote(check.get('uri', '/healthz'))} ver HTTP/1.1 hdr Host {quote(check.get('host', 'localhost'))}",
                "expect status 200",
            ],
            "server": servers,
        },
        "",
        {"server": "haproxy_servers"},
    )
    return [frontend, backend]


def _monitor(model: Mapping[str, Any]) -> Section:
    monitor = merge(DEFAULT_MONITOR, as_dict(model.get("monitor")))
    return Section(
        "frontend",
        "monitor",
        {
            "name": "monitor",
            "description": "Tells the local machine that HAProxy answers",
            "mode": "http",
            "bind": [{"address": monitor["address"], "port": monitor["port"]}],
            "option": ["dontlog-normal"],
            "monitor_uri": monitor["uri"],
            "http_request": ["return status 404"],
        },
        "haproxy_monitor",
        {"bind[0]": "haproxy_monitor", "bind[0].port": "haproxy_monitor.port", "bind[0].address": "haproxy_monitor.address"},
    )


def _stats(model: Mapping[str, Any]) -> Section | None:
    stats = as_dict(model.get("stats"))
    page, metrics = bool(stats.get("enabled")), bool(stats.get("metrics"))
    if not (page or metrics):
        return None
    uri = quote(stats.get("uri", "/haproxy/stats"))
    rules = ["auth realm HAProxy unless { http_auth(stats) }"]
    known = []
    if metrics:
        rules.append("use-service prometheus-exporter if { path /metrics }")
    if page:
        known.append(f"{{ path_beg {uri} }}")
    rules.append(f"return status 404{' unless ' + ' or '.join(known) if known else ''}")
    lines = []
    if page:
        lines = [
            "enable",
            f"uri {uri}",
            f"refresh {stats.get('refresh', '10s')}",
            "show-node",
            "show-legends",
            "hide-version",
        ]
    bind = as_list(stats.get("bind"))
    return Section(
        "listen",
        "stats",
        {
            "name": "stats",
            "description": "Statistics, with a login",
            "mode": "http",
            "bind": bind,
            "option": ["dontlog-normal"],
            "http_request": rules,
            "stats": lines,
        },
        "",
        {key: f"haproxy_stats_{key}" for key in ["bind", *(f"bind[{index}]" for index in range(len(bind)))]},
    )


def complete(model: Mapping[str, Any], node: Mapping[str, Any] | None = None) -> Model:
    """Fill in the role's own values: what it takes for granted, the ready-made service, the monitor and the statistics.

    :param model: The role's variables as one dictionary (see vars/main.yml of the role).
    :param node: What M(hitless.lb.node_info) returned; nothing is assumed where it is missing.
    """
    node = node or {}
    log = as_dict(model.get("log"))
    global_ = merge(DEFAULT_GLOBAL, as_dict(model.get("global")))
    version = version_tuple(package_version(node)[0])
    given = as_dict(model.get("global"))
    if "fd_hard_limit" not in given and (not empty(given.get("maxconn")) or (version is not None and version < (2, 6))):
        # With a number of connections given, that number says how many files it takes.
        del global_["fd_hard_limit"]
    target = log.get("target")
    if target and is_unix(str(target)) and "log_send_hostname" not in given:
        # What reads a local socket adds the name itself.
        del global_["log_send_hostname"]
    if target:
        global_["log"] = [f"{quote(target)} {quote(log.get('facility', 'local0'))}", *as_list(global_.get("log"))]
    defaults = merge(DEFAULT_DEFAULTS, as_dict(model.get("defaults")))
    if empty(global_.get("log")):
        # HAProxy complains of a log format without anything to log to.
        defaults["log"] = [line for line in as_list(defaults.get("log")) if line != "global"]
        if not defaults["log"]:
            defaults["option"] = [option for option in as_list(defaults.get("option")) if str(option).split(" ", 1)[0] not in _LOG_OPTIONS]
    global_["stats_socket"] = [ADMIN_SOCKET_LINE, *as_list(global_.get("stats_socket"))]

    sections: list[Section] = []
    for kind, key in (("frontend", "frontends"), ("backend", "backends"), ("listen", "listen")):
        variable = VARIABLES[kind]
        for index, data in enumerate(map(as_dict, as_list(model.get(key)))):
            sections.append(Section(kind, str(data.get("name", "")), data, f"{variable}[{index}]"))
    own = {(section.kind, section.name) for section in sections}
    # A section of the same name takes the place of the ready-made one.
    ready_made = [section for section in _ready_made(model) if (section.kind, section.name) not in own]
    stats = _stats(model)
    login = as_dict(model.get("stats"))
    certificates = {str(certificate.get("name", "")): certificate for certificate in map(as_dict, as_list(model.get("certificates")))}
    order = {"frontend": 0, "listen": 1, "backend": 2}
    everything = [_monitor(model), *([stats] if stats else []), *ready_made, *sections]
    return Model(
        global_=global_,
        defaults=defaults,
        sections=sorted(everything, key=lambda section: order[section.kind]),
        raw=[str(line) for line in as_list(model.get("raw"))],
        certificates=certificates,
        stats_login=(str(login.get("user") or ""), str(login.get("password") or "")) if stats else None,
        ipv6=bool(node.get("ipv6")),
    )


def names(sections: Iterable[Section], *kinds: str) -> list[str]:
    """List the names of the sections of some kinds."""
    return [section.name for section in sections if section.kind in kinds]
