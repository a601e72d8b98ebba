# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter nginx_web_plan: what it refuses and in which words, and what it makes of good variables."""

from __future__ import annotations

import datetime
import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

import pki
from ansible_collections.hitless.lb.plugins.filter.nginx_web_files import nginx_web_files
from ansible_collections.hitless.lb.plugins.filter.nginx_web_plan import nginx_web_plan
from ansible_collections.hitless.lb.plugins.plugin_utils._nginx_web import (
    DAY,
    is_dns_name,
    looked_for,
    needs_making,
    nginx_version,
    quoted,
    quoted_regex,
)

ROLE = Path(__file__).resolve().parents[4] / "roles" / "nginx_web"
SPEC = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")) | {
    "nginx_web_trusted_proxies": [],
    "nginx_web_tls_profile": "intermediate",
    "nginx_web_load_balancer_listeners": [],
    "nginx_web_certificates": [],
}
NOW = datetime.datetime(2026, 5, 17, 12, 0, tzinfo=datetime.UTC).timestamp()
NODE: dict[str, Any] = {
    "hostname": "web1",
    "os": {"id": "debian", "version_id": "13", "codename": "trixie"},
    "ipv6": True,
    "packages": {"nginx": {"installed": "1.26.3-3+deb13u1", "candidate": None}},
    "interfaces": [{"name": "eth0", "addresses": [{"address": "192.0.2.21", "prefix": 24, "family": 4}]}],
    "listeners": [],
    "certificates": {},
}


def planned(variables: dict[str, Any], **node: Any) -> dict[str, Any]:
    """What the filter returns for these variables over the role's defaults, on a node with these traits."""
    return nginx_web_plan(DEFAULTS | variables, SPEC, NODE | node, ["web1", "192.0.2.21"], NOW)


def findings(variables: dict[str, Any], **node: Any) -> list[str]:
    """What the filter complains of."""
    with pytest.raises(AnsibleFilterError) as caught:
        planned(variables, **node)
    lines = str(caught.value).splitlines()
    assert lines[0] == "these variables can't be used:"
    return [line.removeprefix("- ") for line in lines[1:]]


