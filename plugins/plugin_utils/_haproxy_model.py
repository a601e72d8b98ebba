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

from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_limits as limits
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_tls import (
    ADMIN_SOCKET,
    Tls,
    expiry_rules,
    has_expiry_metrics,
    profile_settings,
    tls_of,
)
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_values import as_dict, as_list
from ansible_collections.hitless.lb.plugins.plugin_utils._tls_profiles import haproxy_settings

# How a value is written, and thereby what it must look like:
#   word    one argument, quoted where it needs to be       line     the rest of the line, as it is
#   lines   a list: one line each, as they are              int      a whole number
#   time    HAProxy's time (500ms, 30s, 5m)                 flag     true: the keyword alone
#   no      true: the keyword; false: "no-" and the keyword words    a list of words, the keyword before each
#   csv     a list of words joined with commas
#   mode    one of the modes                                options  "option ..." lines, "no ..." turned round
#   timeout a dictionary of times                           tune     a dictionary of tune.* settings
#   raw     lines without a keyword                         rawtext  text at the end of the line
#   times   a dictionary of a table of its own              onoff    true: on, false: off
#   form    one line as it is, or its words as a dictionary checks   a list of lines as they are, or their words as dictionaries
#   format  one of the ready-made log formats, or any other own      not a line of its own
#   binds, servers, templates, default_server, peers, nameservers, users, groups, retry_guard: see the renderer
#
# A keyword that HAProxy 2.4 doesn't know carries the first version that does, and one that is gone the last that did.


@dataclass(frozen=True)
class Keyword:
    """One key of the data model."""

    key: str
    kind: str
    keyword: str = ""
    off: str = ""
    since: str = ""
    until: str = ""

    @property
    def word(self) -> str:
        """HAProxy's keyword."""
        return self.keyword or self.key.replace("_", "-")


def _table(*rows: tuple[str, ...]) -> dict[str, Keyword]:
    return {row[0]: Keyword(*row) for row in rows}


def _new(since: str, key: str, kind: str, keyword: str = "") -> tuple[str, ...]:
    """A row for a keyword that only later versions know."""
    return (key, kind, keyword, "", since)


_MORE_GLOBAL = (
    ("description", "line"),
    ("node", "word"),
    ("localpeer", "word"),
    ("log_tag", "word"),
    ("setenv", "lines"),
    ("presetenv", "lines"),
    ("default_path", "line"),
    ("expose_experimental_directives", "flag"),
    ("external_check", "flag"),
    ("insecure_fork_wanted", "flag"),
    ("insecure_setuid_wanted", "flag"),
    ("unix_bind", "line"),
    ("maxconnrate", "int"),
    ("maxsessrate", "int"),
    ("maxsslconn", "int"),
    ("maxsslrate", "int"),
    ("maxcomprate", "int"),
    ("maxcompcpuusage", "int"),
    ("max_spread_checks", "time"),
    _new("2.6", "close_spread_time", "time"),
    ("server_state_base", "word"),
    ("server_state_file", "word"),
    ("numa_cpu_mapping", "no"),
    _new("2.5", "thread_groups", "int"),
    _new("3.0", "thread_hard_limit", "int"),
    ("busy_polling", "flag"),
    ("strict_limits", "no"),
    _new("2.8", "prealloc_fd", "flag"),
    _new("2.9", "setcap", "line"),
    _new("3.0", "harden_reject_privileged_ports_tcp", "onoff", "harden.reject-privileged-ports.tcp"),
    _new("3.0", "harden_reject_privileged_ports_quic", "onoff", "harden.reject-privileged-ports.quic"),
    ("set_var", "lines"),
    _new("2.5", "set_var_fmt", "lines"),
    ("lua_prepend_path", "lines"),
    ("lua_load", "lines"),
    ("lua_load_per_thread", "lines"),
    ("h1_case_adjust", "lines"),
    ("h1_case_adjust_file", "word"),
    _new("2.6", "h1_accept_payload_with_any_method", "flag"),
    ("h2_workaround_bogus_websocket_clients", "flag"),
    _new("3.0", "http_err_codes", "line"),
    _new("3.0", "http_fail_codes", "line"),
    _new("2.6", "cluster_secret", "word"),
    _new("2.8", "no_quic", "flag"),
    _new("2.9", "limited_quic", "flag"),
    _new("3.0", "key_base", "word"),
    _new("2.8", "ssl_default_bind_sigalgs", "word"),
    _new("2.8", "ssl_default_bind_client_sigalgs", "word"),
    _new("2.9", "ssl_default_server_curves", "word"),
    _new("2.9", "ssl_default_server_sigalgs", "word"),
    _new("2.9", "ssl_default_server_client_sigalgs", "word"),
    _new("3.0", "ssl_security_level", "int"),
    ("ssl_load_extra_files", "line"),
    ("ssl_load_extra_del_ext", "flag"),
    ("ssl_server_verify", "word"),
    ("ssl_skip_self_issued_ca", "flag"),
    ("zero_warning", "flag"),
)

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
    *_MORE_GLOBAL,
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
    _new("2.9", "client_hs", "time"),
)
RESOLVER_TIMEOUTS = _table(("resolve", "time"), ("retry", "time"))
RESOLVER_HOLD = _table(
    ("valid", "time"),
    ("obsolete", "time"),
    ("nx", "time"),
    ("other", "time"),
    ("refused", "time"),
    ("timeout", "time"),
)

