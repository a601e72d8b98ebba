# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates, keys and chains, read and judged."""

from __future__ import annotations

import datetime
import string

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

import pki
from ansible_collections.hitless.lb.plugins.plugin_utils._certificates import (
    PairError,
    authorities_problem,
    covers,
    parameters_problem,
    read_pair,
    revocations_problem,
)

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC).timestamp()
ROOT = pki.authority("Root")
MIDDLE = ROOT.issue("Middle", ca=True)
SITE = MIDDLE.issue("www.example.com", "www.example.com", "*.shop.example.com", "192.0.2.1", "2001:db8::1")
LABEL = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)


def problems(
    *certificates: pki.Identity, key: pki.Identity = SITE, now: float = NOW, wanted: tuple[str, ...] = ()
) -> list[tuple[str, str]]:
    pair = read_pair("".join(one.crt for one in certificates), key.key)
    return [(what, found) for what, found, _instead in pair.problems(now, wanted)]


def test_a_whole_chain_is_good() -> None:
    assert problems(SITE) == problems(SITE, MIDDLE) == problems(SITE, MIDDLE, ROOT) == []


def test_what_haproxy_reads_is_key_certificate_and_chain_without_empty_lines() -> None:
    pair = read_pair(f"text in front\n\n{SITE.crt}\n\nsubject=x\n{MIDDLE.crt}", SITE.key.replace("\n", "\r\n") + "\n\n" + pki.parameters())
    assert pair.pem == SITE.key + SITE.crt + MIDDLE.crt + pki.parameters()
    assert pair.fingerprint == SITE.certificate.fingerprint(hashes.SHA1()).hex().upper()


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ((SITE, ROOT), "its certificates aren't in order: behind 'CN=www.example.com', which 'CN=Middle' issued, stands 'CN=Root'"),
        ((SITE, MIDDLE, SITE), "its certificates aren't in order: behind 'CN=Middle', which 'CN=Root' issued, stands 'CN=www.example.com'"),
        ((SITE, pki.authority("Middle")), "'CN=Middle' has the name of the one that issued 'CN=www.example.com', but didn't sign it"),
    ],
)
def test_a_chain_that_does_not_hold(chain: tuple[pki.Identity, ...], words: str) -> None:
    assert problems(*chain) == [("certificate", words)]


def test_the_key_of_another() -> None:
    assert problems(SITE, key=MIDDLE) == [("key", "it isn't the key of the certificate")]


def test_the_first_of_the_chain_to_expire_counts() -> None:
    middle = ROOT.issue("Middle", ca=True, end=datetime.datetime(2026, 7, 1, tzinfo=datetime.UTC))
    site = middle.issue("www.example.com")
    assert problems(site, middle, key=site, now=NOW + 60 * 86400) == [("certificate", "the certificate expired on 2026-07-01")]
    assert problems(site, key=site, now=NOW + 60 * 86400) == []
    assert problems(site, middle, key=site, now=NOW - 200 * 86400) == [("certificate", "the certificate isn't valid before 2026-01-01")]


@pytest.mark.parametrize(("days", "words"), [(21, ""), (20.9, "in 20 days"), (1.5, "in 1 day"), (0.5, "in 0 days"), (-1, "")])
def test_with_less_than_21_days_somebody_is_told(days: float, words: str) -> None:
    warning = read_pair(SITE.crt, SITE.key).warning(pki.END.timestamp() - days * 86400)
    assert warning == (f"expires on 2036-01-01, {words}" if words else "")


@pytest.mark.parametrize(
    ("certificate", "key", "passphrase", "what", "words"),
    [
        ("nothing", SITE.key, "", "certificate", "it isn't a certificate in PEM"),
        (SITE.crt, "nothing", "", "key", "it isn't a key in PEM"),
        (SITE.crt, SITE.key + MIDDLE.key, "", "key", "it has 2 private keys"),
        (SITE.crt, SITE.locked("x"), "", "key", "it has a passphrase"),
        (SITE.crt, SITE.locked("x"), "y", "key", "the passphrase doesn't open it"),
        (SITE.crt, SITE.key, "y", "key", "a passphrase is given, but the key has none"),
    ],
)
def test_what_cannot_be_read(certificate: str, key: str, passphrase: str, what: str, words: str) -> None:
    with pytest.raises(PairError, match=words) as caught:
        read_pair(certificate, key, passphrase)
    assert caught.value.what == what


