# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role haproxy's variables as a play would see them, for tests of what becomes of them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jinja2
import jinja2.meta
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.filter.core import comment
from ansible.template import Templar, trust_as_template

import pki
from ansible_collections.hitless.lb.plugins.filter.haproxy_certificate_files import haproxy_certificate_files
from ansible_collections.hitless.lb.plugins.filter.haproxy_files import haproxy_files
from ansible_collections.hitless.lb.plugins.filter.haproxy_sections import haproxy_sections

ROLE = Path(__file__).parents[2] / "roles" / "haproxy"
NODE: dict[str, Any] = {
    "hostname": "lb1",
    "ipv6": False,
    "packages": {"haproxy": {"installed": "3.0.11-1+deb13u1", "candidate": None}},
    "sysctls": {},
    "certificates": {},
}
CA = pki.authority()


@functools.cache
def identity(name: str) -> pki.Identity:
    """A certificate with its key."""
    return CA.issue(name, f"{name}.example.com", f"*.{name}.example.com")


def role_variables(fixture: dict[str, Any]) -> dict[str, Any]:
    """The role's variables as a play would see them: defaults, the user's, then the role's own."""
    loader = DataLoader()
    result: dict[str, Any] = {"ansible_managed": "Ansible managed"}
    result |= loader.load_from_file(str(ROLE / "defaults" / "main.yml"), trusted_as_template=True)
    result |= fixture["variables"]
    result |= loader.load_from_file(str(ROLE / "vars" / "main.yml"), trusted_as_template=True)
    result["__haproxy_node"] = NODE | fixture.get("node", {})
    result["__haproxy_controller_texts"] = {}
    # Of the filter haproxy_install_plan, which has tests of its own.
    result["__haproxy_plan"] = {"method": "package", "version": "", "binary": ""}
    if "certificates" in fixture:
        result["haproxy_certificates"] = [{"name": name, "pem": identity(name).pem} for name in fixture["certificates"]]
    if "authorities" in fixture:
        result["haproxy_ca_files"] = [{"name": name, "content": CA.crt} for name in fixture["authorities"]]
        result["haproxy_crl_files"] = [{"name": name, "content": CA.revoke(1)} for name in fixture["authorities"]]
    if fixture.get("dh_parameters"):
        result["haproxy_dh_parameters"] = {"content": pki.parameters()}
    return result | fixture.get("own", {})


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


def write(model: dict[str, Any], text: str, folder: Path) -> Path:
    """Write a configuration and all files beside it into a folder, and give the configuration's path there."""
    config = folder / "haproxy.cfg"
    for file in [*haproxy_certificate_files(model), *haproxy_files(model), {"path": "/etc/haproxy/haproxy.cfg", "content": text}]:
        path = folder / Path(file["path"]).relative_to("/etc/haproxy")
        path.parent.mkdir(exist_ok=True)
        path.write_text(file["content"].replace("/etc/haproxy/", f"{folder}/"), encoding="utf-8", newline="")
    return config
