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

from ansible_collections.hitless.lb.plugins.plugin_utils._certificates import Pair, PairError, read_pair
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
WAYS = ("root", "alias", "return", "proxy_pass")
PROXY_HEADERS = (
    "proxy_http_version 1.1;",
    'proxy_set_header Connection "";',
    "proxy_set_header Host $http_host;",
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
)
# Mozilla, server side TLS 5.7; without the key exchange by finite fields, which needs parameters of its own.
TLS_PROFILES = {
    "intermediate": (
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;",
    ),
    "modern": ("ssl_protocols TLSv1.3;",),
}
TLS_COMMON = (
    "ssl_ecdh_curve X25519:prime256v1:secp384r1;",
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


def listener_findings(options: Mapping[str, Any], node: Mapping[str, Any], findings: Findings) -> None:
    """Check where the site listens, also against who listens already."""
    own = {entry["address"] for link in node.get("interfaces", []) for entry in link["addresses"]}
    seen: dict[tuple[str, int], str] = {}
    kinds: dict[int, tuple[bool, bool, str]] = {}
    listeners = options["nginx_web_listeners"]
    if not listeners:
        findings.add("nginx_web_listeners", "there are none", "list at least one, for example {port: 80}")
    for number, listener in enumerate(listeners):
        where = f"nginx_web_listeners[{number}]"
        port, address = listener["port"], listener.get("address") or ""
        if not 1 <= port <= 65535:
            findings.add(f"{where}.port", f"{port} isn't a port", "write 1 to 65535")
            continue
        if address and not address_findings(f"{where}.address", address, own, node, findings):
            continue
        if (address, port) in seen:
            findings.add(where, f"{seen[address, port]} listens on the same address and port {port}", "keep one of them")
        seen.setdefault((address, port), where)
        kind = (listener["tls"], listener["proxy_protocol"], where)
        if port in kinds and kinds[port][:2] != kind[:2]:
            findings.add(
                where, f"port {port} differs in tls or proxy_protocol from {kinds[port][2]}", "use another port, or the same settings"
            )
        kinds.setdefault(port, kind)
        holder_findings(where, port, address or "0.0.0.0", node, findings)
    if any(listener["proxy_protocol"] for listener in listeners) and not options.get("nginx_web_trusted_proxies", ["?"]):
        findings.add(
            "nginx_web_trusted_proxies",
            "it is empty, but a listener expects the PROXY protocol",
            "list the addresses of the load balancers, which alone are believed",
        )


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
    for listener in options["nginx_web_listeners"]:
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
    groups: dict[tuple[bool, bool], list[str]] = {}
    for listener in options["nginx_web_listeners"]:
        kind = (listener["tls"], listener["proxy_protocol"])
        groups.setdefault(kind, []).extend(listen_lines(listener, bool(node.get("ipv6")), http2_word))
    result = []
    for (tls, proxy_protocol), lines in groups.items():
        blocks = [lines]
        if tls:
            blocks.append(tls_lines(options, certificate, http2=options["nginx_web_http2"] and not http2_word))
        if options["nginx_web_trusted_proxies"]:
            header = ["real_ip_header proxy_protocol;"] if proxy_protocol else ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
            blocks.append([f"set_real_ip_from {network};" for network in options["nginx_web_trusted_proxies"]] + header)
        result.append({"blocks": blocks})
    return result


def tls_lines(options: Mapping[str, Any], certificate: Mapping[str, Any], http2: bool) -> list[str]:
    """Certificate, protocols and ciphers."""
    lines = ["http2 on;"] if http2 else []
    if certificate["since"]:
        lines.append(f"# The certificate of {certificate['since']}")
    lines += [f"ssl_certificate {quoted(certificate['certificate'])};", f"ssl_certificate_key {quoted(certificate['key'])};"]
    lines += [*TLS_PROFILES[options["nginx_web_tls_profile"]], *TLS_COMMON]
    return lines if options["nginx_web_tls_gzip"] else [*lines, "gzip off;"]


# Certificates


def certificate_kind(options: Mapping[str, Any]) -> str:
    """Where the certificate comes from."""
    if not any(listener["tls"] for listener in options.get("nginx_web_listeners", [])):
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


def fingerprint(*texts: str) -> str:
    """A short name for some texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def certificate_findings(options: Mapping[str, Any], node: Mapping[str, Any], now: float, findings: Findings) -> None:
    """Check the certificate that was given, or how one is to be made."""
    texts = {name: options[f"nginx_web_tls_{name}"] for name in ("certificate", "key", "certificate_content", "key_content")}
    given = [f"nginx_web_tls_{name}" for name, value in texts.items() if value]
    if certificate_kind(options) == "none":
        if given:
            findings.add(given[0], "it is given, but no listener speaks TLS", "add tls: true to a listener, or leave it out")
        return
    if (texts["certificate"] or texts["key"]) and (texts["certificate_content"] or texts["key_content"]):
        findings.add(given[0], f"it is given together with {given[-1]}", "give either paths on the node or the content")
        return
    for one, other in (
        ("certificate", "key"),
        ("key", "certificate"),
        ("certificate_content", "key_content"),
        ("key_content", "certificate_content"),
    ):
        if texts[one] and not texts[other]:
            findings.add(
                f"nginx_web_tls_{other}",
                f"it is missing, but nginx_web_tls_{one} is given",
                "give both, or none for a self-signed certificate",
            )
    for name in ("certificate", "key"):
        where = f"nginx_web_tls_{name}"
        found = node.get("certificates", {}).get(texts[name], {"exists": True})
        if texts[name] and absolute_path(where, texts[name], findings, "/etc/ssl/private/www.example.com.pem") and not found["exists"]:
            findings.add(where, f"there is no {texts[name]} on this host", f"put it there first, or give its text as {where}_content")
    if texts["certificate_content"] and texts["key_content"]:
        content_findings(read_or_note(texts["certificate_content"], texts["key_content"], findings), now, findings)
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


def read_or_note(certificate: str, key: str, findings: Findings) -> Pair | None:
    """Read certificate and key; what can't be read is a finding."""
    try:
        return read_pair(certificate, key)
    except PairError as error:
        findings.add(f"nginx_web_tls_{error.what}_content", error.found, error.instead)
        return None


def content_findings(pair: Pair | None, now: float, findings: Findings) -> None:
    """Check that certificate and key belong together and are in date."""
    if pair is None:
        return
    if not pair.match:
        findings.add(
            "nginx_web_tls_key_content",
            "it isn't the key of nginx_web_tls_certificate_content",
            "give the key that the certificate was made for",
        )
    if not pair.ordered:
        findings.add(
            "nginx_web_tls_certificate_content",
            "its certificates aren't in order",
            "put the site's own certificate first and behind each the one that signed it",
        )
    if now >= pair.not_after:
        findings.add(
            "nginx_web_tls_certificate_content", f"the certificate expired on {day_of(pair.not_after)}", "give one that is in date"
        )
    elif now < pair.not_before:
        findings.add(
            "nginx_web_tls_certificate_content", f"the certificate isn't valid before {day_of(pair.not_before)}", "give one that is in date"
        )


def day_of(moment: float) -> str:
    """A day in UTC."""
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%d")


def needs_making(found: Mapping[str, Any], days: int, renew: int, now: float) -> bool:
    """Whether a self-signed certificate has to be made: it is missing, soon to expire, or not as it was made.

    The role gives it the time of its day's midnight. Another time means that somebody else has written it.
    """
    if not found.get("exists"):
        return True
    made = int(found["mtime"])
    return made % DAY != 0 or made > now or now >= made + (days - renew) * DAY


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
        result["since"] = datetime.fromtimestamp(found["mtime"], tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
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
    for listener in options["nginx_web_listeners"]:
        address = listener.get("address") or "127.0.0.1"
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
        place = f"[{address}]:{listener['port']}" if ":" in address else f"{address}:{listener['port']}"
        if listener["proxy_protocol"]:
            tests.append({"tcp": place})
        else:
            site = f"{'https' if listener['tls'] else 'http'}://{place}"
            tests.append({"http": f"{site}{DIGEST_PATH}", "expect": "@HITLESS_DIGEST@", "running": True})
            tests.append({"http": f"{site}{options['nginx_web_health_path']}", "expect": re.escape(greeting_of(hostname))})
    return tests


def looked_for(variables: Mapping[str, Any], spec: Mapping[str, Any], own: Sequence[str]) -> list[str]:
    """Paths of certificates and keys to look for on the node; none while the variables can't be read."""
    options = typed(variables, spec, Findings())
    return [path for path in dict.fromkeys(certificate_paths(options, own)) if path.startswith("/")]


def plan(
    variables: Mapping[str, Any], spec: Mapping[str, Any], node: Mapping[str, Any], own: Sequence[str], now: float | None = None
) -> dict[str, Any]:
    """Check all of the role's variables and shape them for its templates and tasks."""
    moment = time.time() if now is None else now
    findings = Findings()
    options = typed(variables, spec, findings)
    debian_findings(node, "nginx_web", 12, findings)
    host_name_findings(node, findings)
    if "nginx_web_listeners" in options:
        listener_findings(options, node, findings)
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
        "http_raw": http_raw,
        "locations": locations(options, location_raw, node["hostname"]),
        "probes": probes(options, node["hostname"]),
        "server_raw": server_raw,
        "servers": servers(options, node, certificate),
        "stop_timeout": options["nginx_web_stop_timeout"],
        "variables": shaping(options, spec),
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
