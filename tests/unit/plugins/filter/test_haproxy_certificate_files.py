# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and what belongs to them: what a user reads when something is wrong, and the files that are written."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.utils.display import Display
from hypothesis import given
from hypothesis import strategies as st

import pki
from ansible_collections.hitless.lb.plugins.filter.haproxy_certificate_files import haproxy_certificate_files
from ansible_collections.hitless.lb.plugins.filter.haproxy_sections import haproxy_sections
from ansible_collections.hitless.lb.plugins.filter.haproxy_validate import haproxy_validate
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_tls import Refused, check_tls, expiry_warnings, files
from ansible_collections.hitless.lb.plugins.plugin_utils._tls_profiles import PROFILES, haproxy_settings, nginx_lines

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC).timestamp()
PAST = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
CA = pki.authority()
OTHER = pki.authority("Other CA")
WWW = CA.issue("www.example.com", "www.example.com", "*.shop.example.com")
API = CA.issue("api.example.com", "api.example.com")
CERTIFICATES = [{"name": "www", "pem": WWW.pem}, {"name": "api", "certificate": API.crt, "key": API.key, "chain": CA.crt}]
GOOD: dict[str, Any] = {
    "certificates": CERTIFICATES,
    "ca_files": [{"name": "lab", "content": CA.crt}],
    "crl_files": [{"name": "lab", "content": CA.revoke(1)}],
    "crt_lists": [{"name": "sites", "entries": [{"crt": "www"}, {"crt": "api", "sni": ["api.example.com", "!x.example.com"]}]}],
    "dh_parameters": {"content": pki.parameters()},
    "frontends": [{"name": "https", "bind": [{"port": 443, "ssl": True, "crt_list": "sites", "ca_file": "lab", "crl_file": "lab"}]}],
    "servers": [{"name": "a", "address": "192.0.2.1", "port": 443, "ssl": True, "crt": "api", "ca_file": "lab"}],
}


def findings(model: dict[str, Any]) -> list[str]:
    found: list[str] = []
    check_tls(model, NOW, lambda path, text: found.append(f"{path}: {text}"))
    return found


def certificate(**keys: Any) -> dict[str, Any]:
    return {"certificates": [{"name": "www", **keys}]}


def bind(**keys: Any) -> dict[str, Any]:
    return {**GOOD, "frontends": [{"name": "x", "bind": [{"port": 443, "ssl": True, **keys}]}]}


def entry(**keys: Any) -> dict[str, Any]:
    return {**GOOD, "crt_lists": [{"name": "sites", "entries": [keys]}]}


