# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: log formats by one word. Not for use outside of this collection.

Every JSON value that a client can shape is escaped by HAProxy's converter, so a line is JSON whatever was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

OPTIONS = {"http": "httplog", "https": "httpslog", "tcp": "tcplog"}
WORDS = (*OPTIONS, "json")

_COMMON = (
    '"client":"%ci","client_port":"%cp","frontend":"%f","backend":"%b","server":"%s","bytes_read":%B,"bytes_sent":%U,'
    '"time_queue":%Tw,"time_connect":%Tc,'
)
_COUNTS = (
    '"connections":%ac,"connections_frontend":%fc,"connections_backend":%bc,"connections_server":%sc,"retries":"%rc",'
    '"queue_server":%sq,"queue_backend":%bq,"tls_version":"%sslv","tls_cipher":"%sslc"'
)
_HTTP = (
    '{"time":"%tr",'
    + _COMMON
    + '"time_request":%TR,"time_response":%Tr,"time_active":%Ta,"status":%ST,"method":"%HM","uri":"%[capture.req.uri,json(utf8s)]",'
    + '"version":"%HV","termination":"%tsc",'
    + _COUNTS
)
_TCP = '{"time":"%t",' + _COMMON + '"time_total":%Tt,"termination":"%ts",' + _COUNTS + "}"
_CAPTURE = re.compile(r"(request|response)\s+header\s+([A-Za-z0-9_-]+)\s+len\s")


def json_format(mode: str, captures: Iterable[str] = ()) -> str:
    """Make the format of a JSON line.

    :param mode: Of the section.
    :param captures: Its C(capture) lines; the headers that they name become part of the line.
    """
    if mode != "http":
        return _TCP
    headers: dict[str, list[str]] = {"request": [], "response": []}
    for line in captures:
        match = _CAPTURE.match(line)
        if match:
            side, name = match.groups()
            headers[side].append(f'"{name}":"%[capture.{side[:3]}.hdr({len(headers[side])}),json(utf8s)]"')
    more = "".join(f',"{side}_headers":{{{",".join(items)}}}' for side, items in headers.items() if items)
    return f"{_HTTP}{more}}}"


def format_line(value: str, mode: str, captures: Iterable[str] = ()) -> str:
    """Write a log format: one of the words, or any format of HAProxy's.

    :return: The line, its format not yet quoted after a C(log-format).
    """
    if value in OPTIONS:
        return f"option {OPTIONS[value] if mode == 'http' else OPTIONS['tcp']}"
    return f"log-format {json_format(mode, captures) if value == 'json' else value}"
