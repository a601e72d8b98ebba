# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and keys that were given as text, read on the controller (ansible-core itself needs cryptography)."""

from __future__ import annotations

import base64
import functools
import ipaddress
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509

DAY = 86400
# With fewer days left, somebody should know.
WARN_DAYS = 21
DH_BITS = 2048

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


class PairError(Exception):
    """A text that can't be used. ``what`` is ``certificate`` or ``key``."""

    def __init__(self, what: str, found: str, instead: str) -> None:
        super().__init__(found)
        self.what = what
        self.found = found
        self.instead = instead


@dataclass(frozen=True)
class Pair:
    """What there is to know of a certificate, its chain and its key."""

    match: bool
    # What is wrong with the order of the chain or a signature in it; empty when nothing is.
    broken: str
    not_before: float
    # The first of the chain to expire counts: clients refuse all of it then.
    not_after: float
    names: tuple[str, ...]
    # SHA-1 of the certificate itself, as HAProxy's runtime socket tells it.
    fingerprint: str
    # Key without a passphrase, certificate, chain: what HAProxy reads.
    pem: str

    def problems(self, now: float, wanted: Iterable[str] = ()) -> Iterator[tuple[str, str, str]]:
        """Everything that is wrong: whether with the certificate or the key, what was found, what to give instead."""
        if not self.match:
            yield "key", "it isn't the key of the certificate", "give the key that the certificate was made for"
        if self.broken:
            yield "certificate", self.broken, "put the site's own certificate first and behind each the one that signed it"
        if now >= self.not_after:
            yield "certificate", f"the certificate expired on {day_of(self.not_after)}", "give one that is in date"
        elif now < self.not_before:
            yield "certificate", f"the certificate isn't valid before {day_of(self.not_before)}", "give one that is in date"
        for name in wanted:
            if not covers(self.names, name):
                has = ", ".join(self.names) or "none, since it has no subjectAltName"
                yield "names", f"the certificate doesn't cover {name} (its names: {has})", "give one that does"

    def warning(self, now: float) -> str:
        """What to tell a person of a certificate that expires soon; empty when there is time."""
        left = int((self.not_after - now) // DAY)
        return f"expires on {day_of(self.not_after)}, in {left} day{'' if left == 1 else 's'}" if 0 <= left < WARN_DAYS else ""


def day_of(moment: float) -> str:
    """A day in UTC."""
    return datetime.fromtimestamp(moment, tz=UTC).strftime("%Y-%m-%d")


def blocks(text: str) -> list[tuple[str, str]]:
    """The PEM blocks of a text: label and text of each. What stands around them is left out."""
    return [(match.group(1), match.group(0)) for match in _BLOCK.finditer(text)]


def split_pem(text: str) -> tuple[str, str]:
    """Certificates and the rest (key, Diffie-Hellman parameters) of a text that has both."""
    found = blocks(text)
    certificates = [block for label, block in found if label.endswith("CERTIFICATE")]
    return "\n".join(certificates), "\n".join(block for label, block in found if not label.endswith("CERTIFICATE"))


@functools.lru_cache(maxsize=1024)
def read_pair(certificate: str, key: str, passphrase: str = "") -> Pair:
    """Read a chain of certificates and a key.

    :raises PairError: one of them can't be read.
    """
    # Imported where it is used: documentation tools load this file without it.
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key

    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
    except ValueError:
        raise PairError("certificate", "it isn't a certificate in PEM", "give the text from -----BEGIN CERTIFICATE----- on") from None
    keys = [block for label, block in blocks(key) if label.endswith("PRIVATE KEY")]
    if len(keys) > 1:
        raise PairError("key", f"it has {len(keys)} private keys", "give the one that the certificate was made for")
    text = keys[0] if keys else key
    try:
        private = load_pem_private_key(text.encode(), password=passphrase.encode() if passphrase else None)
    except TypeError:
        if passphrase:
            raise PairError("key", "a passphrase is given, but the key has none", "leave the passphrase out") from None
        raise PairError("key", "it has a passphrase", "give it without one, for example by: openssl pkey -in key.pem") from None
    except ValueError:
        if passphrase and "ENCRYPTED" in text:
            raise PairError("key", "the passphrase doesn't open it", "give the right one") from None
        raise PairError("key", "it isn't a key in PEM", "give the text from -----BEGIN PRIVATE KEY----- on") from None
    own = chain[0]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    parts = [
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        *(one.public_bytes(Encoding.PEM).decode() for one in chain),
        *(f"{block}\n" for label, block in blocks(key) if label == "DH PARAMETERS"),
    ]
    return Pair(
        match=own.public_key().public_bytes(*form) == private.public_key().public_bytes(*form),
        broken=next(filter(None, itertools.starmap(link_problem, itertools.pairwise(chain))), ""),
        not_before=max(moment(one, "not_valid_before") for one in chain),
        not_after=min(moment(one, "not_valid_after") for one in chain),
        names=names_of(own),
        fingerprint=own.fingerprint(SHA1()).hex().upper(),
        # HAProxy's runtime socket takes an empty line for the end.
        pem="".join(re.sub(r"\n{2,}", "\n", part) for part in parts),
    )


def link_problem(one: x509.Certificate, issuer: x509.Certificate) -> str:
    """What is wrong between a certificate and the one behind it; empty when that one signed it."""
    from cryptography.exceptions import InvalidSignature

    if one.issuer != issuer.subject:
        return f"its certificates aren't in order: behind {subject_of(one)!r}, which {one.issuer.rfc4514_string()!r} issued, stands {subject_of(issuer)!r}"
    try:
        one.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return f"{subject_of(issuer)!r} has the name of the one that issued {subject_of(one)!r}, but didn't sign it"
    return ""


def subject_of(certificate: x509.Certificate) -> str:
    """The name of a certificate as a person writes it."""
    return certificate.subject.rfc4514_string()


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Names and addresses that a certificate is made out to. The common name doesn't count; no client looks at it."""
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (*extension.get_values_for_type(x509.DNSName), *(str(address) for address in extension.get_values_for_type(x509.IPAddress)))


def covers(names: Iterable[str], wanted: str) -> bool:
    """Whether a certificate with these names is good for a name, by RFC 9525: a wildcard stands for one whole label, the first."""
    try:
        address = ipaddress.ip_address(wanted)
    except ValueError:
        pass
    else:
        return any(_same_address(name, address) for name in names)
    name = ascii_name(wanted)
    label, _dot, parent = name.partition(".")
    good = {name, f"*.{parent}"} if parent and label not in ("", "*") else {name}
    return any(ascii_name(one) in good for one in names)


def _same_address(name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return ipaddress.ip_address(name) == address
    except ValueError:
        return False


def ascii_name(name: str) -> str:
    """A name as it stands in certificates."""
    text = name.lower().rstrip(".")
    try:
        return text if text.isascii() else text.encode("idna").decode()
    except UnicodeError:
        return text


def moment(certificate: x509.Certificate, name: str) -> float:
    """One end of a certificate's validity as Unix time; releases of cryptography before 42 know it without a time zone only."""
    value = getattr(certificate, f"{name}_utc", None) or getattr(certificate, name).replace(tzinfo=UTC)
    return float(value.timestamp())


def authorities_problem(text: str, now: float) -> tuple[str, str] | None:
    """What is wrong with a file of CA certificates, and what to give instead."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return "has no certificate in PEM", "give the text from -----BEGIN CERTIFICATE----- on"
    # Bundles keep old ones; with nothing but expired ones no peer could be verified.
    last = max(moment(one, "not_valid_after") for one in found)
    if now >= last:
        return f"expired on {day_of(last)}, so nothing could be verified", "give one that is in date"
    return None


def revocations_problem(text: str, now: float, authorities: str = "") -> tuple[str, str] | None:
    """What is wrong with a file of revocation lists, and what to give instead.

    :param authorities: the CA certificates that it is used with; empty when they aren't known.
    """
    from cryptography import x509

    lists = [block for label, block in blocks(text) if label == "X509 CRL"]
    try:
        found = [x509.load_pem_x509_crl(block.encode()) for block in lists]
    except ValueError:
        found = []
    if not found:
        return "has no revocation list in PEM", "give the text from -----BEGIN X509 CRL----- on"
    for one in found:
        issuer = one.issuer.rfc4514_string()
        until = getattr(one, "next_update_utc", None) or (one.next_update and one.next_update.replace(tzinfo=UTC))
        if until and now >= until.timestamp():
            return (
                f"the list of {issuer!r} was to be replaced by {day_of(until.timestamp())}, so every certificate would be refused",
                "give the new list",
            )
        if authorities:
            signers = x509.load_pem_x509_certificates(authorities.encode())
            if not any(signer.subject == one.issuer and signed_by(one, signer) for signer in signers):
                return f"the list of {issuer!r} isn't signed by any CA of the file that it is used with", "give the CA's own list"
    return None


def signed_by(revocations: x509.CertificateRevocationList, signer: x509.Certificate) -> bool:
    """Whether a revocation list has the signature of a CA."""
    key: Any = signer.public_key()
    try:
        return revocations.is_signature_valid(key)
    except TypeError:
        # Its key is of a kind that can't sign.
        return False


def parameters_problem(text: str) -> tuple[str, str] | None:
    """What is wrong with Diffie-Hellman parameters, and what to give instead."""
    instead = f"make some with: openssl dhparam {DH_BITS}"
    found = [block for label, block in blocks(text) if label.endswith("DH PARAMETERS")]
    bits = prime_bits(found[0]) if found else 0
    if not bits:
        return "has no Diffie-Hellman parameters in PEM", instead
    return (f"has {bits} bits, but fewer than {DH_BITS} can be broken", instead) if bits < DH_BITS else None


def prime_bits(block: str) -> int:
    """The size of the prime, which is the first number in the sequence; 0 for what is something else. (cryptography gives these up.)"""
    try:
        data = base64.b64decode("".join(block.splitlines()[1:-1]), validate=True)
        kind, sequence, rest = der(data)
        number, prime, _rest = der(sequence)
    except (ValueError, IndexError):
        return 0
    return int.from_bytes(prime, "big").bit_length() if (kind, number, rest) == (0x30, 0x02, b"") else 0


def der(data: bytes) -> tuple[int, bytes, bytes]:
    """Take the first value off: its kind, its content, and what is behind it."""
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    if len(data) < start + length:
        raise ValueError("cut off")
    return data[0], data[start : start + length], data[start + length :]
