# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's templates, rendered from fixtures and read again: by a small reader here, and by nginx where it is installed."""

from __future__ import annotations

import configparser
import datetime
import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import comment
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import pki
from ansible_collections.hitless.lb.plugins.filter.nginx_web_plan import nginx_web_plan
from products import Checker, checkers

ROLE = Path(__file__).resolve().parents[4] / "roles" / "nginx_web"
SPEC = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")) | {
    "nginx_web_trusted_proxies": [],
    "nginx_web_tls_profile": "intermediate",
    "nginx_web_load_balancer_listeners": [],
    "nginx_web_certificates": [],
}
CHECKERS = checkers("nginx")
MANAGED = "#\n# Ansible managed\n#\n"
NODES: dict[str, dict[str, Any]] = {
    "Debian 12": {
        "hostname": "web1",
        "os": {"id": "debian", "version_id": "12", "codename": "bookworm"},
        "ipv6": False,
        "packages": {"nginx": {"installed": "1.22.1-9", "candidate": None}},
    },
    "Debian 13": {
        "hostname": "web1",
        "os": {"id": "debian", "version_id": "13", "codename": "trixie"},
        "ipv6": True,
        "packages": {"nginx": {"installed": "1.26.3-3", "candidate": None}},
    },
}
FIXTURES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "plain HTTP alone": {"nginx_web_listeners": [{"port": 8080}]},
    "document root": {
        "nginx_web_root": "/srv/my www",
        "nginx_web_index": ["index.html", "index.htm"],
        "nginx_web_server_names": ["www.example.com", "*.example.com", ".example.net", r"~^(www\d{2}|a)\.example\.org$"],
    },
    "behind load balancers": {
        "nginx_web_trusted_proxies": ["192.0.2.11", "192.0.2.12", "2001:db8::/64"],
        "nginx_web_listeners": [
            {"port": 80},
            {"port": 443, "tls": True},
            {"port": 8081, "proxy_protocol": True},
            {"port": 8444, "tls": True, "proxy_protocol": True},
        ],
    },
    "for every variant of TLS": {
        "nginx_web_trusted_proxies": ["192.0.2.11", "192.0.2.12"],
        "nginx_web_load_balancer_listeners": [
            {"port": 8444, "tls": True, "proxy_protocol": True, "trusted_only": True},
            {
                "port": 8445,
                "tls": True,
                "verify_client": "required",
                "client_ca_content": pki.authority().crt,
                "trusted_only": True,
            },
        ],
    },
    "one address": {"nginx_web_listeners": [{"port": 80, "address": "127.0.0.1"}, {"port": 443, "address": "127.0.0.1", "tls": True}]},
    "modern": {
        "nginx_web_tls_profile": "modern",
        "nginx_web_tls_gzip": True,
        "nginx_web_http2": False,
        "nginx_web_keepalive_timeout": 20,
        "nginx_web_stop_timeout": 120,
    },
    "locations": {
        "nginx_web_health_path": "/status/live",
        "nginx_web_health_log": True,
        "nginx_web_client_max_body_size": "0",
        "nginx_web_locations": [
            {"path": "/static/", "alias": "/srv/static/", "raw": ["expires 1h;"]},
            {"path": "/files", "match": "prefix_final", "root": "/srv", "try_files": ["$uri", "$uri/", "=404"]},
            {
                "path": "/robots.txt",
                "match": "exact",
                "return": 200,
                "text": 'User-agent: "*"\nDisallow: /\\\n',
                "content_type": "text/plain",
            },
            {"path": "/old", "return": 301, "text": "https://www.example.com$request_uri"},
            {"path": r"\.(php|\"cgi)$", "match": "regex", "return": 403},
            {"path": r"^/v\d{1,2}/", "match": "regex_nocase", "proxy_pass": "http://127.0.0.1:8000"},
            {"path": "/app/", "proxy_pass": "http://127.0.0.1:8000/"},
            {"path": "/raw", "raw": ["if ($request_method = POST) {", "    return 405;", "}", "return 204;"]},
            {"path": "/", "proxy_pass": "http://localhost:8001"},
        ],
    },
    "raw": {
        "nginx_web_http_raw": ["map $http_upgrade $hitless_upgrade {\n    default upgrade;\n    '' close;\n}"],
        "nginx_web_server_raw": ["add_header X-Frame-Options DENY always;", "location ^~ /ws {\n    return 200 $hitless_upgrade;\n}"],
    },
}
CASES = [(node, name) for node in NODES for name in FIXTURES]


