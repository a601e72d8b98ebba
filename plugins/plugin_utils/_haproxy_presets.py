# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: the ready-made service in all its TLS variants, as the data that it is short for. Not for use outside of this collection.

Everything here ends in sections of the ordinary data model: whatever a preset does, a user can write down, and a section of the user's
with the same name takes the place of the ready-made one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import (
    Section,
    empty,
    package_version,
    quote,
    truth,
    version_tuple,
)
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_tls import tls_of
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_values import as_dict, as_list

VARIANTS = ("none", "terminate", "passthrough", "reencrypt")
# Where HAProxy itself speaks TLS with the clients
TERMINATING = ("terminate", "reencrypt")
# The first release that Debian builds with QUIC, for a node where HAProxy isn't installed yet.
QUIC_FROM = (3, 0)
# Before it a connection had no socket of its own.
SETCAP_FROM = (2, 9)
PROGRAM = "haproxy -vv"
CHALLENGE = "path_reg '^/\\.well-known/acme-challenge/[A-Za-z0-9_-]+$'"
HOST = "'^(\\[[0-9a-f:.]+\\]|[a-z0-9._-]+)$'"
SERVER_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")
# What a client may not say for itself: how it came here, and which certificate it showed. Many programs take _ for -.
# HAProxy has every name in lower case.
UNFORGED = ["del-header ^x[-_](forwarded|ssl)[-_] -m reg", "del-header Forwarded"]
DEFAULTS: dict[str, Any] = {
    "tls": "none",
    "http_port": 80,
    "https_port": 443,
    "client_verify": "none",
    "passthrough_port": 8444,
    "passthrough_send_proxy": True,
    "reencrypt_port": 8445,
}


def value(model: Mapping[str, Any], key: str) -> Any:
    """Give the value of an option, or the role's own."""
    given = model.get(key)
    return DEFAULTS.get(key) if empty(given) else given


def variant(model: Mapping[str, Any]) -> str:
    """Tell the variant."""
    return str(value(model, "tls"))


def quic(node: Mapping[str, Any]) -> tuple[bool, bool, str]:
    """Tell whether HAProxy on a node knows QUIC, whether only in its limited form, and how that is known."""
    said = as_dict(node.get("programs")).get(PROGRAM)
    version, how = package_version(node)
    if said:
        return (
            bool(re.search(r"(^|\s)\+QUIC(\s|$)", said)),
            "+QUIC_OPENSSL_COMPAT" in said,
            f"HAProxy {version or ''}".strip() + " on this node",
        )
    numbers = version_tuple(version)
    known = numbers is None or numbers >= QUIC_FROM
    return known, known, f"HAProxy {version}, which {how} on this node,"