_MORE_BIND = (
    ("id", "int"),
    ("proto", "word"),
    ("namespace", "word"),
    ("mss", "int"),
    ("nice", "int"),
    ("tcp_ut", "time"),
    ("tfo", "flag"),
    ("defer_accept", "flag"),
    ("v4v6", "flag"),
    ("v6only", "flag"),
    ("uid", "int"),
    ("gid", "int"),
    ("level", "word"),
    ("accept_netscaler_cip", "int"),
    ("ssl_max_ver", "word"),
    ("allow_0rtt", "flag", "allow-0rtt"),
    ("prefer_client_ciphers", "flag"),
    ("no_tls_tickets", "flag"),
    ("tls_ticket_keys", "word"),
    ("ca_verify_file", "word"),
    ("ca_ignore_err", "word"),
    ("crt_ignore_err", "word"),
    ("no_ca_names", "flag"),
    _new("2.8", "no_alpn", "flag"),
    _new("2.8", "sigalgs", "word"),
    _new("2.8", "client_sigalgs", "word"),
    _new("3.0", "default_crt", "words"),
    _new("2.5", "shards", "word"),
    _new("2.5", "thread", "word"),
    _new("3.0", "guid_prefix", "word"),
    _new("2.7", "quic_cc_algo", "word"),
    _new("2.7", "quic_force_retry", "flag"),
    _new("2.9", "quic_socket", "word"),
    _new("3.2", "idle_ping", "time"),
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
    *_MORE_BIND,
    ("raw", "rawtext"),
)

_MORE_SERVER = (
    ("id", "int"),
    ("proto", "word"),
    ("check_proto", "word"),
    ("check_via_socks4", "flag"),
    ("agent_check", "no"),
    ("agent_addr", "word"),
    ("agent_port", "int"),
    ("agent_inter", "time"),
    ("agent_send", "word"),
    ("resolve_prefer", "word"),
    ("resolve_net", "csv"),
    ("resolve_opts", "csv"),
    ("namespace", "word"),
    ("redir", "word"),
    ("non_stick", "flag"),
    ("tfo", "flag"),
    ("tcp_ut", "time"),
    ("socks4", "word"),
    ("pool_low_conn", "int"),
    ("max_reuse", "int"),
    ("log_proto", "word"),
    ("send_proxy_v2_ssl", "no"),
    ("send_proxy_v2_ssl_cn", "no"),
    ("proxy_v2_options", "csv"),
    _new("2.9", "set_proxy_v2_tlv_fmt", "line"),
    ("ssl_max_ver", "word"),
    ("ciphers", "word"),
    ("ciphersuites", "word"),
    _new("2.9", "curves", "word"),
    _new("2.9", "sigalgs", "word"),
    _new("2.9", "client_sigalgs", "word"),
    ("ssl_reuse", "no"),
    ("tls_tickets", "no"),
    ("allow_0rtt", "flag", "allow-0rtt"),
    _new("2.5", "ws", "word"),
    _new("3.0", "hash_key", "word"),
    _new("3.0", "guid", "word"),
    _new("3.1", "init_state", "word"),
    _new("3.2", "idle_ping", "time"),
    _new("3.2", "strict_maxconn", "flag"),
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
    *_MORE_SERVER,
    ("raw", "rawtext"),
)
# What a peer takes besides its name, address and port.
PEER_OPTIONS = {key: SERVER_OPTIONS[key] for key in ("ssl", "verify", "verifyhost", "ca_file", "crl_file", "crt", "sni", "raw")}

