# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for tests: authorities, what they issue and revoke."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2036, 1, 1, tzinfo=datetime.UTC)
# RFC 3526, group 14
PRIME = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05"
    "98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B"
    "E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def alternative(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@dataclass
class Identity:
    """A certificate with its key, and the one that issued it."""

    certificate: x509.Certificate
    private: ec.EllipticCurvePrivateKey = field(repr=False)
    issuer: Identity | None = None

    @property
    def crt(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key(self) -> str:
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @property
    def pem(self) -> str:
        return self.crt + self.key

    def locked(self, passphrase: str) -> str:
        """The key, encrypted."""
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        ).decode()

    def issue(
        self, common_name: str, *names: str, ca: bool = False, begin: datetime.datetime = BEGIN, end: datetime.datetime = END
    ) -> Identity:
        """Make a certificate that this one signs."""
        return make(common_name, names, ca=ca, begin=begin, end=end, issuer=self)

    def revoke(self, *serials: int, until: datetime.datetime = END) -> str:
        """A list of revoked certificates."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject).last_update(BEGIN).next_update(until)
        for serial in serials:
            builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(BEGIN).build())
        return builder.sign(self.private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def make(
    common_name: str,
    names: tuple[str, ...] = (),
    *,
    ca: bool = False,
    begin: datetime.datetime = BEGIN,
    end: datetime.datetime = END,
    issuer: Identity | None = None,
) -> Identity:
    """Make a certificate; without an issuer it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(issuer.certificate.subject if issuer else name(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([alternative(one) for one in names]), critical=False)
    return Identity(builder.sign(issuer.private if issuer else key, hashes.SHA256()), key, issuer)


def authority(common_name: str = "Test CA", end: datetime.datetime = END) -> Identity:
    return make(common_name, ca=True, end=end)


def der(kind: int, content: bytes) -> bytes:
    size = len(content)
    length = (
        bytes([size]) if size < 128 else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8, "big")
    )
    return bytes([kind]) + length + content


def parameters(prime: int = PRIME) -> str:
    """Diffie-Hellman parameters; cryptography makes none any more."""
    numbers = [number.to_bytes(number.bit_length() // 8 + 1, "big") for number in (prime, 2)]
    text = base64.encodebytes(der(0x30, b"".join(der(0x02, number) for number in numbers))).decode()
    return f"-----BEGIN DH PARAMETERS-----\n{text}-----END DH PARAMETERS-----\n"
