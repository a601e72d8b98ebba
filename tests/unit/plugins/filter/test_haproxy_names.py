# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user reads of names that lead nowhere, rules that are never reached, and words that are too new."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.filter.haproxy_validate import haproxy_validate

NODE: dict[str, Any] = {"ipv6": False, "packages": {"haproxy": {"installed": "3.0.11-1+deb13u1", "candidate": None}}}
OLD: dict[str, Any] = {"ipv6": False, "packages": {"haproxy": {"installed": "2.6.12-1+deb12u4", "candidate": None}}}
OLDER: dict[str, Any] = {"ipv6": False, "packages": {"haproxy": {"installed": None, "candidate": "2.4.24-1"}}}
SERVER = {"name": "web1", "address": "192.0.2.21", "port": 80}
WEB = {"name": "web", "server": [SERVER]}
HASH = "$6$salt$FGexMLSr1JZbpKMUX6HZVcCzaEQBvIkqY9IIr0WBPdT"


def frontend(*more: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """A frontend that works, but for what is given."""
    one = {"name": "http", "bind": [{"address": "*", "port": 80}], "default_backend": "web"} | keys
    return {"frontends": [one], "backends": [WEB, *more]}


def backend(**keys: Any) -> dict[str, Any]:
    """A backend that works, but for what is given."""
    return {"backends": [WEB | keys]}


def users(**keys: Any) -> dict[str, Any]:
    """A userlist with one user."""
    return {"userlists": [{"name": "staff", "group": [{"name": "admins"}], "user": [{"name": "alice"} | keys]}]}


def external(**keys: Any) -> dict[str, Any]:
    """A backend with an external check."""
    return backend(option=["external-check"], external_check=["command /bin/true"]) | {"global": keys}


def peers(address: str) -> dict[str, Any]:
    """A table that the load balancers share."""
    nodes = {"lb1": "192.0.2.11", "lb2": "192.0.2.12"}
    return backend(stick_table="type ip size 1m peers lbs") | {"peer": {"nodes": nodes, "address": address, "port": 10000}}


def older(path: str, word: str, since: str, version: str = "2.6.12-1+deb12u4", found: str = "installed") -> str:
    """The message for a word that is too new."""
    haproxy = f"HAProxy {version}, which is {found} on this node,"
    return f"{path}: {haproxy} doesn't know {word!r}, which came with {since}; leave it out, or install {since} or later"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "userlist in a rule": (
        frontend(http_request=["auth unless { http_auth(stuff) }"]) | users(password=HASH),
        "haproxy_frontends[0].http_request[0]: there is no userlist 'stuff' in haproxy_userlists; did you mean 'staff'?",
    ),
    "userlist for groups": (
        frontend(acl=["admin http_auth_group(nobody) admins"]),
        "haproxy_frontends[0].acl[0]: there is no userlist 'nobody' in haproxy_userlists; none is defined",
    ),
    "backend in a condition": (
        frontend(use_backend=["web if { nbsrv(wbe) gt 1 }"]),
        "haproxy_frontends[0].use_backend[0]: there is no backend 'wbe'; did you mean 'web'?",
    ),
    "frontend in a condition": (
        frontend(http_request=["deny if { fe_conn(htp) gt 100 }"]),
        "haproxy_frontends[0].http_request[0]: there is no frontend 'htp'; did you mean 'http'?",
    ),
    "ACL of a rule": (
        frontend(acl=["is_api path_beg /api"], http_request=["deny if !{ src 192.0.2.0/24 } is_apo || METH_POST"]),
        "haproxy_frontends[0].http_request[0]: there is no acl 'is_apo' in http; did you mean 'is_api'?",
    ),
    "ACL of another section": (
        frontend(acl=["is_api path_beg /api"]) | {"backends": [WEB | {"use_server": ["web1 unless is_api"]}]},
        "haproxy_backends[0].use_server[0]: there is no acl 'is_api' in web; none is defined",
    ),
    "a port of peers that is taken": (
        {
            "global": {"localpeer": "lb1"},
            "peers": [{"name": "cluster", "bind": [{"address": "127.0.0.1", "port": 8404}], "peer": [{"name": "lb1"}]}],
        },
        "haproxy_peers[0].bind[0]: 127.0.0.1 port 8404 is bound twice, by frontend monitor and by peers cluster;"
        " take one of the two away or give it another port",
    ),
    "cache that is used": (
        frontend(http_request=["cache-use statc"]) | {"caches": [{"name": "static", "total_max_size": 4, "max_age": 60}]},
        "haproxy_frontends[0].http_request[0]: there is no cache 'statc' in haproxy_caches; did you mean 'static'?",
    ),
    "cache that is stored": (
        frontend(http_response=["cache-store static"]),
        "haproxy_frontends[0].http_response[0]: there is no cache 'static' in haproxy_caches; none is defined",
    ),
    "cache of a filter": (
        frontend(filter=["cache static"]),
        "haproxy_frontends[0].filter[0]: there is no cache 'static' in haproxy_caches; none is defined",
    ),
    "http-errors of a section": (
        frontend(errorfiles=["shop 503"]) | {"http_errors": [{"name": "shops"}]},
        "haproxy_frontends[0].errorfiles[0]: there is no http-errors section 'shop' in haproxy_http_errors; did you mean 'shops'?",
    ),
    "http-errors of a rule": (
        frontend(http_request=["return status 503 errorfiles shop if FALSE"]),
        "haproxy_frontends[0].http_request[0]: there is no http-errors section 'shop' in haproxy_http_errors; none is defined",
    ),
    "peers of a table": (
        backend(stick_table="type ip size 1m expire 1h peers pears") | {"peers": [{"name": "peers1"}]},
        "haproxy_backends[0].stick_table: there is no peers section 'pears' in haproxy_peers; did you mean 'peers1'?",
    ),
    "peers of a table as words": (
        backend(stick_table={"type": "ip", "size": "1m", "peers": "cluster"}),
        "haproxy_backends[0].stick_table.peers: there is no peers section 'cluster' in haproxy_peers; none is defined",
    ),
    "the own peers without load balancers": (
        backend(stick_table="type ip size 1m peers lbs"),
        "haproxy_backends[0].stick_table: the peers section 'lbs' is made from haproxy_peer_nodes, which is empty; write the load balancers there",
    ),
    "a node that is none of the load balancers": (
        peers("192.0.2.13"),
        "haproxy_peer_address: '192.0.2.13' is the address of none of haproxy_peer_nodes, so this node can't tell which of them it is;"
        " write this node's own address",
    ),
    "peers without this node": (
        {
            "global": {"localpeer": "lb3"},
            "peers": [{"name": "cluster", "peer": [{"name": "lb1", "address": "192.0.2.11", "port": 10000}]}],
        },
        "haproxy_peers[0].peer: this node is 'lb3', which is none of the peers; did you mean 'lb1'?",
    ),
    "peers without a name for this node": (
        {"peers": [{"name": "cluster", "peer": [{"name": "lb1", "address": "192.0.2.11", "port": 10000}]}]},
        "haproxy_peers[0].peer: this node can't tell which of the peers it is; write haproxy_global: {localpeer: its name}",
    ),
    "a peer by its host name": (
        {
            "global": {"localpeer": "lb1"},
            "peers": [{"name": "cluster", "peer": [{"name": "lb1", "address": "lb1.example.com", "port": 1}]}],
        },
        "haproxy_peers[0].peer[0].address: 'lb1.example.com' is no IP address; write that of the peer",
    ),
    "the port of the peers is taken": (
        peers("192.0.2.11") | {"frontends": [{"name": "x", "bind": [{"address": "192.0.2.11", "port": 10000}], "default_backend": "web"}]},
        "haproxy_peer_nodes.lb1: 192.0.2.11 port 10000 is bound twice, by frontend x and by peers lbs;"
        " take one of the two away or give it another port",
    ),
    "table that is tracked": (
        frontend({"name": "clients", "stick_table": "type ip size 1m"}, http_request=["track-sc0 src table client"]),
        "haproxy_frontends[0].http_request[0]: there is no section with a stick table 'client'; did you mean 'clients'?",
    ),
    "table of a sample": (
        frontend(http_request=["deny if { src_http_req_rate(clients) gt 5 }"]),
        "haproxy_frontends[0].http_request[0]: there is no section with a stick table 'clients'; none is defined",
    ),
    "resolvers of a server": (
        backend(server=[SERVER | {"resolvers": "ofice"}]) | {"resolvers": [{"name": "office", "parse_resolv_conf": True}]},
        "haproxy_backends[0].server[0].resolvers: there is no resolvers section 'ofice' in haproxy_resolvers; did you mean 'office'?",
    ),
    "resolvers of a template": (
        backend(server_template=[{"prefix": "a", "count": 3, "address": "a.example.com", "port": 80, "resolvers": "office"}]),
        "haproxy_backends[0].server_template[0].resolvers: there is no resolvers section 'office' in haproxy_resolvers; none is defined",
    ),
    "resolvers of a rule": (
        frontend(http_request=["do-resolve(txn.ip,office,ipv4) hdr(host)"]),
        "haproxy_frontends[0].http_request[0]: there is no resolvers section 'office' in haproxy_resolvers; none is defined",
    ),
    "resolvers that ask nobody": (
        {"resolvers": [{"name": "office", "hold": {"valid": "10s"}}]},
        "haproxy_resolvers[0].nameserver: resolvers office asks nobody; write a nameserver, or parse_resolv_conf: true",
    ),
    "an SRV record without resolvers": (
        backend(server=[], server_template=[{"prefix": "a", "count": 3, "address": "_web._tcp.example.com"}]),
        "haproxy_backends[0].server_template[0].resolvers: is missing; an SRV record is asked for while HAProxy runs,"
        " by a section of haproxy_resolvers",
    ),
    "a template without a port": (
        backend(server_template=[{"prefix": "a", "count": 3, "address": "web.example.com"}]),
        "haproxy_backends[0].server_template[0].port: is missing; write the port of the servers (only an SRV record brings its own)",
    ),
    "a template without a number": (
        backend(server_template=[{"prefix": "a", "count": "many", "address": "web.example.com", "port": 80}]),
        "haproxy_backends[0].server_template[0].count: 'many' is no number of servers; write one, or a range such as '1-10'",
    ),
    "server of use-server": (
        backend(use_server=["web2 if { path /x }"]),
        "haproxy_backends[0].use_server[0]: web has no server 'web2'; did you mean 'web1'?",
    ),
    "server that is tracked": (
        backend(server=[SERVER | {"track": "web/web9"}]),
        "haproxy_backends[0].server[0].track: web has no server 'web9'; did you mean 'web1'?",
    ),
    "backend that is tracked": (
        backend(server=[SERVER | {"track": "wbe/web1"}]),
        "haproxy_backends[0].server[0].track: there is no backend 'wbe'; did you mean 'web'?",
    ),
    "the same server twice": (
        backend(server=[SERVER, SERVER | {"name": "web2"}]),
        "haproxy_backends[0].server[1]: 192.0.2.21 port 80 is already haproxy_backends[0].server[0];"
        " one server would get twice the load, so leave one out",
    ),
    "map": (
        frontend(use_backend=["%[req.hdr(host),map(@map:tenant@,web)]"]) | {"maps": [{"name": "tenants", "entries": {"a": "web"}}]},
        "haproxy_frontends[0].use_backend[0]: there is no map 'tenant' in haproxy_maps; did you mean 'tenants'?",
    ),
    "map by its path": (
        frontend(http_request=["set-header X %[src,map_ip(/etc/haproxy/maps/nets.map)]"]),
        "haproxy_frontends[0].http_request[0]: there is no map 'nets' in haproxy_maps; none is defined",
    ),
    "ACL file": (
        frontend(acl=["bad src -f @acl:blocked@"]),
        "haproxy_frontends[0].acl[0]: there is no ACL file 'blocked' in haproxy_acl_files; none is defined",
    ),
    "ACL file in a raw line": (
        frontend(raw=["http-request deny if { src -f @acl:blocked@ }"]),
        "haproxy_frontends[0].raw[0]: there is no ACL file 'blocked' in haproxy_acl_files; none is defined",
    ),
    "error file": (
        {"http_errors": [{"name": "shop", "errorfile": ["503 @errorfile:sory@"]}], "error_files": [{"name": "sorry", "content": "x"}]},
        "haproxy_http_errors[0].errorfile[0]: there is no error file 'sory' in haproxy_error_files; did you mean 'sorry'?",
    ),
    "two maps of one name": (
        {"maps": [{"name": "m", "entries": {"a": "b"}}, {"name": "m", "entries": {"a": "c"}}]},
        "haproxy_maps[1].name: 'm' is used twice; give every map its own name",
    ),
    "a map's name as a path": (
        {"maps": [{"name": "../m", "content": "a b"}]},
        "haproxy_maps[0].name: '../m' is no name; use letters, digits and _ . -",
    ),
    "a key with a blank": (
        {"maps": [{"name": "m", "entries": {"a b": "c"}}]},
        "haproxy_maps[0].entries: the key 'a b' has a blank, where HAProxy would end it; write it without",
    ),
    "an entry with a line break": (
        {"acl_files": [{"name": "m", "entries": ["a\nb"]}]},
        "haproxy_acl_files[0].entries: 'a\\nb' is no entry; write one line each, which doesn't begin with #",
    ),
    "an empty error file": (
        {"error_files": [{"name": "sorry", "content": ""}]},
        "haproxy_error_files[0].content: is empty; write what the client shall see",
    ),
    "a rule after the last": (
        frontend(http_request=["set-header A b", "deny deny_status 403", "set-header C d"]),
        "haproxy_frontends[0].http_request[2]: is never reached, because haproxy_frontends[0].http_request[1] ('deny deny_status 403')"
        " has no condition; put it in front of that one, or give that one an if",
    ),
    "a rule after a text with if": (
        frontend(http_request=["return status 200 string 'what if'", "deny if TRUE"]),
        "haproxy_frontends[0].http_request[1]: is never reached, because haproxy_frontends[0].http_request[0]"
        " (\"return status 200 string 'what if'\") has no condition; put it in front of that one, or give that one an if",
    ),
    "a connection rule after the last": (
        frontend(tcp_request=["connection accept", "content reject if TRUE", "connection reject if TRUE"]),
        "haproxy_frontends[0].tcp_request[2]: is never reached, because haproxy_frontends[0].tcp_request[0] ('connection accept')"
        " has no condition; put it in front of that one, or give that one an if",
    ),
    "a use_backend after the last": (
        frontend(WEB | {"name": "api"}, use_backend=["api", "web if TRUE"], default_backend=""),
        "haproxy_frontends[0].use_backend[1]: is never reached, because haproxy_frontends[0].use_backend[0] ('api')"
        " has no condition; put it in front of that one, or give that one an if",
    ),
    "a default_backend that is never reached": (
        frontend(WEB | {"name": "api"}, use_backend=["api"]),
        "haproxy_frontends[0].default_backend: is never reached, because haproxy_frontends[0].use_backend[0] ('api')"
        " has no condition; give that one an if, or leave it out",
    ),
    "defaults of a section": (
        frontend(**{"from": "slwo"}) | {"named_defaults": [{"name": "slow"}]},
        "haproxy_frontends[0].from: there is no defaults 'slwo' in haproxy_named_defaults; did you mean 'slow'?",
    ),
    "defaults of defaults": (
        {"named_defaults": [{"name": "slow", "from": "base"}]},
        "haproxy_named_defaults[0].from: there is no defaults 'base' in haproxy_named_defaults; there is 'slow'",
    ),
    "defaults with the role's name": (
        {"named_defaults": [{"name": "tcp"}]},
        "haproxy_named_defaults[0].name: 'tcp' is what the role calls its own defaults; choose another name",
    ),
    "defaults without a timeout": (
        {"named_defaults": [{"name": "slow", "timeout": {"server": ""}}]},
        "haproxy_named_defaults[0].timeout.server: is empty, so a connection could hang for ever; write a time, for example '30s'",
    ),
    "two log formats": (
        {"defaults": {"log_format": "json", "option": ["httplog", "dontlognull"]}},
        "haproxy_defaults.log_format: stands beside option 'httplog', and only one of the two can hold; leave one out",
    ),
    "two log formats in defaults": (
        {"named_defaults": [{"name": "slow", "log_format": "%ci", "option": ["tcplog"]}]},
        "haproxy_named_defaults[0].log_format: stands beside option 'tcplog', and only one of the two can hold; leave one out",
    ),
    "a key of defaults": (
        {"named_defaults": [{"name": "slow", "retrys": 3}]},
        "haproxy_named_defaults[0].retrys: is no key of this model; did you mean 'retries'? (any other line of HAProxy's goes to 'raw')",
    ),
    "a user without a password": (
        users(),
        "haproxy_userlists[0].user[0]: has no password; write password with a hash (openssl passwd -6),"
        " or insecure_password with the password itself",
    ),
    "a password that isn't hashed": (
        users(password="marker"),
        "haproxy_userlists[0].user[0].password: is no hash; write one (openssl passwd -6), or insecure_password for a password that isn't hashed",
    ),
    "a user with two passwords": (
        users(password=HASH, insecure_password="marker"),
        "haproxy_userlists[0].user[0]: has password and insecure_password; write password with a hash (openssl passwd -6),"
        " or insecure_password with the password itself",
    ),
    "a group of a user": (
        users(password=HASH, groups=["admin"]),
        "haproxy_userlists[0].user[0].groups: there is no group 'admin' in this userlist; did you mean 'admins'?",
    ),
    "two userlists of one name": (
        {"userlists": [{"name": "a"}, {"name": "a"}]},
        "haproxy_userlists[1].name: 'a' is already used by haproxy_userlists[0]; choose another name",
    ),
    "the role's own userlist": (
        {"userlists": [{"name": "stats"}], "stats": {"enabled": True, "user": "u", "password": "p", "bind": [{"port": 8090}]}},
        "haproxy_userlists[0].name: 'stats' is already used by the role itself (userlist stats); choose another name",
    ),
    "a cache without a size": (
        {"caches": [{"name": "static", "max_age": 60}]},
        "haproxy_caches[0].total_max_size: is missing; write a number (megabytes for total_max_size, seconds for max_age)",
    ),
    "an external check that isn't permitted": (
        external(chroot=""),
        "haproxy_backends[0].option: an external check runs a program, which HAProxy may not do;"
        " write haproxy_global: {external_check: true, insecure_fork_wanted: true}",
    ),
    "an external check in a chroot": (
        external(external_check=True, insecure_fork_wanted=True),
        "haproxy_backends[0].option: an external check can't run programs of the node while HAProxy is locked into /var/lib/haproxy;"
        " write haproxy_global: {chroot: ''}",
    ),
    "a key of a stick table": (
        backend(stick_table={"type": "ip", "size": "1m", "expires": "1h"}),
        "haproxy_backends[0].stick_table.expires: is no key of this model; did you mean 'expire'? (any other line of HAProxy's goes to 'raw')",
    ),
    "a stick table without a type": (
        backend(stick_table={"size": "1m"}),
        "haproxy_backends[0].stick_table: needs a type and a size; write for example {type: ip, size: 100k, expire: 30m}",
    ),
    "a cookie without a name": (
        backend(cookie={"insert": True}),
        "haproxy_backends[0].cookie.name: is missing; write the name of the cookie",
    ),
    "a key of a check": (
        backend(http_check=[{"send": {"methode": "GET"}}]),
        "haproxy_backends[0].http_check[0].send.methode: is no key of this model; did you mean 'method'?"
        " (any other line of HAProxy's goes to 'raw')",
    ),
    "two lines of a check in one": (
        backend(http_check=[{"send": {"uri": "/"}, "expect": {"status": "200"}}]),
        "haproxy_backends[0].http_check[0]: has 'send', 'expect' in one; write each as an item of its own",
    ),
    "an empty line of a check": (backend(tcp_check=[{}]), "haproxy_backends[0].tcp_check[0]: is empty; leave it out"),
    "a word of a check": (
        backend(http_check=[{"sned": {"uri": "/"}}]),
        "haproxy_backends[0].http_check[0]: 'sned' takes no keys here; write one of connect, send, expect, or the whole line as text",
    ),
    "a Unix socket bound twice": (
        frontend(bind=[{"address": "/run/haproxy/x.sock"}, {"address": "unix@/run/haproxy/x.sock"}]),
        "haproxy_frontends[0].bind[1]: /run/haproxy/x.sock is bound twice, by frontend http and by frontend http; take one of the two away",
    ),
    "a frontend of the rate limit": (
        frontend() | {"rate_limit": {"requests": 100, "frontends": ["htp"]}},
        "haproxy_rate_limit.frontends: there is no frontend 'htp'; did you mean 'http'?",
    ),
    "a status of the rate limit": (
        frontend() | {"rate_limit": {"requests": 100, "status": 418}},
        "haproxy_rate_limit.status: 418 is no status that HAProxy answers with; write 429, 403 or 503",
    ),
    "a key of the rate limit": (
        frontend() | {"rate_limit": {"request": 100}},
        "haproxy_rate_limit.request: is no key of this model; did you mean 'requests'?",
    ),
    "a number of the rate limit": (
        frontend() | {"rate_limit": {"requests": "many"}},
        "haproxy_rate_limit.requests: 'many' is no whole number from 0 on",
    ),
}