def global_settings(model: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """List what the preset needs in the section ``global``."""
    if variant(model) not in TERMINATING or not truth(model.get("tls_http3")):
        return {}
    settings: dict[str, Any] = {"limited_quic": True} if quic(node)[1] else {}
    numbers = version_tuple(package_version(node)[0])
    if int(value(model, "https_port")) < 1024 and (numbers is None or numbers >= SETCAP_FROM):
        # Each connection gets a socket of its own on this port, when HAProxy isn't root any more.
        settings["setcap"] = "cap_net_bind_service"
    return settings


def sections(model: Mapping[str, Any], node: Mapping[str, Any]) -> list[Section]:
    """Make the service that the list of servers alone asks for, in its TLS variant."""
    servers = [as_dict(server) for server in as_list(model.get("servers"))]
    if not servers:
        return []
    kind = variant(model)
    result = [_http(model), _web(model, servers)]
    if kind in TERMINATING:
        result.append(_https(model, node))
    elif kind == "passthrough":
        result += _passthrough(model, servers)
    if not empty(model.get("acme_servers")):
        result.append(
            Section(
                "backend",
                "acme",
                {
                    "name": "acme",
                    "description": "Answers the challenges of a certificate authority",
                    # A client of an authority listens only while it asks for a certificate.
                    "default_server": {"check": False, "observe": ""},
                    "server": as_list(model.get("acme_servers")),
                },
                "",
                {"server": "haproxy_acme_servers"},
            )
        )
    return result


def _http(model: Mapping[str, Any]) -> Section:
    acme = not empty(model.get("acme_servers"))
    enforce = truth(model.get("tls_enforce")) and variant(model) != "none"
    acl = [f"acme {CHALLENGE}"] if acme or enforce else []
    rules = [*UNFORGED, "set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]"]
    if enforce:
        acl.append("named req.fhdr(host) -m len gt 0")
        rules += _redirect(model)
    data: dict[str, Any] = {
        "name": "http",
        "bind": [{"address": "*", "port": value(model, "http_port")}],
        "acl": acl,
        "http_request": rules,
        "use_backend": ["acme if acme"] if acme else [],
        "default_backend": "web",
    }
    return Section("frontend", "http", data, "", {"bind[0].port": "haproxy_http_port", "bind[0]": "haproxy_http_port"})


def _redirect(model: Mapping[str, Any]) -> list[str]:
    """Send everybody to the HTTPS port, at the name or address that was asked for.

    The host comes from the client, so it is taken only when it looks like one. HTTP/1.0 needs none: then it's the address of the connection.
    """
    rules = [
        "set-var(txn.host) req.fhdr(host),regsub(:[0-9]*$,) if named",
        "set-var(txn.host) dst,regsub(^::ffff:,) unless named",
        "set-var(txn.host) str([),concat(,txn.host,]) if !named { var(txn.host) -m sub : }",
        f"deny deny_status 400 unless acme || {{ var(txn.host) -m reg -i {HOST} }} {{ path_beg / }}",
    ]
    for pair in map(as_dict, as_list(model.get("public_ports"))):
        rules.append(f"set-var(txn.target) var(txn.host){_with_port(pair.get('https'))} if {_asked(pair.get('http'), 80)}")
    rules.append(f"set-var(txn.target) var(txn.host){_with_port(value(model, 'https_port'))} unless {{ var(txn.target) -m found }}")
    # 301 is what everything understands; only 308 keeps the method of a POST.
    return [
        *rules,
        "redirect prefix https://%[var(txn.target)] code 301 if METH_GET !acme",
        "redirect prefix https://%[var(txn.target)] code 308 unless acme",
    ]


def _asked(port: Any, standard: int) -> str:
    """Tell by the Host header which port a client came to: HTTP leaves the standard one out."""
    at = f"{{ req.fhdr(host) -m end :{port} }}"
    return f"{at} || !{{ req.fhdr(host) -m reg ':[0-9]+$' }}" if str(port) == str(standard) else at


def _with_port(port: Any) -> str:
    return "" if str(port) == "443" else f",concat(:{port})"


def _web(model: Mapping[str, Any], servers: list[dict[str, Any]]) -> Section:
    data: dict[str, Any] = {"name": "web", "http_check": _http_check(model), "server": servers}
    if variant(model) == "reencrypt":
        data["server"] = [_reencrypted(model, server) for server in servers]
        # A connection is made by the server's kernel, a handshake by its process, which may have to wait for a CPU.
        data["timeout"] = {"connect": "2s"}
    return Section("backend", "web", data, "", {"server": "haproxy_servers"})


def _http_check(model: Mapping[str, Any]) -> list[str]:
    check = as_dict(model.get("check"))
    uri, host = quote(check.get("uri", "/healthz")), quote(check.get("host", "localhost"))
    return [f"send meth GET uri {uri} ver HTTP/1.1 hdr Host {host}", "expect status 200"]


def _reencrypted(model: Mapping[str, Any], server: dict[str, Any]) -> dict[str, Any]:
    """Give a server TLS: its authority verified, and its name, by traffic and check alike. What it says itself comes first."""
    name = str(server.get("verifyhost") or value(model, "reencrypt_name") or server.get("name", ""))
    tls = {
        "ssl": True,
        "verify": "required",
        "ca_file": value(model, "reencrypt_ca_file"),
        "verifyhost": name,
        "sni": f"str({name})",
        "check_sni": name,
        "crt": value(model, "reencrypt_crt"),
    }
    return {**{key: item for key, item in tls.items() if not empty(item)}, **server, "port": value(model, "reencrypt_port")}


def certificates(model: Mapping[str, Any]) -> list[str]:
    """Name the certificates that the preset's bind serves."""
    given = [str(name) for name in as_list(model.get("tls_crt"))]
    if given:
        return given
    # The one that HAProxy shows to the servers isn't for clients.
    own = str(value(model, "reencrypt_crt") or "")
    names = [str(as_dict(certificate).get("name", "")) for certificate in as_list(model.get("certificates"))]
    return [name for name in names if name != own]


def _https(model: Mapping[str, Any], node: Mapping[str, Any]) -> Section:
    port = value(model, "https_port")
    bind: dict[str, Any] = {"address": "*", "port": port, "ssl": True, "crt": certificates(model), "alpn": ["h2", "http/1.1"]}
    verify = str(value(model, "client_verify"))
    rules = [*UNFORGED, "set-header X-Forwarded-Proto https"]
    compress = truth(model.get("tls_compression")) or truth(as_dict(model.get("defaults")).get("compression_over_tls"))
    if not compress:
        # A compressed page that repeats what a request said can give away its secrets (BREACH).
        rules.append("del-header Accept-Encoding")
    if verify != "none":
        bind |= {"verify": verify, "ca_file": model.get("client_ca_file"), "crl_file": model.get("client_crl_file")}
        rules += [
            "set-header X-SSL-Client-Verify NONE",
            "set-header X-SSL-Client-Verify SUCCESS if { ssl_c_used } { ssl_c_verify 0 }",
            "set-header X-SSL-Client-Subject %[ssl_c_s_dn(,0,rfc2253)] if { ssl_c_used } { ssl_c_verify 0 }",
            "set-header X-SSL-Client-Issuer %[ssl_c_i_dn(,0,rfc2253)] if { ssl_c_used } { ssl_c_verify 0 }",
            "set-header X-SSL-Client-Serial %[ssl_c_serial,hex] if { ssl_c_used } { ssl_c_verify 0 }",
            "set-header X-SSL-Client-SHA256 %[ssl_c_der,sha2(256),hex] if { ssl_c_used } { ssl_c_verify 0 }",
        ]
    binds = [bind]
    answers = []
    if not empty(model.get("hsts")):
        answers.append(f"set-header Strict-Transport-Security {quote(_hsts(as_dict(model.get('hsts'))))}")
    if truth(model.get("tls_http3")):
        binds.append({**bind, "address": "quic4@*", "alpn": ["h3"]})
        if node.get("ipv6"):
            binds.append({**bind, "address": "quic6@::", "v6only": True, "alpn": ["h3"]})
        rules.append(f"set-var(txn.h3) str({port})")
        for pair in map(as_dict, as_list(model.get("public_ports"))):
            rules.append(f"set-var(txn.h3) str({pair.get('https')}) if {_asked(pair.get('https'), 443)}")
        answers.append("set-header alt-svc 'h3=\":%[var(txn.h3)]\"; ma=3600'")
    data = {
        "name": "https",
        "bind": binds,
        "http_request": rules,
        "http_after_response": answers,
        "default_backend": "web",
        **({"compression_over_tls": True} if compress else {}),
    }
    return Section("frontend", "https", data, "", _https_variables(len(binds)))


def _https_variables(binds: int) -> dict[str, str]:
    result: dict[str, str] = {}
    for index in range(binds):
        result |= {
            f"bind[{index}]": "haproxy_https_port",
            f"bind[{index}].port": "haproxy_https_port",
            f"bind[{index}].crt": "haproxy_tls_crt",
        }
    return result


def _hsts(hsts: Mapping[str, Any]) -> str:
    words = [f"max-age={hsts.get('max_age', 63072000)}"]
    words += ["includeSubDomains"] if truth(hsts.get("include_subdomains")) else []
    words += ["preload"] if truth(hsts.get("preload")) else []
    return "; ".join(words)


def _passthrough(model: Mapping[str, Any], servers: list[dict[str, Any]]) -> list[Section]:
    services = [as_dict(service) for service in as_list(model.get("passthrough_services"))]
    choose = []
    for service in services:
        for name in map(str, as_list(service.get("sni"))):
            match = f"-m end -i {name[1:]}" if name.startswith("*.") else f"-i {name}"
            choose.append(f"{service.get('name')} if {{ req.ssl_sni {match} }}")
    frontend: dict[str, Any] = {
        "name": "https",
        "mode": "tcp",
        "bind": [{"address": "*", "port": value(model, "https_port")}],
        # Which name a client asks for is known when its first message is there.
        "tcp_request": ["inspect-delay 5s", "content accept if { req.ssl_hello_type 1 }"] if choose else [],
        "use_backend": choose,
        "default_backend": "web_tls",
    }
    own = [{**server, "port": value(model, "passthrough_port")} for server in servers]
    proxy = truth(value(model, "passthrough_send_proxy"))
    result = [
        Section("frontend", "https", frontend, "", _https_variables(1)),
        _handed_through(model, "web_tls", own, bool(proxy), as_dict(model.get("check")), "haproxy_servers"),
    ]
    for index, service in enumerate(services):
        asked = {"uri": service.get("check_uri"), "host": service.get("check_host")}
        check = {**as_dict(model.get("check")), **{key: item for key, item in asked.items() if not empty(item)}}
        proxy = truth(service.get("send_proxy", value(model, "passthrough_send_proxy")))
        listed = [as_dict(server) for server in as_list(service.get("server"))]
        where = f"haproxy_passthrough_services[{index}]"
        section = _handed_through(model, str(service.get("name", "")), listed, bool(proxy), check, f"{where}.server")
        section.variables["name"] = f"{where}.name"
        result.append(section)
    return result


def _handed_through(
    model: Mapping[str, Any], name: str, servers: list[dict[str, Any]], proxy: bool, check: Mapping[str, Any], where: str
) -> Section:
    """Make a backend of servers that end TLS themselves: HAProxy's check is one more client of theirs."""
    host = str(check.get("host", "localhost"))
    # The client is who verifies the certificate; the check asks whether the server can answer it.
    tls: dict[str, Any] = {"check_ssl": True, "verify": "none", "check_sni": "" if _is_address(host) else host}
    if proxy:
        tls |= {"send_proxy_v2": True, "check_send_proxy": True}
    data = {
        "name": name,
        "mode": "tcp",
        "http_check": _http_check({**model, "check": check}),
        "default_server": {key: item for key, item in tls.items() if not empty(item)},
        "server": servers,
    }
    return Section("backend", name, data, "", {"server": where})


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def findings(model: Mapping[str, Any], node: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what can't be: the option, and what was found and what to write instead."""
    kind = variant(model)
    if kind not in VARIANTS:
        return [("haproxy_tls", f"{kind!r} is no variant; write {', '.join(VARIANTS[:-1])} or {VARIANTS[-1]}")]
    found: list[tuple[str, str]] = []
    if kind != "none" and empty(model.get("servers")):
        found.append(
            ("haproxy_tls", f"{kind!r} is about the ready-made service, but haproxy_servers is empty; list its servers, or write none")
        )
    found += _only_with(model, kind)
    found += _replaced(model)
    if kind in TERMINATING:
        found += _terminating(model, kind, node)
    found += _services(model)
    found += _ports(model)
    return found


def _only_with(model: Mapping[str, Any], kind: str) -> list[tuple[str, str]]:
    """Find options that the variant has no use for."""
    ends = "terminate or reencrypt"
    wanted: list[tuple[str, tuple[str, ...], str, str]] = [
        ("tls_crt", TERMINATING, "certificates are served where TLS ends", ends),
        (
            "tls_enforce",
            ("terminate", "passthrough", "reencrypt"),
            "there is no HTTPS to redirect to",
            "terminate, passthrough or reencrypt",
        ),
        ("tls_http3", TERMINATING, "HTTP/3 ends where TLS ends", ends),
        ("tls_compression", TERMINATING, "HAProxy sees what servers are asked for only where it ends TLS itself", ends),
        ("hsts", TERMINATING, "HAProxy adds headers only where it ends TLS itself", ends),
        ("client_ca_file", TERMINATING, "client certificates are asked for where TLS ends", ends),
        ("client_crl_file", TERMINATING, "client certificates are asked for where TLS ends", ends),
        ("passthrough_services", ("passthrough",), "services are chosen by SNI only where TLS is handed through", "passthrough"),
    ]
    found = []
    for key, variants, why, instead in wanted:
        if kind not in variants and not empty(model.get(key)) and truth(model.get(key)) is not False:
            found.append(
                (f"haproxy_{key}", f"is given, but haproxy_tls is {kind}, and {why}; write haproxy_tls: {instead}, or leave it out")
            )
    verify = str(value(model, "client_verify"))
    if verify != "none" and kind not in TERMINATING:
        found.append(
            (
                "haproxy_client_verify",
                f"is {verify}, but haproxy_tls is {kind}, and client certificates are asked for where TLS ends;"
                f" write haproxy_tls: {ends}, or leave it out",
            )
        )
    return found


def _replaced(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Find options that do nothing because a section of the user's has taken the place of the one that they shape."""
    found = []
    shaping = {
        "http": ("tls_enforce", "acme_servers"),
        "https": ("tls_http3", "tls_compression", "hsts", "client_verify", "passthrough_services", "tls_crt"),
    }
    for index, section in enumerate(map(as_dict, as_list(model.get("frontends")))):
        for key in shaping.get(str(section.get("name")), ()):
            given = model.get(key)
            if not empty(given) and truth(given) is not False and given != "none":
                found.append(
                    (
                        f"haproxy_{key}",
                        f"does nothing, since haproxy_frontends[{index}] takes the place of the ready-made frontend {section['name']!r};"
                        f" write the rules there, or leave {f'haproxy_{key}'} out",
                    )
                )
    return found


def _terminating(model: Mapping[str, Any], kind: str, node: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    own = {str(as_dict(section).get("name")) for section in as_list(model.get("frontends"))}
    if not certificates(model) and "https" not in own:
        found.append(
            (
                "haproxy_tls",
                f"{kind!r} needs a certificate for the clients, and there is none; give haproxy_certificates (for all roles: lb_certificates),"
                " or have the site playbook make one for a lab or an intranet: lb_ca_directory",
            )
        )
    found += _names(model)
    verify, authority = str(value(model, "client_verify")), model.get("client_ca_file")
    if verify not in ("none", "optional", "required"):
        found.append(("haproxy_client_verify", f"{verify!r} is neither none, optional nor required"))
    elif verify != "none" and empty(authority):
        found.append(
            (
                "haproxy_client_ca_file",
                f"is missing, but haproxy_client_verify is {verify}; name the authority that signs the clients' certificates",
            )
        )
    elif verify == "none":
        found += [
            (f"haproxy_{key}", "is given, but haproxy_client_verify is none; write optional or required there, or leave it out")
            for key in ("client_ca_file", "client_crl_file")
            if not empty(model.get(key))
        ]
    if truth(model.get("tls_http3")):
        known, _limited, which = quic(node)
        if not known:
            found.append(
                (
                    "haproxy_tls_http3",
                    f"{which} has no QUIC (see haproxy -vv); leave HTTP/3 off, or use a HAProxy that has it, such as Debian 13's",
                )
            )
    if kind == "reencrypt":
        found += _reencrypting(model)
    return found


def _names(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Find names of certificates, authorities and lists that nothing has."""
    used = [(f"haproxy_tls_crt[{index}]", "crt", name) for index, name in enumerate(as_list(model.get("tls_crt")))]
    if str(value(model, "client_verify")) != "none":
        used += [
            ("haproxy_client_ca_file", "ca_file", model.get("client_ca_file")),
            ("haproxy_client_crl_file", "crl_file", model.get("client_crl_file")),
        ]
    if variant(model) == "reencrypt":
        used += [
            ("haproxy_reencrypt_ca_file", "ca_file", value(model, "reencrypt_ca_file")),
            ("haproxy_reencrypt_crt", "crt", value(model, "reencrypt_crt")),
        ]
    tls = tls_of(model)
    return [(path, tls.unknown(key, name)) for path, key, name in used if not empty(name) and tls.missing(key, name)]


def _reencrypting(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for index, server in enumerate(map(as_dict, as_list(model.get("servers")))):
        name = server.get("verifyhost") or value(model, "reencrypt_name") or server.get("name", "")
        if _is_address(str(name)):
            found.append(
                (
                    f"haproxy_servers[{index}].name",
                    f"{name!r} is an address, and HAProxy verifies names only; give the server the name that is in its certificate,"
                    " as name or verifyhost",
                )
            )
    if empty(value(model, "reencrypt_ca_file")) and any(empty(as_dict(server).get("ca_file")) for server in as_list(model.get("servers"))):
        found.append(
            (
                "haproxy_reencrypt_ca_file",
                "is missing, but 'reencrypt' verifies the servers; name the authority that signed their certificates,"
                " or have the site playbook make them for a lab or an intranet: lb_ca_directory",
            )
        )
    return found


def _services(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    taken: dict[str, str] = {}
    for index, service in enumerate(map(as_dict, as_list(model.get("passthrough_services")))):
        where = f"haproxy_passthrough_services[{index}]"
        if empty(service.get("sni")):
            found.append((f"{where}.sni", "is empty, so no client would get there; list the names that clients ask for"))
        for number, name in enumerate(map(str, as_list(service.get("sni")))):
            path = f"{where}.sni[{number}]"
            if not SERVER_NAME.fullmatch(name):
                found.append((path, f"{name!r} is no name that a client asks for; write for example shop.example.com or *.example.com"))
            if name.lower() in taken:
                found.append((path, f"{name!r} belongs to {taken[name.lower()]} already; a name leads to one service"))
            taken.setdefault(name.lower(), where)
    return found


def _ports(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    taken: dict[str, int] = {}
    for key in ("passthrough_port", "reencrypt_port"):
        if not _is_port(value(model, key)):
            found.append((f"haproxy_{key}", f"{value(model, key)!r} is no port; write one from 1 to 65535"))
    for index, pair in enumerate(map(as_dict, as_list(model.get("public_ports")))):
        for key in ("http", "https"):
            if not _is_port(pair.get(key)):
                found.append((f"haproxy_public_ports[{index}].{key}", f"{pair.get(key)!r} is no port; write one from 1 to 65535"))
        if str(pair.get("http")) in taken:
            other = f"haproxy_public_ports[{taken[str(pair.get('http'))]}]"
            found.append((f"haproxy_public_ports[{index}].http", f"{pair.get('http')} is that of {other}, too; keep one of them"))
        taken.setdefault(str(pair.get("http")), index)
    hsts = as_dict(model.get("hsts"))
    age = hsts.get("max_age", 63072000)
    if not empty(model.get("hsts")) and (isinstance(age, bool) or not re.fullmatch(r"[0-9]{1,10}", str(age))):
        found.append(("haproxy_hsts.max_age", f"{age!r} is no number of seconds; write for example 63072000 (two years)"))
    if truth(hsts.get("preload")) and not truth(hsts.get("include_subdomains")):
        found.append(("haproxy_hsts.preload", "is refused by browsers' lists without include_subdomains; write that, too, or leave it out"))
    return found


def _is_port(port: Any) -> bool:
    return not isinstance(port, bool) and re.fullmatch(r"[0-9]{1,5}", str(port)) is not None and 1 <= int(port) <= 65535
