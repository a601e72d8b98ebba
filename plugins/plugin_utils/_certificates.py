# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and keys that were given as text, read on the controller (ansible-core itself needs cryptography)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509


class PairError(Exception):
    """A text that can't be read. ``what`` is ``certificate`` or ``key``."""

    def __init__(self, what: str, found: str, instead: str) -> None:
        super().__init__(found)
        self.what = what
        self.found = found
        self.instead = instead


@dataclass(frozen=True)
class Pair:
    """What there is to know of a certificate and its key."""

    match: bool
    ordered: bool
    not_before: float
    not_after: float


def read_pair(certificate: str, key: str) -> Pair:
    """Read a chain of certificates and a key.

    :raises PairError: one of them can't be read.
    """
    # Imported where it is used: documentation tools load this file without it.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
    except ValueError:
        raise PairError("certificate", "it isn't a certificate in PEM", "give the text from -----BEGIN CERTIFICATE----- on") from None
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except TypeError:
        raise PairError("key", "it has a passphrase", "give it without one, for example by: openssl pkey -in key.pem") from None
    except ValueError:
        raise PairError("key", "it isn't a key in PEM", "give the text from -----BEGIN PRIVATE KEY----- on") from None
    own = chain[0]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Pair(
        match=own.public_key().public_bytes(*form) == private.public_key().public_bytes(*form),
        ordered=all(one.issuer == other.subject for one, other in itertools.pairwise(chain)),
        not_before=moment(own, "not_valid_before"),
        not_after=moment(own, "not_valid_after"),
    )


def moment(certificate: x509.Certificate, name: str) -> float:
    """One end of a certificate's validity as Unix time; releases of cryptography before 42 know it without a time zone only."""
    value = getattr(certificate, f"{name}_utc", None) or getattr(certificate, name).replace(tzinfo=UTC)
    return float(value.timestamp())
