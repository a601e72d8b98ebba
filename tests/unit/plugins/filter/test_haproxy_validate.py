# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user reads when HAProxy can't work with the values."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

import pki
from ansible_collections.hitless.lb.plugins.filter.haproxy_validate import haproxy_validate
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_values import nearest

NODE: dict[str, Any] = {
    "hostname": "lb1",
    "ipv6": False,
    "packages": {"haproxy": {"installed": "3.0.11-1+deb13u1", "candidate": None}},
    "units": {"haproxy.service": {"load_state": "loaded", "active_state": "active", "unit_file_state": "enabled"}},
    "sysctls": {"net.ipv4.ip_nonlocal_bind": "0", "net.ipv6.ip_nonlocal_bind": "0"},
    "interfaces": [
        {"name": "lo", "up": True, "mac": "00:00:00:00:00:00", "addresses": [{"address": "127.0.0.1", "prefix": 8, "family": 4}]},
        {"name": "eth0", "up": True, "mac": "02:00:00:00:00:01", "addresses": [{"address": "192.0.2.11", "prefix": 24, "family": 4}]},
    ],
    "listeners": [
        {"protocol": "tcp", "address": "0.0.0.0", "port": 22, "process": "sshd", "pid": 44},
        {"protocol": "tcp", "address": "192.0.2.11", "port": 3306, "process": "mariadbd", "pid": 50},
        {"protocol": "udp", "address": "0.0.0.0", "port": 53, "process": "named", "pid": 51},
        {"protocol": "tcp", "address": "0.0.0.0", "port": 80, "process": "haproxy", "pid": 52},
        {"protocol": "tcp", "address": "127.0.0.1", "port": 8404, "process": "", "pid": 0},
    ],
}
WEB = {"name": "web", "server": [{"name": "web1", "address": "192.0.2.21", "port": 80}]}
PEM = pki.make("www.example.com", ("www.example.com",)).pem


def frontend(**keys: Any) -> dict[str, Any]:
    """A frontend that works, but for what is given."""
    return {"frontends": [{"name": "http", "bind": [{"address": "*", "port": 80}], "default_backend": "web"} | keys], "backends": [WEB]}


def bind(**keys: Any) -> dict[str, Any]:
    """A bind that works, but for what is given."""
    return frontend(bind=[{"address": "*", "port": 80} | keys])


def backend(**keys: Any) -> dict[str, Any]:
    """A backend that works, but for what is given."""
    return {"backends": [WEB | keys]}


def server(**keys: Any) -> dict[str, Any]:
    """A server that works, but for what is given."""
    return backend(server=[{"name": "web1", "address": "192.0.2.21", "port": 80} | keys])


