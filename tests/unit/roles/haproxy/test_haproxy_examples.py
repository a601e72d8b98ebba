# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the README and the guides are good, as a person would write them, and the real HAProxy reads them."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

import pki
from ansible_collections.hitless.lb.plugins.filter.haproxy_ca_plan import haproxy_ca_plan
from ansible_collections.hitless.lb.plugins.filter.haproxy_validate import haproxy_validate
from ansible_collections.hitless.lb.plugins.filter.nginx_web_plan import nginx_web_plan
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import complete, version_tuple
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_presets import sections
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_render import render
from haproxy_role import CA, NODE, ROLE, evaluate, write
from products import Checker, checkers

ROOT = ROLE.parents[1]
SPECS = {
    role: yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"][
        "options"
    ]
    for role in ("haproxy", "nginx_web")
}
SPEC = SPECS["haproxy"] | SPECS["nginx_web"]
CHECKERS = checkers("haproxy")
# A page, and how many examples it has at least.
PAGES = {"roles/haproxy/README.md": 5, "docs/data_model.md": 18, "docs/tls.md": 14, "docs/installing_haproxy.md": 2}
# What one example of a page defines is there for its others.
KEPT = ("haproxy_certificates", "haproxy_ca_files", "haproxy_crl_files", "haproxy_crt_lists")
# What an example takes for granted: what the site playbook works out of the inventory, and secrets in a vault.
INVENTORY: dict[str, Any] = {
    "lb_servers": [{"name": "web1", "address": "192.0.2.21", "port": 80}],
    "lb_nodes": [{"name": "lb1", "address": "192.0.2.11"}, {"name": "lb2", "address": "192.0.2.12"}],
    "lb_node_address": "192.0.2.11",
}
VAULT = {
    "{{ vault_alice_hash }}": "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
    "{{ lb_servers | map('combine', {'port': 443}) }}": [{"name": "web1", "address": "192.0.2.21", "port": 443}],
}


@functools.cache
def blocks(page: str, part: str = "") -> list[Any]:
    """The YAML of a page, or of a part of it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if part:
        text = re.split(r"\n#+ ", text.split(f"\n### {part}\n")[1])[0]
    return [yaml.safe_load(block.removeprefix("yaml")) for block in text.split("```")[1::2] if block.startswith("yaml")]


def opened(value: Any) -> Any:
    """An example with its vault opened."""
    if isinstance(value, dict):
        return {key: opened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [opened(item) for item in value]
    return VAULT.get(value, value) if isinstance(value, str) else value


def is_example(block: Any) -> bool:
    """Whether a block sets variables of the role, or lb_tls."""
    return isinstance(block, dict) and any(key == "lb_tls" or key.startswith("haproxy_") for key in block)


def examples(page: str) -> list[dict[str, Any]]:
    return [opened(block) for block in blocks(page) if is_example(block)]


EXAMPLES = {f"{Path(page).stem} {number}": (page, data) for page in PAGES for number, data in enumerate(examples(page))}


def given(variable: str, entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with a text in place of a vault's or a file's."""
    if variable.endswith("_certificates"):
        names = entry.get("names", [])
        return {"name": entry["name"], "pem": CA.issue(entry["name"], f"{entry['name']}.example.com", *names).pem, "names": names}
    texts = {"haproxy_ca_files": CA.crt, "haproxy_crl_files": CA.revoke(1)}
    return {"name": entry["name"], "content": texts[variable]} if variable in texts else entry


def model_of(data: dict[str, Any], page: str = "") -> dict[str, Any]:
    """The role's model of an example, with what the site playbook would hand over."""
    result = INVENTORY | ({"lb_servers": data["lb_webservers"]} if "lb_webservers" in data else {}) | data
    if page.startswith("roles/") and "'default_backend': 'web'" not in repr(data):
        # The role alone has no servers but those that are given.
        del result["lb_servers"]
    for variable in ("lb_certificates", *KEPT):
        entries = [
            entry for example in [*(examples(page) if page and variable in KEPT else []), data] for entry in example.get(variable, [])
        ]
        # Certificates of the page are no reason for a ready-made frontend to have more than its own.
        if entries and (variable in data or "lb_tls" not in data):
            result[variable] = [given(variable, entry) for entry in {one["name"]: one for one in entries}.values()]
    if "haproxy_dh_parameters" in data:
        result["haproxy_dh_parameters"] = {"content": pki.parameters()}
    if "lb_ca_directory" in data:
        result["lb_ca_certificates"] = [given("lb_certificates", {"name": name}) for name in ("lb-site", "lb-client")]
        result["lb_ca_files"] = [{"name": "lb-ca", "content": CA.crt}]
    found: dict[str, Any] = evaluate({"variables": result}, "{{ __haproxy_model }}")
    return found


