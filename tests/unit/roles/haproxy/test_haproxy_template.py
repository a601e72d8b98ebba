# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""haproxy.cfg as the role writes it: rendered from fixtures with the role's own defaults, vars and template.

Where HAProxy is installed, it reads each of them and may not even warn.
"""

from __future__ import annotations

import datetime
import functools
import re
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.filter.core import comment
from ansible.template import Templar, trust_as_template
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.hitless.lb.plugins.filter.haproxy_certificate_files import haproxy_certificate_files
from ansible_collections.hitless.lb.plugins.filter.haproxy_sections import haproxy_sections
from ansible_collections.hitless.lb.plugins.filter.haproxy_validate import haproxy_validate
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import CERTIFICATE_DIRECTORY
from products import Checker, checkers

HERE = Path(__file__).parent
ROLE = HERE.parents[3] / "roles" / "haproxy"
FIXTURES = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((HERE / "fixtures").glob("*.yml"))}
CHECKERS = checkers("haproxy")
NODE = {
    "hostname": "lb1",
    "ipv6": False,
    "packages": {"haproxy": {"installed": "3.0.11-1+deb13u1", "candidate": None}},
    "sysctls": {},
    "certificates": {},
}


@functools.cache
def pem() -> str:
    """Make a certificate with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com")])
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
    return (
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    ).decode()


def role_variables(fixture: dict[str, Any]) -> dict[str, Any]:
    """The role's variables as a play would see them: defaults, the user's, then the role's own."""
    loader = DataLoader()
    result: dict[str, Any] = {"ansible_managed": "Ansible managed"}
    result |= loader.load_from_file(str(ROLE / "defaults" / "main.yml"), trusted_as_template=True)
    result |= fixture["variables"]
    result |= loader.load_from_file(str(ROLE / "vars" / "main.yml"), trusted_as_template=True)
    result["__haproxy_node"] = NODE | fixture.get("node", {})
    if "certificates" in fixture:
        result["haproxy_certificates"] = [{"name": name, "pem": pem()} for name in fixture["certificates"]]
    return result


def evaluate(fixture: dict[str, Any], text: str) -> Any:
    """Evaluate an expression with a fixture's variables, as Ansible does."""
    return Templar(loader=DataLoader(), variables=role_variables(fixture)).template(trust_as_template(text))


def render(fixture: dict[str, Any], name: str = "haproxy.cfg.j2") -> str:
    """What the role writes: the lookup's settings, with the variables that the template names."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {"comment": comment, "hitless.lb.haproxy_sections": haproxy_sections}
    text = (ROLE / "templates" / name).read_text(encoding="utf-8")
    names = jinja2.meta.find_undeclared_variables(environment.parse(text))
    return environment.from_string(text).render({name: evaluate(fixture, "{{ " + name + " }}") for name in names})


@functools.cache
def rendered(name: str) -> str:
    """The file of one fixture."""
    return render(FIXTURES[name])


def sections(text: str) -> dict[str, list[str]]:
    """The lines of a configuration by section."""
    result: dict[str, list[str]] = {"": []}
    current = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if not line.startswith(" "):
            current = line
            result[current] = []
        else:
            result[current].append(line.strip())
    return result


@pytest.mark.parametrize("name", FIXTURES)
def test_the_expected_lines_are_there_in_order(name: str) -> None:
    fixture = FIXTURES[name]
    found = sections(rendered(name))
    for section, lines in fixture["expect"].items():
        assert section in found
        rest = iter(found[section])
        for line in lines:
            assert line in rest, f"{line!r} isn't in {section!r} (or not in this order): {found[section]}"
    for section in fixture.get("absent", []):
        assert section not in found
    for word in fixture.get("never", []):
        assert not re.search(rf"^ +{re.escape(word)}\b", rendered(name).replace("http-request disable", "disable"), re.MULTILINE)


@pytest.mark.parametrize("name", FIXTURES)
def test_the_file_is_well_formed(name: str) -> None:
    text = rendered(name)
    assert text.startswith("#\n# Ansible managed\n#\n")
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert "\n\n\n" not in text
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert "{{" not in text and "None" not in text


@pytest.mark.parametrize("name", FIXTURES)
def test_good_values_are_found_good(name: str) -> None:
    model = evaluate(FIXTURES[name], "{{ __haproxy_model }}")
    assert haproxy_validate(model, NODE | FIXTURES[name].get("node", {})) is True


if CHECKERS:

    @pytest.mark.checker
    @pytest.mark.parametrize("haproxy", CHECKERS, ids=str)
    @pytest.mark.parametrize("name", FIXTURES)
    def test_haproxy_reads_it_without_a_warning(name: str, haproxy: Checker, tmp_path: Path) -> None:
        fixture = FIXTURES[name]
        text = rendered(name)
        for file in haproxy_certificate_files([{"name": crt, "pem": pem()} for crt in fixture.get("certificates", [])]):
            (tmp_path / Path(file["path"]).name).write_text(file["content"], encoding="utf-8")
        config = tmp_path / "haproxy.cfg"
        config.write_text(text.replace(CERTIFICATE_DIRECTORY, str(tmp_path)), encoding="utf-8")
        result = haproxy.run(tmp_path, "-c", "-dW", "-f", str(config))
        assert result.returncode == 0, f"{result.stdout}{result.stderr}\n{text}"
        assert "WARNING" not in result.stderr


def test_the_certificates_name_follows_its_content() -> None:
    fixture = FIXTURES["tls_certificate"]
    (file,) = haproxy_certificate_files([{"name": "www", "pem": pem()}])
    assert file["mode"] == "0600" and file["sensitive"] is True
    text = render(fixture)
    assert f"bind *:443 ssl crt {file['path']} alpn h2,http/1.1 ssl-min-ver TLSv1.2 strict-sni" in text
    (other,) = haproxy_certificate_files([{"name": "www", "pem": pem() + "\n"}])
    assert other["path"] != file["path"]


def test_the_drop_in_for_more_files() -> None:
    text = render({"variables": {"haproxy_limit_nofile": 1000000}}, "hitless.conf.j2")
    assert sections(text)["[Service]"] == [] and "LimitNOFILE=1000000" in text


@pytest.mark.parametrize(
    ("monitor", "url"),
    [
        ({}, "http://127.0.0.1:8404/healthz"),
        ({"port": 9000, "uri": "/alive"}, "http://127.0.0.1:9000/alive"),
        ({"address": "*"}, "http://127.0.0.1:8404/healthz"),
        ({"address": "::1"}, "http://[::1]:8404/healthz"),
    ],
)
def test_the_probe_asks_the_monitor(monitor: dict[str, Any], url: str) -> None:
    assert evaluate({"variables": {"haproxy_monitor": monitor}}, "{{ __haproxy_monitor_url }}") == url


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"lb_stats_user": "admin"}, False),
        ({"lb_stats_password": "x"}, False),
        ({"lb_stats_user": "admin", "lb_stats_password": ""}, False),
        ({"lb_stats_user": "admin", "lb_stats_password": "x"}, True),
        ({"haproxy_stats_user": "admin", "haproxy_stats_password": "x"}, True),
    ],
)
def test_statistics_are_on_only_with_a_login(variables: dict[str, Any], on: bool) -> None:
    assert evaluate({"variables": variables}, "{{ haproxy_stats_enabled }}") is on
    assert evaluate({"variables": variables}, "{{ haproxy_metrics_enabled }}") is on
    assert ("listen stats from http" in sections(render({"variables": variables}))) is on