def findings(model: dict[str, Any], node: dict[str, Any] | None = None) -> list[str]:
    """What the filter reports, without its heading."""
    with pytest.raises(AnsibleFilterError) as error:
        haproxy_validate(model, NODE if node is None else node)
    heading, *lines = str(error.value).split("\n- ")
    assert heading == f"HAProxy was left alone: {len(lines)} thing{'s' if len(lines) > 1 else ''} to correct."
    return lines


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "default_backend that doesn't exist": (
        frontend(default_backend="wbe"),
        "haproxy_frontends[0].default_backend: there is no backend 'wbe'; did you mean 'web'?",
    ),
    "use_backend that doesn't exist": (
        frontend(use_backend=["api if { path_beg /api }", "web if TRUE"]),
        "haproxy_frontends[0].use_backend[0]: there is no backend 'api'; there is 'web'",
    ),
    "no backend at all": (
        {"frontends": [{"name": "x", "bind": [{"port": 80}], "default_backend": "web"}]},
        "haproxy_frontends[0].default_backend: there is no backend 'web'; none is defined",
    ),
    "frontend that leads nowhere": (
        frontend(default_backend=""),
        "haproxy_frontends[0].default_backend: frontend http leads to no backend; write default_backend or use_backend",
    ),
    "frontend without bind": (
        frontend(bind=[]),
        "haproxy_frontends[0].bind: frontend http has no bind; write at least one, for example [{address: '*', port: 80}]",
    ),
    "backend without servers": (
        backend(server=[]),
        "haproxy_backends[0].server: backend web has no servers, so every request would end in an error;"
        " write at least one {name, address, port}",
    ),
    "listen without servers": (
        {"listen": [{"name": "app", "bind": [{"port": 81}]}]},
        "haproxy_listen[0].server: listen app has no servers, so every request would end in an error;"
        " write at least one {name, address, port}",
    ),
    "two frontends of one name": (
        {"frontends": [*frontend()["frontends"], {"name": "http", "bind": [{"port": 81}], "default_backend": "web"}], "backends": [WEB]},
        "haproxy_frontends[1].name: 'http' is already used by haproxy_frontends[0]; choose another name",
    ),
    "listen and backend of one name": (
        {"backends": [WEB], "listen": [WEB | {"bind": [{"port": 81}]}]},
        "haproxy_backends[0].name: 'web' is already used by haproxy_listen[0]; choose another name",
    ),
    "name that the role uses": (
        {"frontends": [{"name": "monitor", "bind": [{"port": 81}], "default_backend": "web"}], "backends": [WEB]},
        "haproxy_frontends[0].name: 'monitor' is already used by the role itself (frontend monitor); choose another name",
    ),
    "name with a blank": (
        frontend(name="my site"),
        "haproxy_frontends[0].name: 'my site' is no name; use letters, digits and _ . : -",
    ),
    "port bound twice": (
        frontend(bind=[{"address": "*", "port": 80}, {"address": "0.0.0.0", "port": 80}]),
        "haproxy_frontends[0].bind[1]: 0.0.0.0 port 80 is bound twice, by frontend http and by frontend http;"
        " take one of the two away or give it another port",
    ),
    "port bound twice by a range": (
        frontend(bind=[{"address": "192.0.2.11", "port": "8000-8010"}, {"address": "192.0.2.11", "port": 8004}]),
        "haproxy_frontends[0].bind[1]: 192.0.2.11 port 8004 is bound twice, by frontend http and by frontend http;"
        " take one of the two away or give it another port",
    ),
    "port of the monitor": (
        bind(address="127.0.0.1", port=8404),
        "haproxy_frontends[0].bind[0]: 127.0.0.1 port 8404 is bound twice, by frontend monitor and by frontend http;"
        " take one of the two away or give it another port",
    ),
    "port that another program holds": (
        bind(port=22),
        "haproxy_frontends[0].bind[0]: port 22 on this node is held by sshd (process 44) at 0.0.0.0;"
        " stop that program or bind another port",
    ),
    "port that another program holds on one address": (
        {"servers": WEB["server"], "http_port": 3306},
        "haproxy_http_port: port 3306 on this node is held by mariadbd (process 50) at 192.0.2.11; stop that program or bind another port",
    ),
    "port that another program holds, in a raw line": (
        frontend(raw=["bind 192.0.2.11:8081,192.0.2.11:3306 name x"]),
        "haproxy_frontends[0].raw[0]: port 3306 on this node is held by mariadbd (process 50) at 192.0.2.11;"
        " stop that program or bind another port",
    ),
    "port 0": (
        bind(port=0),
        "haproxy_frontends[0].bind[0].port: 0 is no port; write a port from 1 to 65535, or a range such as '8000-8010'",
    ),
    "port 70000": (
        {"servers": WEB["server"], "http_port": 70000},
        "haproxy_http_port: 70000 is no port; write a port from 1 to 65535, or a range such as '8000-8010'",
    ),
    "port range backwards": (
        bind(port="8010-8000"),
        "haproxy_frontends[0].bind[0].port: '8010-8000' is no port; write a port from 1 to 65535, or a range such as '8000-8010'",
    ),
    "bind without a port": (
        frontend(bind=[{"address": "*"}]),
        "haproxy_frontends[0].bind[0]: has no port; write one from 1 to 65535",
    ),
    "bind to a host name": (
        bind(address="lb1.example.com"),
        "haproxy_frontends[0].bind[0].address: 'lb1.example.com' is no IP address; write one, or '*' for every address of the node",
    ),
    "bind to an address that doesn't exist": (
        bind(address="192.0.2.300"),
        "haproxy_frontends[0].bind[0].address: '192.0.2.300' is no IP address; write one, or '*' for every address of the node",
    ),
    "bind to IPv6 without IPv6": (
        bind(address="2001:db8::1"),
        "haproxy_frontends[0].bind[0]: 2001:db8::1 can't be bound, since this node has no IPv6; write an IPv4 address, or '*'",
    ),
    "bind to a foreign address": (
        bind(address="192.0.2.10") | {"ip_nonlocal_bind": False},
        "haproxy_frontends[0].bind[0]: 192.0.2.10 is no address of this node; write one that is, or '*',"
        " or permit it with haproxy_ip_nonlocal_bind: true",
    ),
    "bind to an interface that doesn't exist": (
        bind(interface="eth1"),
        "haproxy_frontends[0].bind[0]: this node has no interface 'eth1'; did you mean 'eth0'?",
    ),
    "unknown certificate": (
        bind(ssl=True, crt=["ww"]) | {"certificates": [{"name": "www", "pem": PEM}]},
        "haproxy_frontends[0].bind[0].crt[0]: there is no certificate 'ww' in haproxy_certificates; did you mean 'www'?"
        " (a file is written with its path)",
    ),
    "TLS without a certificate": (
        bind(ssl=True),
        "haproxy_frontends[0].bind[0]: has ssl without a certificate; write crt: [a name of haproxy_certificates, or a path]",
    ),
    "certificate without TLS": (
        bind(crt=["/etc/ssl/private/www.pem"]),
        "haproxy_frontends[0].bind[0]: has a certificate but no ssl; write ssl: true",
    ),
    "certificate without its key": (
        {"certificates": [{"name": "www", "pem": PEM.split("-----BEGIN PRIVATE", maxsplit=1)[0]}]},
        "haproxy_certificates[0].pem: has no private key; write certificate, chain and private key one after the other, in PEM",
    ),
    "certificate's name as a path": (
        {"certificates": [{"name": "../www", "pem": PEM}]},
        "haproxy_certificates[0].name: '../www' is no name; use letters, digits and _ . -",
    ),
    "two certificates of one name": (
        {"certificates": [{"name": "www", "pem": PEM}, {"name": "www", "pem": PEM}]},
        "haproxy_certificates[1].name: 'www' is used twice; give every certificate its own name",
    ),
    "server's name twice": (
        backend(server=[*WEB["server"], *WEB["server"]]),
        "haproxy_backends[0].server[1].name: 'web1' is already the name of haproxy_backends[0].server[0];"
        " give every server of a section its own",
    ),
    "server's name with a blank": (
        server(name="web 1"),
        "haproxy_backends[0].server[0].name: 'web 1' is no name; use letters, digits and _ . : -",
    ),
    "server's address with more words": (
        server(address="192.0.2.21 backup"),
        "haproxy_backends[0].server[0].address: '192.0.2.21 backup' is no address;"
        " write an IP address, a host name or a path of a Unix socket",
    ),
    "server's address out of range": (
        {"servers": [{"name": "web1", "address": "192.0.2.256", "port": 80}]},
        "haproxy_servers[0].address: '192.0.2.256' is no IP address",
    ),
    "server without a port": (
        {"servers": [{"name": "web1", "address": "192.0.2.21"}]},
        "haproxy_servers[0].port: is missing; write the port of the server, from 1 to 65535",
    ),
    "server's port": (server(port="http"), "haproxy_backends[0].server[0].port: 'http' is no port; write a port from 1 to 65535"),
    "weight": (server(weight=300), "haproxy_backends[0].server[0].weight: 300 is too much; write 0 to 256"),
    "a time": (
        server(inter="2 seconds"),
        "haproxy_backends[0].server[0].inter: '2 seconds' is no time;"
        " write a number with us, ms, s, m, h or d, for example '500ms' or '30s'",
    ),
    "a timeout": (
        {"defaults": {"timeout": {"client": "soon"}}},
        "haproxy_defaults.timeout.client: 'soon' is no time; write a number with us, ms, s, m, h or d, for example '500ms' or '30s'",
    ),
    "a missing timeout": (
        {"defaults": {"timeout": {"server": ""}}},
        "haproxy_defaults.timeout.server: is empty, so a connection could hang for ever; write a time, for example '30s'",
    ),
    "a number": (server(fall="two"), "haproxy_backends[0].server[0].fall: 'two' is no whole number from 0 on"),
    "a negative number": (server(maxconn=-1), "haproxy_backends[0].server[0].maxconn: -1 is no whole number from 0 on"),
    "a boolean": (server(backup="maybe"), "haproxy_backends[0].server[0].backup: 'maybe' is neither true nor false"),
    "a mode": (backend(mode="tpc"), "haproxy_backends[0].mode: 'tpc' is no mode of this role; write 'http' or 'tcp'"),
    "modes that differ": (
        {"frontends": [{"name": "x", "bind": [{"port": 81}], "default_backend": "web"}], "backends": [WEB | {"mode": "tcp"}]},
        "haproxy_frontends[0].default_backend: frontend x has mode http, but 'web' has mode tcp; give both the same mode",
    ),
    "an unknown key": (
        backend(balanse="roundrobin"),
        "haproxy_backends[0].balanse: is no key of this model; did you mean 'balance'? (any other line of HAProxy's goes to 'raw')",
    ),
    "an unknown key of a server": (
        server(wieght=1),
        "haproxy_backends[0].server[0].wieght: is no key of this model; did you mean 'weight'? (any other line of HAProxy's goes to 'raw')",
    ),
    "an unknown timeout": (
        backend(timeout={"http-request": "10s"}),
        "haproxy_backends[0].timeout.http-request: is no key of this model; did you mean 'http_request'?"
        " (any other line of HAProxy's goes to 'raw')",
    ),
    "an unknown key of global": (
        {"global": {"maxcon": 1000}},
        "haproxy_global.maxcon: is no key of this model; did you mean 'maxconn'? (any other line of HAProxy's goes to 'raw')",
    ),
    "more connections than files": (
        {"global": {"maxconn": 300000}},
        "haproxy_global.maxconn: 300000 connections take about 600201 open files, but haproxy_limit_nofile allows 524288;"
        " write at most 262043, or raise haproxy_limit_nofile",
    ),
    "more connections than HAProxy may open files": (
        {"global": {"maxconn": 30000, "fd_hard_limit": 50000}},
        "haproxy_global.maxconn: 30000 connections take about 60201 open files, but haproxy_global.fd_hard_limit allows 50000;"
        " write at most 24899, or raise haproxy_global.fd_hard_limit",
    ),
    "more connections than files, in a raw line": (
        {"global": {"raw": ["nbthread 2", "maxconn 900000000"]}},
        "haproxy_global.raw[1]: 900000000 connections take about 1800000201 open files, but haproxy_global.fd_hard_limit allows 50000;"
        " write at most 24899, or raise haproxy_global.fd_hard_limit",
    ),
    "statistics without a login": (
        {"stats": {"enabled": True, "user": "", "password": "", "bind": [{"address": "127.0.0.1", "port": 8090}]}},
        "haproxy_stats_enabled: is true, but there is no login; write haproxy_stats_user and haproxy_stats_password,"
        " or leave haproxy_stats_enabled false",
    ),
    "metrics without a password": (
        {"stats": {"metrics": True, "user": "prometheus", "bind": [{"address": "127.0.0.1", "port": 8090}]}},
        "haproxy_metrics_enabled: is true, but there is no login; write haproxy_stats_password, or leave haproxy_metrics_enabled false",
    ),
    "statistics that listen nowhere": (
        {"stats": {"enabled": True, "user": "admin", "password": "x", "bind": []}},
        "haproxy_stats_bind: listen stats has no bind; write at least one, for example [{address: '*', port: 80}]",
    ),
    "a colon in the login": (
        {"stats": {"enabled": True, "user": "ad:min", "password": "x", "bind": [{"address": "127.0.0.1", "port": 8090}]}},
        "haproxy_stats_user: has a colon, which HTTP's basic login can't carry; choose another name",
    ),
    "a line break in a rule": (
        frontend(http_request=["deny if { path /x }\n    default_backend evil"]),
        "haproxy_frontends[0].http_request[0]: has a line break or another control character;"
        " write one line a value (a list of lines where the option takes one)",
    ),
    "a line break in raw": (
        {"raw": ["a\rb"]},
        "haproxy_raw[0]: has a line break or another control character; write one line a value (a list of lines where the option takes one)",
    ),
    "a line break in a password": (
        {"stats": {"enabled": True, "user": "admin", "password": "x\ny", "bind": [{"address": "127.0.0.1", "port": 8090}]}},
        "haproxy_stats_password: has a line break or another control character;"
        " write one line a value (a list of lines where the option takes one)",
    ),
    "a zero byte in the log target": (
        {"log": {"target": "127.0.0.1\x00"}},
        "haproxy_log_target: has a line break or another control character;"
        " write one line a value (a list of lines where the option takes one)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_the_message(name: str) -> None:
    model, message = BAD[name]
    assert findings(model) == [message]


def test_everything_at_once() -> None:
    model = frontend(default_backend="wbe", bind=[{"port": 0}], timeout={"client": "x"}) | backend(server=[], balanse="x")
    assert [line.split(":", maxsplit=1)[0] for line in findings(model)] == [
        "haproxy_frontends[0].timeout.client",
        "haproxy_frontends[0].default_backend",
        "haproxy_frontends[0].bind[0].port",
        "haproxy_backends[0].balanse",
        "haproxy_backends[0].server",
    ]


@pytest.mark.parametrize(
    ("package", "message"),
    [
        ({"installed": "2.2.9-2+deb11u6", "candidate": None}, "version 2.2.9-2+deb11u6 is installed on this node"),
        ({"installed": None, "candidate": "2.3.10-1"}, "version 2.3.10-1 is what apt would install on this node"),
        ({"installed": "1:2.0.1-1", "candidate": None}, "version 1:2.0.1-1 is installed on this node"),
    ],
)
def test_a_package_that_is_too_old(package: dict[str, Any], message: str) -> None:
    assert findings({}, NODE | {"packages": {"haproxy": package}}) == [
        f"haproxy: {message}, but this role needs 2.4 or later; upgrade the release or add a package source that has it"
    ]


@pytest.mark.parametrize(
    "package",
    [
        {"installed": "2.4.0-1", "candidate": None},
        {"installed": None, "candidate": "2.6.12-1+deb12u3"},
        {"installed": None, "candidate": None},
        {"installed": "2.10.1-1", "candidate": None},
    ],
)
def test_a_package_that_is_new_enough_or_unknown(package: dict[str, Any]) -> None:
    assert haproxy_validate({}, NODE | {"packages": {"haproxy": package}})


GOOD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a port of HAProxy's own": bind(port=80),
    "a port that is taken for UDP only": bind(port=53),
    "another address of the same port": bind(address="127.0.0.1", port=3306),
    "the same port on two addresses": frontend(bind=[{"address": "127.0.0.1", "port": 81}, {"address": "192.0.2.11", "port": 81}]),
    "the same port on two interfaces": frontend(bind=[{"port": 81, "interface": "lo"}, {"port": 81, "interface": "eth0"}]),
    "a Unix socket": frontend(bind=[{"address": "/run/haproxy/x.sock"}]),
    "a foreign address where the kernel permits it": bind(address="192.0.2.10") | {"ip_nonlocal_bind": True},
    "a name that HAProxy computes": frontend(use_backend=["%[req.hdr(host),lower]"]),
    "a backend that answers by itself": backend(server=[], http_request=["return status 503"]),
    "a backend with servers in raw lines": backend(server=[], raw=["server-template web 3 web.example.com:80 init-addr none"]),
    "a frontend that redirects everything": {
        "frontends": [{"name": "http", "bind": [{"port": 80}], "http_request": ["redirect scheme https"]}],
    },
    "a listen that leads to a backend": {"listen": [{"name": "x", "bind": [{"port": 81}], "default_backend": "web"}], "backends": [WEB]},
    "a listen as a backend": {
        "listen": [{"name": "app", "bind": [{"port": 81}], "server": WEB["server"]}],
        "frontends": [{"name": "x", "bind": [{"port": 82}], "default_backend": "app"}],
    },
    "own sections in place of the ready-made": {"servers": WEB["server"], **frontend()},
    "booleans and numbers as text": server(check="yes", backup="no", fall="2", weight="10"),
    "tabs": {"raw": ["peers\tlbs"]},
    "a certificate with line breaks": {"certificates": [{"name": "www", "pem": PEM}]},
}