def findings(model: dict[str, Any], node: dict[str, Any]) -> list[str]:
    """What the filter reports, without its heading."""
    with pytest.raises(AnsibleFilterError) as error:
        haproxy_validate(model, node)
    return str(error.value).split("\n- ")[1:]


@pytest.mark.parametrize("name", BAD)
def test_the_message(name: str) -> None:
    model, message = BAD[name]
    assert findings(model, NODE) == [message]


TOO_NEW: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "global": ({"global": {"thread_hard_limit": 4}}, OLD, older("haproxy_global.thread_hard_limit", "thread-hard-limit", "3.0")),
    "global that is only a candidate": (
        {"global": {"close_spread_time": "2s"}},
        OLDER,
        older("haproxy_global.close_spread_time", "close-spread-time", "2.6", "2.4.24-1", "what apt would install"),
    ),
    "bind": (
        frontend(bind=[{"address": "*", "port": 80, "guid_prefix": "x"}]),
        OLD,
        older("haproxy_frontends[0].bind[0].guid_prefix", "guid-prefix", "3.0"),
    ),
    "server": (backend(server=[SERVER | {"curves": "X25519"}]), OLD, older("haproxy_backends[0].server[0].curves", "curves", "2.9")),
    "default server": (
        backend(default_server={"init_state": "down"}),
        NODE,
        older("haproxy_backends[0].default_server.init_state", "init-state", "3.1", "3.0.11-1+deb13u1"),
    ),
    "timeout": ({"defaults": {"timeout": {"client_hs": "5s"}}}, OLD, older("haproxy_defaults.timeout.client_hs", "client-hs", "2.9")),
    "option": (
        frontend(option=["no http-restrict-req-hdr-names"]),
        OLDER,
        older("haproxy_frontends[0].option[0]", "option http-restrict-req-hdr-names", "2.6", "2.4.24-1", "what apt would install"),
    ),
    "option of defaults": ({"defaults": {"option": ["forwarded"]}}, OLD, older("haproxy_defaults.option[0]", "option forwarded", "2.8")),
    "balance": (
        backend(balance="hash req.cook(SID)"),
        OLDER,
        older("haproxy_backends[0].balance", "balance hash", "2.6", "2.4.24-1", "what apt would install"),
    ),
    "log format": (
        frontend(log_format="https"),
        OLDER,
        older("haproxy_frontends[0].log_format", "option httpslog", "2.5", "2.4.24-1", "what apt would install"),
    ),
    "action": (
        frontend(http_request=["set-bandwidth-limit slow if TRUE"]),
        OLD,
        older("haproxy_frontends[0].http_request[0]", "set-bandwidth-limit", "2.7"),
    ),
    "action that was elsewhere before": (
        frontend(http_after_response=["set-map(x) a b"]),
        OLD,
        older("haproxy_frontends[0].http_after_response[0]", "set-map", "2.8"),
    ),
    "filter": (
        frontend(filter=["bwlim-out slow default-limit 1m default-period 1s"]),
        OLD,
        older("haproxy_frontends[0].filter[0]", "bwlim-out", "2.7"),
    ),
    "sample": (frontend(acl=["bad fc_glitches gt 5"]), OLD, older("haproxy_frontends[0].acl[0]", "fc_glitches", "3.0")),
    "sample in a condition": (
        frontend(http_request=["deny if { src_glitch_rate gt 5 }"]),
        OLD,
        older("haproxy_frontends[0].http_request[0]", "src_glitch_rate", "3.0"),
    ),
    "converter": (
        frontend(http_request=["set-header X %[req.hdr(forwarded),rfc7239_field(for)]"]),
        OLD,
        older("haproxy_frontends[0].http_request[0]", "rfc7239_field", "2.8"),
    ),
    "store": (backend(stick_table="type ip size 1m store glitch_cnt"), OLD, older("haproxy_backends[0].stick_table", "glitch_cnt", "3.0")),
    "array": (
        backend(stick_table={"type": "ip", "size": "1m", "store": ["gpc(3)"]}),
        OLDER,
        older("haproxy_backends[0].stick_table", "gpc", "2.5", "2.4.24-1", "what apt would install"),
    ),
    "key of a stick table": (
        backend(stick_table={"type": "ip", "size": "1m", "write_to": "x"}),
        OLD,
        older("haproxy_backends[0].stick_table.write_to", "write-to", "2.9"),
    ),
}


