# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small CA in a directory on the controller: what there is, and what has to be made."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._certificates import DAY, Pair, PairError, ascii_name, link_problem, read_pair

RENEW_DAYS = 30
USAGES = {"server": "serverAuth", "client": "clientAuth"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_DNS = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*")


class CaError(Exception):
    """What is in the directory can't be gone on with, or what is asked for can't be made."""


def paths(directory: str, certificates: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the files that there may be."""
    names = ["ca", *(str(one.get("name", "")) for one in certificates)]
    return [f"{directory}/{name}.{ending}" for name in names for ending in ("crt", "key")]


def alternative(name: str) -> str:
    """A name or address as the modules of community.crypto take it."""
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{ascii_name(name)}"


def problems(certificates: Sequence[Mapping[str, Any]]) -> list[str]:
    """What can't be made."""
    found = []
    seen: set[str] = set()
    for index, one in enumerate(certificates):
        where = f"haproxy_ca_certificates[{index}]"
        name = str(one.get("name", ""))
        if not _NAME.fullmatch(name) or name == "ca":
            found.append(f"{where}.name: {name!r} is no name; use letters, digits and _ . -, and not ca, which is the CA's own")
        if name in seen:
            found.append(f"{where}.name: {name!r} is used twice; give every certificate its own name")
        seen.add(name)
        if not 1 <= len(str(one.get("common_name") or "")) <= 64:
            found.append(f"{where}.common_name: {one.get('common_name')!r} is no common name; write 1 to 64 characters")
        if usage_of(one) not in USAGES:
            found.append(f"{where}.usage: {one.get('usage')!r} is no usage; write server or client")
        if usage_of(one) == "server" and not one.get("names"):
            found.append(f"{where}.names: a server's certificate without names is good for nobody; write at least one")
        for number, given in enumerate(one.get("names") or ()):
            if alternative(str(given)).startswith("DNS:") and not _DNS.fullmatch(ascii_name(str(given))):
                found.append(
                    f"{where}.names[{number}]: {given!r} is neither a host name nor an IP address; write for example www.example.com"
                )
    return found


def usage_of(one: Mapping[str, Any]) -> str:
    """What a certificate is for."""
    return str(one.get("usage") or "server")


def plan(directory: str, certificates: Sequence[Mapping[str, Any]], texts: Mapping[str, Mapping[str, str]], now: float) -> dict[str, Any]:
    """Work out what has to be made, and why.

    :param texts: what the lookup controller_texts found at the paths.
    :raises CaError: the CA that is there can't be used, and isn't this role's to replace; or something can't be made.
    """
    found = problems(certificates)
    if found:
        raise CaError("\n".join(f"- {one}" for one in found))

    def text_of(name: str) -> str:
        return str(texts.get(f"{directory}/{name}", {}).get("text", ""))

    ca = _authority(directory, text_of("ca.crt"), text_of("ca.key"), now)
    for path in paths(directory, certificates):
        problem = str(texts.get(path, {}).get("problem", ""))
        if problem and "no such file" not in problem:
            raise CaError(f"- {path}: {problem}")
    result = []
    for one in certificates:
        name = str(one["name"])
        wanted = {
            "name": name,
            "common_name": str(one["common_name"]),
            "names": list(dict.fromkeys(alternative(str(given)) for given in one.get("names") or ())),
            "usage": USAGES[usage_of(one)],
        }
        reason = "the CA is new" if ca["new_key"] else _why(text_of(f"{name}.crt"), text_of(f"{name}.key"), text_of("ca.crt"), wanted, now)
        result.append({**wanted, "make": bool(reason), "reason": reason})
    return {"ca": ca, "certificates": result}


def _read(certificate: str, key: str) -> Pair | str:
    try:
        return read_pair(certificate, key)
    except PairError as error:
        return f"its {error.what} can't be read: {error.found}"


def _authority(directory: str, certificate: str, key: str, now: float) -> dict[str, Any]:
    if not key and not certificate:
        return {"make": True, "new_key": True, "reason": "there is none"}
    if not key:
        raise CaError(
            f"- {directory}/ca.key: is missing, and without it ca.crt can't be gone on with; bring the key back, or remove ca.crt for a new CA"
        )
    pair = _read(certificate or "", key) if certificate else None
    if isinstance(pair, str) or (pair and not pair.match):
        what = pair if isinstance(pair, str) else "key and certificate don't belong together"
        raise CaError(f"- {directory}/ca.crt: {what}; bring the right files back, or remove ca.crt and ca.key for a new CA")
    if pair is None:
        return {"make": True, "new_key": False, "reason": "its certificate is missing"}
    soon = pair.not_after - now < RENEW_DAYS * DAY
    return {"make": soon, "new_key": False, "reason": "its certificate expires soon" if soon else ""}


def _why(certificate: str, key: str, ca: str, wanted: Mapping[str, Any], now: float) -> str:
    """Why a certificate has to be made; empty when it hasn't."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    if not certificate or not key:
        return "there is none"
    pair = _read(certificate, key)
    if isinstance(pair, str):
        return pair
    if not pair.match:
        return "key and certificate don't belong together"
    own = x509.load_pem_x509_certificate(certificate.encode())
    try:
        purpose = [str(one.dotted_string) for one in own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value]
    except x509.ExtensionNotFound:
        purpose = []
    checks = (
        (bool(ca) and bool(link_problem(own, x509.load_pem_x509_certificate(ca.encode()))), "another CA signed it"),
        (sorted(map(alternative, pair.names)) != sorted(wanted["names"]), "it has other names"),
        (
            [one.value for one in own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] != [wanted["common_name"]],
            "it has another common name",
        ),
        (purpose != [_PURPOSES[wanted["usage"]]], "it has another usage"),
        (pair.not_after - now < RENEW_DAYS * DAY, "it expires soon"),
    )
    return next((reason for wrong, reason in checks if wrong), "")


_PURPOSES = {"serverAuth": "1.3.6.1.5.5.7.3.1", "clientAuth": "1.3.6.1.5.5.7.3.2"}
