# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: where HAProxy's program comes from: the release's package, another repository, or source. Not for use outside of this collection.

A tarball on the controller is opened here, so that its version and the features that it knows are checked before any node is touched.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import tarfile
from collections.abc import Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_check import MINIMUM_VERSION
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import version_tuple
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_names import Findings
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_values import as_dict, as_list, nearest

METHODS = ("package", "repository", "source")
DIRECTORY = "/opt/haproxy"
FEATURES = ("USE_OPENSSL", "USE_PCRE2", "USE_PCRE2_JIT", "USE_PROMEX")
# master-worker with systemd's notification needs it; from 3.0 on it is built in, without a library.
NOTIFY = "USE_SYSTEMD"
NOTIFY_LIBRARY_UNTIL = (3, 0)
QUIC = "USE_QUIC"
QUIC_COMPAT = "USE_QUIC_OPENSSL_COMPAT"
TOOLS = ("gcc", "libc6-dev", "make")
LIBRARIES = {
    "USE_LUA": "liblua5.4-dev",
    "USE_OPENSSL": "libssl-dev",
    "USE_PCRE2": "libpcre2-dev",
    "USE_PCRE2_JIT": "libpcre2-dev",
    "USE_STATIC_PCRE2": "libpcre2-dev",
    "USE_ZLIB": "zlib1g-dev",
}

_FEATURE = re.compile(r"(USE_[A-Z0-9_]+)(?:=(0|1))?")
_MAKE = re.compile(r"[A-Z][A-Z0-9_]*=[^\x00-\x1f]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]+\.[0-9]+(?:\.[0-9]+)*(?:-?(?:dev|rc)[0-9]+)?")
_PACKAGE_VERSION = re.compile(r"[A-Za-z0-9.+~:-]+\*?")
_NAMED = re.compile(rf"haproxy[-_](?P<version>{_VERSION.pattern})(?:\.orig)?\.tar\.(?:gz|xz|bz2)$")
_URI = re.compile(r"(?:https?|file|ftp)://?[^\s]+|(?:copy|file):/[^\s]+")
_WORD = re.compile(r"[^\s,]+")
_PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+")
ARMOUR = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\n(?:[A-Za-z-]+: [^\n]*\n)*\n[A-Za-z0-9+/=\n]+\n-----END PGP PUBLIC KEY BLOCK-----"
)


class Tarball:
    """What a tarball of HAProxy's source says of itself."""

    def __init__(self, sha256: str, version: str, features: frozenset[str]) -> None:
        self.sha256 = sha256
        self.version = version
        self.features = features