@pytest.mark.parametrize("name", TOO_NEW)
def test_what_is_too_new(name: str) -> None:
    model, node, message = TOO_NEW[name]
    assert findings(model, node) == [message]


def test_what_is_gone() -> None:
    assert findings(backend(option=["http_proxy"]), OLD) == [
        "haproxy_backends[0].option[0]: HAProxy 2.6.12-1+deb12u4, which is installed on this node, doesn't know 'option http_proxy' any more,"
        " 2.4 was the last that did; leave it out"
    ]
    assert haproxy_validate(backend(option=["http_proxy"]), OLDER)


GOOD: dict[str, dict[str, Any]] = {
    "names that HAProxy computes": frontend(
        use_backend=["%[req.hdr(host),lower]"], http_request=["set-header X %[src]", "track-sc0 src table %[var(txn.t)]"]
    ),
    "sections in raw lines": frontend(
        http_request=["cache-use c", "auth unless { http_auth(u) }", "track-sc0 src table t"],
        errorfiles=["e"],
        use_backend=["b if TRUE"],
        stick_table="type ip size 1m peers p",
    )
    | {"raw": ["cache c", "userlist u", "http-errors e", "backend b", "backend t", "peers p"]},
    "names in raw lines": frontend(raw=["http-request cache-use nothing", "http-request deny if { http_auth(nobody) }"]),
    "resolvers that HAProxy makes itself": backend(server=[SERVER | {"resolvers": "default"}]),
    "ACLs of every kind": frontend(
        acl=["a path /a"],
        raw=["acl b path /b"],
        http_request=[
            "deny if a !b or { path /if x } !METH_GET",
            "set-header X 'if y' if a",
            "set-header X if if b",
            "allow if HTTP_2.0 || TRUE",
        ],
    ),
    "a last rule with a condition": frontend(http_request=["deny if TRUE", "set-header A b"]),
    "a last rule at the end": frontend(http_request=["set-header A b", "deny"], default_backend="web"),
    "last rules of several kinds": frontend(tcp_request=["connection accept", "session accept", "content accept"]),
    "a backend for its table alone": frontend({"name": "t", "stick_table": "type ip size 1m"}, http_request=["track-sc0 src table t"]),
    "servers by template": backend(
        server=[], server_template=[{"prefix": "a", "count": "1-3", "address": "a.example.com", "port": 80}], use_server=["a3 if TRUE"]
    ),
    "a userlist": users(password=HASH, groups=["admins"]) | frontend(http_request=["auth unless { http_auth(staff) }"]),
    "samples without a table": frontend(
        stick_table="type ip size 1m store gpc0",
        http_request=["deny if { sc_get_gpc0(0) gt 1 } or { src_conn_cur gt 5 } or { sc0_conn_rate gt 3 }"],
    ),
    "a key that is switched off": {"global": {"prealloc_fd": False}},
    "what nothing is known of": {"global": {"http_err_codes": "400"}},
    "a server whose address comes at run time": backend(
        server=[SERVER | {"address": "0.0.0.0"}, SERVER | {"address": "0.0.0.0", "name": "b"}]
    ),
    "entries of every kind": {"maps": [{"name": "m", "entries": {"a": "b c"}}], "acl_files": [{"name": "m", "entries": ["192.0.2.0/24"]}]},
}


@pytest.mark.parametrize("name", GOOD)
def test_good_values(name: str) -> None:
    assert haproxy_validate(GOOD[name], {"ipv6": False}) is True


def test_defaults_that_come_from_themselves() -> None:
    model = {"named_defaults": [{"name": "a", "from": "b"}, {"name": "b", "from": "a"}]}
    assert findings(model, NODE) == [
        "haproxy_named_defaults[0].from: 'a' comes from itself in the end; leave one from out",
        "haproxy_named_defaults[1].from: 'b' comes from itself in the end; leave one from out",
    ]


def test_a_table_that_is_led_to_isnt_only_a_table() -> None:
    model = frontend({"name": "t", "stick_table": "type ip size 1m"}, default_backend="t")
    assert findings(model, NODE) == [
        "haproxy_backends[1].server: backend t has no servers, so every request would end in an error;"
        " write at least one {name, address, port}"
    ]


def test_secrets_stay_out_of_the_findings() -> None:
    for keys in ({"password": "marker"}, {"insecure_password": "marker\n"}, {"password": "marker", "insecure_password": "marker"}):
        assert "marker" not in repr(findings(users(**keys), NODE))