_DESCRIPTION = ("description", "line")
_MODE = ("mode", "mode")
_HEAD = (("disabled", "flag"), ("id", "int"), _new("3.0", "guid", "word"))
_LOG = (
    ("log", "lines"),
    ("log_format", "format"),
    ("log_format_sd", "word"),
    _new("2.5", "error_log_format", "word"),
    ("log_tag", "word"),
    ("unique_id_format", "word"),
    ("unique_id_header", "word"),
)
_COMMON = (
    ("option", "options"),
    ("timeout", "timeout"),
    ("errorfile", "lines"),
    ("errorfiles", "lines"),
    ("http_error", "lines"),
    ("errorloc302", "lines"),
    ("errorloc303", "lines"),
    ("email_alert", "lines"),
    ("compression", "lines"),
    ("compression_over_tls", "own"),
)
_CLIENT_SIDE = (
    ("maxconn", "int"),
    ("backlog", "int"),
    ("rate_limit_sessions", "int", "rate-limit sessions"),
    ("clitcpka_cnt", "int"),
    ("clitcpka_idle", "time"),
    ("clitcpka_intvl", "time"),
    ("monitor_uri", "word"),
    ("declare", "lines"),
    ("capture", "lines"),
    ("ignore_persist", "lines"),
    ("force_persist", "lines"),
)
_SERVER_SIDE = (
    ("balance", "line"),
    ("hash_type", "line"),
    ("hash_balance_factor", "int"),
    ("cookie", "form"),
    ("persist", "line"),
    ("retries", "int"),
    ("retry_on", "line"),
    ("http_reuse", "word"),
    ("fullconn", "int"),
    ("max_keep_alive_queue", "int"),
    ("max_session_srv_conns", "int"),
    ("srvtcpka_cnt", "int"),
    ("srvtcpka_idle", "time"),
    ("srvtcpka_intvl", "time"),
    ("source", "line"),
    ("http_send_name_header", "line"),
    ("load_server_state_from_file", "word"),
    ("server_state_file_name", "word"),
)
_PERSIST = (("ignore_persist", "lines"), ("force_persist", "lines"))
_CHECKS = (("http_check", "checks"), ("tcp_check", "checks"), ("external_check", "lines"))
_TABLES = (("stick_table", "form"),)
_FILTERS = (("filter", "lines"),)
_RULES_IN = (("tcp_request", "lines"), ("monitor", "lines"), ("http_request", "lines"))
_RULES_OUT = (("http_response", "lines"), ("http_after_response", "lines"))
_SERVERS = (("default_server", "default_server"), ("server", "servers"), ("server_template", "templates"))
_GUARD = ("disable_l7_retry", "retry_guard")

DEFAULTS = _table(
    _MODE,
    ("disabled", "flag"),
    *_LOG,
    *_COMMON,
    *(
        row
        for row in _CLIENT_SIDE
        if row[0] in ("maxconn", "backlog", "rate_limit_sessions", "monitor_uri") or row[0].startswith("clitcpka")
    ),
    *_SERVER_SIDE,
    *_CHECKS,
    ("default_server", "default_server"),
    ("raw", "raw"),
)