def _read_tarball(path: str) -> Tarball:
    with open(path, "rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    found: dict[str, str] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                _top, _slash, name = member.name.removeprefix("./").partition("/")
                if name in ("VERSION", "Makefile") and member.isfile():
                    handle = archive.extractfile(member)
                    found[name] = handle.read(1 << 20).decode("utf-8", "replace") if handle else ""
                if len(found) == 2:
                    break
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{path} can't be read as a tarball: {error}") from error
    known = re.search(r"(?m)^use_opts\s*=((?:.*\\\n)*.*)", found.get("Makefile", ""))
    version = (found.get("VERSION") or "").strip()
    if not known or not _VERSION.fullmatch(version):
        raise ValueError(f"{path} is no source of HAProxy: it has no VERSION, or no Makefile with HAProxy's options")
    return Tarball(sha256, version, frozenset(re.findall(r"USE_[A-Z0-9_]+", known.group(1))))


@functools.lru_cache(maxsize=8)
def _cached_tarball(path: str, _changed: int, _size: int) -> Tarball:
    return _read_tarball(path)


def read_tarball(path: str) -> Tarball:
    """Read what a tarball on the controller says of itself.

    :raises OSError: it can't be opened.
    :raises ValueError: it is something else.
    """
    status = os.stat(path)
    return _cached_tarball(path, status.st_mtime_ns, status.st_size)


def make_arguments(features: list[str], extra: list[str], version: tuple[int, ...], known: frozenset[str] | None) -> list[str]:
    """Give the words for make that stand for the features; NOTIFY is added where the version has it."""
    words = {}
    for feature in features:
        match = _FEATURE.fullmatch(feature)
        if match:
            words[match.group(1)] = "" if match.group(2) == "0" else "1"
    if words.get(QUIC) and QUIC_COMPAT not in words:
        # OpenSSL up to 3.4 has no QUIC of its own; with this it is limited, and right with any OpenSSL.
        words[QUIC_COMPAT] = "1"
    # Where the tarball isn't here to ask: from 3.0 on it is on by itself.
    if NOTIFY in known if known is not None else version < NOTIFY_LIBRARY_UNTIL:
        words[NOTIFY] = "1"
    return [f"{name}={value}" for name, value in sorted(words.items())] + extra


def _source_features(given: Mapping[str, Any], tarball: Tarball | None, version: str, findings: Findings) -> list[str]:
    features = [str(feature) for feature in as_list(given.get("features", FEATURES))]
    for feature in features:
        match = _FEATURE.fullmatch(feature)
        if not match:
            findings.add(
                "haproxy_source.features", f"{feature!r} is no feature; write HAProxy's own name, such as USE_LUA (USE_LUA=0 for without)"
            )
        elif tarball and match.group(1) not in tarball.features:
            findings.add(
                "haproxy_source.features", f"HAProxy {version} has no {match.group(1)}; {nearest(match.group(1), tarball.features)}"
            )
        elif match.group(1) == NOTIFY and match.group(2) == "0":
            findings.add("haproxy_source.features", f"{feature} can't be: the unit waits for HAProxy's word that it is ready; leave it out")
        elif match.group(1) == QUIC and match.group(2) != "0" and tarball and QUIC_COMPAT not in tarball.features:
            findings.add(
                "haproxy_source.features",
                f"HAProxy {version} needs another TLS library than Debian's for {QUIC}; take 2.9 or later, or leave it out",
            )
    return features


def _source(given: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    place = str(given.get("tarball") or "")
    sha256 = str(given.get("sha256") or "").lower()
    version = str(given.get("version") or "")
    tarball = None
    if not _SHA256.fullmatch(sha256):
        findings.add(
            "haproxy_source.sha256", f"{sha256!r} is no SHA-256; write the 64 hexadecimal digits that `sha256sum` prints of the tarball"
        )
    if place.startswith("https://"):
        named = _NAMED.search(place)
        version = version or (named.group("version") if named else "")
        if not version:
            findings.add("haproxy_source.version", f"{place} doesn't tell the version; write it, for example version: 3.0.11")
    elif not place.startswith("/"):
        findings.add(
            "haproxy_source.tarball",
            f"{place!r} is neither an absolute path on the controller nor an address that begins with https://; write one of them, "
            "for example {{ playbook_dir }}/files/haproxy-3.0.11.tar.gz",
        )
    else:
        try:
            tarball = read_tarball(place)
        except (OSError, ValueError) as error:
            findings.add("haproxy_source.tarball", f"{error}; write the path of a tarball of HAProxy's source")
        else:
            if _SHA256.fullmatch(sha256) and tarball.sha256 != sha256:
                findings.add("haproxy_source.sha256", f"{place} has {tarball.sha256}, not {sha256}; get the right file, or correct the sum")
            if version and version != tarball.version:
                findings.add("haproxy_source.version", f"{place} is version {tarball.version}, not {version}; correct it, or leave it out")
            version = tarball.version
    if version and not _VERSION.fullmatch(version):
        findings.add("haproxy_source.version", f"{version!r} is no version of HAProxy; write it as in 3.0.11")
    numbers = version_tuple(version) or ()
    if numbers and numbers < MINIMUM_VERSION:
        findings.add("haproxy_source", f"version {version} is too old, this role needs 2.4 or later")
    features = _source_features(given, tarball, version, findings)
    extra = [str(word) for word in as_list(given.get("make"))]
    for word in extra:
        if not _MAKE.fullmatch(word) or word.startswith(("USE_", "TARGET=", "PREFIX=", "DESTDIR=")):
            findings.add(
                "haproxy_source.make",
                f"{word!r} can't be taken; write NAME=value, such as CPU_CFLAGS=-march=native (features have their own key)",
            )
    arguments = make_arguments(features, extra, numbers, tarball.features if tarball else None)
    enabled = {name for name, _equals, value in (word.partition("=") for word in arguments) if value and name.startswith("USE_")}
    packages = {*TOOLS, *(LIBRARIES[name] for name in enabled if name in LIBRARIES)}
    if NOTIFY in enabled and numbers < NOTIFY_LIBRARY_UNTIL:
        packages.add("libsystemd-dev")
    for name in (str(package) for package in as_list(given.get("build_packages"))):
        if not _PACKAGE_NAME.fullmatch(name):
            findings.add("haproxy_source.build_packages", f"{name!r} is no name of a Debian package")
        packages.add(name)
    stamp = hashlib.sha256(json.dumps([sha256, arguments, sorted(packages)]).encode()).hexdigest()[:12]
    directory = f"{DIRECTORY}/{version}-{stamp}"
    return {
        "version": version,
        "tarball": place,
        "fetched": place.startswith("https://"),
        "sha256": sha256,
        "arguments": arguments,
        "build_packages": sorted(packages),
        "directory": directory,
        "binary": f"{directory}/sbin/haproxy",
        # As `haproxy -vv` will say it.
        "features": " ".join(f"+{name.removeprefix('USE_')}" for name in sorted(enabled)),
    }


def _repository(given: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    path = "haproxy_repository"
    uris = [str(uri) for uri in as_list(given.get("uris"))]
    suites = [str(suite) for suite in as_list(given.get("suites"))]
    flat = bool(suites) and all(suite.endswith("/") for suite in suites)
    components = [str(component) for component in as_list(given.get("components", [] if flat else ["main"]))]
    for key, values, example in (("uris", uris, "https://deb.example.org/haproxy"), ("suites", suites, "trixie-backports-3.0")):
        if not values:
            findings.add(f"{path}.{key}", f"is missing; write at least one, for example [{example}]")
    for uri in uris:
        if not _URI.fullmatch(uri):
            findings.add(f"{path}.uris", f"{uri!r} is no address of a repository; write one that begins with https://, http:// or file:/")
    for key, values in (("suites", suites), ("components", components)):
        for value in values:
            if not _WORD.fullmatch(value):
                findings.add(f"{path}.{key}", f"{value!r} has a space or a comma; write a list with one word each")
    if flat and components:
        findings.add(f"{path}.components", "a suite that ends with a slash has none; write []")
    elif not flat and any(suite.endswith("/") for suite in suites):
        findings.add(f"{path}.suites", "some end with a slash and some don't, which are two kinds of repository; write one kind")
    key, place = str(given.get("key") or ""), str(given.get("key_path") or "")
    if bool(key) == bool(place):
        what = "both are given" if key else "neither is given, and a repository without a key can't be trusted"
        findings.add(f"{path}.key", f"of key and key_path {what}; write one of them")
    elif place:
        try:
            with open(place, encoding="utf-8") as stream:
                key = stream.read()
        except (OSError, UnicodeDecodeError) as error:
            findings.add(
                f"{path}.key_path", f"{place} on the controller can't be read as text: {error}; write the path of an ASCII-armoured key"
            )
    key = key.replace("\r\n", "\n").strip()
    if key and not ARMOUR.fullmatch(key):
        findings.add(
            f"{path}.{'key_path' if place else 'key'}",
            "isn't one ASCII-armoured public key; it begins with -----BEGIN PGP PUBLIC KEY BLOCK----- (`gpg --armor --export` writes it so)",
        )
    pin = given.get("pin", 990)
    if isinstance(pin, bool) or not re.fullmatch(r"[0-9]{1,4}", str(pin)) or not 1 <= int(pin) <= 999:
        findings.add(f"{path}.pin", f"{pin!r} is no priority from 1 to 999; 990 makes this repository's HAProxy the one that apt takes")
        pin = 990
    version = str(given.get("version") or "")
    if version and not _PACKAGE_VERSION.fullmatch(version):
        findings.add(
            f"{path}.version", f"{version!r} is no version of a package; write it as apt does, or its beginning and a star, such as '3.0.*'"
        )
    return {
        "version": version,
        "uris": uris,
        "suites": suites,
        "components": components,
        "key": f"{key}\n",
        "pin": int(pin),
    }


def plan(options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Work out where HAProxy comes from, and what is wrong with it.

    :return: The plan: method, version (empty where only the node can tell), and what the method needs; and the findings.
    """
    findings = Findings()
    method = str(options.get("method") or "package")
    result: dict[str, Any] = {"method": method, "version": "", "binary": ""}
    if options.get("state") == "absent":
        # What is to go needs nothing of where it came from.
        return {**result, "method": "package"}, []
    if method not in METHODS:
        findings.add("haproxy_install_method", f"{method!r} is no method; write one of {', '.join(METHODS)}")
    for key in ("repository", "source"):
        given = as_dict(options.get(key))
        if method == key:
            details = (_repository if key == "repository" else _source)(given, findings)
            result[key] = details
            result["version"] = details["version"]
            result["binary"] = details.get("binary", "")
    return result, list(findings)