LEGACY = "switches on TLS older than 1.2, which is broken; write TLSv1.2 or TLSv1.3, or set haproxy_tls_legacy: true if it has to be"
WHOLE = "isn't whole; give pem, or certificate and key (and chain), each as text or with _src behind it as a path on the controller"
LATE = CA.issue("www.example.com", end=PAST)
EARLY = CA.issue("www.example.com", begin=datetime.datetime(2026, 7, 1, tzinfo=datetime.UTC))
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing of a certificate": (certificate(), f"haproxy_certificates[0]: {WHOLE}"),
    "a certificate without its key": (certificate(certificate=WWW.crt), f"haproxy_certificates[0]: {WHOLE}"),
    "a chain alone": (certificate(key=WWW.key, chain=CA.crt), f"haproxy_certificates[0]: {WHOLE}"),
    "text and path": (
        certificate(certificate=WWW.crt, certificate_src="www.crt", key=WWW.key),
        "haproxy_certificates[0].certificate: is given together with certificate_src; give one of the two",
    ),
    "pem and key": (
        certificate(pem=WWW.pem, key=WWW.key),
        "haproxy_certificates[0].pem: is given together with key; it has everything already",
    ),
    "pem without a certificate": (
        certificate(pem=WWW.key),
        "haproxy_certificates[0].pem: has no certificate; write certificate, chain and private key one after the other, in PEM",
    ),
    "a file that isn't there": (
        certificate(certificate_src="www.crt", key=WWW.key)
        | {"controller_texts": {"www.crt": {"text": "", "problem": "there is no such file on the controller"}}},
        "haproxy_certificates[0].certificate_src: 'www.crt': there is no such file on the controller",
    ),
    "a file that nobody read": (
        certificate(certificate_src="www.crt", key=WWW.key),
        "haproxy_certificates[0].certificate_src: 'www.crt': it wasn't read",
    ),
    "the key of another": (
        certificate(certificate=WWW.crt, key=API.key),
        "haproxy_certificates[0].key: it isn't the key of the certificate; give the key that the certificate was made for",
    ),
    "the key of another, as a file": (
        certificate(certificate=WWW.crt, key_src="k") | {"controller_texts": {"k": {"text": API.key, "problem": ""}}},
        "haproxy_certificates[0].key_src: it isn't the key of the certificate; give the key that the certificate was made for",
    ),
    "a key with a passphrase": (
        certificate(certificate=WWW.crt, key=WWW.locked("x")),
        "haproxy_certificates[0].passphrase: it has a passphrase; give it as passphrase",
    ),
    "a wrong passphrase": (
        certificate(certificate=WWW.crt, key=WWW.locked("x"), passphrase="y"),
        "haproxy_certificates[0].passphrase: the passphrase doesn't open it; give the right one",
    ),
    "a passphrase for nothing": (
        certificate(pem=WWW.pem, passphrase="y"),
        "haproxy_certificates[0].passphrase: a passphrase is given, but the key has none; leave the passphrase out",
    ),
    "no certificate at all": (
        certificate(certificate="x", key=WWW.key),
        "haproxy_certificates[0].certificate: it isn't a certificate in PEM; give the text from -----BEGIN CERTIFICATE----- on",
    ),
    "a chain of somebody else": (
        certificate(certificate=WWW.crt, key=WWW.key, chain=OTHER.crt),
        "haproxy_certificates[0].certificate: its certificates aren't in order: behind 'CN=www.example.com', which 'CN=Test CA' issued,"
        " stands 'CN=Other CA'; put the site's own certificate first and behind each the one that signed it",
    ),
    "a chain that didn't sign": (
        certificate(certificate=WWW.crt, key=WWW.key, chain=pki.authority().crt),
        "haproxy_certificates[0].certificate: 'CN=Test CA' has the name of the one that issued 'CN=www.example.com', but didn't sign it;"
        " put the site's own certificate first and behind each the one that signed it",
    ),
    "expired": (
        certificate(pem=LATE.pem),
        "haproxy_certificates[0].pem: the certificate expired on 2026-05-01; give one that is in date",
    ),
    "not valid yet": (
        certificate(pem=EARLY.pem),
        "haproxy_certificates[0].pem: the certificate isn't valid before 2026-07-01; give one that is in date",
    ),
    "a name that it isn't made out to": (
        certificate(pem=WWW.pem, names=["www.example.com", "a.b.shop.example.com"]),
        "haproxy_certificates[0].names: the certificate doesn't cover a.b.shop.example.com"
        " (its names: www.example.com, *.shop.example.com); give one that does",
    ),
    "two of one name": (
        {"ca_files": [*GOOD["ca_files"], *GOOD["ca_files"]]},
        "haproxy_ca_files[1].name: 'lab' is used twice; give every CA file its own name",
    ),
    "a path for a name": (
        {"crl_files": [{"name": "../x", "content": CA.revoke()}]},
        "haproxy_crl_files[0].name: '../x' is no name; use letters, digits and _ . -",
    ),
    "an unknown certificate": (
        bind(crt=["ww"]),
        "haproxy_frontends[0].bind[0].crt[0]: there is no certificate 'ww' in haproxy_certificates; did you mean 'www'?"
        " (a file is written with its path)",
    ),
    "an unknown crt-list": (
        bind(crt_list="site"),
        "haproxy_frontends[0].bind[0].crt_list: there is no crt-list 'site' in haproxy_crt_lists; did you mean 'sites'?"
        " (a file is written with its path)",
    ),
    "an unknown CA file": (
        {**GOOD, "servers": [{"name": "a", "ca_file": "lap"}]},
        "haproxy_servers[0].ca_file: there is no CA file 'lap' in haproxy_ca_files; did you mean 'lab'? (a file is written with its path)",
    ),
    "an unknown certificate of a server": (
        {"backends": [{"name": "b", "server": [{"name": "a", "crt": "www"}]}]},
        "haproxy_backends[0].server[0].crt: there is no certificate 'www' in haproxy_certificates; none is defined"
        " (a file is written with its path)",
    ),
    "an unknown CA file of all servers": (
        {"defaults": {"default_server": {"ca_file": "lab"}}},
        "haproxy_defaults.default_server.ca_file: there is no CA file 'lab' in haproxy_ca_files; none is defined"
        " (a file is written with its path)",
    ),
    "a revocation list without a CA": (
        bind(crt=["www"], crl_file="lab"),
        "haproxy_frontends[0].bind[0].crl_file: has no ca_file beside it, so nothing would be verified; write ca_file, too",
    ),
    "a revocation list of another CA": (
        {**GOOD, "crl_files": [{"name": "lab", "content": OTHER.revoke()}]},
        "haproxy_crl_files[0].content: the list of 'CN=Other CA' isn't signed by any CA of the file that it is used with; give the CA's own list",
    ),
    "a revocation list out of date": (
        {"crl_files": [{"name": "lab", "content": CA.revoke(until=PAST)}]},
        "haproxy_crl_files[0].content: the list of 'CN=Test CA' was to be replaced by 2026-05-01, so every certificate would be refused;"
        " give the new list",
    ),
    "an expired CA": (
        {"ca_files": [{"name": "old", "content": pki.authority(end=PAST).crt}]},
        "haproxy_ca_files[0].content: expired on 2026-05-01, so nothing could be verified; give one that is in date",
    ),
    "a CA file without a text": (
        {"ca_files": [{"name": "lab"}]},
        "haproxy_ca_files[0]: has neither content nor src; give the text, or a path on the controller",
    ),
    "a CA file with text and path": (
        {"ca_files": [{"name": "lab", "content": CA.crt, "src": "ca.crt"}]},
        "haproxy_ca_files[0].content: is given together with src; give one of the two",
    ),
    "weak parameters": (
        {"dh_parameters": {"content": pki.parameters(pki.PRIME >> 1024)}},
        "haproxy_dh_parameters.content: has 1024 bits, but fewer than 2048 can be broken; make some with: openssl dhparam 2048",
    ),
    "no parameters": (
        {"dh_parameters": {"content": CA.crt}},
        "haproxy_dh_parameters.content: has no Diffie-Hellman parameters in PEM; make some with: openssl dhparam 2048",
    ),
    "parameters twice": (
        {"dh_parameters": GOOD["dh_parameters"], "global": {"ssl_dh_param_file": "/etc/ssl/dh.pem"}},
        "haproxy_dh_parameters: is given together with haproxy_global.ssl_dh_param_file; give one of the two",
    ),
    "an empty crt-list": (
        {"crt_lists": [{"name": "x", "entries": []}]},
        "haproxy_crt_lists[0].entries: is empty; write at least one {crt: NAME}",
    ),
    "a crt-list without a certificate": (
        entry(sni=["a.example.com"]),
        "haproxy_crt_lists[0].entries[0].crt: is missing; write the name of a certificate of haproxy_certificates, or a path",
    ),
    "a crt-list with an unknown certificate": (
        entry(crt="wwww"),
        "haproxy_crt_lists[0].entries[0].crt: there is no certificate 'wwww' in haproxy_certificates; did you mean 'www'?"
        " (a file is written with its path)",
    ),
    "a crt-list with an unknown key": (
        entry(crt="www", alnp=["h2"]),
        "haproxy_crt_lists[0].entries[0].alnp: is no key of a crt-list; did you mean 'alpn'?",
    ),
    "a filter that isn't covered": (
        entry(crt="www", sni=["a.shop.example.com", "*.example.com"]),
        "haproxy_crt_lists[0].entries[0].sni[1]: the certificate 'www' doesn't cover *.example.com"
        " (its names: www.example.com, *.shop.example.com); give one that does",
    ),
    "a filter that is none": (
        entry(crt="www", sni=["a b"]),
        "haproxy_crt_lists[0].entries[0].sni[0]: 'a b' is no filter; write a name, *.a.name, or ! before one that is left out",
    ),
    "old TLS on a bind": (bind(crt=["www"], ssl_min_ver="TLSv1.0"), f"haproxy_frontends[0].bind[0].ssl_min_ver: 'TLSv1.0' {LEGACY}"),
    "old TLS at the most": (entry(crt="www", ssl_max_ver="TLSv1.1"), f"haproxy_crt_lists[0].entries[0].ssl_max_ver: 'TLSv1.1' {LEGACY}"),
    "old TLS to servers of other defaults": (
        {"named_defaults": [{"name": "x", "default_server": {"ssl_min_ver": "TLSv1.1"}}]},
        f"haproxy_named_defaults[0].default_server.ssl_min_ver: 'TLSv1.1' {LEGACY}",
    ),
    "old TLS between peers": (
        {"peers": [{"name": "x", "bind": [{"port": 1, "ssl_max_ver": "TLSv1.1"}]}]},
        f"haproxy_peers[0].bind[0].ssl_max_ver: 'TLSv1.1' {LEGACY}",
    ),
    "old TLS to servers": (
        {"defaults": {"default_server": {"ssl_min_ver": "TLSv1.1"}}},
        f"haproxy_defaults.default_server.ssl_min_ver: 'TLSv1.1' {LEGACY}",
    ),
    "old TLS for everything": (
        {"global": {"ssl_default_bind_options": "no-tls-tickets ssl-min-ver  TLSv1.1"}},
        f"haproxy_global.ssl_default_bind_options: 'ssl-min-ver TLSv1.1' {LEGACY}",
    ),
    "old TLS alone": (
        {"global": {"ssl_default_server_options": "force-tlsv10"}},
        f"haproxy_global.ssl_default_server_options: 'force-tlsv10' {LEGACY}",
    ),
    "old TLS in raw words": (bind(crt=["www"], raw="ssl-min-ver SSLv3"), f"haproxy_frontends[0].bind[0].raw: 'ssl-min-ver SSLv3' {LEGACY}"),
    "old TLS in a raw line": ({"raw": ["listen x", "  bind :1 ssl force-tlsv11"]}, f"haproxy_raw[1]: 'force-tlsv11' {LEGACY}"),
    "without TLS 1.2": (
        {"global": {"raw": ["ssl-default-bind-options no-tlsv12"]}},
        "haproxy_global.raw[0]: 'no-tlsv12' takes away what most clients speak, or leaves only what is older;"
        " write ssl-min-ver TLSv1.3 if TLS 1.3 alone is meant",
    ),
    "an unknown profile": ({"tls_profile": "old"}, "haproxy_tls_profile: 'old' is no profile; write 'intermediate' or 'modern'"),
    "more certificates than an answer holds": (
        {"stats": {"metrics": True}, "certificates": [{"name": f"site{index}", "pem": WWW.pem} for index in range(150)]},
        "haproxy_metrics_enabled: what is told of 150 certificates at /metrics/certificates takes up to 20280 bytes, but HAProxy has room for 14336;"
        " write at least 22328 as bufsize in haproxy_global.tune, or switch the metrics off",
    ),
}