@pytest.mark.parametrize(("page", "least"), PAGES.items())
def test_there_are_examples(page: str, least: int) -> None:
    assert len(examples(page)) >= least


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_good(name: str) -> None:
    page, data = EXAMPLES[name]
    own = {key: value for key, value in data.items() if not key.startswith("lb_")}
    assert set(own) <= set(SPEC)
    found = ArgumentSpecValidator({key: SPEC[key] for key in own}).validate(own)
    assert not found.error_messages
    assert haproxy_validate(model_of(data, page), NODE)


if CHECKERS:

    @pytest.mark.checker
    @pytest.mark.parametrize("haproxy", CHECKERS, ids=str)
    @pytest.mark.parametrize("name", EXAMPLES)
    def test_haproxy_reads_an_example_without_a_warning(name: str, haproxy: Checker, tmp_path: Path) -> None:
        page, data = EXAMPLES[name]
        if data.get("lb_tls_http3") and (version_tuple(haproxy.version) or ()) < (3,):
            return
        model = model_of(data, page)
        text = ""
        for section in render(complete(model, {"packages": {"haproxy": {"installed": haproxy.version}}})):
            text += "".join(f"{line}\n" for line in filter(None, [section["name"], *section["lines"]]))
        bundle = tmp_path / "bundle.pem"
        bundle.write_text(CA.issue("x", "x.example.com").pem + CA.crt + CA.revoke(1), encoding="utf-8")
        text = re.sub(r"/etc/ssl/\S+\.(pem|crl)\b", str(bundle), text)
        result = haproxy.run(tmp_path, "-c", "-dW", "-f", str(write(model, text, tmp_path)))
        assert result.returncode == 0 and "WARNING" not in result.stderr, f"{result.stdout}{result.stderr}\n{text}"


def test_the_guide_to_tls_has_every_variant_and_option() -> None:
    found = [data for data in examples("docs/tls.md") if "lb_tls" in data]
    assert {data["lb_tls"] for data in found} == {"terminate", "passthrough", "reencrypt"}
    assert {"lb_tls_enforce", "lb_tls_http3", "haproxy_client_verify", "haproxy_passthrough_services"} <= {
        key for data in found for key in data
    }


@pytest.mark.parametrize("part", ["TLS ends at HAProxy", "TLS ends at the web servers", "TLS to HAProxy, and TLS to the web servers"])
def test_a_variant_stands_for_what_the_guide_shows(part: str) -> None:
    found = blocks("docs/tls.md", part)
    shown = next(block for block in found if "lb_tls" not in block)
    short = next(block for block in found if "lb_tls" in block and "lb_ca_directory" not in block)
    made = {section.name: section for section in sections(model_of(opened(short)), NODE)}
    for kind in ("frontend", "backend"):
        for entry in shown.get(f"haproxy_{kind}s", []):
            section = made[entry["name"]]
            assert section.kind == kind
            assert {key: value for key, value in section.data.items() if value not in ([], "")} == entry


def test_the_listener_for_encrypted_servers_is_one_that_nginx_takes() -> None:
    example = next(block for block in blocks("docs/tls.md") if isinstance(block, dict) and "nginx_web_certificates" in block)
    variables = yaml.safe_load((ROOT / "roles" / "nginx_web" / "defaults" / "main.yml").read_text(encoding="utf-8"))
    variables |= {name: option for name, option in example.items() if name.startswith("nginx_web_")}
    variables |= {"nginx_web_trusted_proxies": ["192.0.2.11"], "nginx_web_tls_profile": "intermediate"}
    node = {"hostname": "web1", "os": {"id": "debian", "version_id": "13"}, "ipv6": False}
    assert "listen 8445 default_server ssl;" in nginx_web_plan(variables, SPECS["nginx_web"], node, ["web1"])["servers"][-1]["blocks"][0]


def test_the_example_of_the_ca_is_good() -> None:
    (play,) = next(block for block in blocks("docs/tls.md") if isinstance(block, list))
    variables = play["tasks"][0]["vars"]
    plan = haproxy_ca_plan(variables["haproxy_ca_certificates"], variables["haproxy_ca_directory"], {})
    assert isinstance(plan, dict) and [one["make"] for one in plan["certificates"]] == [True, True]
