# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter nginx_web_paths: which certificates the node is asked for, whatever the variables are like."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.hitless.lb.plugins.filter.nginx_web_paths import nginx_web_paths

ROLE = Path(__file__).resolve().parents[4] / "roles" / "nginx_web"
SPEC = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, r"/etc/nginx-hitless/self-signed-[0-9a-f]{16}\.pem"),
        ({"nginx_web_tls_certificate": "/a", "nginx_web_tls_key": "/b"}, "/a /b"),
        ({"nginx_web_tls_certificate": "/a", "nginx_web_tls_key": "/a"}, "/a"),
        ({"nginx_web_tls_certificate": "relative", "nginx_web_tls_key": "/b"}, "/b"),
        (
            {"nginx_web_tls_certificate_content": "x", "nginx_web_tls_key_content": "y"},
            r"/etc/nginx-hitless/given-[0-9a-f]{16}\.pem",
        ),
        ({"nginx_web_listeners": [{"port": 80}]}, ""),
        ({"nginx_web_listeners": "nonsense"}, ""),
        ({"nginx_web_tls_names": 7, "nginx_web_tls_days": "soon"}, r"/etc/nginx-hitless/self-signed-[0-9a-f]{16}\.pem"),
        ({"nginx_web_tls_key_content": None, "nginx_web_tls_certificate_content": "x"}, r"/etc/nginx-hitless/given-[0-9a-f]{16}\.pem"),
    ],
)
def test_what_the_node_is_asked_for(variables: dict[str, Any], expected: str) -> None:
    assert re.fullmatch(expected, " ".join(nginx_web_paths(DEFAULTS | variables, SPEC, ["web1"])))


def test_every_host_has_a_certificate_of_its_own() -> None:
    assert nginx_web_paths(DEFAULTS, SPEC, ["web1"]) != nginx_web_paths(DEFAULTS, SPEC, ["web2"])