def test_good_values_are_found_good() -> None:
    assert findings(GOOD) == []


@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused_with_what_to_write_instead(name: str) -> None:
    model, message = BAD[name]
    found = findings(model)
    assert found == [message]
    assert "PRIVATE KEY-----\n" not in "".join(found)


@pytest.mark.parametrize("name", [name for name in BAD if "old TLS" in name])
def test_old_tls_can_be_permitted(name: str) -> None:
    assert findings({**BAD[name][0], "tls_legacy": True}) == []


@pytest.mark.parametrize(
    "line",
    [
        "ssl-min-ver TLSv1.2",
        "ssl-max-ver TLSv1.3",
        "no-tls-tickets",
        "no-sslv3 no-tlsv10 no-tlsv11",
        "# force-tlsv10",
        "x-force-tlsv10",
        "no-tlsv12.5",
    ],
)
def test_ordinary_words_pass(line: str) -> None:
    assert (
        findings({"raw": [line], "global": {"raw": [line]}, "frontends": [{"log_format": "force-tlsv10 is what the client wanted"}]}) == []
    )


@given(
    st.sampled_from(["", "strict-sni ", "no-tls-tickets "]),
    st.sampled_from([" ", "  ", "\t"]),
    st.sampled_from(["SSLv3", "TLSv1.0", "tlsv1.1"]),
)
def test_old_tls_is_found_wherever_it_stands_in_a_line(before: str, blank: str, version: str) -> None:
    for word in ("min", "max"):
        (found,) = findings({"global": {"raw": [f"ssl-default-bind-options {before}ssl-{word}-ver{blank}{version} no-tls-tickets"]}})
        assert found.startswith("haproxy_global.raw[0]: ") and found.endswith(LEGACY)