FRONTEND = _table(
    _DESCRIPTION,
    *_HEAD,
    _MODE,
    ("bind", "binds"),
    *_LOG,
    *_CLIENT_SIDE,
    *_COMMON,
    *_TABLES,
    *_FILTERS,
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
    *_HEAD,
    _MODE,
    *_LOG,
    *_PERSIST,
    *_COMMON,
    *_SERVER_SIDE,
    *_CHECKS,
    *_TABLES,
    *_FILTERS,
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
    *_HEAD,
    _MODE,
    ("bind", "binds"),
    *_LOG,
    *_CLIENT_SIDE,
    *_COMMON,
    *_SERVER_SIDE,
    *_CHECKS,
    *_TABLES,
    *_FILTERS,
    ("acl", "lines"),
    ("stick", "lines"),
    ("tcp_request", "lines"),
    ("monitor", "lines"),
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

# What belongs to no proxy, but is named by them.
PEERS = _table(
    ("disabled", "flag"),
    ("bind", "binds"),
    ("default_server", "default_server"),
    _new("2.8", "shards", "int"),
    ("peer", "peers"),
    ("table", "lines"),
    ("raw", "raw"),
)
RESOLVERS = _table(
    ("parse_resolv_conf", "flag"),
    ("nameserver", "nameservers"),
    ("accepted_payload_size", "int", "accepted_payload_size"),
    ("resolve_retries", "int", "resolve_retries"),
    ("timeout", "times"),
    ("hold", "times"),
    ("raw", "raw"),
)
USERLIST = _table(("group", "groups"), ("user", "users"), ("raw", "raw"))
CACHE = _table(
    ("total_max_size", "int"),
    ("max_object_size", "int"),
    ("max_age", "int"),
    ("process_vary", "onoff"),
    ("max_secondary_entries", "int"),
    ("raw", "raw"),
)
HTTP_ERRORS = _table(("errorfile", "lines"), ("raw", "raw"))

# Lines that may be given as their words. A blank between key and value is HAProxy's; "lines" repeats the keyword.
COOKIE = _table(
    ("rewrite", "flag"),
    ("insert", "flag"),
    ("prefix", "flag"),
    ("indirect", "flag"),
    ("nocache", "flag"),
    ("postonly", "flag"),
    ("preserve", "flag"),
    ("httponly", "flag"),
    ("secure", "flag"),
    ("domain", "words"),
    ("maxidle", "time"),
    ("maxlife", "time"),
    ("dynamic", "flag"),
    ("attr", "words"),
)
STICK_TABLE = _table(
    ("type", "word"),
    ("len", "int"),
    ("size", "word"),
    ("expire", "time"),
    ("nopurge", "flag"),
    ("srvkey", "word"),
    _new("2.9", "write_to", "word"),
    ("peers", "word"),
    ("store", "csv"),
)
CHECK_CONNECT = _table(
    ("default", "flag"),
    ("port", "word"),
    ("addr", "word"),
    ("send_proxy", "flag"),
    ("via_socks4", "flag"),
    ("ssl", "flag"),
    ("sni", "word"),
    ("alpn", "csv"),
    ("proto", "word"),
    ("linger", "flag"),
)
CHECK_SEND = _table(
    ("method", "word", "meth"), ("uri", "word"), ("version", "word", "ver"), ("headers", "headers", "hdr"), ("body", "word")
)
CHECK_EXPECT = _table(
    ("not", "flag", "!"),
    ("status", "word"),
    ("rstatus", "word"),
    ("string", "word"),
    ("rstring", "word"),
    ("header", "line", "hdr"),
    ("fhdr", "line"),
    ("binary", "word"),
    ("rbinary", "word"),
)
FORMS = {"cookie": COOKIE, "stick_table": STICK_TABLE}
CHECK_FORMS = {"connect": CHECK_CONNECT, "send": CHECK_SEND, "expect": CHECK_EXPECT}
TIMES = {"timeout": RESOLVER_TIMEOUTS, "hold": RESOLVER_HOLD}
NAMESERVER = ("name", "address", "port")
GROUP = ("name", "users")
USER = ("name", "password", "insecure_password", "groups")
# Where server-template makes its servers from.
TEMPLATE = ("prefix", "count", "address", "port")

SECTIONS = {"frontend": FRONTEND, "backend": BACKEND, "listen": LISTEN}
VARIABLES = {"frontend": "haproxy_frontends", "backend": "haproxy_backends", "listen": "haproxy_listen"}
OTHERS = {"peers": PEERS, "resolvers": RESOLVERS, "userlist": USERLIST, "cache": CACHE, "http-errors": HTTP_ERRORS}
OTHER_VARIABLES = {
    "peers": "haproxy_peers",
    "resolvers": "haproxy_resolvers",
    "userlist": "haproxy_userlists",
    "cache": "haproxy_caches",
    "http-errors": "haproxy_http_errors",
}
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
HTTP_ONLY_KEYS = {
    "retry_on",
    "http_reuse",
    "cookie",
    "compression",
    "disable_l7_retry",
    "unique_id_header",
    "http_error",
    "monitor_uri",
    "http_send_name_header",
}
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
    # With another profile its settings take the place of these.
    **haproxy_settings("intermediate"),
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

ADMIN_SOCKET_LINE = f"{ADMIN_SOCKET} user root group haproxy mode 660 level admin"
# The section that replicates stick tables between the load balancers; it is there when a table names it.
OWN_PEERS = "lbs"
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
    # Rules of the role's own, in front of those of the section.
    first: dict[str, list[str]] = field(default_factory=dict)

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
    tls: Tls
    stats_login: tuple[str, str] | None
    ipv6: bool
    named_defaults: dict[str, dict[str, Any]] = field(default_factory=dict)
    others: list[Section] = field(default_factory=list)


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


def package_version(node: Mapping[str, Any]) -> tuple[str | None, str]:
    """Find the version of HAProxy that a configuration is for, and in words how it relates to the node: it ``is installed``, for instance."""
    package = as_dict(as_dict(node.get("packages")).get("haproxy"))
    if package.get("coming"):
        return str(package["coming"]), "is to be installed"
    installed = package.get("installed")
    return (str(installed), "is installed") if installed else (package.get("candidate") or None, "is what apt would install")


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
        rules += expiry_rules() if has_expiry_metrics(model) else []
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


def _without_log(defaults: dict[str, Any]) -> None:
    """HAProxy complains of a log format without anything to log to."""
    defaults["log"] = [line for line in as_list(defaults.get("log")) if line != "global"]
    if not defaults["log"]:
        for key in ("log_format", "log_format_sd", "error_log_format"):
            defaults.pop(key, None)
        defaults["option"] = [option for option in as_list(defaults.get("option")) if str(option).split(" ", 1)[0] not in _LOG_OPTIONS]


def _named_defaults(given: Iterable[Any], base: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Put named defaults over those that they come from, in whatever order they are given."""
    own = {str(data.get("name", "")): data for data in map(as_dict, given)}
    done: dict[str, dict[str, Any]] = {}

    def finish(name: str, under: tuple[str, ...]) -> Mapping[str, Any]:
        if name not in own or name in under:
            return base
        if name not in done:
            data = own[name]
            parent = finish(str(data.get("from") or ""), (*under, name))
            done[name] = merge(parent, {key: value for key, value in data.items() if key not in ("name", "from")})
            if not empty(data.get("log_format")) and "option" not in data:
                done[name]["option"] = [
                    item for item in as_list(done[name].get("option")) if str(item).split(" ", 1)[0] not in _LOG_OPTIONS
                ]
        return done[name]

    for name in own:
        finish(name, ())
    return done


def own_peer(model: Mapping[str, Any]) -> str:
    """Find this node's name among the load balancers."""
    peers = as_dict(model.get("peer"))
    address = str(peers.get("address") or "")
    return next((str(name) for name, one in as_dict(peers.get("nodes")).items() if str(one) == address), "")


def _names_own_peers(sections: Iterable[Section], raw: Iterable[Any]) -> bool:
    wanted = re.compile(rf"\bpeers\s+{OWN_PEERS}\b|\btable\s+{OWN_PEERS}/")
    for section in sections:
        table = section.data.get("stick_table")
        if isinstance(table, Mapping):
            if str(table.get("peers")) == OWN_PEERS:
                return True
        elif table and wanted.search(str(table)):
            return True
        if any(wanted.search(str(line)) for line in as_list(section.data.get("raw"))):
            return True
    return any(wanted.search(str(line)) for line in raw)


def _others(model: Mapping[str, Any], proxies: list[Section]) -> list[Section]:
    """List the sections that aren't proxies, with the one for the load balancers where a table wants it."""
    result = []
    for kind, variable in OTHER_VARIABLES.items():
        for index, data in enumerate(map(as_dict, as_list(model.get(variable.removeprefix("haproxy_"))))):
            result.append(Section(kind, str(data.get("name", "")), data, f"{variable}[{index}]"))
    nodes = as_dict(as_dict(model.get("peer")).get("nodes"))
    taken = any(section.kind == "peers" and section.name == OWN_PEERS for section in result)
    taken = taken or any(str(line).split()[:2] == ["peers", OWN_PEERS] for line in as_list(model.get("raw")))
    if nodes and not taken and _names_own_peers(proxies, as_list(model.get("raw"))):
        port = as_dict(model.get("peer")).get("port") or 10000
        peers = [{"name": name, "address": address, "port": port} for name, address in nodes.items()]
        section = Section("peers", OWN_PEERS, {"name": OWN_PEERS, "peer": peers}, "")
        section.variables = {f"peer[{index}]": f"haproxy_peer_nodes.{name}" for index, name in enumerate(nodes)}
        result.insert(0, section)
    return result


def _limit(model: Mapping[str, Any], sections: list[Section], mode: str) -> list[Section]:
    """Put the ready-made limit in front of the frontends that it is for."""
    given = as_dict(model.get("rate_limit"))
    if not limits.on(given):
        return sections
    wanted = [str(name) for name in as_list(given.get("frontends"))]
    for section in sections:
        http = str(section.data.get("mode") or mode) == "http" and section.kind != "backend"
        if section.name in wanted or (http and not wanted and section.name not in ("monitor", "stats")):
            section.first = limits.rules(given)
            if given.get("slow_request"):
                timeout = {"http_request": given["slow_request"], **as_dict(section.data.get("timeout"))}
                option = [*as_list(section.data.get("option")), "http-buffer-request"]
                section.data = {**section.data, "timeout": timeout, "option": list(dict.fromkeys(option))}
    if limits.counts(given):
        return [*sections, Section("backend", limits.TABLE, limits.table(given), "haproxy_rate_limit")]
    return sections


def complete(model: Mapping[str, Any], node: Mapping[str, Any] | None = None) -> Model:
    """Fill in the role's own values: what it takes for granted, the ready-made service, the monitor and the statistics.

    :param model: The role's variables as one dictionary (see vars/main.yml of the role).
    :param node: What M(hitless.lb.node_info) returned; nothing is assumed where it is missing.
    """
    # Imported here: the presets are made of what this file defines.
    from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_presets as presets

    node = node or {}
    log = as_dict(model.get("log"))
    own = {key: value for key, value in DEFAULT_GLOBAL.items() if not key.startswith("ssl_default_bind_")}
    global_ = merge(own | profile_settings(model) | presets.global_settings(model, node), as_dict(model.get("global")))
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
    if not empty(defaults.get("log_format")) and "option" not in as_dict(model.get("defaults")):
        # One format only: HAProxy complains of a second one.
        defaults["option"] = [option for option in as_list(defaults.get("option")) if str(option).split(" ", 1)[0] not in _LOG_OPTIONS]
    named = _named_defaults(as_list(model.get("named_defaults")), defaults)
    if empty(global_.get("log")):
        for data in (defaults, *named.values()):
            _without_log(data)
    global_["stats_socket"] = [ADMIN_SOCKET_LINE, *as_list(global_.get("stats_socket"))]

    sections: list[Section] = []
    for kind, key in (("frontend", "frontends"), ("backend", "backends"), ("listen", "listen")):
        variable = VARIABLES[kind]
        for index, data in enumerate(map(as_dict, as_list(model.get(key)))):
            sections.append(Section(kind, str(data.get("name", "")), data, f"{variable}[{index}]"))
    taken = {(section.kind, section.name) for section in sections}
    # A section of the same name takes the place of the ready-made one.
    ready_made = [section for section in presets.sections(model, node) if (section.kind, section.name) not in taken]
    stats = _stats(model)
    login = as_dict(model.get("stats"))
    order = {"frontend": 0, "listen": 1, "backend": 2}
    everything = [_monitor(model), *([stats] if stats else []), *ready_made, *sections]
    everything = _limit(model, everything, str(defaults.get("mode") or "tcp"))
    others = _others(model, everything)
    peer = own_peer(model)
    if peer and "localpeer" not in given and any(section.kind == "peers" for section in others):
        global_["localpeer"] = peer
    return Model(
        global_=global_,
        defaults=defaults,
        sections=sorted(everything, key=lambda section: order[section.kind]),
        raw=[str(line) for line in as_list(model.get("raw"))],
        tls=tls_of(model),
        stats_login=(str(login.get("user") or ""), str(login.get("password") or "")) if stats else None,
        ipv6=bool(node.get("ipv6")),
        named_defaults=named,
        others=others,
    )


def table_only(section: Section) -> bool:
    """Tell whether a backend is there for its stick table alone."""
    return (
        section.kind == "backend"
        and not empty(section.data.get("stick_table"))
        and not any(
            not empty(section.data.get(key)) for key in ("server", "server_template", "http_request", "tcp_request", "stats", "raw")
        )
    )


def names(sections: Iterable[Section], *kinds: str) -> list[str]:
    """List the names of the sections of some kinds."""
    return [section.name for section in sections if section.kind in kinds]