def rendered(template: str, node: str, fixture: str) -> str:
    """Render a template of the role from a fixture."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"), trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["comment"] = comment
    plan = nginx_web_plan(DEFAULTS | FIXTURES[fixture], SPEC, NODES[node], ["web1"], 1_780_000_000.0)
    return environment.get_template(template).render(ansible_managed="Ansible managed", __nginx_web_plan=plan)


def words(text: str) -> list[str]:
    """The words of a file in nginx's language, with ``;``, ``{`` and ``}`` on their own."""
    pattern = r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{};]|[^\s{};\"']+"
    assert re.fullmatch(rf"(?:\s|{pattern})*", text)
    return [word for word in re.findall(pattern, text) if not word.startswith("#")]


def blocks(text: str) -> list[list[Any]]:
    """The directives of a file in nginx's language; a block's own directives are the last item."""
    stack: list[list[list[Any]]] = [[]]
    current: list[Any] = []
    for word in words(text):
        if word == ";":
            assert current
            stack[-1].append(current)
            current = []
        elif word == "{":
            stack.append([])
            stack[-2].append([*current, stack[-1]])
            current = []
        elif word == "}":
            assert not current
            stack.pop()
            assert stack
        else:
            current.append(word)
    assert len(stack) == 1 and not current
    return stack[0]


@pytest.mark.parametrize(("node", "name"), CASES)
def test_the_site_is_one_or_more_servers_that_all_answer_the_health_check(node: str, name: str) -> None:
    text = rendered("site.conf.j2", node, name)
    assert text.startswith(MANAGED)
    assert text.endswith("}\n")
    servers = [block[-1] for block in blocks(text) if block[0] == "server"]
    assert servers
    health = FIXTURES[name].get("nginx_web_health_path", "/healthz")
    for server in servers:
        directives = [directive[0] for directive in server]
        assert directives.count("server_name") == 1
        listens = [directive for directive in server if directive[0] == "listen"]
        assert all("default_server" in listen for listen in listens)
        assert ["server_tokens", "off"] in server
        locations = {tuple(directive[1:-1]): directive[-1] for directive in server if directive[0] == "location"}
        assert ["return", "200", r'"<h1>Greeting from web1</h1>\n"'] in locations["=", health]
        assert ["return", "200", r'"@HITLESS_DIGEST@\n"'] in locations["=", "/hitless-digest"]
        assert ("/",) in locations
        tls = any("ssl" in listen for listen in listens)
        assert ("ssl_certificate" in directives) == tls
        for one_of_a_kind in ("ssl_protocols", "ssl_certificate_key", "gzip", "real_ip_header", "keepalive_timeout"):
            assert directives.count(one_of_a_kind) <= 1


@pytest.mark.parametrize(("node", "name"), CASES)
def test_ipv6_is_listened_on_where_it_is(node: str, name: str) -> None:
    variables = DEFAULTS | FIXTURES[name]
    listeners = variables["nginx_web_listeners"] + variables["nginx_web_load_balancer_listeners"]
    anywhere = [item for item in listeners if "address" not in item]
    assert rendered("site.conf.j2", node, name).count("listen [::]:") == (len(anywhere) if NODES[node]["ipv6"] else 0)


@pytest.mark.parametrize(("node", "name"), CASES)
def test_the_same_fixture_gives_the_same_text(node: str, name: str) -> None:
    for template in ("site.conf.j2", "systemd.conf.j2"):
        assert rendered(template, node, name) == rendered(template, node, name)


@pytest.mark.parametrize("name", FIXTURES)
def test_the_drop_in_stops_gracefully_and_in_time(name: str) -> None:
    text = rendered("systemd.conf.j2", "Debian 13", name)
    assert text.startswith(MANAGED)
    reader = configparser.ConfigParser(interpolation=None)
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    reader.read_string(text)
    service = dict(reader["Service"])
    assert service["ExecStop"] == ""
    assert service["KillSignal"] == "SIGQUIT"
    assert service["TimeoutStopSec"] == str(FIXTURES[name].get("nginx_web_stop_timeout", 30))


def pem() -> str:
    """A certificate with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web1")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (certificate.public_bytes(serialization.Encoding.PEM) + plain).decode()


def tree(folder: Path, site: str) -> Path:
    """A configuration of nginx around a site, as the distribution has it, with a certificate where the site looks for one."""
    (folder / "site.pem").write_text(pem(), encoding="utf-8")
    site = re.sub(r'"/etc/nginx-hitless/[^"]+"', f'"{folder}/site.pem"', site)
    main = folder / "nginx.conf"
    main.write_text(
        f"pid {folder}/pid;\nerror_log stderr;\nevents {{\n}}\nhttp {{\nssl_protocols TLSv1.2 TLSv1.3;\nserver_tokens off;\ngzip on;\n"
        f"access_log off;\ninclude {folder}/site.conf;\n}}\n",
        encoding="utf-8",
    )
    (folder / "site.conf").write_text(site, encoding="utf-8")
    return main


if CHECKERS:

    @pytest.mark.checker
    @pytest.mark.parametrize("nginx", CHECKERS, ids=str)
    @pytest.mark.parametrize("name", FIXTURES)
    def test_nginx_itself_reads_it_without_a_word(name: str, nginx: Checker, tmp_path: Path) -> None:
        # It can read only what its own version knows.
        (node,) = [node for node, facts in NODES.items() if facts["packages"]["nginx"]["installed"].startswith(nginx.version)]
        main = tree(tmp_path, rendered("site.conf.j2", node, name))
        checked = nginx.run(tmp_path, "-t", "-q", "-c", str(main))
        said = [line for line in checked.stderr.splitlines() if "could not open error log file" not in line]
        assert (checked.returncode, said) == (0, [])
