# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All four variants, one after the other, each a change of a live service: what the client gets, and what the web servers get to know."""

from __future__ import annotations

import json
import re

import pytest
from testing import lab

HTTPS = f"https://{lab.VIP}:8443"
NAME = "lab.example.com"
CLIENT = "198.51.100.41"
# A server may begin to speak HTTP/2 at once, and that isn't text.
PRINTABLE = "tr -cd '[:print:]\\n'"
# A page on which a web server says what it got to know.
ECHO = {
    "path": "/echo",
    "match": "exact",
    "return": 200,
    "text": "address=$remote_addr for=$http_x_forwarded_for proto=$http_x_forwarded_proto host=$http_x_forwarded_host"
    " forwarded=$http_forwarded verify=$http_x_ssl_client_verify subject=$http_x_ssl_client_subject scheme=$scheme\n",
}
FORGED = [
    "-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Host: forged.example.com", "-H", "X-Forwarded-Proto: gopher",
    "-H", "Forwarded: for=203.0.113.9", "-H", "X-SSL-Client-Verify: SUCCESS", "-H", "x-ssl-client-subject: CN=forged",
]  # fmt: skip
# Who ends TLS, and so shows its certificate: HAProxy, or one of the web servers
SUBJECTS = {"terminate": {NAME}, "reencrypt": {NAME}, "passthrough": set(lab.WEB_SERVERS)}
# Without CRL and OCSP nothing can be said about revocation, and a small CA has neither.
EXCEPTED = {"cert_revocation"}


def variables(variant: str) -> dict[str, object]:
    """Give what a run is told."""
    return {"lb_tls": variant, "nginx_web_locations": [ECHO]}


def https(*arguments: str) -> str:
    """Ask by HTTPS through the virtual IP, with the lab's CA as the only one that is trusted; an error is in the answer."""
    command = ["curl", "-sS", "-m", "5", "--cacert", "/root/ca.crt", *arguments]
    return lab.run("client", " ".join(f"'{word}'" for word in command) + " 2>&1 || true")


def echoed(text: str) -> dict[str, str]:
    """Read the page on which a web server says what it got to know."""
    return dict(re.findall(r"(\w+)=(\S*)", text))


# The lab begins with passthrough. From reencrypt to none is the step that has the web servers' ports in use until the very end.
@pytest.fixture(scope="module", params=["terminate", "reencrypt", "none", "passthrough"])
def variant(request: pytest.FixtureRequest) -> str:
    """Change to a variant while clients ask for pages at port 8080: none of them may be lost."""
    word = str(request.param)
    with lab.stream(rate=40) as stream:
        play = lab.playbook(variables=variables(word))
        assert play.rc == 0, play.output
        lab.wait_for("answers by HTTP after the change", lambda: lab.greeting() in lab.WEB_SERVERS)
    assert stream.lost == [], stream.summary()
    assert len(stream.answers) > 100
    return word


def test_http_is_served_at_8080(variant: str) -> None:
    assert {lab.greeting() for number in range(8)} == set(lab.WEB_SERVERS)
    states = lab.backends()
    assert {states["web", server] for server in lab.WEB_SERVERS} == {"UP"}
    assert (("web_tls", "web1") in states) is (variant == "passthrough")


def test_tls_is_served_at_8443(variant: str) -> None:
    if variant == "none":
        assert "Failed to connect" in https(f"{HTTPS}/healthz") or "onnection refused" in https(f"{HTTPS}/healthz")
        return
    for protocol, option in (("2", "--http2"), ("1.1", "--http1.1")):
        assert https(option, "-o", "/dev/null", "-w", "%{http_code} %{http_version}", f"{HTTPS}/healthz") == f"200 {protocol}"
    by_name = ["--resolve", f"{NAME}:8443:{lab.VIP}", f"https://{NAME}:8443/healthz"]
    assert "Greeting from web" in https(*by_name)
    other = ["--resolve", f"other.example.com:8443:{lab.VIP}", "https://other.example.com:8443/healthz"]
    assert "no alternative certificate subject name matches" in https(*other)
    assert "certificate problem" in lab.run("client", f"curl -sS -m 5 {HTTPS}/healthz 2>&1 || true")


