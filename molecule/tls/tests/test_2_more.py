# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTPS enforced, client certificates, HTTP/3, wrong authorities and names, renewal; then services by SNI, every kind of check, and a session."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from testing import lab

HTTPS = f"https://{lab.VIP}:8443"
NAME = "lab.example.com"
AUTHORITY = lab.PROJECT / ".lab" / "ca"
OWN = ("--cert", "/root/lb-client.crt", "--key", "/root/lb-client.key")
ECHO = {
    "path": "/echo",
    "match": "exact",
    "return": 200,
    "text": "verify=$http_x_ssl_client_verify subject=$http_x_ssl_client_subject\n",
}
# What a client sends, and where it is sent
REDIRECTS: dict[str, tuple[str, str]] = {
    "an address and a port": (f"GET /a?b=c HTTP/1.1\r\nHost: {lab.VIP}:8080\r\n", f"301 https://{lab.VIP}:8443/a?b=c"),
    "a name without a port": ("GET /a HTTP/1.1\r\nHost: lab.example.com\r\n", "301 https://lab.example.com:8443/a"),
    "another port": ("GET / HTTP/1.1\r\nHost: lab.example.com:9999\r\n", "301 https://lab.example.com:8443/"),
    "the port that Docker publishes": ("GET / HTTP/1.1\r\nHost: localhost:28080\r\n", "301 https://localhost:28443/"),
    "the other one": ("GET / HTTP/1.1\r\nHost: localhost:29080\r\n", "301 https://localhost:29443/"),
    "IPv6": ("GET / HTTP/1.1\r\nHost: [2001:db8:51::11]\r\n", "301 https://[2001:db8:51::11]:8443/"),
    "IPv6 and a port": ("GET / HTTP/1.1\r\nHost: [2001:db8:51::11]:8080\r\n", "301 https://[2001:db8:51::11]:8443/"),
    "HTTP/1.0": ("GET /old HTTP/1.0\r\n", f"301 https://{lab.VIP}:8443/old"),
    "no host": ("GET / HTTP/1.1\r\nHost:\r\n", f"301 https://{lab.VIP}:8443/"),
    "a form": ("POST /form HTTP/1.1\r\nHost: lab.example.com\r\nContent-Length: 0\r\n", "308 https://lab.example.com:8443/form"),
    "two slashes": ("GET //evil.example.com/ HTTP/1.1\r\nHost: lab.example.com\r\n", "301 https://lab.example.com:8443//evil.example.com/"),
    "a path in the host": ("GET / HTTP/1.1\r\nHost: evil.example.com/x?\r\n", "400 "),
    "a user in the host": ("GET / HTTP/1.1\r\nHost: lab.example.com@evil.example.com\r\n", "400 "),
    "two hosts": ("GET / HTTP/1.1\r\nHost: a.example.com, b.example.com\r\n", "400 "),
    "two ports": ("GET / HTTP/1.1\r\nHost: lab.example.com:80:90\r\n", "400 "),
    "no path": ("OPTIONS * HTTP/1.1\r\nHost: lab.example.com\r\n", "400 "),
    "a challenge": ("GET /.well-known/acme-challenge/to-Ken_1 HTTP/1.1\r\nHost: lab.example.com\r\n", "200 "),
    "no challenge": (
        "GET /.well-known/acme-challenge/../echo HTTP/1.1\r\nHost: lab.example.com\r\n",
        "301 https://lab.example.com:8443/.well-known/acme-challenge/../echo",
    ),
}
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], 8080), 5) as connection:
    connection.sendall(sys.stdin.buffer.read())
    connection.settimeout(2)
    data = b""
    while b"\\r\\n\\r\\n" not in data:
        more = connection.recv(65536)
        if not more:
            break
        data += more
head = data.decode("latin-1").split("\\r\\n\\r\\n")[0].split("\\r\\n")
place = [line.split(": ", 1)[1] for line in head if line.lower().startswith("location:")]
print(head[0].split()[1], *place)
"""


def https(*arguments: str) -> str:
    """Ask by HTTPS, with the lab's CA as the only one that is trusted; an error is in the answer."""
    command = ["curl", "-sS", "-m", "5", "--cacert", "/root/ca.crt", *arguments]
    return lab.run("client", " ".join(f"'{word}'" for word in command) + " 2>&1 || true")


def change(**variables: object) -> lab.Play:
    """Run the site playbook; it must succeed."""
    play = lab.playbook(variables=variables)
    assert play.rc == 0, play.output
    return play


