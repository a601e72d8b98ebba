# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role nginx_web's variables, checked and turned into what its templates lay out."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._certificates import Pair, PairError, authorities_problem, day_of, read_pair
from ansible_collections.hitless.lb.plugins.plugin_utils._role_options import (
    Findings,
    absolute_path,
    address_of,
    debian_findings,
    one_line,
    overlap,
    raw_lines,
    shaping,
    typed,
)
from ansible_collections.hitless.lb.plugins.plugin_utils._tls_profiles import nginx_lines

FOLDER = "/etc/nginx-hitless"
# Where the site tells the node itself which set of files it runs.
DIGEST_PATH = "/hitless-digest"
PROGRAM = "nginx"
DAY = 86400
REDIRECTS = (301, 302, 303, 307, 308)
HTTP2_DIRECTIVE = (1, 25, 1)
# What Debian ships, for a first run on a host that doesn't know its archive's packages yet.
SHIPPED = {"bookworm": "1.22.1", "trixie": "1.26.3"}
MODIFIERS = {"prefix": "", "prefix_final": "^~ ", "exact": "= ", "regex": "~ ", "regex_nocase": "~* "}
PARTS = ("certificate", "key", "certificate_content", "key_content")
WAYS = ("root", "alias", "return", "proxy_pass")
PROXY_HEADERS = (
    "proxy_http_version 1.1;",
    'proxy_set_header Connection "";',
    "proxy_set_header Host $http_host;",
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
)
TLS_COMMON = (
    "ssl_prefer_server_ciphers off;",
    "ssl_session_cache shared:hitless:10m;",
    "ssl_session_timeout 1d;",
    "ssl_session_tickets off;",
)
DNS_NAME = re.compile(r"(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
SERVER_NAME = re.compile(r"(\*\.|\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?|_")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
URL_PATH = re.compile(r"/[A-Za-z0-9._~!&'()*+,=:@%/-]*")
MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(; ?charset=[A-Za-z0-9-]+)?")


def is_dns_name(name: str) -> bool:
    """Whether a certificate can be made out to this name."""
    return len(name) <= 253 and DNS_NAME.fullmatch(name) is not None and address_of(name) is None


def quoted(text: str) -> str:
    """A text as one word of nginx's language; variables in it stay variables."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def version_of(text: str | None) -> tuple[int, ...]:
    """The leading numbers of a Debian version such as 1:1.26.3-3+deb13u1."""
    match = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", text or "")
    return tuple(int(part) for part in match.group(1).split(".")) if match else ()


def nginx_version(node: Mapping[str, Any]) -> tuple[int, ...]:
    """The version of nginx that is there or about to be."""
    package = node.get("packages", {}).get("nginx", {})
    known = package.get("installed") or package.get("candidate") or SHIPPED.get(node.get("os", {}).get("codename", ""))
    return version_of(known) or HTTP2_DIRECTIVE


# Listeners


def all_listeners(options: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Every listener, and where a person finds it."""
    return [
        (f"{name}[{number}]", listener)
        for name in ("nginx_web_listeners", "nginx_web_load_balancer_listeners")
        for number, listener in enumerate(options.get(name, []))
    ]


def settings(listener: Mapping[str, Any]) -> dict[str, Any]:
    """What listeners of one port, and so of one ``server``, have in common."""
    return {
        "tls": listener["tls"],
        "proxy_protocol": listener["proxy_protocol"],
        "certificate": listener.get("certificate") or "",
        "verify_client": listener["verify_client"],
        "client_ca": client_ca_path(listener),
        "trusted_only": listener["trusted_only"],
    }


def client_ca_path(listener: Mapping[str, Any]) -> str:
    """Where the authority of the clients' certificates lies on the node."""
    text = listener.get("client_ca_content") or ""
    return f"{FOLDER}/client-ca-{fingerprint(text)}.pem" if text else listener.get("client_ca") or ""


def listener_findings(options: Mapping[str, Any], node: Mapping[str, Any], now: float, findings: Findings) -> None:
    """Check where the site listens, also against who listens already."""
    own = {entry["address"] for link in node.get("interfaces", []) for entry in link["addresses"]}
    seen: dict[tuple[str, int], str] = {}
    kinds: dict[int, tuple[dict[str, Any], str]] = {}
    listeners = all_listeners(options)
    if not listeners:
        findings.add("nginx_web_listeners", "there are none", "list at least one, for example {port: 80}")
    for where, listener in listeners:
        port, address = listener["port"], listener.get("address") or ""
        if not 1 <= port <= 65535:
            findings.add(f"{where}.port", f"{port} isn't a port", "write 1 to 65535")
            continue
        if address and not address_findings(f"{where}.address", address, own, node, findings):
            continue
        if (address, port) in seen:
            findings.add(where, f"{seen[address, port]} listens on the same address and port {port}", "keep one of them")
        seen.setdefault((address, port), where)
        kind = settings(listener)
        other, there = kinds.setdefault(port, (kind, where))
        differing = [key for key in kind if kind[key] != other[key]]
        if differing:
            findings.add(where, f"port {port} differs in {' and '.join(differing)} from {there}", "use another port, or the same settings")
        tls_findings(where, listener, options, node, now, findings)
        holder_findings(where, port, address or "0.0.0.0", node, findings)
    if any(listener["trusted_only"] for _where, listener in listeners) and not options.get("nginx_web_trusted_proxies", ["?"]):
        findings.add(
            "nginx_web_trusted_proxies",
            "it is empty, but a listener is for trusted proxies only",
            "list the addresses of the load balancers, or leave trusted_only out",
        )
    if any(listener["proxy_protocol"] for _where, listener in listeners) and not options.get("nginx_web_trusted_proxies", ["?"]):
        findings.add(
            "nginx_web_trusted_proxies",
            "it is empty, but a listener expects the PROXY protocol",
            "list the addresses of the load balancers, which alone are believed",
        )


def tls_findings(
    where: str, listener: Mapping[str, Any], options: Mapping[str, Any], node: Mapping[str, Any], now: float, findings: Findings
) -> None:
    """Check what a listener says of certificates."""
    name, verify = listener.get("certificate") or "", listener["verify_client"]
    path, text = listener.get("client_ca") or "", listener.get("client_ca_content") or ""
    known = [certificate["name"] for certificate in options.get("nginx_web_certificates", [])]
    if not listener["tls"]:
        for key in ("certificate", "client_ca", "client_ca_content"):
            if listener.get(key):
                findings.add(f"{where}.{key}", "it is given, but the listener doesn't speak TLS", "add tls: true, or leave it out")
        if verify != "none":
            findings.add(f"{where}.verify_client", f"it is {verify}, but the listener doesn't speak TLS", "add tls: true, or leave it out")
        return
    if name and name not in known:
        there = f"there is {', '.join(known)}" if known else "there is none"
        findings.add(f"{where}.certificate", f"{name!r} isn't the name of one of nginx_web_certificates", f"write one ({there})")
    if path and text:
        findings.add(f"{where}.client_ca", "it is given together with client_ca_content", "give either a path on the node or the content")
    elif verify == "none" and (path or text):
        findings.add(
            f"{where}.client_ca{'' if path else '_content'}", "it is given, but verify_client is none", "write optional or required there"
        )
    elif verify != "none" and not (path or text):
        findings.add(
            f"{where}.client_ca", f"it is missing, but verify_client is {verify}", "name the authority that signs the clients' certificates"
        )
    elif path and absolute_path(f"{where}.client_ca", path, findings, "/etc/ssl/clients-ca.pem"):
        if not node.get("certificates", {}).get(path, {"exists": True})["exists"]:
            findings.add(
                f"{where}.client_ca", f"there is no {path} on this host", "put it there first, or give its text as client_ca_content"
            )
    elif text:
        problem = authorities_problem(text, now)
        if problem:
            findings.add(f"{where}.client_ca_content", *problem)


def address_findings(where: str, address: str, own: set[str], node: Mapping[str, Any], findings: Findings) -> bool:
    """Check the address of a listener."""
    parsed = address_of(address)
    if parsed is None:
        findings.add(
            where, f"{address!r} isn't an IP address", "write one of the node's own, without a prefix or brackets, or leave it out"
        )
        return False
    if parsed.version == 6 and not node.get("ipv6", True):
        findings.add(where, f"this host has no IPv6 for {address}", "leave the listener out, or give the host IPv6")
        return False
    if own and not parsed.is_unspecified and str(parsed) not in own:
        findings.add(where, f"{address} isn't an address of this host", f"write one of {', '.join(sorted(own))}, or leave it out")
        return False
    return True


def holder_findings(where: str, port: int, address: str, node: Mapping[str, Any], findings: Findings) -> None:
    """Refuse a port that another program holds."""
    for listener in node.get("listeners", []):
        if listener["protocol"] != "tcp" or listener["port"] != port or listener["process"] == PROGRAM:
            continue
        if overlap(address, listener["address"]):
            held = f"[{listener['address']}]" if ":" in listener["address"] else listener["address"]
            findings.add(
                f"{where}.port",
                f"{listener['process'] or 'another program'} holds {held}:{port}",
                "stop it, or choose another port",
            )
            return


def listen_lines(listener: Mapping[str, Any], ipv6: bool, http2_word: bool) -> list[str]:
    """The ``listen`` directives of one listener."""
    address = listener.get("address") or ""
    places = [f"[{address}]:" if ":" in address else f"{address}:"] if address else [""] + (["[::]:"] if ipv6 else [])
    words = ["default_server"]
    if listener["tls"]:
        words += ["ssl"] + (["http2"] if http2_word else [])
    if listener["proxy_protocol"]:
        words.append("proxy_protocol")
    return [f"listen {place}{listener['port']} {' '.join(words)};" for place in places]


def way_of_change(options: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    """How nginx takes up a change: it can't go from every address to a single one on the same port, or back, while its old socket is open."""
    wanted: dict[tuple[int, int], bool] = {}
    held: dict[tuple[int, int], bool] = {}
    for _where, listener in all_listeners(options):
        for text in [listener["address"]] if listener.get("address") else ["0.0.0.0", "::"]:
            note_socket(wanted, text, listener["port"])
    for listener in node.get("listeners", []):
        if listener["protocol"] == "tcp" and listener["process"] == PROGRAM:
            note_socket(held, listener["address"], listener["port"])
    return "restart" if any(held[place] != everywhere for place, everywhere in wanted.items() if place in held) else "reload"


def note_socket(sockets: dict[tuple[int, int], bool], text: str, port: int) -> None:
    """Note for a family and port whether there is a socket for every address."""
    address = ipaddress.ip_address(text)
    place = (address.version, port)
    sockets[place] = sockets.get(place, False) or address.is_unspecified


def servers(options: Mapping[str, Any], node: Mapping[str, Any], certificate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One ``server`` for each kind of listener: its directives, without those that all have in common."""
    http2_word = options["nginx_web_http2"] and nginx_version(node) < HTTP2_DIRECTIVE
    groups: dict[tuple[Any, ...], tuple[dict[str, Any], list[str]]] = {}
    for _where, listener in all_listeners(options):
        kind = settings(listener)
        _kind, lines = groups.setdefault(tuple(kind.values()), (kind, []))
        lines.extend(listen_lines(listener, bool(node.get("ipv6")), http2_word))
    given = {entry["name"]: entry for entry in options["nginx_web_certificates"]}
    result = []
    for kind, lines in groups.values():
        blocks = [lines]
        if kind["tls"]:
            own = named_certificate(given[kind["certificate"]], node) if kind["certificate"] else certificate
            blocks.append(tls_lines(options, own, http2=options["nginx_web_http2"] and not http2_word))
        if kind["verify_client"] != "none":
            word = {"required": "on"}.get(kind["verify_client"], kind["verify_client"])
            blocks.append([f"ssl_client_certificate {quoted(kind['client_ca'])};", f"ssl_verify_client {word};", "ssl_verify_depth 3;"])
        if options["nginx_web_trusted_proxies"]:
            header = ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
            if kind["proxy_protocol"]:
                header = ["real_ip_header proxy_protocol;"]
            blocks.append([f"set_real_ip_from {network};" for network in options["nginx_web_trusted_proxies"]] + header)
        if kind["trusted_only"]:
            blocks.append(
                ["# By the address of the connection, whatever a header says", "if ($hitless_trusted = 0) {", "    return 403;", "}"]
            )
        result.append({"blocks": blocks})
    return result


def trusted_lines(options: Mapping[str, Any]) -> list[str]:
    """Who may use a listener that is for trusted proxies only, and the node itself, which looks whether the site answers."""
    own = [listener for _where, listener in all_listeners(options) if listener["trusted_only"]]
    if not own:
        return []
    addresses = [
        listener["address"] for listener in own if listener.get("address") and not ipaddress.ip_address(listener["address"]).is_unspecified
    ]
    known = dict.fromkeys(["127.0.0.0/8", "::1/128", *addresses, *options["nginx_web_trusted_proxies"]])
    return ["geo $realip_remote_addr $hitless_trusted {", "    default 0;", *(f"    {network} 1;" for network in known), "}"]


def tls_lines(options: Mapping[str, Any], certificate: Mapping[str, Any], http2: bool) -> list[str]:
    """Certificate, protocols and ciphers."""
    lines = ["http2 on;"] if http2 else []
    if certificate["since"]:
        lines.append(f"# The certificate of {certificate['since']}")
    lines += [f"ssl_certificate {quoted(certificate['certificate'])};", f"ssl_certificate_key {quoted(certificate['key'])};"]
    lines += [*nginx_lines(options["nginx_web_tls_profile"]), *TLS_COMMON]
    return lines if options["nginx_web_tls_gzip"] else [*lines, "gzip off;"]


# Certificates


def certificate_kind(options: Mapping[str, Any]) -> str:
    """Where the certificate comes from."""
    if not any(listener["tls"] and not listener.get("certificate") for _where, listener in all_listeners(options)):
        return "none"
    if options.get("nginx_web_tls_certificate_content") or options.get("nginx_web_tls_key_content"):
        return "content"
    if options.get("nginx_web_tls_certificate") or options.get("nginx_web_tls_key"):
        return "paths"
    return "self_signed"


def certificate_names(options: Mapping[str, Any], own: Iterable[str]) -> list[str]:
    """Names and addresses that a self-signed certificate is made out to, each once."""
    given = options.get("nginx_web_tls_names", [])
    names = given or [name for name in [*options.get("nginx_web_server_names", []), *own] if address_of(name) or is_dns_name(name)]
    return list(dict.fromkeys(names)) or ["localhost"]


def certificate_paths(options: Mapping[str, Any], own: Iterable[str]) -> tuple[str, str]:
    """Paths of certificate and key on the node; empty without TLS. Names that change with what is in them, so that old and new never mix."""
    kind = certificate_kind(options)
    if kind == "paths":
        return options.get("nginx_web_tls_certificate", ""), options.get("nginx_web_tls_key", "")
    if kind == "content":
        texts = [options.get(f"nginx_web_tls_{name}_content", "") for name in ("certificate", "key")]
        path = f"{FOLDER}/given-{fingerprint(*texts)}.pem"
        return path, path
    if kind == "self_signed":
        path = f"{FOLDER}/self-signed-{fingerprint(*certificate_names(options, own), str(options.get('nginx_web_tls_days', 0)))}.pem"
        return path, path
    return "", ""


def named_path(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Paths of a named certificate and its key on the node."""
    if entry.get("certificate_content") or entry.get("key_content"):
        path = f"{FOLDER}/given-{fingerprint(entry.get('certificate_content') or '', entry.get('key_content') or '')}.pem"
        return path, path
    return entry.get("certificate") or "", entry.get("key") or ""


def named_certificate(entry: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """A named certificate as its listeners use it."""
    path, key = named_path(entry)
    return {
        "certificate": path,
        "key": key,
        "since": "" if entry.get("certificate_content") else read_since(node.get("certificates", {}).get(path, {})),
    }


def read_since(found: Mapping[str, Any]) -> str:
    """When a file was written: a renewed certificate at the same path is a change of the site."""
    return datetime.fromtimestamp(found["mtime"], tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if found.get("exists") else ""


def given_files(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Certificates, keys and authorities that were given as text, as files of the node."""
    pairs = (
        [(options.get("nginx_web_tls_certificate_content"), options.get("nginx_web_tls_key_content"))]
        if certificate_kind(options) == "content"
        else []
    )
    used = {listener.get("certificate") for _where, listener in all_listeners(options) if listener["tls"]}
    pairs += [
        (entry.get("certificate_content"), entry.get("key_content"))
        for entry in options.get("nginx_web_certificates", [])
        if entry["name"] in used
    ]
    files: dict[str, dict[str, Any]] = {}
    for certificate, key in pairs:
        if certificate and key:
            path = f"{FOLDER}/given-{fingerprint(certificate, key)}.pem"
            files[path] = {"path": path, "content": f"{certificate.strip()}\n{key.strip()}\n", "mode": "0600", "sensitive": True}
    for _where, listener in all_listeners(options):
        if listener["tls"] and listener.get("client_ca_content"):
            path = client_ca_path(listener)
            files[path] = {"path": path, "content": f"{listener['client_ca_content'].strip()}\n", "mode": "0644"}
    return list(files.values())


def fingerprint(*texts: str) -> str:
    """A short name for some texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def certificate_findings(options: Mapping[str, Any], node: Mapping[str, Any], now: float, findings: Findings) -> None:
    """Check the certificate that was given, or how one is to be made."""
    texts = {name: options[f"nginx_web_tls_{name}"] for name in PARTS}
    given = [f"nginx_web_tls_{name}" for name, value in texts.items() if value]
    if certificate_kind(options) == "none":
        if given:
            findings.add(given[0], "it is given, but no listener speaks TLS", "add tls: true to a listener, or leave it out")
        return
    if not part_findings(texts, "nginx_web_tls_", ", or none for a self-signed certificate", node, now, findings):
        return
    for number, name in enumerate(options["nginx_web_tls_names"]):
        if address_of(name) is None and not is_dns_name(name):
            findings.add(
                f"nginx_web_tls_names[{number}]", f"{name!r} is neither a host name nor an IP address", "write for example www.example.com"
            )
    days, renew = options["nginx_web_tls_days"], options["nginx_web_tls_renew_days"]
    if not 2 <= days <= 3650:
        findings.add("nginx_web_tls_days", f"{days} days can't be", "write 2 to 3650, for example 397")
    elif not 1 <= renew < days:
        findings.add(
            "nginx_web_tls_renew_days", f"{renew} isn't between 1 and the {days} days of nginx_web_tls_days", "write for example 30"
        )


def part_findings(texts: Mapping[str, str], prefix: str, otherwise: str, node: Mapping[str, Any], now: float, findings: Findings) -> bool:
    """Check the parts of a certificate: paths on the node, or texts. False where it can't be said which are meant."""
    given = [f"{prefix}{name}" for name, value in texts.items() if value]
    if (texts["certificate"] or texts["key"]) and (texts["certificate_content"] or texts["key_content"]):
        findings.add(given[0], f"it is given together with {given[-1]}", "give either paths on the node or the content")
        return False
    for one, other in (
        ("certificate", "key"),
        ("key", "certificate"),
        ("certificate_content", "key_content"),
        ("key_content", "certificate_content"),
    ):
        if texts[one] and not texts[other]:
            findings.add(f"{prefix}{other}", f"it is missing, but {prefix}{one} is given", f"give both{otherwise}")
    for name in ("certificate", "key"):
        where = f"{prefix}{name}"
        found = node.get("certificates", {}).get(texts[name], {"exists": True})
        if texts[name] and absolute_path(where, texts[name], findings, "/etc/ssl/private/www.example.com.pem") and not found["exists"]:
            findings.add(where, f"there is no {texts[name]} on this host", f"put it there first, or give its text as {where}_content")
    if texts["certificate_content"] and texts["key_content"]:
        pair = read_or_note(texts["certificate_content"], texts["key_content"], prefix, findings)
        for what, found_wrong, instead in pair.problems(now) if pair else ():
            findings.add(f"{prefix}{what}_content", found_wrong, instead)
    return True


def named_findings(options: Mapping[str, Any], node: Mapping[str, Any], now: float, findings: Findings) -> None:
    """Check the certificates that listeners call by name."""
    seen: dict[str, str] = {}
    for number, entry in enumerate(options["nginx_web_certificates"]):
        where = f"nginx_web_certificates[{number}]"
        if entry["name"] in seen:
            findings.add(f"{where}.name", f"{entry['name']!r} is the name of {seen[entry['name']]}, too", "give each its own name")
        seen.setdefault(entry["name"], where)
        texts = {name: entry.get(name) or "" for name in PARTS}
        if not any(texts.values()):
            findings.add(where, "it has neither paths nor content", "give certificate and key, or certificate_content and key_content")
        else:
            part_findings(texts, f"{where}.", "", node, now, findings)


def read_or_note(certificate: str, key: str, prefix: str, findings: Findings) -> Pair | None:
    """Read certificate and key; what can't be read is a finding."""
    try:
        return read_pair(certificate, key)
    except PairError as error:
        findings.add(f"{prefix}{error.what}_content", error.found, error.instead)
        return None


def needs_making(found: Mapping[str, Any], days: int, renew: int, now: float) -> bool:
    """Whether a self-signed certificate has to be made: it is missing, soon to expire, or not as it was made.

    The role gives it the time of its day's midnight. Another time means that somebody else has written it.
    """
    if not found.get("exists"):
        return True
    made = int(found["mtime"])
    return made % DAY != 0 or made > now or now >= made + (days - renew) * DAY


def expiry_warnings(options: Mapping[str, Any], now: float) -> list[str]:
    """What somebody should know of the certificates that were given."""
    given = [("nginx_web_tls_", options["nginx_web_tls_certificate_content"], options["nginx_web_tls_key_content"])]
    given = given if certificate_kind(options) == "content" else []
    given += [
        (f"nginx_web_certificates[{number}].", entry["certificate_content"], entry["key_content"])
        for number, entry in enumerate(options["nginx_web_certificates"])
        if entry.get("certificate_content")
    ]
    warnings = ((prefix, read_pair(certificate, key).warning(now)) for prefix, certificate, key in given)
    return [f"{prefix}certificate_content: the certificate {warning}; renew it" for prefix, warning in warnings if warning]


def certificate_plan(options: Mapping[str, Any], node: Mapping[str, Any], own: Sequence[str], now: float) -> dict[str, Any]:
    """What the tasks and templates need to know of the certificate."""
    kind = certificate_kind(options)
    path, key = certificate_paths(options, own)
    result: dict[str, Any] = {
        "kind": kind,
        "certificate": path,
        "key": key,
        "make": False,
        "since": "",
        "made": 0,
        "names": [],
        "content": "",
    }
    found = node.get("certificates", {}).get(path, {})
    if kind == "self_signed":
        names = certificate_names(options, own)
        result["names"] = [f"IP:{name}" if address_of(name) else f"DNS:{name}" for name in names]
        result["common_name"] = names[0][:64]
        result["days"] = options["nginx_web_tls_days"]
        result["make"] = needs_making(found, options["nginx_web_tls_days"], options["nginx_web_tls_renew_days"], now)
        result["made"] = int(now) // DAY * DAY if result["make"] else int(found["mtime"])
        result["since"] = day_of(result["made"])
    elif kind == "paths" and found.get("exists"):
        result["since"] = read_since(found)
    return result


# Locations


def location_findings(options: Mapping[str, Any], findings: Findings) -> None:
    """Check every location and the locations among themselves."""
    seen: dict[tuple[str, str], str] = {}
    health = options.get("nginx_web_health_path")
    for number, location in enumerate(options["nginx_web_locations"]):
        where = f"nginx_web_locations[{number}]"
        path, match = location["path"], location["match"]
        if match in ("regex", "regex_nocase"):
            regex_findings(f"{where}.path", path, findings)
        elif not URL_PATH.fullmatch(path):
            findings.add(
                f"{where}.path", f"{path!r} isn't a path", "write it from the slash on, for example /static/, with %20 for a blank"
            )
        if match == "exact" and path == health:
            findings.add(
                f"{where}.path", f"{path} is the role's own health check", "use another path, or move the check by nginx_web_health_path"
            )
        elif match == "exact" and path == DIGEST_PATH:
            findings.add(f"{where}.path", f"the role itself uses {path}", "use another path")
        # nginx takes the plain and the final form of one path for the same location.
        kind = "prefix" if match == "prefix_final" else match
        if (kind, path) in seen:
            findings.add(where, f"{seen[kind, path]} is the same location", "keep one of them")
        seen.setdefault((kind, path), where)
        way_findings(where, location, findings)


def regex_findings(where: str, pattern: str, findings: Findings) -> None:
    """Check a regular expression as far as it can be done without nginx."""
    if not pattern:
        findings.add(where, "it is empty", r"write a regular expression, for example \.php$")
    elif one_line(where, pattern, findings):
        try:
            re.compile(pattern)
        except re.error as error:
            findings.add(where, f"{pattern!r} isn't a regular expression ({error})", r"write for example \.php$")


def way_findings(where: str, location: Mapping[str, Any], findings: Findings) -> None:
    """Check what a location does."""
    ways = [way for way in WAYS if location.get(way) is not None]
    if len(ways) > 1:
        findings.add(where, f"it has {' and '.join(ways)}", "a location does one thing; keep one of them")
    if not ways and not location["raw"]:
        findings.add(where, "it does nothing", f"give it one of {', '.join(WAYS)}, or raw lines")
    for key in ("root", "alias"):
        if location.get(key) is not None:
            absolute_path(f"{where}.{key}", location[key], findings, "/srv/www")
    if (
        location.get("alias") is not None
        and location["path"].endswith("/") != location["alias"].endswith("/")
        and location["match"].startswith("prefix")
    ):
        findings.add(
            f"{where}.alias",
            f"{location['alias']!r} and {location['path']!r} don't both end with a slash",
            "end both with a slash, or none",
        )
    if location.get("try_files") is not None:
        if "root" not in ways and "alias" not in ways:
            findings.add(f"{where}.try_files", "it needs root or alias", "add one of them, or leave it out")
        if len(location["try_files"]) < 2:
            findings.add(
                f"{where}.try_files", "it needs two entries or more", "end it with what to do when nothing is found, for example =404"
            )
        for item in location["try_files"]:
            if re.search(r"[\s;{}\"'\\]", item) or not item:
                findings.add(f"{where}.try_files", f"{item!r} isn't one word of nginx's language", "write for example $uri")
    answer_findings(where, location, findings)
    target = location.get("proxy_pass")
    if target is not None and not re.fullmatch(r"https?://(unix:/)?[^\s;{}\"'\\]+", target):
        findings.add(f"{where}.proxy_pass", f"{target!r} isn't a URL", "write for example http://127.0.0.1:8000")


def answer_findings(where: str, location: Mapping[str, Any], findings: Findings) -> None:
    """Check a location that answers by itself."""
    code, text = location.get("return"), location.get("text")
    if code is not None and not 200 <= code <= 599:
        findings.add(f"{where}.return", f"{code} isn't a status code of an answer", "write 200 to 599")
    for key in ("text", "content_type"):
        if location.get(key) is not None and code is None:
            findings.add(f"{where}.{key}", "it needs return", "add the status code, for example return: 200")
    if code in REDIRECTS and not text:
        findings.add(
            f"{where}.text", f"it is missing, but return: {code} needs a URL", "write for example https://www.example.com$request_uri"
        )
    elif code in REDIRECTS and text and re.search(r"\s", text):
        findings.add(f"{where}.text", f"{text!r} isn't a URL", "write for example https://www.example.com$request_uri")
    content_type = location.get("content_type")
    if content_type is not None and not MEDIA_TYPE.fullmatch(content_type):
        findings.add(f"{where}.content_type", f"{content_type!r} isn't a media type", "write for example text/plain")


def location_block(location: Mapping[str, Any], raw: Sequence[str]) -> dict[str, Any]:
    """A location as the template lays it out."""
    lines: list[str] = []
    for key in ("root", "alias"):
        if location.get(key) is not None:
            lines.append(f"{key} {quoted(location[key])};")
    if location.get("try_files"):
        lines.append(f"try_files {' '.join(location['try_files'])};")
    if location.get("return") is not None:
        if location.get("content_type"):
            lines.append(f"default_type {quoted(location['content_type'])};")
        lines.append(f"return {location['return']}" + (f" {quoted(location['text'])};" if location.get("text") is not None else ";"))
    if location.get("proxy_pass"):
        lines += [*PROXY_HEADERS, f"proxy_pass {location['proxy_pass']};"]
    path = location["path"]
    regex = location["match"].startswith("regex")
    return {"head": MODIFIERS[location["match"]] + (quoted_regex(path) if regex else path), "lines": [*lines, *raw]}


def quoted_regex(pattern: str) -> str:
    """A regular expression as one quoted word. nginx takes a backslash for itself only in front of a quote or another backslash."""
    escaped = re.sub(r'\\\\|\\"|"', lambda found: '\\"' if found.group().endswith('"') else found.group() * 2, pattern)
    return f'"{escaped}"'


def locations(options: Mapping[str, Any], raw: Sequence[Sequence[str]], hostname: str) -> list[dict[str, Any]]:
    """All locations: the health check, the user's, and document root or greeting where none of them takes ``/``."""
    greeting = ["default_type text/html;", 'add_header Cache-Control "no-store";', f"return 200 {quoted(greeting_of(hostname) + chr(10))};"]
    health = greeting if options["nginx_web_health_log"] else ["access_log off;", *greeting]
    digest = [
        "# Which configuration this process runs, told to the node itself alone",
        "access_log off;",
        "if ($realip_remote_addr != $server_addr) {",
        "    return 404;",
        "}",
        "default_type text/plain;",
        'return 200 "@HITLESS_DIGEST@\\n";',
    ]
    blocks = [{"head": f"= {options['nginx_web_health_path']}", "lines": health}, {"head": f"= {DIGEST_PATH}", "lines": digest}]
    blocks += [location_block(location, lines) for location, lines in zip(options["nginx_web_locations"], raw, strict=True)]
    if any(location["path"] == "/" and location["match"].startswith("prefix") for location in options["nginx_web_locations"]):
        return blocks
    if options["nginx_web_root"]:
        index = [f"index {' '.join(options['nginx_web_index'])};"] if options["nginx_web_index"] else []
        return [*blocks, {"head": "/", "lines": [f"root {quoted(options['nginx_web_root'])};", *index, "try_files $uri $uri/ =404;"]}]
    return [*blocks, {"head": "/", "lines": greeting}]


def greeting_of(hostname: str) -> str:
    """What the site says until it has something of its own to say."""
    return f"<h1>Greeting from {hostname}</h1>"


# Everything else


def brace_findings(where: str, lines: Sequence[str], findings: Findings) -> None:
    """Refuse raw lines that close a block they didn't open: what follows would land in another one."""
    depth = 0
    for line in lines:
        bare = re.sub(r"\"(\\.|[^\"\\])*\"|'(\\.|[^'\\])*'|\$\{\w+\}|\{\d*,?\d*\}", "", line)
        for character in bare.split("#", 1)[0]:
            depth += {"{": 1, "}": -1}.get(character, 0)
            if depth < 0:
                findings.add(where, f"{line.strip()!r} closes a block that isn't opened there", "balance the braces")
                return
    if depth:
        findings.add(where, f"{depth} of its blocks {'is' if depth == 1 else 'are'} not closed", "balance the braces")


def simple_findings(options: Mapping[str, Any], findings: Findings) -> None:
    """Check the options that stand for themselves."""
    for number, name in enumerate(options.get("nginx_web_server_names", [])):
        where = f"nginx_web_server_names[{number}]"
        if name.startswith("~"):
            regex_findings(where, name[1:], findings)
        elif not SERVER_NAME.fullmatch(name):
            findings.add(where, f"{name!r} isn't a server name", "write for example www.example.com, *.example.com or ~^www\\d+\\.")
    if options.get("nginx_web_root"):
        absolute_path("nginx_web_root", options["nginx_web_root"], findings, "/srv/www")
    for number, name in enumerate(options.get("nginx_web_index", [])):
        if not FILE_NAME.fullmatch(name):
            findings.add(f"nginx_web_index[{number}]", f"{name!r} isn't the name of a file", "write for example index.html")
    health = options.get("nginx_web_health_path")
    if health is not None and (not URL_PATH.fullmatch(health) or health in ("/", DIGEST_PATH)):
        findings.add("nginx_web_health_path", f"{health!r} isn't a path of its own", "write for example /healthz")
    for number, network in enumerate(options.get("nginx_web_trusted_proxies", [])):
        if not is_network(network):
            findings.add(
                f"nginx_web_trusted_proxies[{number}]",
                f"{network!r} is neither an IP address nor a network",
                "write for example 192.0.2.11 or 192.0.2.0/24",
            )
    size = options.get("nginx_web_client_max_body_size")
    if size is not None and not re.fullmatch(r"[0-9]+[kKmMgG]?", size):
        findings.add("nginx_web_client_max_body_size", f"{size!r} isn't a size", "write a number with k, m or g behind it, for example 10m")
    for name, low, high, example in (("keepalive_timeout", 1, 86400, 75), ("stop_timeout", 1, 3600, 30)):
        value = options.get(f"nginx_web_{name}")
        if value is not None and not low <= value <= high:
            findings.add(f"nginx_web_{name}", f"{value} seconds can't be", f"write {low} to {high}, for example {example}")


def is_network(text: str) -> bool:
    """Whether a text is an address, or a network with no bits behind its prefix."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def host_name_findings(node: Mapping[str, Any], findings: Findings) -> None:
    """The host's name goes into a page and a quoted text."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+", node.get("hostname", "")):
        findings.add("hostname", f"this host is called {node.get('hostname', '')!r}", "give it a name of letters, digits, dots and dashes")


def probes(options: Mapping[str, Any], hostname: str) -> list[dict[str, Any]]:
    """What tells that the site answers with this configuration."""
    tests: list[dict[str, Any]] = []
    for _where, listener in all_listeners(options):
        address = listener.get("address") or "127.0.0.1"
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
        place = f"[{address}]:{listener['port']}" if ":" in address else f"{address}:{listener['port']}"
        # What only a proxy, or only the owner of a certificate can ask, is there when its port is.
        if listener["proxy_protocol"] or listener["verify_client"] == "required":
            tests.append({"tcp": place})
        else:
            site = f"{'https' if listener['tls'] else 'http'}://{place}"
            tests.append({"http": f"{site}{DIGEST_PATH}", "expect": "@HITLESS_DIGEST@", "running": True})
            tests.append({"http": f"{site}{options['nginx_web_health_path']}", "expect": re.escape(greeting_of(hostname))})
    return tests


def looked_for(variables: Mapping[str, Any], spec: Mapping[str, Any], own: Sequence[str]) -> list[str]:
    """Paths of certificates and keys to look for on the node; none while the variables can't be read."""
    options = typed(variables, spec, Findings())
    paths = list(certificate_paths(options, own))
    for entry in options.get("nginx_web_certificates", []):
        paths += [entry.get("certificate") or "", entry.get("key") or ""]
    paths += [listener.get("client_ca") or "" for _where, listener in all_listeners(options)]
    return [path for path in dict.fromkeys(paths) if path.startswith("/")]


def plan(
    variables: Mapping[str, Any], spec: Mapping[str, Any], node: Mapping[str, Any], own: Sequence[str], now: float | None = None
) -> dict[str, Any]:
    """Check all of the role's variables and shape them for its templates and tasks."""
    moment = time.time() if now is None else now
    findings = Findings()
    options = typed(variables, spec, findings)
    debian_findings(node, "nginx_web", 12, findings)
    host_name_findings(node, findings)
    if {"nginx_web_listeners", "nginx_web_load_balancer_listeners", "nginx_web_certificates"} <= options.keys():
        listener_findings(options, node, moment, findings)
        named_findings(options, node, moment, findings)
    simple_findings(options, findings)
    tls_options = [name for name in spec if name.startswith("nginx_web_tls_")]
    if {"nginx_web_listeners", *tls_options} <= options.keys():
        certificate_findings(options, node, moment, findings)
    location_raw: list[list[str]] = []
    if "nginx_web_locations" in options:
        location_findings(options, findings)
        for number, location in enumerate(options["nginx_web_locations"]):
            location_raw.append(checked_raw(f"nginx_web_locations[{number}].raw", location["raw"], findings))
    server_raw = checked_raw("nginx_web_server_raw", options.get("nginx_web_server_raw", []), findings)
    http_raw = checked_raw("nginx_web_http_raw", options.get("nginx_web_http_raw", []), findings)
    findings.stop()
    certificate = certificate_plan(options, node, own, moment)
    return {
        "action": way_of_change(options, node),
        "certificate": certificate,
        "common": common_lines(options),
        "http": trusted_lines(options),
        "http_raw": http_raw,
        "locations": locations(options, location_raw, node["hostname"]),
        "probes": probes(options, node["hostname"]),
        "server_raw": server_raw,
        "servers": servers(options, node, certificate),
        "stop_timeout": options["nginx_web_stop_timeout"],
        "variables": shaping(options, spec),
        "warnings": expiry_warnings(options, moment),
    }


def checked_raw(where: str, items: Iterable[str], findings: Findings) -> list[str]:
    """Raw lines of nginx's language."""
    lines = raw_lines(where, items, findings)
    brace_findings(where, lines, findings)
    return lines


def common_lines(options: Mapping[str, Any]) -> list[str]:
    """What every ``server`` of the site has."""
    names = " ".join(quoted_regex(name) if name.startswith("~") else name for name in options["nginx_web_server_names"])
    return [
        f"server_name {names or '_'};",
        "server_tokens off;",
        f"keepalive_timeout {options['nginx_web_keepalive_timeout']};",
        "keepalive_requests 10000;",
        f"client_max_body_size {options['nginx_web_client_max_body_size']};",
    ]