def test_a_name_without_a_path_may_lie_in_a_base_directory() -> None:
    model = bind(crt=["mine.pem"], ca_file="mine.pem")
    assert len(findings(model)) == 2
    assert findings({**model, "global": {"crt_base": "/srv/crt", "ca_base": "/srv/ca"}}) == []
    assert findings(bind(crt=["/srv/mine.pem"], ca_file="@system-ca")) == []


def test_names_become_paths_everywhere() -> None:
    model = {
        **GOOD,
        "frontends": [
            {
                "name": "x",
                "bind": [{"port": 1, "ssl": True, "crt": ["www", "/a.pem"], "ca_file": "lab", "crl_file": "lab"}],
                "default_backend": "web",
            }
        ],
        "defaults": {"default_server": {"ca_file": "lab"}},
    }
    text = "\n".join(line for section in haproxy_sections(model) for line in section["lines"])
    assert (
        "bind *:1 ssl crt /etc/haproxy/certs/www.pem crt /a.pem ca-file /etc/haproxy/ca/lab.pem crl-file /etc/haproxy/crl/lab.pem" in text
    )
    assert "ca-file /etc/haproxy/ca/lab.pem crt /etc/haproxy/certs/api.pem" in text
    assert re.search(r"default-server .* ca-file /etc/haproxy/ca/lab.pem", text)
    assert "ssl-dh-param-file /etc/haproxy/dhparams.pem" in text and "DHE-RSA-AES128-GCM-SHA256" in text