def sent_to(request: str) -> str:
    """Send a request as it is, and give status and target."""
    text = (request + "\r\n").encode("unicode_escape").decode()
    return lab.run("client", f"printf '%b' '{text}' | python3 -c '{ASK}' {lab.VIP}")


def quic_nodes() -> list[str]:
    """Name the load balancers whose HAProxy knows QUIC."""
    return [name for name in lab.LOAD_BALANCERS if "+QUIC " in lab.run(name, "haproxy -vv")]


def serial() -> str:
    """Give the serial number of the certificate that the virtual IP serves."""
    return lab.run("client", f"openssl s_client -connect {lab.VIP}:8443 </dev/null 2>/dev/null | openssl x509 -noout -serial")


def workers(name: str) -> str:
    """Give HAProxy's processes, by which a reload can be told."""
    return lab.run(name, "pgrep -x haproxy | sort | paste -sd ' '")


@pytest.fixture(scope="module")
def enforced() -> None:
    """HTTPS is enforced, clients show a certificate, and HTTP/3 is offered by those who can."""
    change(
        lb_tls="terminate",
        lb_tls_enforce=True,
        lb_tls_http3="{{ inventory_hostname in " + json.dumps(quic_nodes()).replace('"', "'") + " }}",
        haproxy_hsts={"max_age": 63072000},
        haproxy_client_verify="required",
        haproxy_client_ca_file="clients",
        haproxy_ca_files=[{"name": "clients", "src": str(AUTHORITY / "ca.crt")}],
        nginx_web_locations=[ECHO],
    )


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize("name", REDIRECTS)
def test_everybody_is_sent_to_https(name: str) -> None:
    request, target = REDIRECTS[name]
    assert sent_to(request).strip() == target.strip()


@pytest.mark.usefixtures("enforced")
def test_a_browser_ends_at_https_and_is_told_to_come_there() -> None:
    assert (
        https("-L", *OWN, "-o", "/dev/null", "-w", "%{http_code} %{url_effective}", f"http://{lab.VIP}:8080/healthz")
        == f"200 {HTTPS}/healthz"
    )
    assert "strict-transport-security: max-age=63072000" in https(*OWN, "-D", "-", f"{HTTPS}/healthz").lower()
    assert "strict-transport-security" not in lab.curl("-D", "-", f"http://{lab.VIP}:8080/healthz").lower()
    posted = https("-L", *OWN, "-d", "a=b", "-o", "/dev/null", "-w", "%{http_code} %{method}", f"http://{lab.VIP}:8080/healthz")
    assert posted == "200 POST"


@pytest.mark.usefixtures("enforced")
def test_a_client_without_a_certificate_gets_nothing() -> None:
    assert "Greeting" not in https(f"{HTTPS}/healthz") and "alert" in https("--http1.1", f"{HTTPS}/healthz")
    lab.run(
        "client",
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /root/own.key -out /root/own.crt -subj /CN=lb-client -days 2",
    )
    assert "Greeting" not in https("--cert", "/root/own.crt", "--key", "/root/own.key", f"{HTTPS}/healthz")
    forged = ["-H", "X-SSL-Client-Subject: CN=forged", "-H", "X_SSL_Client_Verify: FORGED"]
    assert https(*OWN, *forged, f"{HTTPS}/echo") == "verify=SUCCESS subject=CN=lb-client"


@pytest.mark.usefixtures("enforced")
def test_http3_where_haproxy_has_it_and_a_refusal_elsewhere() -> None:
    for name in lab.LOAD_BALANCERS:
        place = ["--resolve", f"{NAME}:8443:{lab.ADDRESSES[name]}", *OWN, "-D", "-", f"https://{NAME}:8443/healthz"]
        if name in quic_nodes():
            assert 'alt-svc: h3=":8443"; ma=3600' in https(*place)
            # A client of Debian 12 can't ask; where HAProxy can answer, the client is of the same release or a later one.
            assert "HTTP/3 200" in https("--http3-only", *place)
        else:
            assert "alt-svc" not in https(*place)
            play = lab.playbook("site.yml", "--check", "--limit", name, variables={"lb_tls": "terminate", "lb_tls_http3": True})
            assert play.rc != 0 and "haproxy_tls_http3: HAProxy 2.6" in play.output and "has no QUIC" in play.output


