# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ready-made service's TLS variants: what a user reads when one can't be, and what shapes them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

import pki
from ansible_collections.hitless.lb.plugins.filter.haproxy_sections import haproxy_sections
from ansible_collections.hitless.lb.plugins.filter.haproxy_validate import haproxy_validate

NODE: dict[str, Any] = {"ipv6": False, "packages": {"haproxy": {"installed": "3.0.11-1+deb13u1", "candidate": None}}}
OLD: dict[str, Any] = {"ipv6": False, "packages": {"haproxy": {"installed": "2.6.12-1+deb12u3", "candidate": None}}}
SERVERS = [{"name": "web1", "address": "192.0.2.21", "port": 80}]
VERBOSE = "HAProxy version 3.0.11\nFeature list : +OPENSSL {} +SSL\n"


PEM = pki.authority().issue("www", "www.example.com").pem
WWW = [{"name": "www", "pem": PEM}]


def model(variant: str, **options: Any) -> dict[str, Any]:
    """A model that works in its variant, but for what is given."""
    needs: dict[str, Any] = {
        "terminate": {"certificates": WWW},
        "reencrypt": {"certificates": WWW, "reencrypt_ca_file": "/etc/ssl/ca.pem"},
    }.get(variant, {})
    return {"servers": SERVERS, "tls": variant, **needs, **options}


def refused(source: dict[str, Any], node: dict[str, Any] | None = None) -> list[str]:
    """What the validation reports, without its heading."""
    with pytest.raises(AnsibleFilterError) as error:
        haproxy_validate(source, node or NODE)
    return str(error.value).split("\n- ")[1:]


