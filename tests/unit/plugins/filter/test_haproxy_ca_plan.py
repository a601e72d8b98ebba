# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a small CA has to make, and when it leaves everything alone."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

import pki
from ansible_collections.hitless.lb.plugins.filter.haproxy_ca_plan import haproxy_ca_plan
from ansible_collections.hitless.lb.plugins.plugin_utils._small_ca import CaError, plan

NOW = pki.BEGIN.timestamp() + 86400
CA = pki.authority("hitless.lb CA")
WANTED = [{"name": "www", "common_name": "www.example.com", "names": ["www.example.com", "192.0.2.1", "2001:db8:0::1"], "usage": "server"}]


def leaf(issuer: pki.Identity = CA, usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH, **more: Any) -> pki.Identity:
    names = more.get("names", ["2001:db8::1", "www.example.com", "192.0.2.1"])
    plain = issuer.issue(more.get("common_name", "www.example.com"))
    builder = (
        x509.CertificateBuilder()
        .subject_name(plain.certificate.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(plain.private.public_key())
        .serial_number(2)
        .not_valid_before(pki.BEGIN)
        .not_valid_after(more.get("end", pki.END))
        .add_extension(x509.SubjectAlternativeName([pki.alternative(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    )
    return pki.Identity(builder.sign(issuer.private, hashes.SHA256()), plain.private)


def texts(ca: pki.Identity | None = CA, site: pki.Identity | None = None, **more: str) -> dict[str, dict[str, str]]:
    found = {f"{name}.{ending}": "" for name in ("ca", "www") for ending in ("crt", "key")}
    for name, identity in (("ca", ca), ("www", site)):
        if identity:
            found |= {f"{name}.crt": identity.crt, f"{name}.key": identity.key}
    found |= {name.replace("_", "."): text for name, text in more.items()}
    return {
        f"/ca/{name}": {"text": text, "problem": "" if text else "there is no such file on the controller"} for name, text in found.items()
    }


def planned(**more: Any) -> dict[str, Any]:
    return plan("/ca", WANTED, texts(**more), NOW)


def test_the_first_run_makes_everything() -> None:
    result = planned(ca=None)
    assert result["ca"] == {"make": True, "new_key": True, "reason": "there is none"}
    assert result["certificates"] == [
        {
            "name": "www",
            "common_name": "www.example.com",
            "names": ["DNS:www.example.com", "IP:192.0.2.1", "IP:2001:db8::1"],
            "usage": "serverAuth",
            "make": True,
            "reason": "the CA is new",
        }
    ]


def test_the_second_run_makes_nothing() -> None:
    result = planned(site=leaf())
    assert result["ca"]["make"] is False and result["certificates"][0]["make"] is False


SOON = pki.BEGIN + datetime.timedelta(days=30, hours=1)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "there is none"),
        ({"site": leaf(names=["www.example.com"])}, "it has other names"),
        ({"site": leaf(common_name="other")}, "it has another common name"),
        ({"site": leaf(usage=ExtendedKeyUsageOID.CLIENT_AUTH)}, "it has another usage"),
        ({"site": leaf(pki.authority("hitless.lb CA"))}, "another CA signed it"),
        ({"site": leaf(end=SOON)}, "it expires soon"),
        ({"site": leaf(), "www_key": pki.make("x").key}, "key and certificate don't belong together"),
        ({"site": leaf(), "www_key": "x"}, "its key can't be read: it isn't a key in PEM"),
        ({"site": leaf(), "www_crt": "x"}, "its certificate can't be read: it isn't a certificate in PEM"),
    ],
)
def test_one_is_made_anew_when_it_has_to_be(more: dict[str, Any], reason: str) -> None:
    result = planned(**more)
    assert result["ca"]["make"] is False
    assert (result["certificates"][0]["make"], result["certificates"][0]["reason"]) == (True, reason)


def test_a_ca_that_expires_soon_keeps_its_key() -> None:
    assert planned(ca=pki.authority(end=SOON))["ca"] == {"make": True, "new_key": False, "reason": "its certificate expires soon"}
    assert planned(ca_crt="")["ca"] == {"make": True, "new_key": False, "reason": "its certificate is missing"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"ca_key": ""},
            "/ca/ca.key: is missing, and without it ca.crt can't be gone on with; bring the key back, or remove ca.crt for a new CA",
        ),
        ({"ca_key": pki.make("x").key}, "/ca/ca.crt: key and certificate don't belong together; bring the right files back,"),
        ({"ca_key": "x"}, "/ca/ca.crt: its key can't be read: it isn't a key in PEM; bring the right files back,"),
    ],
)
def test_a_ca_is_never_replaced(more: dict[str, Any], words: str) -> None:
    with pytest.raises(CaError) as caught:
        planned(**more)
    assert words in str(caught.value)


def test_a_file_that_cannot_be_read_is_left_alone() -> None:
    found = texts(site=leaf())
    found["/ca/www.key"] = {"text": "", "problem": "it can't be read: permission denied"}
    with pytest.raises(CaError, match=r"/ca/www\.key: it can't be read: permission denied"):
        plan("/ca", WANTED, found, NOW)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"name": "ca"},
            "haproxy_ca_certificates[0].name: 'ca' is no name; use letters, digits and _ . -, and not ca, which is the CA's own",
        ),
        ({"name": "../x"}, "haproxy_ca_certificates[0].name: '../x' is no name"),
        ({"common_name": "x" * 65}, "is no common name; write 1 to 64 characters"),
        ({"names": []}, "haproxy_ca_certificates[0].names: a server's certificate without names is good for nobody; write at least one"),
        ({"names": ["a b"]}, "haproxy_ca_certificates[0].names[0]: 'a b' is neither a host name nor an IP address"),
        ({"usage": "both"}, "haproxy_ca_certificates[0].usage: 'both' is no usage; write server or client"),
    ],
)
def test_what_cannot_be_made_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        haproxy_ca_plan([WANTED[0] | more], "/ca", texts())
    assert "the CA was left alone:" in str(caught.value) and words in str(caught.value)


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="'www' is used twice"):
        haproxy_ca_plan([*WANTED, *WANTED], "/ca", texts())


def test_a_client_needs_no_names() -> None:
    (one,) = plan("/ca", [{"name": "lb", "common_name": "lb", "usage": "client"}], texts(), NOW)["certificates"]
    assert (one["names"], one["usage"]) == ([], "clientAuth")


def test_the_files_to_read() -> None:
    assert haproxy_ca_plan(WANTED, "/ca") == [{"src": f"/ca/{name}"} for name in ("ca.crt", "ca.key", "www.crt", "www.key")]