@functools.cache
def pair(name: str = "www.example.com", begin: str = "2026-01-01", end: str = "2027-01-01", issuer: str = "") -> tuple[str, str]:
    """A certificate and its key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime.fromisoformat(begin))
        .not_valid_after(datetime.datetime.fromisoformat(end))
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), plain.decode()


def locked_key() -> str:
    """A key with a passphrase."""
    locked = serialization.BestAvailableEncryption(b"secret")
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked).decode()


def content(certificate: str, key: str) -> dict[str, Any]:
    """Variables that give a certificate as text."""
    return {"nginx_web_tls_certificate_content": certificate, "nginx_web_tls_key_content": key}


def location(**keys: Any) -> dict[str, Any]:
    """Variables with one location."""
    return {"nginx_web_locations": [{"path": "/x"} | keys]}


LISTENERS: list[dict[str, Any]] = [
    {"port": 8444, "tls": True, "proxy_protocol": True, "trusted_only": True},
    {"port": 8445, "tls": True, "verify_client": "required", "client_ca_content": pair()[0], "trusted_only": True},
]


def lb_listener(**keys: Any) -> dict[str, Any]:
    """Variables with one more listener for the load balancers."""
    return {"nginx_web_trusted_proxies": ["192.0.2.11"], "nginx_web_load_balancer_listeners": [{"port": 8445} | keys]}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"nginx_web_listeners": []}, "nginx_web_listeners: there are none; list at least one, for example {port: 80}"),
    ({"nginx_web_listeners": [{"port": 0}]}, "nginx_web_listeners[0].port: 0 isn't a port; write 1 to 65535"),
    ({"nginx_web_listeners": [{"port": 65536}]}, "nginx_web_listeners[0].port: 65536 isn't a port; write 1 to 65535"),
    (
        {"nginx_web_listeners": [{"port": 80}, {"port": 80}]},
        "nginx_web_listeners[1]: nginx_web_listeners[0] listens on the same address and port 80; keep one of them",
    ),
    (
        {"nginx_web_listeners": [{"port": 80, "address": "192.0.2.21"}, {"port": 80, "tls": True}]},
        "nginx_web_listeners[1]: port 80 differs in tls from nginx_web_listeners[0]; use another port, or the same settings",
    ),
    (
        {"nginx_web_listeners": [{"port": 80, "address": "192.0.2.21/24"}]},
        "nginx_web_listeners[0].address: '192.0.2.21/24' isn't an IP address;"
        " write one of the node's own, without a prefix or brackets, or leave it out",
    ),
    (
        {"nginx_web_listeners": [{"port": 80, "address": "192.0.2.99"}]},
        "nginx_web_listeners[0].address: 192.0.2.99 isn't an address of this host; write one of 192.0.2.21, or leave it out",
    ),
    (
        {"nginx_web_listeners": [{"port": 80, "proxy_protocol": True}]},
        "nginx_web_trusted_proxies: it is empty, but a listener expects the PROXY protocol;"
        " list the addresses of the load balancers, which alone are believed",
    ),
    (
        {"nginx_web_trusted_proxies": ["192.0.2.1/24"]},
        "nginx_web_trusted_proxies[0]: '192.0.2.1/24' is neither an IP address nor a network; write for example 192.0.2.11 or 192.0.2.0/24",
    ),
    (
        {"nginx_web_server_names": ["www.example.com; return 200"]},
        "nginx_web_server_names[0]: 'www.example.com; return 200' isn't a server name;"
        " write for example www.example.com, *.example.com or ~^www\\d+\\.",
    ),
    (
        {"nginx_web_server_names": ["~("]},
        "nginx_web_server_names[0]: '(' isn't a regular expression (missing ), unterminated subpattern at position 0); write for example \\.php$",
    ),
    (
        {"nginx_web_root": "srv/www"},
        "nginx_web_root: 'srv/www' isn't an absolute path; write it from the root on, for example /srv/www",
    ),
    ({"nginx_web_root": "/srv/../etc"}, "nginx_web_root: '/srv/../etc' goes through '..'; write the path that is meant"),
    (
        {"nginx_web_root": '/srv/www";\nreturn 200 "x'},
        "nginx_web_root: '/srv/www\";\\nreturn 200 \"x' has characters that a path here can't have; write a plain path, for example /srv/www",
    ),
    ({"nginx_web_index": ["../x"]}, "nginx_web_index[0]: '../x' isn't the name of a file; write for example index.html"),
    ({"nginx_web_health_path": "healthz"}, "nginx_web_health_path: 'healthz' isn't a path of its own; write for example /healthz"),
    ({"nginx_web_health_path": "/"}, "nginx_web_health_path: '/' isn't a path of its own; write for example /healthz"),
    (
        {"nginx_web_client_max_body_size": "10 MB"},
        "nginx_web_client_max_body_size: '10 MB' isn't a size; write a number with k, m or g behind it, for example 10m",
    ),
    ({"nginx_web_keepalive_timeout": 0}, "nginx_web_keepalive_timeout: 0 seconds can't be; write 1 to 86400, for example 75"),
    ({"nginx_web_stop_timeout": 4000}, "nginx_web_stop_timeout: 4000 seconds can't be; write 1 to 3600, for example 30"),
    (location(), "nginx_web_locations[0]: it does nothing; give it one of root, alias, return, proxy_pass, or raw lines"),
    (
        location(root="/a", proxy_pass="http://x"),
        "nginx_web_locations[0]: it has root and proxy_pass; a location does one thing; keep one of them",
    ),
    (
        {"nginx_web_locations": [{"path": "/x", "return": 200}, {"path": "/x", "match": "prefix_final", "return": 204}]},
        "nginx_web_locations[1]: nginx_web_locations[0] is the same location; keep one of them",
    ),
    (
        {"nginx_web_locations": [{"path": "/healthz", "match": "exact", "return": 200}]},
        "nginx_web_locations[0].path: /healthz is the role's own health check; use another path, or move the check by nginx_web_health_path",
    ),
    (
        {"nginx_web_locations": [{"path": "/hitless-digest", "match": "exact", "return": 200}]},
        "nginx_web_locations[0].path: the role itself uses /hitless-digest; use another path",
    ),
    (
        {"nginx_web_locations": [{"path": "a b", "return": 200}]},
        "nginx_web_locations[0].path: 'a b' isn't a path; write it from the slash on, for example /static/, with %20 for a blank",
    ),
    (
        {"nginx_web_locations": [{"path": "[", "match": "regex", "return": 200}]},
        "nginx_web_locations[0].path: '[' isn't a regular expression (unterminated character set at position 0); write for example \\.php$",
    ),
    (
        {"nginx_web_locations": [{"path": "", "match": "regex", "return": 200}]},
        "nginx_web_locations[0].path: it is empty; write a regular expression, for example \\.php$",
    ),
    (
        {"nginx_web_locations": [{"path": "a\n}", "match": "regex", "return": 200}]},
        "nginx_web_locations[0].path: 'a\\n}' has a line break or control character; write it on one line",
    ),
    (
        {"nginx_web_locations": [{"path": "/a/", "alias": "/srv/a"}]},
        "nginx_web_locations[0].alias: '/srv/a' and '/a/' don't both end with a slash; end both with a slash, or none",
    ),
    (
        location(**{"return": 200, "try_files": ["$uri", "=404"]}),
        "nginx_web_locations[0].try_files: it needs root or alias; add one of them, or leave it out",
    ),
    (
        location(root="/a", try_files=["$uri"]),
        "nginx_web_locations[0].try_files: it needs two entries or more; end it with what to do when nothing is found, for example =404",
    ),
    (
        location(root="/a", try_files=["$uri;", "=404"]),
        "nginx_web_locations[0].try_files: '$uri;' isn't one word of nginx's language; write for example $uri",
    ),
    (location(**{"return": 99}), "nginx_web_locations[0].return: 99 isn't a status code of an answer; write 200 to 599"),
    (location(root="/a", text="x"), "nginx_web_locations[0].text: it needs return; add the status code, for example return: 200"),
    (
        location(**{"return": 301}),
        "nginx_web_locations[0].text: it is missing, but return: 301 needs a URL; write for example https://www.example.com$request_uri",
    ),
    (
        location(**{"return": 302, "text": "https://a b"}),
        "nginx_web_locations[0].text: 'https://a b' isn't a URL; write for example https://www.example.com$request_uri",
    ),
    (
        location(**{"return": 200, "text": "x", "content_type": "text"}),
        "nginx_web_locations[0].content_type: 'text' isn't a media type; write for example text/plain",
    ),
    (location(proxy_pass="ftp://x"), "nginx_web_locations[0].proxy_pass: 'ftp://x' isn't a URL; write for example http://127.0.0.1:8000"),
    (location(raw=["deny all;", "}"]), "nginx_web_locations[0].raw: '}' closes a block that isn't opened there; balance the braces"),
    ({"nginx_web_server_raw": ["location /y {"]}, "nginx_web_server_raw: 1 of its blocks is not closed; balance the braces"),
    ({"nginx_web_http_raw": ["map $a $b { x {"]}, "nginx_web_http_raw: 2 of its blocks are not closed; balance the braces"),
    ({"nginx_web_http_raw": ["x\r"]}, "nginx_web_http_raw[0]: 'x\\r' has a control character; write plain lines"),
    (
        {"nginx_web_listeners": [{"port": 80}], "nginx_web_tls_certificate": "/a", "nginx_web_tls_key": "/b"},
        "nginx_web_tls_certificate: it is given, but no listener speaks TLS; add tls: true to a listener, or leave it out",
    ),
    (
        {"nginx_web_tls_certificate": "/etc/ssl/a.pem"},
        "nginx_web_tls_key: it is missing, but nginx_web_tls_certificate is given; give both, or none for a self-signed certificate",
    ),
    (
        {"nginx_web_tls_key_content": "x"},
        "nginx_web_tls_certificate_content: it is missing, but nginx_web_tls_key_content is given;"
        " give both, or none for a self-signed certificate",
    ),
    (
        {"nginx_web_tls_certificate": "/etc/a", "nginx_web_tls_key": "/etc/a"} | content(*pair()),
        "nginx_web_tls_certificate: it is given together with nginx_web_tls_key_content; give either paths on the node or the content",
    ),
    (
        {"nginx_web_tls_certificate": "a.pem", "nginx_web_tls_key": "/etc/a"},
        "nginx_web_tls_certificate: 'a.pem' isn't an absolute path;"
        " write it from the root on, for example /etc/ssl/private/www.example.com.pem",
    ),
    (
        content("hello", pair()[1]),
        "nginx_web_tls_certificate_content: it isn't a certificate in PEM; give the text from -----BEGIN CERTIFICATE----- on",
    ),
    (content(pair()[0], "hello"), "nginx_web_tls_key_content: it isn't a key in PEM; give the text from -----BEGIN PRIVATE KEY----- on"),
    (
        content(pair()[0], locked_key()),
        "nginx_web_tls_key_content: it has a passphrase; give it without one, for example by: openssl pkey -in key.pem",
    ),
    (
        content(pair()[0], pair("other.example.com")[1]),
        "nginx_web_tls_key_content: it isn't the key of the certificate; give the key that the certificate was made for",
    ),
    (
        content(pair()[0] + pair("Other CA")[0], pair()[1]),
        "nginx_web_tls_certificate_content: its certificates aren't in order: behind 'CN=www.example.com', which 'CN=www.example.com' issued,"
        " stands 'CN=Other CA'; put the site's own certificate first and behind each the one that signed it",
    ),
    (
        content(*pair(end="2026-05-17")),
        "nginx_web_tls_certificate_content: the certificate expired on 2026-05-17; give one that is in date",
    ),
    (
        content(*pair(begin="2026-06-01")),
        "nginx_web_tls_certificate_content: the certificate isn't valid before 2026-06-01; give one that is in date",
    ),
    (
        {"nginx_web_tls_names": ["www.example.com", "not a name"]},
        "nginx_web_tls_names[1]: 'not a name' is neither a host name nor an IP address; write for example www.example.com",
    ),
    (
        {"nginx_web_load_balancer_listeners": [{"port": 8445, "trusted_only": True}]},
        "nginx_web_trusted_proxies: it is empty, but a listener is for trusted proxies only;"
        " list the addresses of the load balancers, or leave trusted_only out",
    ),
    (
        lb_listener(port=443, tls=True),
        "nginx_web_load_balancer_listeners[0]: nginx_web_listeners[1] listens on the same address and port 443; keep one of them",
    ),
    (
        lb_listener(verify_client="required"),
        "nginx_web_load_balancer_listeners[0].verify_client: it is required, but the listener doesn't speak TLS; add tls: true, or leave it out",
    ),
    (
        lb_listener(certificate="own"),
        "nginx_web_load_balancer_listeners[0].certificate: it is given, but the listener doesn't speak TLS; add tls: true, or leave it out",
    ),
    (
        lb_listener(tls=True, verify_client="required"),
        "nginx_web_load_balancer_listeners[0].client_ca: it is missing, but verify_client is required;"
        " name the authority that signs the clients' certificates",
    ),
    (
        lb_listener(tls=True, client_ca="/etc/ssl/ca.pem"),
        "nginx_web_load_balancer_listeners[0].client_ca: it is given, but verify_client is none; write optional or required there",
    ),
    (
        lb_listener(tls=True, verify_client="optional", client_ca="/etc/ca.pem", client_ca_content="x"),
        "nginx_web_load_balancer_listeners[0].client_ca: it is given together with client_ca_content;"
        " give either a path on the node or the content",
    ),
    (
        lb_listener(tls=True, verify_client="optional", client_ca_content="hello"),
        "nginx_web_load_balancer_listeners[0].client_ca_content: has no certificate in PEM; give the text from -----BEGIN CERTIFICATE----- on",
    ),
    (
        lb_listener(tls=True, certificate="own"),
        "nginx_web_load_balancer_listeners[0].certificate: 'own' isn't the name of one of nginx_web_certificates; write one (there is none)",
    ),
    (
        {"nginx_web_certificates": [{"name": "own"}]},
        "nginx_web_certificates[0]: it has neither paths nor content; give certificate and key, or certificate_content and key_content",
    ),
    (
        {"nginx_web_certificates": [{"name": "own", "certificate": "/etc/a", "key": "/etc/a"}] * 2},
        "nginx_web_certificates[1].name: 'own' is the name of nginx_web_certificates[0], too; give each its own name",
    ),
    (
        {"nginx_web_certificates": [{"name": "own", "certificate": "/etc/a"}]},
        "nginx_web_certificates[0].key: it is missing, but nginx_web_certificates[0].certificate is given; give both",
    ),
    (
        {"nginx_web_certificates": [{"name": "own", "certificate_content": pair()[0], "key_content": pair("other")[1]}]},
        "nginx_web_certificates[0].key_content: it isn't the key of the certificate; give the key that the certificate was made for",
    ),
    ({"nginx_web_tls_days": 1}, "nginx_web_tls_days: 1 days can't be; write 2 to 3650, for example 397"),
    (
        {"nginx_web_tls_days": 30},
        "nginx_web_tls_renew_days: 30 isn't between 1 and the 30 days of nginx_web_tls_days; write for example 30",
    ),
    ({"nginx_web_root": None}, "nginx_web_root: it has no value; give it one, or leave it out"),
]


@pytest.mark.parametrize(("variables", "message"), BAD, ids=[message[:60] for variables, message in BAD])
def test_bad_variables_are_refused_with_what_to_write_instead(variables: dict[str, Any], message: str) -> None:
    assert findings(variables) == [message]


def test_all_findings_come_at_once() -> None:
    found = findings({"nginx_web_listeners": [{"port": 0}], "nginx_web_root": "x", "nginx_web_stop_timeout": 0, "nginx_web_http2": "maybe"})
    assert [line.split(":", 1)[0] for line in found] == [
        "nginx_web_http2",
        "nginx_web_listeners[0].port",
        "nginx_web_root",
        "nginx_web_stop_timeout",
    ]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"nginx_web_listeners": [{"port": 80, "ssl": True}]}, "ssl"),
        ({"nginx_web_listeners": [{}]}, "port"),
        ({"nginx_web_listeners": "http"}, "nginx_web_listeners"),
        ({"nginx_web_keepalive_timeout": "long"}, "nginx_web_keepalive_timeout"),
        ({"nginx_web_tls_profile": "old"}, "intermediate"),
        ({"nginx_web_locations": [{"path": "/", "match": "begins", "return": 200}]}, "prefix_final"),
    ],
)
def test_wrong_types_and_unknown_keys_are_findings(variables: dict[str, Any], words: str) -> None:
    found = findings(variables)
    assert len({line.split(":", 1)[0] for line in found}) == 1
    assert found[0].startswith(next(iter(variables)))
    assert words in found[0]


@pytest.mark.parametrize(
    ("address", "listener", "expected"),
    [
        ({}, {"address": "0.0.0.0", "port": 80, "process": "apache2"}, "apache2 holds 0.0.0.0:80"),
        ({}, {"address": "::", "port": 80, "process": "apache2"}, "apache2 holds [::]:80"),
        ({}, {"address": "192.0.2.21", "port": 80, "process": ""}, "another program holds 192.0.2.21:80"),
        ({"address": "192.0.2.21"}, {"address": "192.0.2.22", "port": 80, "process": "apache2"}, None),
        ({}, {"address": "0.0.0.0", "port": 80, "process": "nginx"}, None),
        ({}, {"address": "0.0.0.0", "port": 81, "process": "apache2"}, None),
        ({}, {"address": "0.0.0.0", "port": 80, "process": "dnsmasq", "protocol": "udp"}, None),
    ],
)
def test_a_port_that_another_program_holds(address: dict[str, str], listener: dict[str, Any], expected: str | None) -> None:
    variables = {"nginx_web_listeners": [{"port": 80} | address]}
    held = [{"protocol": "tcp", "pid": 1} | listener]
    if expected is None:
        assert planned(variables, listeners=held)["servers"]
    else:
        assert findings(variables, listeners=held) == [f"nginx_web_listeners[0].port: {expected}; stop it, or choose another port"]


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ({"id": "debian", "version_id": "11"}, "debian 11"),
        ({"id": "ubuntu", "version_id": "24.04"}, "ubuntu 24.04"),
        ({"id": "", "version_id": ""}, "an unknown system"),
    ],
)
def test_other_systems_are_refused(system: dict[str, str], words: str) -> None:
    assert findings({}, os=system) == [f"role nginx_web: this host runs {words}; the role knows Debian 12 and later"]


def test_a_host_without_ipv6_listens_on_ipv4_alone() -> None:
    assert planned({"nginx_web_listeners": [{"port": 80}]})["servers"][0]["blocks"][0] == [
        "listen 80 default_server;",
        "listen [::]:80 default_server;",
    ]
    assert planned({"nginx_web_listeners": [{"port": 80}]}, ipv6=False)["servers"][0]["blocks"][0] == ["listen 80 default_server;"]
    assert findings({"nginx_web_listeners": [{"port": 80, "address": "::1"}]}, ipv6=False) == [
        "nginx_web_listeners[0].address: this host has no IPv6 for ::1; leave the listener out, or give the host IPv6"
    ]


@pytest.mark.parametrize(
    ("wanted", "held", "expected"),
    [
        ([{"port": 80}], [], "reload"),
        ([{"port": 80}], [("0.0.0.0", 80), ("::", 80)], "reload"),
        ([{"port": 80}, {"port": 8080}], [("0.0.0.0", 80)], "reload"),
        ([{"port": 80, "address": "192.0.2.21"}], [("0.0.0.0", 80)], "restart"),
        ([{"port": 80}], [("192.0.2.21", 80)], "restart"),
        ([{"port": 80, "address": "192.0.2.21"}], [("192.0.2.21", 80)], "reload"),
        ([{"port": 80, "address": "192.0.2.21"}], [("192.0.2.22", 80)], "reload"),
        ([{"port": 80, "address": "192.0.2.21"}], [("0.0.0.0", 81), ("::", 80)], "reload"),
        ([{"port": 80, "address": "192.0.2.21"}, {"port": 80}], [("0.0.0.0", 80)], "reload"),
    ],
)
def test_a_reload_does_unless_a_socket_for_all_addresses_is_in_the_way(
    wanted: list[dict[str, Any]], held: list[tuple[str, int]], expected: str
) -> None:
    listeners = [{"protocol": "tcp", "address": address, "port": port, "process": "nginx", "pid": 1} for address, port in held]
    assert planned({"nginx_web_listeners": wanted}, listeners=listeners)["action"] == expected


def test_listeners_of_a_kind_share_a_server() -> None:
    servers = planned(
        {
            "nginx_web_listeners": [{"port": 80}, {"port": 443, "tls": True}, {"port": 8080}, {"port": 8444, "proxy_protocol": True}],
            "nginx_web_trusted_proxies": ["192.0.2.11", "2001:db8::/64"],
        },
        ipv6=False,
    )["servers"]
    assert [server["blocks"][0] for server in servers] == [
        ["listen 80 default_server;", "listen 8080 default_server;"],
        ["listen 443 default_server ssl;"],
        ["listen 8444 default_server proxy_protocol;"],
    ]
    trusted = ["set_real_ip_from 192.0.2.11;", "set_real_ip_from 2001:db8::/64;"]
    assert servers[0]["blocks"][-1] == [*trusted, "real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
    assert servers[2]["blocks"][-1] == [*trusted, "real_ip_header proxy_protocol;"]


@pytest.mark.parametrize(
    ("packages", "word", "directive"),
    [
        ({"nginx": {"installed": "1.22.1-9+deb12u1", "candidate": None}}, True, False),
        ({"nginx": {"installed": None, "candidate": "1:1.24.0-1~bookworm"}}, True, False),
        ({"nginx": {"installed": "1.25.1-1~trixie", "candidate": None}}, False, True),
        ({}, False, True),
    ],
)
def test_http2_is_asked_for_in_the_words_of_the_release(packages: dict[str, Any], word: bool, directive: bool) -> None:
    blocks = planned({"nginx_web_listeners": [{"port": 443, "tls": True}]}, packages=packages)["servers"][0]["blocks"]
    assert ("http2" in blocks[0][0]) == word
    assert ("http2 on;" in blocks[1]) == directive
    without = planned({"nginx_web_listeners": [{"port": 443, "tls": True}], "nginx_web_http2": False}, packages=packages)
    assert not any("http2" in line for block in without["servers"][0]["blocks"] for line in block)


def test_a_fresh_host_takes_the_version_that_its_release_ships() -> None:
    unknown = {"packages": {"nginx": {"installed": None, "candidate": None}}}
    assert nginx_version(unknown | {"os": {"codename": "bookworm"}}) == (1, 22, 1)
    assert nginx_version(unknown | {"os": {"codename": "trixie"}}) == (1, 26, 3)
    assert nginx_version(unknown | {"os": {"codename": "next"}}) == (1, 25, 1)


def test_a_site_without_tls_needs_no_certificate() -> None:
    plan = planned({"nginx_web_listeners": [{"port": 80}]})
    assert plan["certificate"]["kind"] == "none"
    assert not plan["certificate"]["make"]
    assert "ssl" not in str(plan["servers"])


def test_a_self_signed_certificate_is_made_once_and_renewed_in_time() -> None:
    plan = planned({"nginx_web_server_names": ["www.example.com", "*.example.net", "~^x", "_"]})["certificate"]
    assert plan["kind"] == "self_signed"
    assert plan["make"]
    assert plan["names"] == ["DNS:www.example.com", "DNS:*.example.net", "DNS:web1", "IP:192.0.2.21"]
    assert plan["common_name"] == "www.example.com"
    assert plan["since"] == "2026-05-17"
    midnight = NOW // DAY * DAY
    for mtime, make in ((midnight, False), (midnight - 366 * DAY, False), (midnight - 367 * DAY, True), (midnight + 1, True)):
        certificates = {plan["certificate"]: {"exists": True, "mtime": mtime}}
        again = planned({"nginx_web_server_names": ["www.example.com", "*.example.net", "~^x", "_"]}, certificates=certificates)[
            "certificate"
        ]
        assert again["make"] == make
        assert again["certificate"] == plan["certificate"]


def test_other_names_or_days_make_another_certificate() -> None:
    paths = {
        planned(variables)["certificate"]["certificate"]
        for variables in ({}, {"nginx_web_tls_names": ["a.example"]}, {"nginx_web_tls_names": ["b.example"]}, {"nginx_web_tls_days": 90})
    }
    assert len(paths) == 4
    assert all(path.startswith("/etc/nginx-hitless/self-signed-") and path.endswith(".pem") for path in paths)


def test_a_certificate_from_the_future_isn_t_trusted() -> None:
    assert needs_making({"exists": True, "mtime": 20 * DAY}, 10, 1, now=19.5 * DAY)
    assert not needs_making({"exists": True, "mtime": 20 * DAY}, 10, 1, now=20.5 * DAY)
    assert needs_making({"exists": False, "mtime": None}, 10, 1, now=0)


def test_a_given_certificate_lies_under_a_name_of_its_content() -> None:
    certificate, key = pair()
    first = planned(content(certificate, key))
    assert first["certificate"]["kind"] == "content"
    assert first["certificate"]["certificate"] == first["certificate"]["key"]
    assert first["certificate"]["certificate"].startswith("/etc/nginx-hitless/given-")
    assert key not in str(first)
    assert planned(content(*pair(end="2028-01-01")))["certificate"]["certificate"] != first["certificate"]["certificate"]


def test_a_chain_in_order_is_taken() -> None:
    ca = pki.authority("The CA")
    site = ca.issue("www.example.com")
    plan = planned(content(site.crt + ca.crt, site.key))
    assert plan["certificate"]["kind"] == "content" and plan["warnings"] == []


def test_a_chain_whose_names_fit_and_whose_signature_does_not_is_refused() -> None:
    site = pki.authority("The CA").issue("www.example.com")
    assert findings(content(site.crt + pki.authority("The CA").crt, site.key)) == [
        "nginx_web_tls_certificate_content: 'CN=The CA' has the name of the one that issued 'CN=www.example.com', but didn't sign it;"
        " put the site's own certificate first and behind each the one that signed it"
    ]


def test_a_certificate_that_expires_soon_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda _self, text: warned.append(text))
    certificate, key = pair(end="2026-06-06")
    assert planned(content(certificate, key))["warnings"] == warned
    assert warned == ["nginx_web_tls_certificate_content: the certificate expires on 2026-06-06, in 19 days; renew it"]


def test_a_certificate_on_the_node_is_looked_for_and_its_age_is_part_of_the_site() -> None:
    variables = {"nginx_web_tls_certificate": "/etc/ssl/a.pem", "nginx_web_tls_key": "/etc/ssl/a.key"}
    found = {"/etc/ssl/a.pem": {"exists": True, "mtime": int(NOW)}, "/etc/ssl/a.key": {"exists": True, "mtime": int(NOW)}}
    lines = planned(variables, certificates=found)["servers"][1]["blocks"][1]
    assert "# The certificate of 2026-05-17 12:00:00 UTC" in lines
    assert 'ssl_certificate_key "/etc/ssl/a.key";' in lines
    gone = found | {"/etc/ssl/a.key": {"exists": False, "mtime": None}}
    assert findings(variables, certificates=gone) == [
        "nginx_web_tls_key: there is no /etc/ssl/a.key on this host; put it there first, or give its text as nginx_web_tls_key_content"
    ]


def test_profiles_never_go_below_tls_1_2() -> None:
    lines = {profile: str(planned({"nginx_web_tls_profile": profile})["servers"]) for profile in ("intermediate", "modern")}
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in lines["intermediate"]
    assert "ssl_protocols TLSv1.3;" in lines["modern"]
    assert all("gzip off;" in text for text in lines.values())
    assert "gzip" not in str(planned({"nginx_web_tls_gzip": True})["servers"])


def heads(variables: dict[str, Any]) -> list[str]:
    """The heads of all locations."""
    return [location["head"] for location in planned(variables)["locations"]]


def test_greeting_document_root_or_a_location_of_one_s_own_answer_for_the_rest() -> None:
    assert heads({}) == ["= /healthz", "= /hitless-digest", "/"]
    greeting = planned({})["locations"]
    assert greeting[0]["lines"][-1] == greeting[2]["lines"][-1] == 'return 200 "<h1>Greeting from web1</h1>\\n";'
    root = planned({"nginx_web_root": "/srv/my www"})["locations"][2]
    assert root["lines"] == ['root "/srv/my www";', "index index.html;", "try_files $uri $uri/ =404;"]
    assert heads({"nginx_web_locations": [{"path": "/", "proxy_pass": "http://127.0.0.1:8000"}]}) == [
        "= /healthz",
        "= /hitless-digest",
        "/",
    ]
    assert heads({"nginx_web_locations": [{"path": "/", "match": "exact", "return": 204}]}) == [
        "= /healthz",
        "= /hitless-digest",
        "= /",
        "/",
    ]


def test_locations_in_nginx_s_language() -> None:
    blocks = planned(
        {
            "nginx_web_locations": [
                {"path": r"\.(a|\"b)$", "match": "regex", "return": "403", "text": 'no "$uri"\\\n', "content_type": "text/plain"},
                {
                    "path": "/x/",
                    "match": "prefix_final",
                    "alias": "/srv/x/",
                    "try_files": ["$uri", "=404"],
                    "raw": ["expires 1h;\nallow all;"],
                },
                {"path": "/p", "proxy_pass": "http://unix:/run/app.sock"},
                {"path": "x{2}", "match": "regex_nocase", "raw": ["if ($arg_a ~ x{2}) {", "    return 404;", "}"]},
            ]
        }
    )["locations"][2:-1]
    assert blocks[0] == {
        "head": r'~ "\.(a|\"b)$"',
        "lines": ['default_type "text/plain";', r'return 403 "no \"$uri\"\\\n";'],
    }
    assert blocks[1] == {"head": "^~ /x/", "lines": ['alias "/srv/x/";', "try_files $uri =404;", "expires 1h;", "allow all;"]}
    assert blocks[2]["head"] == "/p"
    assert blocks[2]["lines"][-1] == "proxy_pass http://unix:/run/app.sock;"
    assert blocks[3] == {"head": '~* "x{2}"', "lines": ["if ($arg_a ~ x{2}) {", "    return 404;", "}"]}


def test_the_site_is_asked_which_configuration_it_runs_on_every_plain_listener() -> None:
    probes = planned(
        {
            "nginx_web_listeners": [
                {"port": 80},
                {"port": 443, "tls": True, "address": "192.0.2.21"},
                {"port": 81, "proxy_protocol": True},
            ],
            "nginx_web_trusted_proxies": ["192.0.2.11"],
        }
    )["probes"]
    assert [probe.get("http") or probe["tcp"] for probe in probes] == [
        "http://127.0.0.1:80/hitless-digest",
        "http://127.0.0.1:80/healthz",
        "https://192.0.2.21:443/hitless-digest",
        "https://192.0.2.21:443/healthz",
        "127.0.0.1:81",
    ]
    assert [probe.get("running", False) for probe in probes] == [True, False, True, False, False]
    assert probes[1]["expect"] == r"<h1>Greeting\ from\ web1</h1>"
    six = planned({"nginx_web_listeners": [{"port": 80, "address": "::"}]})["probes"][0]
    assert six["http"] == "http://[::1]:80/hitless-digest"


def test_what_only_others_can_ask_is_probed_by_its_port() -> None:
    probes = planned(
        {"nginx_web_listeners": [{"port": 80}], "nginx_web_trusted_proxies": ["192.0.2.11"], "nginx_web_load_balancer_listeners": LISTENERS}
    )["probes"]
    assert [probe.get("http") or probe["tcp"] for probe in probes][2:] == ["127.0.0.1:8444", "127.0.0.1:8445"]


def test_listeners_for_the_load_balancers() -> None:
    certificate, key = pair()
    variables = {
        "nginx_web_trusted_proxies": ["192.0.2.11", "2001:db8::11"],
        "nginx_web_load_balancer_listeners": [LISTENERS[0] | {"certificate": "own"}, LISTENERS[1]],
        "nginx_web_certificates": [{"name": "own", "certificate_content": certificate, "key_content": key}],
    }
    plan = planned(variables, ipv6=False)
    handed_through, encrypted = plan["servers"][2:]
    assert handed_through["blocks"][0] == ["listen 8444 default_server ssl proxy_protocol;"]
    assert any(re.fullmatch(r'ssl_certificate "/etc/nginx-hitless/given-[0-9a-f]{16}\.pem";', line) for line in handed_through["blocks"][1])
    assert encrypted["blocks"][0] == ["listen 8445 default_server ssl;"]
    assert any("self-signed" in line for line in encrypted["blocks"][1])
    (authority,) = [block for block in encrypted["blocks"] if any("ssl_client_certificate" in line for line in block)]
    assert re.fullmatch(r'ssl_client_certificate "/etc/nginx-hitless/client-ca-[0-9a-f]{16}\.pem";', authority[0])
    assert authority[1:] == ["ssl_verify_client on;", "ssl_verify_depth 3;"]
    for server in (handed_through, encrypted):
        assert "if ($hitless_trusted = 0) {" in server["blocks"][-1]
    assert not any("hitless_trusted" in line for server in plan["servers"][:2] for block in server["blocks"] for line in block)
    assert plan["http"] == [
        "geo $realip_remote_addr $hitless_trusted {",
        "    default 0;",
        "    127.0.0.0/8 1;",
        "    ::1/128 1;",
        "    192.0.2.11 1;",
        "    2001:db8::11 1;",
        "}",
    ]


def test_an_address_of_a_listener_may_ask_itself() -> None:
    variables = {
        "nginx_web_trusted_proxies": ["192.0.2.11"],
        "nginx_web_listeners": [{"port": 81, "address": "192.0.2.21", "trusted_only": True}],
    }
    assert "    192.0.2.21 1;" in planned(variables)["http"]
    assert planned({})["http"] == []


def test_certificates_given_as_text_become_files() -> None:
    certificate, key = pair()
    variables = {
        "nginx_web_load_balancer_listeners": [LISTENERS[0] | {"certificate": "own"}, LISTENERS[1] | {"certificate": "own"}],
        "nginx_web_certificates": [
            {"name": "own", "certificate_content": certificate, "key_content": key},
            {"name": "unused", "certificate_content": "x", "key_content": "y"},
        ],
    }
    files = nginx_web_files(DEFAULTS | variables, SPEC)
    assert [(file["mode"], file.get("sensitive", False)) for file in files] == [("0600", True), ("0644", False)]
    assert files[0]["content"] == certificate + key and files[1]["content"] == pair()[0]
    assert [file["path"] for file in nginx_web_files(DEFAULTS | content(certificate, key), SPEC)] == [files[0]["path"]]
    assert nginx_web_files(DEFAULTS, SPEC) == []


def test_certificates_with_paths_are_looked_for_and_their_renewal_noticed() -> None:
    variables = {
        "nginx_web_trusted_proxies": ["192.0.2.11"],
        "nginx_web_load_balancer_listeners": [LISTENERS[0] | {"certificate": "own"}],
        "nginx_web_certificates": [{"name": "own", "certificate": "/etc/ssl/a.pem", "key": "/etc/ssl/a.key"}],
    }
    assert looked_for(DEFAULTS | variables, SPEC, ["web1"])[-2:] == ["/etc/ssl/a.pem", "/etc/ssl/a.key"]
    plan = planned(variables, certificates={"/etc/ssl/a.pem": {"exists": True, "mtime": NOW}})
    assert "# The certificate of 2026-05-17 12:00:00 UTC" in plan["servers"][2]["blocks"][1]


def test_errors_name_the_variables_that_somebody_has_set() -> None:
    assert planned({"nginx_web_server_raw": ["x;"], "nginx_web_listeners": DEFAULTS["nginx_web_listeners"]})["variables"] == [
        "nginx_web_load_balancer_listeners",
        "nginx_web_certificates",
        "nginx_web_server_raw",
        "nginx_web_trusted_proxies",
        "nginx_web_tls_profile",
    ]


def test_numbers_and_switches_may_be_text() -> None:
    plan = planned({"nginx_web_listeners": [{"port": "8080", "tls": "no"}], "nginx_web_stop_timeout": "45"}, ipv6=False)
    assert plan["servers"][0]["blocks"][0] == ["listen 8080 default_server;"]
    assert plan["stop_timeout"] == 45


def test_a_key_without_a_value_counts_as_left_out() -> None:
    plan = planned({"nginx_web_listeners": [{"port": 80, "address": None, "tls": None}]}, ipv6=False)
    assert plan["servers"][0]["blocks"][0] == ["listen 80 default_server;"]


def read_word(text: str) -> str:
    """Read one quoted word as nginx does."""
    assert text[0] == '"'
    result, at = "", 1
    while text[at] != '"':
        if text[at] == "\\" and text[at + 1] in "\"'\\":
            result += text[at + 1]
            at += 2
        elif text[at] == "\\" and text[at + 1] in "tnr":
            result += {"t": "\t", "n": "\n", "r": "\r"}[text[at + 1]]
            at += 2
        else:
            result += text[at]
            at += 1
    assert at == len(text) - 1
    return result


@given(st.text(alphabet=st.characters(exclude_characters="\r\0", codec="utf-8")))
def test_any_text_comes_through_the_quotes(text: str) -> None:
    assert read_word(quoted(text)) == text


@given(st.lists(st.sampled_from(["a", "n", ".", "$", "{2}", "|", " ", '"', r"\.", r"\\", r"\"", r"\d", "(", ")"])).map("".join))
def test_a_regular_expression_comes_through_the_quotes(pattern: str) -> None:
    # Only that a quote needs no backslash any more.
    assert read_word(quoted_regex(pattern)) == re.sub(
        r'\\\\|\\"', lambda found: '"' if found.group().endswith('"') else found.group(), pattern
    )


@given(st.text(min_size=1, max_size=300))
def test_no_name_with_a_meaning_of_its_own_passes(name: str) -> None:
    if is_dns_name(name):
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.*")