@pytest.fixture(scope="module")
def reencrypting() -> None:
    """TLS to the web servers, verified on both sides."""
    change(lb_tls="reencrypt")


# Nothing is repaired in between: a second bad run must stop as well.
@pytest.mark.usefixtures("reencrypting")
@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"haproxy_reencrypt_ca_file": "/etc/ssl/certs/ca-certificates.crt"}, "Layer6 invalid response"),
        ({"haproxy_reencrypt_name": "wrong.example.com"}, "Layer6 invalid response"),
        ({"haproxy_reencrypt_crt": ""}, "wrong status"),
    ],
    ids=["another authority", "another name", "no certificate"],
)
def test_what_the_web_servers_or_haproxy_dont_trust_stops_at_the_standby(variables: dict[str, str], why: str) -> None:
    since = lab.run("lb2", "date '+%Y-%m-%d %H:%M:%S'")
    with lab.stream(rate=40) as stream:
        play = lab.playbook(variables={"lb_tls": "reencrypt", **variables})
    assert stream.lost == [], stream.summary()
    assert play.rc != 0 and "no server of a backend passes its check on lb2" in re.sub(r"\s+", " ", play.output), play.output
    assert re.search(r"web1 DOWN (L6RSP|L7STS)", re.sub(r"\s+", " ", play.output))
    assert lab.web_state("web1", lab.ADDRESSES["lb2"]) == "DOWN" and lab.web_state("web1", lab.ADDRESSES["lb1"]) == "UP"
    said = lab.run("lb2", f"journalctl -u haproxy --since '{since}' --no-pager")
    assert "Health check for server web/web1 failed" in said and why in said


def test_a_renewed_certificate_is_served_without_a_reload_and_after_a_restart() -> None:
    change(lb_tls="terminate")
    before, processes = serial(), {name: workers(name) for name in lab.LOAD_BALANCERS}
    for path in (AUTHORITY / "lb-site.crt", AUTHORITY / "lb-site.key"):
        Path(path).unlink()
    with lab.stream(rate=40) as stream:
        change(lb_tls="terminate")
        lab.wait_for("the new certificate served", lambda: serial() != before)
    assert stream.lost == [], stream.summary()
    assert {name: workers(name) for name in lab.LOAD_BALANCERS} == processes
    after = serial()
    lab.run("lb2", "systemctl restart haproxy")
    shown = f"openssl s_client -connect {lab.ADDRESSES['lb2']}:8443 </dev/null 2>/dev/null | openssl x509 -noout -serial"
    lab.wait_for("the new certificate served by lb2 after its restart", lambda: lab.run("client", f"{shown} || true") == after)


# What an agent on web1 says, and a check of one's own: both as a user would write them.
AGENT = """
import socketserver
class Agent(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(open("/run/agent", "rb").read())
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("0.0.0.0", 9777), Agent).serve_forever()
"""
COMMAND = "/usr/local/bin/check-by-hand"
WEB1 = lab.ADDRESSES["web1"]
# A backend for each kind of check, with web1 as its server
CHECKS: dict[str, dict[str, object]] = {
    "by_tcp": {"mode": "tcp", "server": [{"name": "web1", "address": WEB1, "port": 80}]},
    "by_another_port": {"mode": "tcp", "server": [{"name": "web1", "address": WEB1, "port": 9777, "check_port": 443}]},
    "by_tls": {"mode": "tcp", "server": [{"name": "web1", "address": WEB1, "port": 443, "check_ssl": True, "verify": "none"}]},
    "by_text": {
        "http_check": [{"send": {"uri": "/healthz", "headers": {"Host": "localhost"}}}, {"expect": {"string": "Greeting from web1"}}],
        "server": [{"name": "web1", "address": WEB1, "port": 80}],
    },
    # The check itself looks at the agent's port, which stays open.
    "by_agent": {
        "default_server": {"agent_check": True, "agent_port": 9777, "agent_inter": "1s"},
        "server": [{"name": "web1", "address": WEB1, "port": 80, "check_port": 9777}],
    },
    "by_hand": {
        "mode": "tcp",
        "option": ["external-check"],
        "external_check": ["path /usr/bin:/bin", f"command {COMMAND}"],
        "server": [{"name": "web1", "address": WEB1, "port": 80, "inter": "1s"}],
    },
    "by_name": {
        "mode": "tcp",
        "default_server": {"resolvers": "docker", "init_addr": ["none"]},
        "server_template": [{"prefix": "web", "count": 1, "address": "web1", "port": 80}],
    },
    "unchecked": {"server": [{"name": "web1", "address": WEB1, "port": 9, "check": False}]},
}


