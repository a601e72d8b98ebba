# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: certificates and what belongs to them, in HAProxy's data model. Not for use outside of this collection.

A name in ``crt``, ``crt_list``, ``ca_file`` or ``crl_file`` becomes the path of a file that the role writes. The paths never
change, so that the running HAProxy can be told the new content of one (see ``certificate_file``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._certificates import (
    Pair,
    PairError,
    authorities_problem,
    covers,
    parameters_problem,
    read_pair,
    revocations_problem,
    split_pem,
)
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_values import as_dict, as_list, nearest
from ansible_collections.hitless.lb.plugins.plugin_utils._tls_profiles import PROFILES, haproxy_settings

ADMIN_SOCKET = "/run/haproxy/admin.sock"
CERTIFICATE_DIRECTORY = "/etc/haproxy/certs"
CA_DIRECTORY = "/etc/haproxy/ca"
CRL_DIRECTORY = "/etc/haproxy/crl"
LIST_DIRECTORY = "/etc/haproxy/crt-lists"
DH_PATH = "/etc/haproxy/dhparams.pem"
EXPIRY_MAP = "/etc/haproxy/certificates.map"
EXPIRY_TEXT = "/etc/haproxy/certificates.metrics"
METRICS_PATH = "/metrics/certificates"
# HAProxy's own size of a buffer (tune.bufsize), and what of it is needed otherwise.
BUFFER = 16384
RESERVE = 2048

# What a text in PEM is called in an entry, and the path on the controller in its place.
PARTS = {"pem": "pem_src", "certificate": "certificate_src", "key": "key_src", "chain": "chain_src"}
# Keys of the model whose texts have line breaks, or come from files.
TEXTS = {"certificates": (*PARTS, "passphrase"), "ca_files": ("content",), "crl_files": ("content",), "dh_parameters": ("content",)}
CALLED = {"certificates": "certificate", "crt_lists": "crt-list", "ca_files": "CA file", "crl_files": "revocation list"}
NAMED = {
    "crt": "certificates",
    "default_crt": "certificates",
    "crt_list": "crt_lists",
    "ca_file": "ca_files",
    "ca_verify_file": "ca_files",
    "crl_file": "crl_files",
}
# Keys that HAProxy looks up in a folder of its own where one is given.
_BASED = {"crt_base": ("crt", "default_crt", "crt_list"), "ca_base": ("ca_file", "ca_verify_file", "crl_file")}
# The keys of an entry of a crt-list, and HAProxy's words for them, in the order in which they are written.
LIST_OPTIONS = {
    "alpn": "alpn",
    "verify": "verify",
    "ca_file": "ca-file",
    "crl_file": "crl-file",
    "ssl_min_ver": "ssl-min-ver",
    "ssl_max_ver": "ssl-max-ver",
    "ciphers": "ciphers",
    "ciphersuites": "ciphersuites",
    "curves": "curves",
}

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FILTER = re.compile(r"!?(\*\.?)?[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_OLD = ("SSLv3", "TLSv1.0", "TLSv1.1")
_OLD_WORDS = re.compile(
    r"(?<![\w-])(?:ssl-(?:min|max)-ver\s+(?:SSLv3|TLSv1\.[01])|force-(?:sslv3|tlsv10|tlsv11)|no-tlsv12)(?![\w.-])", re.IGNORECASE
)
_SERVED = ("global", "defaults", "named_defaults", "frontends", "backends", "listen", "servers", "peers", "raw", "crt_lists")

Add = Callable[[str, str], None]


def _entries(model: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [as_dict(entry) for entry in as_list(model.get(key))]


def _names(model: Mapping[str, Any], key: str) -> list[str]:
    return [str(entry.get("name", "")) for entry in _entries(model, key)]


def path_of(kind: str, name: str) -> str:
    """Where the role writes what has a name."""
    folder, ending = {
        "certificates": (CERTIFICATE_DIRECTORY, "pem"),
        "ca_files": (CA_DIRECTORY, "pem"),
        "crl_files": (CRL_DIRECTORY, "pem"),
        "crt_lists": (LIST_DIRECTORY, "list"),
    }[kind]
    return f"{folder}/{name}.{ending}"


@dataclass(frozen=True)
class Tls:
    """Which names there are, and where a name without a path leads otherwise."""

    known: Mapping[str, frozenset[str]]
    based: frozenset[str]

    def place(self, key: str, value: Any) -> Any:
        """Turn a name into the path of its file; anything else stays as it is."""
        kind = NAMED[key]
        return path_of(kind, str(value)) if str(value) in self.known[kind] else value

    def placed(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Turn the names on a bind or server line into paths."""
        result = dict(data)
        for key in NAMED:
            value = result.get(key)
            if isinstance(value, (list, tuple)):
                result[key] = [self.place(key, item) for item in value]
            elif value is not None:
                result[key] = self.place(key, value)
        return result

    def missing(self, key: str, value: Any) -> bool:
        """Tell whether a name leads nowhere."""
        text = str(value)
        return bool(text) and "/" not in text and not text.startswith("@") and text not in self.known[NAMED[key]] and key not in self.based

    def unknown(self, key: str, value: Any) -> str:
        """Say that a name leads nowhere, and what there is."""
        kind, name = NAMED[key], str(value)
        return f"there is no {CALLED[kind]} {name!r} in haproxy_{kind}; {nearest(name, self.known[kind])} (a file is written with its path)"


def tls_of(model: Mapping[str, Any]) -> Tls:
    """List the names that a model defines."""
    global_ = as_dict(model.get("global"))
    based = {key for base, keys in _BASED.items() if global_.get(base) for key in keys}
    return Tls({kind: frozenset(_names(model, kind)) for kind in CALLED}, frozenset(based))


def profile_settings(model: Mapping[str, Any]) -> dict[str, str]:
    """What the profile and the parameters put into ``global``."""
    profile = str(model.get("tls_profile") or "intermediate")
    parameters = bool(as_dict(model.get("dh_parameters")))
    settings = haproxy_settings(profile if profile in PROFILES else "intermediate", parameters)
    return settings | ({"ssl_dh_param_file": DH_PATH} if parameters else {})


# --- Texts -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A text of an entry: where it comes from, what it is, or why it couldn't be read."""

    where: str
    text: str
    problem: str = ""


def text_of(model: Mapping[str, Any], entry: Mapping[str, Any], key: str, source: str, path: str) -> Text | None:
    """Find a text that is given itself or as a file on the controller; none when it isn't given."""
    if entry.get(source):
        found = as_dict(as_dict(model.get("controller_texts")).get(str(entry[source])))
        problem = str(found.get("problem", "it wasn't read"))
        return Text(f"{path}.{source}", str(found.get("text", "")), f"{entry[source]!r}: {problem}" if problem else "")
    if entry.get(key):
        return Text(f"{path}.{key}", str(entry[key]))
    return None


class Refused(Exception):
    """An entry that can't be used: where and why."""

    def __init__(self, where: str, text: str) -> None:
        super().__init__(f"{where}: {text}")
        self.where = where
        self.text = text


@dataclass(frozen=True)
class Certificate:
    """An entry of haproxy_certificates, read."""

    name: str
    path: str
    pair: Pair
    places: Mapping[str, str]


def read_certificate(model: Mapping[str, Any], entry: Mapping[str, Any], path: str) -> Certificate:
    """Read an entry of haproxy_certificates.

    :raises Refused: it isn't whole, or can't be read.
    """
    given = [key for names in PARTS.items() for key in names if entry.get(key)]
    for part, source in PARTS.items():
        if part in given and source in given:
            raise Refused(f"{path}.{part}", f"is given together with {source}; give one of the two")
    texts = {part: text_of(model, entry, part, source, path) for part, source in PARTS.items()}
    whole, certificate, key, chain = (texts[part] for part in PARTS)
    if whole and (certificate or key or chain):
        raise Refused(
            whole.where, f"is given together with {next(one for one in given if not one.startswith('pem'))}; it has everything already"
        )
    for text in filter(None, texts.values()):
        if text.problem:
            raise Refused(text.where, text.problem)
    if whole:
        certificates, rest = split_pem(whole.text)
        for what, found in (("certificate", certificates), ("private key", rest if "PRIVATE KEY-----" in rest else "")):
            if not found:
                raise Refused(whole.where, f"has no {what}; write certificate, chain and private key one after the other, in PEM")
        places = {"certificate": whole.where, "key": whole.where}
    elif certificate and key:
        certificates, rest = "\n".join(text.text for text in (certificate, chain) if text), key.text
        places = {"certificate": certificate.where, "key": key.where}
    else:
        raise Refused(
            path,
            "isn't whole; give pem, or certificate and key (and chain), each as text or with _src behind it as a path on the controller",
        )
    places["names"] = f"{path}.names"
    passphrase = str(entry.get("passphrase") or "")
    try:
        pair = read_pair(certificates, rest, passphrase)
    except PairError as error:
        where, instead = places[error.what], error.instead
        if "passphrase" in error.found:
            instead = "give it as passphrase" if not passphrase else instead
            where = f"{path}.passphrase"
        raise Refused(where, f"{error.found}; {instead}") from None
    return Certificate(str(entry.get("name", "")), path, pair, places)


def read_certificates(model: Mapping[str, Any]) -> Iterator[Certificate | Refused]:
    """Read all certificates, or say why one can't be."""
    for index, entry in enumerate(_entries(model, "certificates")):
        try:
            yield read_certificate(model, entry, f"haproxy_certificates[{index}]")
        except Refused as refused:
            yield refused


# --- Checks ------------------------------------------------------------------------------------------------------------------------


def check_files(tls: Tls, data: Mapping[str, Any], path: str, add: Add) -> None:
    """Refuse names that lead nowhere on one bind, server or crt-list line."""
    for key in NAMED:
        value = data.get(key)
        for index, one in enumerate(as_list(value)):
            if tls.missing(key, one):
                place = f"{path}.{key}[{index}]" if isinstance(value, (list, tuple)) else f"{path}.{key}"
                add(place, tls.unknown(key, one))
    if data.get("crl_file") and not data.get("ca_file"):
        add(f"{path}.crl_file", "has no ca_file beside it, so nothing would be verified; write ca_file, too")


def server_lines(model: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List everything that is written like a server line, with its path in the variables."""
    yield "haproxy_defaults.default_server", as_dict(as_dict(model.get("defaults")).get("default_server"))
    for index, server in enumerate(_entries(model, "servers")):
        yield f"haproxy_servers[{index}]", server
    for key in ("named_defaults", "backends", "listen", "peers"):
        for number, section in enumerate(_entries(model, key)):
            yield f"haproxy_{key}[{number}].default_server", as_dict(section.get("default_server"))
            for kind in ("server", "server_template", "peer"):
                for index, server in enumerate(map(as_dict, as_list(section.get(kind)))):
                    yield f"haproxy_{key}[{number}].{kind}[{index}]", server


def bind_lines(model: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the bind lines with their paths in the variables."""
    for key in ("frontends", "listen", "peers"):
        for number, section in enumerate(_entries(model, key)):
            for index, bind in enumerate(map(as_dict, as_list(section.get("bind")))):
                yield f"haproxy_{key}[{number}].bind[{index}]", bind
    for index, bind in enumerate(map(as_dict, as_list(as_dict(model.get("stats")).get("bind")))):
        yield f"haproxy_stats_bind[{index}]", bind


def list_lines(model: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the entries of the crt-lists with their paths in the variables."""
    for number, one in enumerate(_entries(model, "crt_lists")):
        for index, entry in enumerate(map(as_dict, as_list(one.get("entries")))):
            yield f"haproxy_crt_lists[{number}].entries[{index}]", entry


def check_tls(model: Mapping[str, Any], now: float, add: Add) -> None:
    """Find everything that is wrong with certificates and what belongs to them."""
    profile = model.get("tls_profile") or "intermediate"
    if profile not in PROFILES:
        add("haproxy_tls_profile", f"{profile!r} is no profile; write {' or '.join(map(repr, PROFILES))}")
    for kind, what in CALLED.items():
        seen: set[str] = set()
        for index, name in enumerate(_names(model, kind)):
            if not _NAME.fullmatch(name):
                add(f"haproxy_{kind}[{index}].name", f"{name!r} is no name; use letters, digits and _ . -")
            if name in seen:
                add(f"haproxy_{kind}[{index}].name", f"{name!r} is used twice; give every {what} its own name")
            seen.add(name)
    read: dict[str, Certificate] = {}
    for entry, certificate in zip(_entries(model, "certificates"), read_certificates(model), strict=True):
        if isinstance(certificate, Refused):
            add(certificate.where, certificate.text)
            continue
        read[certificate.name] = certificate
        for what, found, instead in certificate.pair.problems(now, map(str, as_list(entry.get("names")))):
            add(certificate.places[what], f"{found}; {instead}")
    if has_expiry_metrics(model):
        _check_room(model, add)
    _check_authorities(model, now, add)
    _check_lists(model, read, add)
    tls = tls_of(model)
    for path, line in [*bind_lines(model), *server_lines(model), *list_lines(model)]:
        check_files(tls, line, path, add)
    if model.get("tls_legacy") is not True:
        for key in _SERVED:
            check_old(model.get(key), f"haproxy_{key}", key == "raw", add)
        check_old(as_dict(model.get("stats")).get("bind"), "haproxy_stats_bind", False, add)


def _check_authorities(model: Mapping[str, Any], now: float, add: Add) -> None:
    def read(kind: str) -> Iterator[tuple[str, Text]]:
        for index, entry in enumerate(_entries(model, kind)):
            path = f"haproxy_{kind}[{index}]"
            if entry.get("content") and entry.get("src"):
                add(f"{path}.content", "is given together with src; give one of the two")
                continue
            text = text_of(model, entry, "content", "src", path)
            if text is None:
                add(path, "has neither content nor src; give the text, or a path on the controller")
            elif text.problem:
                add(text.where, text.problem)
            else:
                yield str(entry.get("name", "")), text

    authorities = dict(read("ca_files"))
    bad = set()
    for name, text in authorities.items():
        problem = authorities_problem(text.text, now)
        if problem:
            bad.add(name)
            add(text.where, "; ".join(problem))
    used: dict[str, set[str]] = {}
    for _path, line in [*bind_lines(model), *server_lines(model), *list_lines(model)]:
        if line.get("crl_file") and str(line.get("ca_file")) in authorities.keys() - bad:
            used.setdefault(str(line["crl_file"]), set()).add(str(line["ca_file"]))
    for name, text in read("crl_files"):
        for ca in sorted(used.get(name, ())) or [""]:
            problem = revocations_problem(text.text, now, authorities[ca].text if ca else "")
            if problem:
                add(text.where, "; ".join(problem))
                break
    parameters = as_dict(model.get("dh_parameters"))
    if parameters:
        if parameters.get("content") and parameters.get("src"):
            add("haproxy_dh_parameters.content", "is given together with src; give one of the two")
            return
        if as_dict(model.get("global")).get("ssl_dh_param_file"):
            add("haproxy_dh_parameters", "is given together with haproxy_global.ssl_dh_param_file; give one of the two")
        found = text_of(model, parameters, "content", "src", "haproxy_dh_parameters")
        if found is None:
            add("haproxy_dh_parameters", "has neither content nor src; give the text, or a path on the controller")
        else:
            wrong = found.problem or "; ".join(parameters_problem(found.text) or ())
            if wrong:
                add(found.where, wrong)


def room_of(model: Mapping[str, Any]) -> int:
    """How much HAProxy can be told, or tell, at once."""
    text = str(as_dict(as_dict(model.get("global")).get("tune")).get("bufsize") or "")
    return (int(text) if text.isdecimal() else BUFFER) - RESERVE


def _check_room(model: Mapping[str, Any], add: Add) -> None:
    """An answer of HAProxy's own has to fit into a buffer."""
    room = room_of(model)
    names = _names(model, "certificates")
    size = 400 + sum(2 * len(name) + 120 for name in names)
    if size > room:
        add(
            "haproxy_metrics_enabled",
            f"what is told of {len(names)} certificates at {METRICS_PATH} takes up to {size} bytes, but HAProxy has room for {room};"
            f" write at least {size + RESERVE} as bufsize in haproxy_global.tune, or switch the metrics off",
        )


def _check_lists(model: Mapping[str, Any], read: Mapping[str, Certificate], add: Add) -> None:
    for number, one in enumerate(_entries(model, "crt_lists")):
        path = f"haproxy_crt_lists[{number}]"
        entries = [as_dict(entry) for entry in as_list(one.get("entries"))]
        if not entries:
            add(f"{path}.entries", "is empty; write at least one {crt: NAME}")
        for index, entry in enumerate(entries):
            place = f"{path}.entries[{index}]"
            for key in entry:
                if key not in LIST_OPTIONS and key not in ("crt", "sni", "raw"):
                    add(f"{place}.{key}", f"is no key of a crt-list; {nearest(str(key), [*LIST_OPTIONS, 'crt', 'sni', 'raw'])}")
            if not entry.get("crt"):
                add(f"{place}.crt", "is missing; write the name of a certificate of haproxy_certificates, or a path")
            certificate = read.get(str(entry.get("crt")))
            for position, wanted in enumerate(map(str, as_list(entry.get("sni")))):
                if not wanted.strip("!") or not _FILTER.fullmatch(wanted):
                    add(f"{place}.sni[{position}]", f"{wanted!r} is no filter; write a name, *.a.name, or ! before one that is left out")
                elif certificate and not wanted.startswith("!") and wanted != "*" and not covers(certificate.pair.names, wanted):
                    has = ", ".join(certificate.pair.names) or "none, since it has no subjectAltName"
                    add(
                        f"{place}.sni[{position}]",
                        f"the certificate {certificate.name!r} doesn't cover {wanted} (its names: {has}); give one that does",
                    )


def check_old(value: Any, path: str, raw: bool, add: Add) -> None:
    """Refuse what switches on TLS 1.1 or older.

    :param raw: the value stands where lines of HAProxy's own language are written.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            place = f"{path}.{key}"
            if key in ("ssl_min_ver", "ssl_max_ver") and str(item) in _OLD:
                add(place, _old(str(item)))
            else:
                check_old(item, place, raw or key == "raw" or bool(re.fullmatch(r"ssl_default_\w+_options", str(key))), add)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            check_old(item, f"{path}[{index}]", raw, add)
    elif raw and isinstance(value, str) and not value.lstrip().startswith("#"):
        for match in _OLD_WORDS.finditer(value):
            add(path, _old(" ".join(match.group(0).split())))


def _old(found: str) -> str:
    if found.lower() == "no-tlsv12":
        return "'no-tlsv12' takes away what most clients speak, or leaves only what is older; write ssl-min-ver TLSv1.3 if TLS 1.3 alone is meant"
    return f"{found!r} switches on TLS older than 1.2, which is broken; write TLSv1.2 or TLSv1.3, or set haproxy_tls_legacy: true if it has to be"


def expiry_warnings(model: Mapping[str, Any], now: float | None = None) -> list[str]:
    """Tell which certificates expire soon."""
    at = time.time() if now is None else now
    found = [certificate for certificate in read_certificates(model) if isinstance(certificate, Certificate)]
    return [
        f"{certificate.places['certificate']}: the certificate {certificate.name!r} {certificate.pair.warning(at)}; renew it"
        for certificate in found
        if certificate.pair.warning(at)
    ]


# --- Files -------------------------------------------------------------------------------------------------------------------------


def certificate_file(certificate: Certificate, room: int) -> dict[str, Any]:
    """Describe the file of a certificate, and how the running HAProxy is told a new content of it.

    One that HAProxy's buffer doesn't hold takes a reload, like any other file.
    """
    path = path_of("certificates", certificate.name)
    file = {"path": path, "content": certificate.pair.pem, "mode": "0600", "sensitive": True}
    if len(certificate.pair.pem) > room:
        return file
    return {
        **file,
        "action": "runtime",
        "runtime": {
            "unix": ADMIN_SOCKET,
            "ask": f"show ssl cert {path}",
            "expect": f"^SHA1 FingerPrint: {certificate.pair.fingerprint}$",
            "unused": "Not found",
            "tell": [
                {"send": f"set ssl cert {path} <<\n@HITLESS_CONTENT@\n", "expect": "Transaction (created|updated)"},
                {"send": f"commit ssl cert {path}", "expect": "Success!"},
            ],
            "give_up": [f"abort ssl cert {path}"],
        },
    }


def list_line(tls: Tls, entry: Mapping[str, Any]) -> str:
    """Write one line of a crt-list."""
    placed = tls.placed(entry)
    options = []
    for key, word in LIST_OPTIONS.items():
        value = placed.get(key)
        if value not in (None, "", []):
            options += [word, ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)]
    if placed.get("raw"):
        options.append(str(placed["raw"]))
    words = [str(placed.get("crt", "")), *([f"[{' '.join(options)}]"] if options else []), *map(str, as_list(placed.get("sni")))]
    return " ".join(words)


def has_expiry_metrics(model: Mapping[str, Any]) -> bool:
    """Tell whether the days that certificates last are told beside HAProxy's own metrics."""
    return bool(as_dict(model.get("stats")).get("metrics")) and bool(as_list(model.get("certificates")))


def expiry_files(certificates: Iterable[Certificate]) -> list[dict[str, Any]]:
    """Describe the files from which HAProxy tells how long certificates last.

    The moments lie in a map, which the running HAProxy is told together with a new certificate; the days are worked out when somebody asks.
    """
    moments = {certificate.name: int(certificate.pair.not_after) for certificate in certificates}
    lines = []
    for metric, meaning, formula in (
        ("hitless_certificate_not_after_timestamp_seconds", "Unix time at which a certificate or one of its chain expires.", ""),
        ("hitless_certificate_expiry_days", "Whole days until then, negative when it is over.", ",sub(txn.hitless_now),div(86400)"),
    ):
        lines += [f"# HELP {metric} {meaning}", f"# TYPE {metric} gauge"]
        lines += [f'{metric}{{certificate="{name}"}} %[str({name}),map_str_int({EXPIRY_MAP}){formula}]' for name in moments]
    return [
        {"path": EXPIRY_TEXT, "content": "\n".join(lines) + "\n"},
        {
            "path": EXPIRY_MAP,
            "content": "".join(f"{name} {moment}\n" for name, moment in moments.items()),
            "action": "runtime",
            "runtime": {
                "unix": ADMIN_SOCKET,
                "ask": f"show map {EXPIRY_MAP}",
                "expect": r"\A\s*" + r"\s+".join(rf"\S+ {re.escape(name)} {moment}" for name, moment in moments.items()) + r"\s*\Z",
                "tell": [{"send": f"set map {EXPIRY_MAP} {name} {moment}", "expect": r"\A\s*\Z"} for name, moment in moments.items()],
            },
        },
    ]


def expiry_rules() -> list[str]:
    """The rules of the statistics that tell it."""
    here = f"if {{ path {METRICS_PATH} }}"
    return [
        f"set-var(txn.hitless_now) date {here}",
        f'return status 200 content-type "text/plain; version=0.0.4" hdr Cache-Control no-store lf-file {EXPIRY_TEXT} {here}',
    ]


def files(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List everything that is written besides haproxy.cfg.

    :raises Refused: an entry that can't be read; the validation says so before.
    """
    certificates = []
    for one in read_certificates(model):
        if isinstance(one, Refused):
            raise one
        certificates.append(one)
    result = [certificate_file(certificate, room_of(model)) for certificate in certificates]
    for kind in ("ca_files", "crl_files"):
        for index, entry in enumerate(_entries(model, kind)):
            text = text_of(model, entry, "content", "src", f"haproxy_{kind}[{index}]")
            result.append({"path": path_of(kind, str(entry.get("name"))), "content": (text.text if text else "").strip() + "\n"})
    parameters = text_of(model, as_dict(model.get("dh_parameters")), "content", "src", "haproxy_dh_parameters")
    if parameters:
        result.append({"path": DH_PATH, "content": parameters.text.strip() + "\n"})
    tls = tls_of(model)
    for one_list in _entries(model, "crt_lists"):
        lines = [list_line(tls, as_dict(entry)) for entry in as_list(one_list.get("entries"))]
        result.append({"path": path_of("crt_lists", str(one_list.get("name"))), "content": "\n".join(lines) + "\n"})
    if has_expiry_metrics(model):
        result += expiry_files(certificates)
    return result