def written(source: dict[str, Any], node: dict[str, Any] | None = None) -> dict[str, list[str]]:
    """The sections of the configuration by their first line."""
    assert haproxy_validate(source, node or NODE) is True
    return {section["name"]: section["lines"] for section in haproxy_sections(source, node or NODE)}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a variant that isn't one": (
        model("offload"),
        "haproxy_tls: 'offload' is no variant; write none, terminate, passthrough or reencrypt",
    ),
    "TLS without servers": (
        {"tls": "passthrough"},
        "haproxy_tls: 'passthrough' is about the ready-made service, but haproxy_servers is empty; list its servers, or write none",
    ),
    "no certificate": (
        model("terminate", certificates=[]),
        "haproxy_tls: 'terminate' needs a certificate for the clients, and there is none; give haproxy_certificates (for all roles: lb_certificates),"
        " or have the site playbook make one for a lab or an intranet: lb_ca_directory",
    ),
    "a certificate that isn't there": (
        model("terminate", tls_crt=["wwww"]),
        "haproxy_tls_crt[0]: there is no certificate 'wwww' in haproxy_certificates; did you mean 'www'? (a file is written with its path)",
    ),
    "an authority that isn't there": (
        model("reencrypt", reencrypt_ca_file="internal"),
        "haproxy_reencrypt_ca_file: there is no CA file 'internal' in haproxy_ca_files; none is defined (a file is written with its path)",
    ),
    "a certificate for the servers that isn't there": (
        model("reencrypt", reencrypt_crt="lb"),
        "haproxy_reencrypt_crt: there is no certificate 'lb' in haproxy_certificates; there is 'www' (a file is written with its path)",
    ),
    "a list of revoked clients that isn't there": (
        model("terminate", client_verify="optional", client_ca_file="@system-ca", client_crl_file="gone"),
        "haproxy_client_crl_file: there is no revocation list 'gone' in haproxy_crl_files; none is defined (a file is written with its path)",
    ),
    "only the certificate for the servers": (
        model("reencrypt", reencrypt_crt="www"),
        "haproxy_tls: 'reencrypt' needs a certificate for the clients, and there is none; give haproxy_certificates (for all roles: lb_certificates),"
        " or have the site playbook make one for a lab or an intranet: lb_ca_directory",
    ),
    "a certificate that nobody gets": (
        model("passthrough", tls_crt=["www"]),
        "haproxy_tls_crt: is given, but haproxy_tls is passthrough, and certificates are served where TLS ends;"
        " write haproxy_tls: terminate or reencrypt, or leave it out",
    ),
    "enforce what isn't there": (
        model("none", tls_enforce=True),
        "haproxy_tls_enforce: is given, but haproxy_tls is none, and there is no HTTPS to redirect to;"
        " write haproxy_tls: terminate, passthrough or reencrypt, or leave it out",
    ),
    "HTTP/3 through HAProxy": (
        model("passthrough", tls_http3=True),
        "haproxy_tls_http3: is given, but haproxy_tls is passthrough, and HTTP/3 ends where TLS ends;"
        " write haproxy_tls: terminate or reencrypt, or leave it out",
    ),
    "HSTS through HAProxy": (
        model("passthrough", hsts={"max_age": 300}),
        "haproxy_hsts: is given, but haproxy_tls is passthrough, and HAProxy adds headers only where it ends TLS itself;"
        " write haproxy_tls: terminate or reencrypt, or leave it out",
    ),
    "compression that HAProxy can't see": (
        model("passthrough", tls_compression=True),
        "haproxy_tls_compression: is given, but haproxy_tls is passthrough, and HAProxy sees what servers are asked for only where it ends TLS itself;"
        " write haproxy_tls: terminate or reencrypt, or leave it out",
    ),
    "client certificates through HAProxy": (
        model("passthrough", client_verify="required"),
        "haproxy_client_verify: is required, but haproxy_tls is passthrough, and client certificates are asked for where TLS ends;"
        " write haproxy_tls: terminate or reencrypt, or leave it out",
    ),
    "an authority without TLS": (
        model("none", client_ca_file="/etc/ssl/ca.pem"),
        "haproxy_client_ca_file: is given, but haproxy_tls is none, and client certificates are asked for where TLS ends;"
        " write haproxy_tls: terminate or reencrypt, or leave it out",
    ),
    "client certificates by nobody's word": (
        model("terminate", client_verify="required"),
        "haproxy_client_ca_file: is missing, but haproxy_client_verify is required; name the authority that signs the clients' certificates",
    ),
    "an authority for nothing": (
        model("terminate", client_ca_file="/etc/ssl/ca.pem"),
        "haproxy_client_ca_file: is given, but haproxy_client_verify is none; write optional or required there, or leave it out",
    ),
    "half a verification": (
        model("terminate", client_verify="sometimes"),
        "haproxy_client_verify: 'sometimes' is neither none, optional nor required",
    ),
    "services by SNI where TLS ends": (
        model("terminate", passthrough_services=[{"name": "shop", "sni": ["shop.example.com"], "server": SERVERS}]),
        "haproxy_passthrough_services: is given, but haproxy_tls is terminate, and services are chosen by SNI only where TLS is handed through;"
        " write haproxy_tls: passthrough, or leave it out",
    ),
    "a service that nobody asks for": (
        model("passthrough", passthrough_services=[{"name": "shop", "sni": [], "server": SERVERS}]),
        "haproxy_passthrough_services[0].sni: is empty, so no client would get there; list the names that clients ask for",
    ),
    "a name that would smuggle words in": (
        model("passthrough", passthrough_services=[{"name": "shop", "sni": ["a } || { always_true"], "server": SERVERS}]),
        "haproxy_passthrough_services[0].sni[0]: 'a } || { always_true' is no name that a client asks for;"
        " write for example shop.example.com or *.example.com",
    ),
    "one name, two services": (
        model(
            "passthrough",
            passthrough_services=[
                {"name": "shop", "sni": ["a.example.com"], "server": SERVERS},
                {"name": "mail", "sni": ["A.example.com"], "server": SERVERS},
            ],
        ),
        "haproxy_passthrough_services[1].sni[0]: 'A.example.com' belongs to haproxy_passthrough_services[0] already; a name leads to one service",
    ),
    "a service called like the ready-made one": (
        model("passthrough", passthrough_services=[{"name": "web", "sni": ["a.example.com"], "server": SERVERS}]),
        "haproxy_passthrough_services[0].name: 'web' is already used by the role itself (backend web); choose another name",
    ),
    "a service without servers": (
        model("passthrough", passthrough_services=[{"name": "shop", "sni": ["a.example.com"], "server": []}]),
        "haproxy_passthrough_services[0].server: backend shop has no servers, so every request would end in an error;"
        " write at least one {name, address, port}",
    ),
    "servers verified by nobody's word": (
        model("reencrypt", reencrypt_ca_file=""),
        "haproxy_reencrypt_ca_file: is missing, but 'reencrypt' verifies the servers; name the authority that signed their certificates,"
        " or have the site playbook make them for a lab or an intranet: lb_ca_directory",
    ),
    "a server without a name": (
        model("reencrypt", servers=[{"name": "192.0.2.21", "address": "192.0.2.21", "port": 80}]),
        "haproxy_servers[0].name: '192.0.2.21' is an address, and HAProxy verifies names only; give the server the name that is in its certificate,"
        " as name or verifyhost",
    ),
    "one port for both": (
        model("terminate", https_port=80),
        "haproxy_https_port: * port 80 is bound twice, by frontend http and by frontend https; take one of the two away or give it another port",
    ),
    "no port": (
        model("passthrough", passthrough_port=70000),
        "haproxy_passthrough_port: 70000 is no port; write one from 1 to 65535",
    ),
    "a public port that isn't one": (
        model("terminate", public_ports=[{"http": 0, "https": 443}]),
        "haproxy_public_ports[0].http: 0 is no port; write one from 1 to 65535",
    ),
    "one public port, two targets": (
        model("terminate", public_ports=[{"http": 80, "https": 443}, {"http": 80, "https": 8443}]),
        "haproxy_public_ports[1].http: 80 is that of haproxy_public_ports[0], too; keep one of them",
    ),
    "HSTS for ever": (
        model("terminate", hsts={"max_age": "for ever"}),
        "haproxy_hsts.max_age: 'for ever' is no number of seconds; write for example 63072000 (two years)",
    ),
    "a preload that browsers refuse": (
        model("terminate", hsts={"preload": True}),
        "haproxy_hsts.preload: is refused by browsers' lists without include_subdomains; write that, too, or leave it out",
    ),
    "a redirect that an own section swallows": (
        model("terminate", tls_enforce=True, frontends=[{"name": "http", "bind": [{"port": 80}], "default_backend": "web"}]),
        "haproxy_tls_enforce: does nothing, since haproxy_frontends[0] takes the place of the ready-made frontend 'http';"
        " write the rules there, or leave haproxy_tls_enforce out",
    ),
    "client certificates that an own section swallows": (
        model(
            "terminate",
            client_verify="required",
            client_ca_file="/etc/ssl/ca.pem",
            frontends=[{"name": "https", "bind": [{"port": 443, "ssl": True, "crt": ["www"]}], "default_backend": "web"}],
        ),
        "haproxy_client_verify: does nothing, since haproxy_frontends[0] takes the place of the ready-made frontend 'https';"
        " write the rules there, or leave haproxy_client_verify out",
    ),
    "a line break": (
        model("reencrypt", reencrypt_name="web\nfrontend x"),
        "haproxy_reencrypt_name: has a line break or another control character;"
        " write one line a value (a list of lines where the option takes one)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused_by_name(name: str) -> None:
    source, message = BAD[name]
    assert refused(source)[0] == message


@pytest.mark.parametrize("name", ["no certificate", "only the certificate for the servers", "a certificate that isn't there"])
def test_one_mistake_is_told_once(name: str) -> None:
    source, message = BAD[name]
    assert refused(source) == [message]


@pytest.mark.parametrize("variant", ["none", "terminate", "passthrough", "reencrypt"])
def test_a_variant_needs_nothing_more(variant: str) -> None:
    sections = written(model(variant))
    assert ("frontend https from http" in sections) is (variant in ("terminate", "reencrypt"))
    assert ("frontend https from tcp" in sections) is (variant == "passthrough")
    assert "bind *:80" in sections["frontend http from http"]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (OLD, "HAProxy 2.6.12-1+deb12u3, which is installed on this node, has no QUIC"),
        (
            {"packages": {"haproxy": {"installed": None, "candidate": "2.6.12-1"}}},
            "HAProxy 2.6.12-1, which is what apt would install on this node, has no QUIC",
        ),
        (NODE | {"programs": {"haproxy -vv": VERBOSE.format("-QUIC")}}, "HAProxy 3.0.11-1+deb13u1 on this node has no QUIC"),
    ],
)
def test_http3_is_refused_where_haproxy_has_no_quic(node: dict[str, Any], message: str) -> None:
    (finding,) = refused(model("terminate", tls_http3=True), node)
    assert finding == f"haproxy_tls_http3: {message} (see haproxy -vv); leave HTTP/3 off, or use a HAProxy that has it, such as Debian 13's"


