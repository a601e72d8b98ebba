# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: write HAProxy's data model as the lines of its configuration. Not for use outside of this collection.

Every value is looked at once, so the time grows with the size of the model and no faster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import (
    BIND,
    CERTIFICATE_DIRECTORY,
    DEFAULTS,
    GLOBAL,
    HTTP_ONLY_KEYS,
    HTTP_ONLY_OPTIONS,
    HTTP_ONLY_TIMEOUTS,
    RETRY_GUARD,
    SECTIONS,
    SERVER_OPTIONS,
    TIMEOUTS,
    Keyword,
    Model,
    Section,
    as_dict,
    as_list,
    empty,
    is_unix,
    quote,
    truth,
)


def certificate_path(name: str, content: str) -> str:
    """Name the file of a certificate after its content, so that old and new never mix."""
    return f"{CERTIFICATE_DIRECTORY}/{name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}.pem"


def _words(table: Mapping[str, Keyword], data: Mapping[str, Any]) -> list[str]:
    """Write the keywords of a bind or server line."""
    words: list[str] = []
    for key, keyword in table.items():
        value = data.get(key)
        if empty(value):
            continue
        kind = keyword.kind
        if kind in ("flag", "no"):
            if truth(value):
                words.append(keyword.word)
            elif kind == "no":
                words.append(keyword.off or f"no-{keyword.word}")
        elif kind == "words":
            for item in as_list(value):
                words += [keyword.word, quote(item)]
        elif kind == "csv":
            words += [keyword.word, quote(",".join(str(item) for item in as_list(value)))]
        elif kind == "line":
            words += [keyword.word, str(value)]
        elif kind == "rawtext":
            words.append(str(value))
        else:
            words += [keyword.word, quote(value)]
    return words


def host_port(address: Any, port: Any) -> str:
    """Join an address and a port, an IPv6 address in brackets."""
    text = str(address)
    if is_unix(text) or empty(port):
        return text
    prefix, _at, host = text.rpartition("@")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"{prefix}@{host}:{port}" if prefix else f"{host}:{port}"


def _bind(data: Mapping[str, Any], model: Model) -> str:
    address = str(data.get("address", "*"))
    words = [host_port(address, data.get("port"))]
    if address == "*" and model.ipv6:
        # Two sockets: one for both families would show IPv4 clients as ::ffff:192.0.2.1 to servers and in logs.
        words = [f"*:{data.get('port')},[::]:{data.get('port')}", "v6only"]
    data = dict(data)
    data["crt"] = [
        certificate_path(str(crt), str(model.certificates[str(crt)].get("pem", ""))) if str(crt) in model.certificates else crt
        for crt in as_list(data.get("crt"))
    ]
    return " ".join(["bind", *words, *_words(BIND, data)])


def _server(data: Mapping[str, Any]) -> str:
    return " ".join(
        [
            "server",
            quote(data.get("name", "")),
            quote(host_port(data.get("address", ""), data.get("port"))),
            *_words(SERVER_OPTIONS, data),
        ]
    )


def _timeouts(value: Mapping[str, Any]) -> list[str]:
    return [f"timeout {keyword.word} {value[key]}" for key, keyword in TIMEOUTS.items() if not empty(value.get(key))]


def _option(value: Any) -> str:
    text = str(value)
    return f"no option {text[3:].strip()}" if text.startswith("no ") else f"option {text}"