# Everything that takes a name, and how a path is written there.
TLS = {"ssl": True, "crt": "www", "ca_file": "lab", "crl_file": "lab"}
WORDS = "ca-file /etc/haproxy/ca/lab.pem crl-file /etc/haproxy/crl/lab.pem crt /etc/haproxy/certs/www.pem"
ELSEWHERE: dict[str, tuple[dict[str, Any], str]] = {
    "haproxy_backends[0].server_template[0]": (
        {"backends": [{"name": "x", "server_template": [{"prefix": "s", "count": "1", "address": "a.example.com", "port": 1, **TLS}]}]},
        f"server-template s 1 a.example.com:1 ssl {WORDS}",
    ),
    "haproxy_named_defaults[0].default_server": ({"named_defaults": [{"name": "x", "default_server": TLS}]}, WORDS),
    "haproxy_peers[0].peer[0]": (
        {"peers": [{"name": "x", "peer": [{"name": "a", "address": "192.0.2.1", "port": 1, **TLS}]}]},
        f"peer a 192.0.2.1:1 ssl {WORDS}",
    ),
    "haproxy_peers[0].default_server": ({"peers": [{"name": "x", "default_server": TLS}]}, f"default-server ssl {WORDS}"),
    "haproxy_peers[0].bind[0]": (
        {"peers": [{"name": "x", "bind": [{"port": 1, **TLS, "crt": ["www"]}], "peer": [{"name": "a", **TLS}]}]},
        "bind *:1 ssl crt /etc/haproxy/certs/www.pem ca-file /etc/haproxy/ca/lab.pem crl-file /etc/haproxy/crl/lab.pem",
    ),
    "haproxy_frontends[0].bind[0]": (
        {"frontends": [{"name": "x", "bind": [{"port": 1, "default_crt": ["www"], "ca_verify_file": "lab"}]}]},
        "ca-verify-file /etc/haproxy/ca/lab.pem default-crt /etc/haproxy/certs/www.pem",
    ),
}


