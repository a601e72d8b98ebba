# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: maps, ACL files and error files beside haproxy.cfg. Not for use outside of this collection.

A file keeps its path whatever is in it, because the runtime socket knows a map by its path. It is written together with the
configuration, so the checker and the service see the whole set, never a half of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Kind in "@kind:NAME@": the key of the model, the folder, the suffix.
KINDS = {
    "map": ("maps", "/etc/haproxy/maps", ".map"),
    "acl": ("acl_files", "/etc/haproxy/acls", ".acl"),
    "errorfile": ("error_files", "/etc/haproxy/errorfiles", ".http"),
}
REFERENCE = re.compile(r"@(map|acl|errorfile):([^@\s]*)@")
PATH = re.compile(r"/etc/haproxy/(?:maps/([^/\s,)]+)\.map|acls/([^/\s,)]+)\.acl|errorfiles/([^/\s,)]+)\.http)")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    413: "Content Too Large",
    425: "Too Early",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def path_of(kind: str, name: str) -> str:
    """Tell where a file lies."""
    _key, folder, suffix = KINDS[kind]
    return f"{folder}/{name}{suffix}"


def resolve(line: str) -> str:
    """Put paths in place of names."""
    return REFERENCE.sub(lambda match: path_of(match[1], match[2]), line) if "@" in line else line


def references(line: str) -> list[tuple[str, str]]:
    """List the files that a line names, as kind and name."""
    found = [(match[1], match[2]) for match in REFERENCE.finditer(line)] if "@" in line else []
    if "/etc/haproxy/" in line:
        for match in PATH.finditer(line):
            found += [(kind, name) for kind, name in zip(KINDS, match.groups(), strict=True) if name]
    return found


def text_of(kind: str, data: Mapping[str, Any]) -> str:
    """Write what goes into a file."""
    content = str(data.get("content") or "")
    entries = data.get("entries")
    if isinstance(entries, Mapping):
        content += "".join(f"{key} {value}\n" for key, value in entries.items())
    elif isinstance(entries, (list, tuple)):
        content += "".join(f"{entry}\n" for entry in entries)
    if kind != "errorfile":
        return content if content.endswith("\n") or not content else content + "\n"
    if not content.startswith("HTTP/"):
        # HAProxy sends the file as it is: headers with the line ends of HTTP, then the body.
        status = int(data.get("status") or 503)
        head = [
            f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}",
            "Cache-Control: no-store",
            f"Content-Type: {data.get('content_type') or 'text/html; charset=utf-8'}",
            f"Content-Length: {len(content.encode())}",
        ]
        content = "\r\n".join([*head, "", content])
    return content


def files(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the files as M(hitless.lb.service_config) takes them."""
    return [
        {
            "path": path_of(kind, str(data.get("name", ""))),
            "content": text_of(kind, data),
            "owner": "root",
            "group": "haproxy",
            "mode": "0640",
            "sensitive": bool(data.get("sensitive")),
        }
        for kind, (key, _folder, _suffix) in KINDS.items()
        for data in model.get(key) or []
    ]