@pytest.fixture(scope="module")
def more() -> None:
    """A second service on the HTTPS port, every kind of check, and sessions that the load balancers share."""
    lab.run("web1", "echo up >/run/agent")
    lab.docker("exec", "web1", "systemd-run", "--unit=agent", "--collect", "python3", "-c", AGENT)
    for name in lab.LOAD_BALANCERS:
        lab.run(name, f"printf '#!/bin/bash\\nexec 2>/dev/null 3<>/dev/tcp/$3/$4\\n' >{COMMAND} && chmod 755 {COMMAND}")
    servers = [{"name": name, "address": lab.ADDRESSES[name], "port": 80} for name in lab.WEB_SERVERS]
    sessions = {
        "name": "web",
        "http_check": ["send meth GET uri /healthz ver HTTP/1.1 hdr Host localhost", "expect status 200"],
        "stick_table": {"type": "string", "size": "10k", "expire": "30m", "peers": "lbs"},
        "stick": ["on req.cook(session)"],
        "server": servers,
    }
    change(
        lb_tls="passthrough",
        haproxy_passthrough_services=[
            {
                "name": "second",
                "sni": ["second.example.com"],
                "server": [{"name": "web2", "address": lab.ADDRESSES["web2"], "port": 8444}],
            }
        ],
        haproxy_global={"chroot": "", "external_check": True, "insecure_fork_wanted": True},
        haproxy_resolvers=[{"name": "docker", "nameserver": [{"name": "docker", "address": "127.0.0.11"}]}],
        haproxy_backends=[sessions, *({"name": name, **check} for name, check in CHECKS.items())],
    )
    lab.wait_at_home(60)


@pytest.mark.usefixtures("more")
def test_services_share_a_port_by_the_name_that_is_asked_for() -> None:
    def served(option: str) -> set[str]:
        asked = f"openssl s_client -connect {lab.VIP}:8443 {option} </dev/null 2>/dev/null | openssl x509 -noout -subject"
        return {re.split(r"CN ?= ?", lab.run("client", asked))[-1] for number in range(4)}

    assert served("-servername second.example.com") == {"web2"}
    assert served("-servername other.example.com") == set(lab.WEB_SERVERS)
    assert served("-noservername") == set(lab.WEB_SERVERS)


@pytest.mark.usefixtures("more")
def test_every_kind_of_check_sees_a_server_go_and_come_back() -> None:
    def states() -> dict[str, str]:
        found = {backend: status for (backend, server), status in lab.backends().items() if backend in CHECKS and server == "web1"}
        return {backend: "DOWN" if status.startswith("DOWN") else status for backend, status in found.items()}

    checked = set(CHECKS) - {"unchecked"}
    lab.wait_for("every check sees web1", lambda: states() == dict.fromkeys(checked, "UP"))
    try:
        lab.run("web1", "echo down >/run/agent; systemctl stop nginx")
        lab.wait_for("every check sees that web1 is gone", lambda: states() == dict.fromkeys(checked, "DOWN"))
    finally:
        lab.run("web1", "echo up >/run/agent; systemctl start nginx")
    lab.wait_for("every check sees web1 again", lambda: states() == dict.fromkeys(checked, "UP"))


@pytest.mark.usefixtures("more")
def test_a_session_survives_a_move_of_the_virtual_ip() -> None:
    def served(number: int) -> str:
        return lab.curl("-b", f"session=client{number}", f"http://{lab.VIP}:8080/healthz")

    first = {number: served(number) for number in range(12)}
    assert {re.sub(r"<.*?>", "", text).split()[-1] for text in first.values()} == set(lab.WEB_SERVERS)
    ask = (
        "import socket; s=socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); s.sendall(b'show table web\\n');"
        "print(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
    )
    lab.wait_for("the standby has learned the sessions", lambda: lab.run("lb2", f'python3 -c "{ask}"').count("key=client") == 12)
    lab.run("lb1", "systemctl stop keepalived")
    try:
        lab.wait_for("the virtual IP on lb2", lambda: lab.owners() == ["lb2"])
        assert {number: served(number) for number in range(12)} == first
    finally:
        lab.run("lb1", "systemctl start keepalived")
    lab.wait_at_home(60)
    assert {number: served(number) for number in range(12)} == first