def test_the_protocols_are_those_of_the_profile(variant: str) -> None:
    for option, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3"), ("-tls1_1", ""), ("-tls1", "")):
        said = lab.run("client", f"openssl s_client -connect {lab.VIP}:8443 {option} -CAfile /root/ca.crt </dev/null 2>&1 | {PRINTABLE}")
        wanted = version if variant != "none" else ""
        assert (f"New, {wanted}, Cipher is" in said and "Verify return code: 0 (ok)" in said) is bool(wanted), said


def test_the_certificate_is_the_labs(variant: str) -> None:
    seen = set()
    for _number in range(4):
        said = lab.run(
            "client", f"openssl s_client -connect {lab.VIP}:8443 -alpn h2,http/1.1 -CAfile /root/ca.crt </dev/null 2>&1 | {PRINTABLE}"
        )
        found = re.search(r"^subject=.*CN ?= ?(\S+)$", said, re.MULTILINE)
        seen |= {found[1]} if found else set()
        assert ("ALPN protocol: h2" in said) is (variant != "none")
    assert seen == SUBJECTS.get(variant, set())


def test_the_web_servers_know_the_client_and_nothing_that_is_forged(variant: str) -> None:
    said = echoed(lab.curl(*FORGED, f"http://{lab.VIP}:8080/echo"))
    assert said["address"].removeprefix("::ffff:") == CLIENT and said["for"].removeprefix("::ffff:") == CLIENT
    assert (said["proto"], said["host"], said["forwarded"], said["verify"], said["subject"]) == ("http", "", "", "", "")
    assert said["scheme"] == ("https" if variant == "reencrypt" else "http")
    if variant == "none":
        return
    said = echoed(https(*FORGED, f"{HTTPS}/echo"))
    assert said["address"].removeprefix("::ffff:") == CLIENT
    if variant == "passthrough":
        # HAProxy sees none of it: whoever ends TLS says what it believes.
        assert said["scheme"] == "https"
    else:
        assert said["for"].removeprefix("::ffff:") == CLIENT
        assert (said["proto"], said["host"], said["forwarded"], said["verify"], said["subject"]) == ("https", "", "", "", "")
        assert said["scheme"] == ("https" if variant == "reencrypt" else "http")


@pytest.mark.usefixtures("variant")
def test_the_load_balancers_ports_of_the_web_servers_are_for_them_alone() -> None:
    for web in lab.WEB_SERVERS:
        address, code = lab.ADDRESSES[web], ["-o", "/dev/null", "-w", "%{http_code}"]
        assert https("-k", "--haproxy-protocol", *code, f"https://{address}:8444/echo") == "403"
        assert https("-k", *code, f"https://{address}:8445/echo") == "400"
        assert https("--cert", "/root/lb-client.crt", "--key", "/root/lb-client.key", *code, f"https://{address}:8445/echo") == "403"
        # Ports 80 and 443 are as they were, in every variant.
        assert lab.curl(*code, f"http://{address}/healthz") == "200"
        assert lab.curl("-k", *code, f"https://{address}/healthz") == "200"


def test_a_second_run_changes_nothing(variant: str) -> None:
    if variant not in ("terminate", "reencrypt"):
        return  # The other scenarios look at passthrough, which has everything of none.
    play = lab.playbook(variables=variables(variant))
    assert play.rc == 0 and set(play.changed.values()) == {0}, play.output


def test_testssl_finds_nothing_of_medium_or_worse(variant: str) -> None:
    if variant == "none":
        return
    lab.run("client", "rm -f /root/testssl.json")
    lab.docker(
        *("exec", "client", "timeout", "300", "testssl", "--quiet", "--color", "0", "--warnings", "off", "--add-ca", "/root/ca.crt"),
        *("--severity", "MEDIUM", "--jsonfile", "/root/testssl.json", "-p", "-s", "-f", "-S", "-h", "-U", f"{HTTPS}/"),
        check=False,
        seconds=310,
    )
    found = json.loads(lab.run("client", "cat /root/testssl.json"))
    # WARN: something that testssl couldn't try.
    assert [entry for entry in found if entry["severity"] != "WARN" and entry["id"] not in EXCEPTED] == []
    # What it would have found, it looks for: the CA has neither CRL nor OCSP, and that it always says.
    assert any(entry["id"] == "cert_revocation" for entry in found)