@pytest.mark.parametrize("path", ELSEWHERE)
def test_names_become_paths_and_are_looked_for_wherever_they_stand(path: str) -> None:
    model, expected = ELSEWHERE[path]
    text = "\n".join(line for section in haproxy_sections(GOOD | model) for line in section["lines"])
    assert expected in text
    keys = ("crt", "default_crt", "ca_file", "ca_verify_file", "crl_file")
    wanted = {f"{path}.{key}" for key in keys if f"'{key}'" in repr(model)}
    found = {finding.split(": ")[0].replace("crt[0]", "crt") for finding in findings(model)}
    assert wanted == {place for place in found if place.startswith(path)}


def test_the_files() -> None:
    found = {file["path"]: file for file in haproxy_certificate_files(GOOD)}
    assert list(found) == [
        "/etc/haproxy/certs/www.pem",
        "/etc/haproxy/certs/api.pem",
        "/etc/haproxy/ca/lab.pem",
        "/etc/haproxy/crl/lab.pem",
        "/etc/haproxy/dhparams.pem",
        "/etc/haproxy/crt-lists/sites.list",
    ]
    assert found["/etc/haproxy/certs/api.pem"]["content"] == API.key + API.crt + CA.crt
    for path in ("www", "api"):
        file = found[f"/etc/haproxy/certs/{path}.pem"]
        assert (file["mode"], file["sensitive"], file["action"]) == ("0600", True, "runtime")
    assert found["/etc/haproxy/crt-lists/sites.list"]["content"] == (
        "/etc/haproxy/certs/www.pem\n/etc/haproxy/certs/api.pem api.example.com !x.example.com\n"
    )


def test_the_options_of_a_crt_list() -> None:
    options = {"alpn": ["h2", "http/1.1"], "verify": "optional", "ca_file": "lab", "ssl_min_ver": "TLSv1.3", "raw": "allow-0rtt"}
    (file,) = [file for file in files(entry(crt="www", sni=["www.example.com"], **options)) if file["path"].endswith(".list")]
    assert file["content"] == (
        "/etc/haproxy/certs/www.pem [alpn h2,http/1.1 verify optional ca-file /etc/haproxy/ca/lab.pem ssl-min-ver TLSv1.3 allow-0rtt] www.example.com\n"
    )


def test_a_renewed_certificate_keeps_its_path_and_is_known_by_its_fingerprint() -> None:
    renewed = CA.issue("www.example.com", "www.example.com")
    one, other = (haproxy_certificate_files(certificate(pem=each.pem))[0] for each in (WWW, renewed))
    assert one["path"] == other["path"] and one["content"] != other["content"]
    assert one["runtime"]["expect"] != other["runtime"]["expect"]
    assert one["runtime"]["tell"][0]["send"] == "set ssl cert /etc/haproxy/certs/www.pem <<\n@HITLESS_CONTENT@\n"
    assert "\n\n" not in one["content"]


def test_a_certificate_that_no_buffer_holds_takes_a_reload() -> None:
    big = CA.issue("www.example.com", *[f"name-number-{number}.example.com" for number in range(400)])
    (file,) = haproxy_certificate_files(certificate(pem=big.pem))
    assert "action" not in file and "runtime" not in file and len(file["content"]) > 14336
    (file,) = haproxy_certificate_files({**certificate(pem=big.pem), "global": {"tune": {"bufsize": 32768}}})
    assert file["action"] == "runtime"


