# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files beside haproxy.cfg: what is in them, and where."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.filter.haproxy_files import haproxy_files
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_files import references, resolve


def content(model: dict[str, Any]) -> str:
    """The content of the only file."""
    (file,) = haproxy_files(model)
    return str(file["content"])


@pytest.mark.parametrize(
    ("model", "written"),
    [
        ({"maps": [{"name": "m", "entries": {"a": "b c", "d": 1}}]}, "a b c\nd 1\n"),
        ({"maps": [{"name": "m", "content": "a b"}]}, "a b\n"),
        ({"maps": [{"name": "m", "content": "# x\n", "entries": {"a": "b"}}]}, "# x\na b\n"),
        ({"maps": [{"name": "m"}]}, ""),
        ({"acl_files": [{"name": "m", "entries": ["192.0.2.0/24", "x y"]}]}, "192.0.2.0/24\nx y\n"),
        ({"error_files": [{"name": "m", "content": "HTTP/1.0 500 x\r\n\r\n"}]}, "HTTP/1.0 500 x\r\n\r\n"),
        (
            {"error_files": [{"name": "m", "content": "ä", "status": 429, "content_type": "text/plain"}]},
            "HTTP/1.1 429 Too Many Requests\r\nCache-Control: no-store\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nä",
        ),
    ],
)
def test_what_is_written(model: dict[str, Any], written: str) -> None:
    assert content(model) == written


def test_a_file_that_is_a_secret() -> None:
    (file,) = haproxy_files({"acl_files": [{"name": "keys", "entries": ["k"], "sensitive": True}]})
    assert file == {
        "path": "/etc/haproxy/acls/keys.acl",
        "content": "k\n",
        "owner": "root",
        "group": "haproxy",
        "mode": "0640",
        "sensitive": True,
    }


@pytest.mark.parametrize(
    ("line", "resolved", "named"),
    [
        ("%[path,map_beg(@map:a.b@,x)]", "%[path,map_beg(/etc/haproxy/maps/a.b.map,x)]", [("map", "a.b")]),
        ("src -f @acl:a@ -f @acl:b@", "src -f /etc/haproxy/acls/a.acl -f /etc/haproxy/acls/b.acl", [("acl", "a"), ("acl", "b")]),
        ("503 @errorfile:sorry@", "503 /etc/haproxy/errorfiles/sorry.http", [("errorfile", "sorry")]),
        ("src -f /etc/haproxy/acls/a.acl", "src -f /etc/haproxy/acls/a.acl", [("acl", "a")]),
        ("503 /etc/haproxy/errors/503.http", "503 /etc/haproxy/errors/503.http", []),
        ("bind unix@/run/x.sock", "bind unix@/run/x.sock", []),
    ],
)
def test_names_and_paths(line: str, resolved: str, named: list[tuple[str, str]]) -> None:
    assert resolve(line) == resolved
    assert references(line) == named


def test_input_that_is_no_dictionary() -> None:
    with pytest.raises(AnsibleFilterError, match="haproxy_files takes a dictionary, not list"):
        haproxy_files([])  # type: ignore[arg-type]