@pytest.mark.parametrize(
    ("node", "limited"),
    [
        (NODE, True),
        ({"packages": {"haproxy": {"installed": None, "candidate": "3.0.11-1+deb13u1"}}}, True),
        (NODE | {"programs": {"haproxy -vv": VERBOSE.format("+QUIC +QUIC_OPENSSL_COMPAT")}}, True),
        (NODE | {"programs": {"haproxy -vv": VERBOSE.format("+QUIC -QUIC_OPENSSL_COMPAT")}}, False),
        (OLD | {"programs": {"haproxy -vv": VERBOSE.format("+QUIC")}}, False),
    ],
)
def test_http3_knows_how_haproxy_was_built(node: dict[str, Any], limited: bool) -> None:
    sections = written(model("terminate", tls_http3=True), node)
    assert ("limited-quic" in sections["global"]) is limited
    assert any(line.startswith("bind quic4@*:443 ssl") and line.endswith("alpn h3") for line in sections["frontend https from http"])


def test_http3_needs_roots_ports_only_where_the_port_is_one() -> None:
    assert written(model("terminate", tls_http3=True, https_port=8443))["global"][-1] == "limited-quic"


def test_http3_on_ipv6_too() -> None:
    sections = written(model("terminate", tls_http3=True), NODE | {"ipv6": True})
    binds = [line for line in sections["frontend https from http"] if line.startswith("bind quic")]
    assert [line.split()[1] for line in binds] == ["quic4@*:443", "quic6@[::]:443"]
    assert binds[1].endswith(" v6only") and "v6only" not in binds[0]