def test_the_passphrase_stays_on_the_controller() -> None:
    (file,) = haproxy_certificate_files(certificate(certificate=WWW.crt, key=WWW.locked("open sesame"), passphrase="open sesame"))
    assert file["content"] == WWW.key + WWW.crt and "sesame" not in str(file)


def test_days_are_told_beside_the_metrics_and_only_there() -> None:
    model = {
        "certificates": CERTIFICATES,
        "stats": {"metrics": True, "enabled": False, "user": "u", "password": "p", "bind": [{"port": 1}]},
    }
    text, table = haproxy_certificate_files(model)[2:]
    assert table["content"] == f"www {int(pki.END.timestamp())}\napi {int(pki.END.timestamp())}\n" and table["action"] == "runtime"
    assert re.search(table["runtime"]["expect"], "0x55d0 www 2082758400\n0x55d1 api 2082758400\n\n", re.MULTILINE)
    for answer in ("0x55d0 www 2082758400\n\n", "0x1 www 2082758400\n0x2 api 1\n", ""):
        assert not re.search(table["runtime"]["expect"], answer, re.MULTILINE)
    assert 'hitless_certificate_expiry_days{certificate="www"} %[str(www),map_str_int(' in text["content"]
    rules = next(section["lines"] for section in haproxy_sections(model) if section["name"].startswith("listen stats"))
    login = next(index for index, line in enumerate(rules) if "auth realm" in line)
    assert [index for index, line in enumerate(rules) if "/metrics/certificates" in line and index > login] == [login + 2, login + 3]
    assert len(haproxy_certificate_files({**model, "stats": {}})) == 2


def test_what_cannot_be_read_makes_no_files() -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(f"haproxy_certificates[0]: {WHOLE}")):
        haproxy_certificate_files(certificate())
    with pytest.raises(AnsibleFilterError, match="takes a dictionary, not list"):
        haproxy_certificate_files([])  # type: ignore[arg-type]
    with pytest.raises(Refused):
        files(certificate())


def test_a_certificate_that_expires_soon_is_a_warning_and_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(Display, "warning", lambda _self, text: warned.append(text))
    soon = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(days=20, hours=12)
    model = certificate(pem=CA.issue("www.example.com", end=soon).pem)
    assert haproxy_validate(model)
    assert warned == [f"haproxy_certificates[0].pem: the certificate 'www' expires on {soon:%Y-%m-%d}, in 20 days; renew it"]
    assert expiry_warnings(model, soon.timestamp() - 22 * 86400) == []
    assert expiry_warnings(certificate()) == []


def test_profiles_say_the_same_to_haproxy_and_nginx() -> None:
    for name, profile in PROFILES.items():
        settings, lines = haproxy_settings(name), nginx_lines(name)
        assert settings["ssl_default_bind_options"].split()[1] == profile.protocols[0] >= "TLSv1.2"
        assert f"ssl_protocols {' '.join(profile.protocols)};" in lines
        ciphers = [f"ssl_ciphers {settings['ssl_default_bind_ciphers']};"] if profile.ciphers else []
        assert [line for line in lines if "ciphers" in line] == ciphers
    assert "ssl_default_bind_ciphers" not in haproxy_settings("modern", dh=True)


def test_the_modern_profile_is_tls_1_3_alone_and_can_be_overridden() -> None:
    def lines(**model: Any) -> list[str]:
        return [line for line in haproxy_sections(model)[0]["lines"] if line.startswith("ssl-default-bind")]

    assert lines(tls_profile="modern") == [
        "ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets",
        "ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
        "ssl-default-bind-curves X25519:prime256v1:secp384r1",
    ]
    assert "ssl-default-bind-curves prime256v1" in lines(tls_profile="modern", **{"global": {"ssl_default_bind_curves": "prime256v1"}})
    assert lines() == lines(tls_profile="intermediate") and len(lines()) == 4