def _lines(table: Mapping[str, Keyword], data: Mapping[str, Any], model: Model, guard: bool = False) -> list[str]:
    """Write the lines of a section, in the order of its table."""
    lines: list[str] = []
    for key, keyword in table.items():
        value = data.get(key)
        kind = keyword.kind
        if kind == "retry_guard":
            condition = RETRY_GUARD if value is None else str(value)
            if guard and condition:
                lines.append(f"http-request {keyword.word} {condition}")
            continue
        if empty(value):
            continue
        if kind in ("lines", "words"):
            lines += [f"{keyword.word} {item}" for item in as_list(value)]
        elif kind == "raw":
            lines += [str(item) for item in as_list(value)]
        elif kind == "options":
            lines += [_option(item) for item in as_list(value)]
        elif kind == "timeout":
            lines += _timeouts(as_dict(value))
        elif kind == "tune":
            lines += [f"tune.{name} {quote(setting)}" for name, setting in as_dict(value).items()]
        elif kind == "flag":
            lines += [keyword.word] if truth(value) else []
        elif kind == "binds":
            lines += [_bind(as_dict(item), model) for item in as_list(value)]
        elif kind == "servers":
            lines += [_server(as_dict(item)) for item in as_list(value)]
        elif kind == "default_server":
            words = _words(SERVER_OPTIONS, as_dict(value))
            lines += [" ".join(["default-server", *words])] if words else []
        elif kind in ("word", "mode"):
            lines.append(f"{keyword.word} {quote(value)}")
        else:
            lines.append(f"{keyword.word} {value}")
    return lines


def mode_of(section: Section, model: Model) -> str:
    """Tell the mode that a section ends up in."""
    return str(section.data.get("mode") or model.defaults.get("mode") or "tcp")


def http_only(option: Any) -> bool:
    """Tell whether an option makes sense in HTTP mode only."""
    text = str(option)
    return (text[3:] if text.startswith("no ") else text).split(" ", 1)[0] in HTTP_ONLY_OPTIONS


def _defaults(model: Model, mode: str) -> list[str]:
    """Write the defaults of one mode: HAProxy complains where a TCP section inherits what is for HTTP."""
    data = {**model.defaults, "mode": mode}
    if mode != "http":
        data = {key: value for key, value in data.items() if key not in HTTP_ONLY_KEYS}
        data["option"] = [
            "tcplog" if str(option).startswith("httplog") else option for option in as_list(data.get("option")) if not http_only(option)
        ]
        data["timeout"] = {key: value for key, value in as_dict(data.get("timeout")).items() if key not in HTTP_ONLY_TIMEOUTS}
    return _lines(DEFAULTS, data, model)


def _with_checks(data: Mapping[str, Any]) -> dict[str, Any]:
    """Switch the kind of check on whose rules are given."""
    options = [str(option) for option in as_list(data.get("option"))]
    for key, option in (("http_check", "httpchk"), ("tcp_check", "tcp-check")):
        if not empty(data.get(key)) and not any(item.split(" ", 1)[0] == option for item in options):
            options.append(option)
    return {**data, "option": options}


def _section(section: Section, model: Model, mode: str) -> list[str]:
    data = _with_checks(section.data)
    retries = data.get("retry_on", model.defaults.get("retry_on"))
    sends = section.kind == "backend" or not empty(data.get("server"))
    guard = sends and mode == "http" and not empty(retries) and str(retries) != "none"
    # The section's "defaults" sets the mode.
    return _lines(SECTIONS[section.kind], {**data, "mode": None}, model, guard)


def render(model: Model) -> list[dict[str, Any]]:
    """List the sections of haproxy.cfg: each its first line and the lines below it."""
    global_ = _lines(GLOBAL, model.global_, model)
    result: list[dict[str, Any]] = [
        {"name": "global", "lines": ["setenv HITLESS_DIGEST @HITLESS_DIGEST@", *global_]},
    ]
    modes = {id(section): mode_of(section, model) for section in model.sections}
    for mode in _in_order(modes.values()):
        result.append({"name": f"defaults {mode}", "lines": _defaults(model, mode)})
    if model.stats_login is not None:
        user, password = model.stats_login
        result.append(
            {"name": "userlist stats", "lines": [f"user {quote(user)} insecure-password {quote(password)}"]},
        )
    for section in model.sections:
        mode = modes[id(section)]
        result.append(
            {
                "name": f"{section.kind} {quote(section.name)} from {mode}",
                "lines": _section(section, model, mode),
            }
        )
    if model.raw:
        result.append({"name": "", "lines": model.raw})
    return result


def _in_order(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