@pytest.mark.parametrize("name", GOOD)
def test_good_values(name: str) -> None:
    assert haproxy_validate(GOOD[name], NODE) is True


def test_nothing_is_known_of_the_node() -> None:
    assert haproxy_validate(bind(address="192.0.2.10", interface="eth9")) is True


def test_sockets_that_belong_to_nobody_while_haproxy_is_down() -> None:
    node = NODE | {"units": {"haproxy.service": {"active_state": "inactive"}}}
    assert findings({}, node) == [
        "haproxy_monitor: port 8404 on this node is held by a program that can't be seen at 127.0.0.1; stop that program or bind another port"
    ]


def test_secrets_stay_out_of_the_findings() -> None:
    model = {
        "stats": {"enabled": True, "user": "a:b", "password": "marker\n", "bind": []},
        "certificates": [{"name": "x y", "pem": "marker"}],
    }
    with pytest.raises(AnsibleFilterError) as error:
        haproxy_validate(model, NODE)
    assert "marker" not in str(error.value)


def test_input_that_is_no_dictionary() -> None:
    with pytest.raises(AnsibleFilterError, match="haproxy_validate takes a dictionary, not list"):
        haproxy_validate([])  # type: ignore[arg-type]


def test_the_nearest_name_of_many() -> None:
    assert nearest("zzz", [f"b{number:02}" for number in range(20)]) == (
        "there is 'b00', 'b01', 'b02', 'b03', 'b04', 'b05', 'b06', 'b07' and more"
    )


METRICS = {"stats": {"metrics": True, "user": "prometheus", "password": "x", "bind": [{"address": "127.0.0.1", "port": 8090}]}}


@pytest.mark.parametrize("said", ["+OPENSSL -PROMEX", "+OPENSSL"])
def test_metrics_need_a_haproxy_that_was_built_with_them(said: str) -> None:
    assert findings(METRICS, NODE | {"programs": {"haproxy -vv": said}}) == [
        "haproxy_metrics_enabled: is true, but this HAProxy is built without the exporter for Prometheus (see haproxy -vv);"
        " add USE_PROMEX to haproxy_source.features, or write haproxy_metrics_enabled: false"
    ]


@pytest.mark.parametrize("said", ["+OPENSSL +PROMEX", None])
def test_metrics_where_haproxy_has_them_or_nobody_asked(said: str | None) -> None:
    assert haproxy_validate(METRICS, NODE | {"programs": {"haproxy -vv": said}}) is True
