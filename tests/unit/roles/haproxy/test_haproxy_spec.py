# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's options, the tables that the filters work by, and the README say the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hitless.lb.plugins.filter.haproxy_validate import haproxy_validate
from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_model as model
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import complete
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_render import render

ROLE = Path(__file__).parents[4] / "roles" / "haproxy"
SPEC: dict[str, Any] = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"][
    "options"
]
README = (ROLE / "README.md").read_text(encoding="utf-8")
LIST_KINDS = {"lines", "words", "csv", "options", "raw", "binds", "servers"}
DICT_KINDS = {"timeout", "tune", "default_server"}
TYPES = {"int": "int", "flag": "bool", "no": "bool"}
PLACES: dict[str, tuple[Mapping[str, Any], Mapping[str, model.Keyword], set[str]]] = {
    "haproxy_global": (SPEC["haproxy_global"], model.GLOBAL, set()),
    "haproxy_defaults": (SPEC["haproxy_defaults"], model.DEFAULTS, set()),
    "haproxy_frontends": (SPEC["haproxy_frontends"], model.FRONTEND, {"name"}),
    "haproxy_backends": (SPEC["haproxy_backends"], model.BACKEND, {"name"}),
    "haproxy_listen": (SPEC["haproxy_listen"], model.LISTEN, {"name"}),
    "haproxy_servers": (SPEC["haproxy_servers"], model.SERVER_OPTIONS, {"name", "address", "port"}),
    "haproxy_stats_bind": (SPEC["haproxy_stats_bind"], model.BIND, {"address", "port"}),
    "haproxy_frontends.bind": (SPEC["haproxy_frontends"]["options"]["bind"], model.BIND, {"address", "port"}),
    "haproxy_backends.server": (SPEC["haproxy_backends"]["options"]["server"], model.SERVER_OPTIONS, {"name", "address", "port"}),
    "haproxy_backends.default_server": (SPEC["haproxy_backends"]["options"]["default_server"], model.SERVER_OPTIONS, set()),
    "haproxy_backends.timeout": (SPEC["haproxy_backends"]["options"]["timeout"], model.TIMEOUTS, set()),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_spec_has_the_keys_of_the_table(place: str) -> None:
    option, table, extra = PLACES[place]
    assert set(option["options"]) == set(table) | extra


@pytest.mark.parametrize("place", PLACES)
def test_the_spec_has_the_types_of_the_table(place: str) -> None:
    option, table, _extra = PLACES[place]
    for key, keyword in table.items():
        expected = "list" if keyword.kind in LIST_KINDS else "dict" if keyword.kind in DICT_KINDS else TYPES.get(keyword.kind, "str")
        assert option["options"][key]["type"] == expected, key


def test_every_kind_of_value_is_written() -> None:
    """A key that the renderer forgot would be accepted and ignored."""
    values = {"int": 1, "flag": True, "no": True, "timeout": {"check": "3s"}, "tune": {"x": 1}, "default_server": {"weight": 1}}
    for place, (_option, table, _extra) in PLACES.items():
        for key, keyword in table.items():
            if keyword.kind in LIST_KINDS:
                value: Any = [{"name": "probe", "address": "192.0.2.1", "port": 1}] if keyword.kind in ("binds", "servers") else ["probe"]
            else:
                value = values.get(keyword.kind, "tcp" if keyword.kind == "mode" else "probe")
            without = {key: False} if keyword.kind == "flag" else {}
            assert written(place, {key: value}) != written(place, without), f"{place}.{key}"


def written(place: str, data: dict[str, Any]) -> str:
    """The configuration with some keys in a place."""
    name, _dot, inner = place.partition(".")
    key = name.removeprefix("haproxy_")
    base = {"name": "x", "address": "192.0.2.1", "port": 1}
    if key in ("global", "defaults"):
        source: dict[str, Any] = {key: data, "listen": [{"name": "x", "server": [base]}]}
    elif key == "servers":
        source = {"servers": [base | data]}
    elif key == "stats_bind":
        source = {"stats": {"enabled": True, "user": "u", "password": "p", "bind": [{"port": 1} | data]}}
    elif inner in ("bind", "server"):
        source = {key: [{"name": "x", inner: [base | data if inner == "server" else {"port": 1} | data]}]}
    elif inner:
        source = {key: [{"name": "x", inner: data}]}
    else:
        servers = {} if key == "frontends" or "server" in data else {"server": [base]}
        source = {key: [{"name": "x", **servers, **data}]}
    return repr(render(complete(source)))


@pytest.mark.parametrize("values", [model.DEFAULT_GLOBAL, model.DEFAULT_DEFAULTS], ids=["global", "defaults"])
def test_the_readme_names_the_roles_own_values(values: dict[str, Any]) -> None:
    block = yaml.safe_load(
        README.split(f"<!-- own {'global' if 'chroot' in values else 'defaults'} -->")[1].split("```")[1].removeprefix("yaml")
    )
    assert block == {"haproxy_global" if "chroot" in values else "haproxy_defaults": values}


def test_the_examples_of_the_readme_are_good() -> None:
    blocks = [text.removeprefix("yaml") for text in README.split("```")[1::2] if text.startswith("yaml")]
    found = 0
    for block in blocks:
        data = yaml.safe_load(block)
        if isinstance(data, dict):
            assert set(data) <= set(SPEC)
            for certificate in data.get("haproxy_certificates", []):
                certificate["pem"] = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"
            haproxy_validate({key.removeprefix("haproxy_"): value for key, value in data.items()})
            found += 1
    assert found >= 4
