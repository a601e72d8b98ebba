# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's options, the tables that the filters work by, and the README say the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_limits as limits
from ansible_collections.hitless.lb.plugins.plugin_utils import _haproxy_model as model
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import complete
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_render import render

ROLE = Path(__file__).parents[4] / "roles" / "haproxy"
SPEC: dict[str, Any] = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"][
    "options"
]
README = (ROLE / "README.md").read_text(encoding="utf-8")
ITEM_KINDS = {"binds", "servers", "templates", "peers", "nameservers", "users", "groups"}
LIST_KINDS = {"lines", "words", "csv", "options", "raw", "checks", *ITEM_KINDS}
DICT_KINDS = {"timeout", "tune", "default_server", "times"}
TYPES = {"int": "int", "flag": "bool", "no": "bool", "onoff": "bool", "own": "bool", "form": "raw"}
PLACES: dict[str, tuple[Mapping[str, Any], Mapping[str, model.Keyword], set[str]]] = {
    "haproxy_global": (SPEC["haproxy_global"], model.GLOBAL, set()),
    "haproxy_defaults": (SPEC["haproxy_defaults"], model.DEFAULTS, set()),
    "haproxy_frontends": (SPEC["haproxy_frontends"], model.FRONTEND, {"name", "from"}),
    "haproxy_backends": (SPEC["haproxy_backends"], model.BACKEND, {"name", "from"}),
    "haproxy_listen": (SPEC["haproxy_listen"], model.LISTEN, {"name", "from"}),
    "haproxy_servers": (SPEC["haproxy_servers"], model.SERVER_OPTIONS, {"name", "address", "port"}),
    "haproxy_stats_bind": (SPEC["haproxy_stats_bind"], model.BIND, {"address", "port"}),
    "haproxy_frontends.bind": (SPEC["haproxy_frontends"]["options"]["bind"], model.BIND, {"address", "port"}),
    "haproxy_backends.server": (SPEC["haproxy_backends"]["options"]["server"], model.SERVER_OPTIONS, {"name", "address", "port"}),
    "haproxy_backends.default_server": (SPEC["haproxy_backends"]["options"]["default_server"], model.SERVER_OPTIONS, set()),
    "haproxy_backends.server_template": (SPEC["haproxy_backends"]["options"]["server_template"], model.SERVER_OPTIONS, set(model.TEMPLATE)),
    "haproxy_named_defaults": (SPEC["haproxy_named_defaults"], model.DEFAULTS, {"name", "from"}),
    **{variable: (SPEC[variable], model.OTHERS[kind], {"name"}) for kind, variable in model.OTHER_VARIABLES.items()},
    "haproxy_peers.peer": (SPEC["haproxy_peers"]["options"]["peer"], model.PEER_OPTIONS, {"name", "address", "port"}),
    "haproxy_resolvers.nameserver": (SPEC["haproxy_resolvers"]["options"]["nameserver"], {}, set(model.NAMESERVER)),
    "haproxy_resolvers.timeout": (SPEC["haproxy_resolvers"]["options"]["timeout"], model.RESOLVER_TIMEOUTS, set()),
    "haproxy_resolvers.hold": (SPEC["haproxy_resolvers"]["options"]["hold"], model.RESOLVER_HOLD, set()),
    "haproxy_userlists.user": (SPEC["haproxy_userlists"]["options"]["user"], {}, set(model.USER)),
    "haproxy_userlists.group": (SPEC["haproxy_userlists"]["options"]["group"], {}, set(model.GROUP)),
    "haproxy_rate_limit": (SPEC["haproxy_rate_limit"], {}, set(limits.KEYS)),
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


@pytest.mark.parametrize("place", PLACES)
def test_the_spec_names_the_version_of_a_later_keyword(place: str) -> None:
    option, table, _extra = PLACES[place]
    for key, keyword in table.items():
        described = option["options"][key]["description"]
        said = re.findall(r"HAProxy ([0-9.]+) and later", described if isinstance(described, str) else " ".join(described))
        assert said == ([keyword.since] if keyword.since else []), key


def test_every_kind_of_value_is_written() -> None:
    """A key that the renderer forgot would be accepted and ignored."""
    values = {
        "int": 1,
        "flag": True,
        "no": True,
        "onoff": True,
        "timeout": {"check": "3s"},
        "times": {"retry": "3s", "nx": "3s"},
        "tune": {"x": 1},
        "default_server": {"weight": 1},
    }
    for place, (_option, table, _extra) in PLACES.items():
        for key, keyword in table.items():
            if keyword.kind == "own":
                # No line of its own: see test_answers_over_tls_are_compressed_only_when_asked_for.
                continue
            if keyword.kind in LIST_KINDS:
                value: Any = [{"name": "probe", "address": "192.0.2.1", "port": 1}] if keyword.kind in ITEM_KINDS else ["probe"]
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
    elif key == "rate_limit":
        source = {key: data, "servers": [base]}
    elif key == "servers":
        source = {"servers": [base | data]}
    elif key == "stats_bind":
        source = {"stats": {"enabled": True, "user": "u", "password": "p", "bind": [{"port": 1} | data]}}
    elif inner in ("bind", "server", "server_template", "peer"):
        source = {key: [{"name": "x", inner: [{"port": 1} | data if inner == "bind" else base | data]}]}
    elif inner:
        source = {key: [{"name": "x", inner: data}]}
    else:
        servers = {"server": [base]} if key in ("backends", "listen") and "server" not in data else {}
        source = {key: [{"name": "x", **servers, **data}]}
    return repr(render(complete({"log": {"target": "x"}, **source})))


@pytest.mark.parametrize("values", [model.DEFAULT_GLOBAL, model.DEFAULT_DEFAULTS], ids=["global", "defaults"])
def test_the_readme_names_the_roles_own_values(values: dict[str, Any]) -> None:
    block = yaml.safe_load(
        README.split(f"<!-- own {'global' if 'chroot' in values else 'defaults'} -->")[1].split("```")[1].removeprefix("yaml")
    )
    assert block == {"haproxy_global" if "chroot" in values else "haproxy_defaults": values}