def test_own_settings_of_global_come_first() -> None:
    own = {"global": {"raw": ["tune.http.maxhdr 128"], "setcap": "cap_net_bind_service,cap_net_raw"}}
    lines = written(model("terminate", tls_http3=True, **own))["global"]
    assert [line for line in lines if line.startswith(("setcap", "limited-quic", "tune.http"))] == [
        "setcap cap_net_bind_service,cap_net_raw",
        "limited-quic",
        "tune.http.maxhdr 128",
    ]


def test_http3_before_sockets_of_each_connection() -> None:
    node = OLD | {"programs": {"haproxy -vv": VERBOSE.format("+QUIC")}}
    assert not any(line.startswith("setcap") for line in written(model("terminate", tls_http3=True), node)["global"])


def test_an_own_section_takes_the_place_of_the_ready_made_one() -> None:
    own = {"name": "https", "bind": [{"port": 443, "ssl": True, "crt": ["www"]}], "default_backend": "web"}
    assert written(model("terminate", frontends=[own]))["frontend https from http"][-1] == "default_backend web"
    assert not any("del-header" in line for line in written(model("terminate", frontends=[own]))["frontend https from http"])


def test_the_certificate_for_the_servers_isnt_served_to_clients() -> None:
    source = model("reencrypt", certificates=[*WWW, {"name": "lb", "pem": PEM}], reencrypt_crt="lb")
    sections = written(source)
    (bind,) = [line for line in sections["frontend https from http"] if line.startswith("bind ")]
    assert bind.count(" crt ") == 1 and "/www" in bind
    assert any(" crt " in line for line in sections["backend web from http"] if line.startswith("server "))


def test_what_a_server_says_itself_comes_first() -> None:
    own = SERVERS[0] | {"verifyhost": "one.example.com", "ca_file": "/etc/ssl/other.pem", "weight": 10}
    (line,) = [line for line in written(model("reencrypt", servers=[own]))["backend web from http"] if line.startswith("server ")]
    assert "192.0.2.21:8445" in line and "sni str(one.example.com)" in line and "check-sni one.example.com" in line
    assert "ca-file /etc/ssl/other.pem" in line and "weight 10" in line


def test_a_name_for_all_servers() -> None:
    (line,) = [
        line
        for line in written(model("reencrypt", reencrypt_name="www.example.com"))["backend web from http"]
        if line.startswith("server ")
    ]
    assert "verifyhost www.example.com" in line


def test_compression_over_tls_is_for_those_who_ask() -> None:
    line = "http-request del-header Accept-Encoding"
    assert line in written(model("terminate"))["frontend https from http"]
    assert line not in written(model("terminate", tls_compression=True))["frontend https from http"]
    assert line not in written(model("terminate"))["frontend http from http"]


def test_compression_by_haproxy_that_is_asked_for_over_tls_isnt_taken_back() -> None:
    defaults = {"compression": ["algo gzip"], "compression_over_tls": True}
    assert not any("Accept-Encoding" in line for line in written(model("terminate", defaults=defaults))["frontend https from http"])
    one = {"compression": ["algo gzip"]}
    for asked, count in ((True, 0), (False, 1)):
        lines = written(model("terminate", defaults=one, tls_compression=asked))["frontend https from http"]
        assert sum("del-header Accept-Encoding" in line for line in lines) == count


def test_passthrough_without_the_proxy_protocol() -> None:
    lines = written(model("passthrough", passthrough_send_proxy=False, passthrough_port=443))["backend web_tls from tcp"]
    assert "server web1 192.0.2.21:443" in lines and not any("proxy" in line for line in lines)


def test_a_check_by_address_asks_for_no_name() -> None:
    lines = written(model("passthrough", check={"uri": "/", "host": "192.0.2.21"}))["backend web_tls from tcp"]
    assert not any("check-sni" in line for line in lines)