def test_a_passphrase_opens_the_key_and_is_gone() -> None:
    assert read_pair(SITE.crt, SITE.locked("pass phrase"), "pass phrase").pem == SITE.key + SITE.crt


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("www.example.com", True),
        ("WWW.Example.COM.", True),
        ("a.shop.example.com", True),
        ("*.shop.example.com", True),
        ("shop.example.com", False),
        ("a.b.shop.example.com", False),
        (".shop.example.com", False),
        ("*.example.com", False),
        ("example.com", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("2001:DB8:0::1", True),
        ("xn--a.shop.example.com", True),
        ("ä.shop.example.com", True),
    ],
)
def test_names_by_rfc_9525(name: str, good: bool) -> None:
    assert covers(read_pair(SITE.crt, SITE.key).names, name) is good


def test_the_common_name_does_not_count() -> None:
    bare = ROOT.issue("www.example.com")
    assert problems(bare, key=bare, wanted=("www.example.com",)) == [
        ("names", "the certificate doesn't cover www.example.com (its names: none, since it has no subjectAltName)")
    ]


@given(st.lists(LABEL, min_size=2, max_size=5), st.lists(LABEL, min_size=2, max_size=5))
def test_a_wildcard_stands_for_one_whole_label(one: list[str], other: list[str]) -> None:
    assert covers([".".join(["*", *one])], ".".join(other)) is (other[1:] == one)
    assert covers([".".join(one)], ".".join(other)) is (one == other)
    assert not covers([f"{one[0]}*.{'.'.join(one[1:])}"], ".".join(other))


def test_authorities() -> None:
    old = pki.authority("Old", end=datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC))
    assert authorities_problem(ROOT.crt, NOW) is None
    assert authorities_problem(old.crt + ROOT.crt, NOW) is None
    assert authorities_problem(old.crt, NOW) == ("expired on 2026-02-01, so nothing could be verified", "give one that is in date")
    assert authorities_problem("x", NOW) == ("has no certificate in PEM", "give the text from -----BEGIN CERTIFICATE----- on")


def test_revocation_lists() -> None:
    assert revocations_problem(ROOT.revoke(1, 2), NOW) is None
    assert revocations_problem(ROOT.revoke(1) + MIDDLE.revoke(2), NOW, ROOT.crt + MIDDLE.crt) is None
    late = ROOT.revoke(until=datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC))
    assert revocations_problem(late, NOW) == (
        "the list of 'CN=Root' was to be replaced by 2026-05-01, so every certificate would be refused",
        "give the new list",
    )
    for authority in (MIDDLE, pki.authority("Root")):
        problem = revocations_problem(ROOT.revoke(), NOW, authority.crt)
        assert problem is not None and "isn't signed by any CA" in problem[0]
    for text in ("", ROOT.crt, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"):
        assert revocations_problem(text, NOW) == ("has no revocation list in PEM", "give the text from -----BEGIN X509 CRL----- on")


def test_parameters() -> None:
    assert parameters_problem("# made by somebody\n" + pki.parameters()) is None
    assert parameters_problem(pki.parameters(pki.PRIME >> 1024)) == (
        "has 1024 bits, but fewer than 2048 can be broken",
        "make some with: openssl dhparam 2048",
    )


@given(st.binary(max_size=40))
def test_anything_else_has_no_parameters(content: bytes) -> None:
    for text in (content.decode("latin-1"), f"-----BEGIN DH PARAMETERS-----\n{content.hex()}\n-----END DH PARAMETERS-----\n"):
        problem = parameters_problem(text)
        assert problem is not None and problem[1] == "make some with: openssl dhparam 2048"
