# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PRIVATE: write HAProxy's data model as the lines of its configuration. Not for use outside of this collection.

Every value is looked at once, so the time grows with the size of the model and no faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_files import resolve
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_logs import OPTIONS as LOG_WORDS
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_logs import format_line
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import (
    BIND,
    CHECK_FORMS,
    DEFAULTS,
    FORMS,
    GLOBAL,
    HTTP_ONLY_KEYS,
    HTTP_ONLY_OPTIONS,
    HTTP_ONLY_TIMEOUTS,
    OTHERS,
    PEER_OPTIONS,
    RETRY_GUARD,
    SECTIONS,
    SERVER_OPTIONS,
    TIMEOUTS,
    TIMES,
    Keyword,
    Model,
    Section,
    empty,
    is_unix,
    quote,
    table_only,
    truth,
)
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_values import as_dict, as_list

# Nobody compresses for a client that didn't ask.
UNCOMPRESSED = "del-header Accept-Encoding"


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
        elif kind == "headers":
            for name, item in as_dict(value).items():
                words += [keyword.word, quote(name), quote(item)]
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
    return " ".join(["bind", *words, *_words(BIND, model.tls.placed(data))])


def _server_template(data: Mapping[str, Any]) -> str:
    address = host_port(data.get("address", ""), data.get("port"))
    count = str(data.get("count") or 1)
    return " ".join(["server-template", quote(data.get("prefix", "")), count, quote(address), *_words(SERVER_OPTIONS, data)])


def _peer(data: Mapping[str, Any]) -> str:
    # Where the section has a bind line, this node's own peer needs no address, and HAProxy calls them servers.
    address = [] if empty(data.get("address")) else [quote(host_port(data["address"], data.get("port")))]
    return " ".join([str(data.get("word", "peer")), quote(data.get("name", "")), *address, *_words(PEER_OPTIONS, data)])


def _nameserver(data: Mapping[str, Any]) -> str:
    return f"nameserver {quote(data.get('name', ''))} {quote(host_port(data.get('address', ''), data.get('port') or 53))}"


def _group(data: Mapping[str, Any]) -> str:
    users = ",".join(str(user) for user in as_list(data.get("users")))
    return f"group {quote(data.get('name', ''))}" + (f" users {quote(users)}" if users else "")


def _user(data: Mapping[str, Any]) -> str:
    words = ["user", quote(data.get("name", ""))]
    for key, word in (("password", "password"), ("insecure_password", "insecure-password")):
        if not empty(data.get(key)):
            words += [word, quote(data[key])]
    groups = ",".join(str(group) for group in as_list(data.get("groups")))
    return " ".join([*words, *(["groups", quote(groups)] if groups else [])])


def form_line(key: str, value: Any) -> str:
    """Write the words of a line that was given as a dictionary."""
    data = as_dict(value)
    name = [quote(data["name"])] if key == "cookie" and not empty(data.get("name")) else []
    return " ".join([*name, *_words(FORMS[key], data)])


def check_line(value: Any) -> str:
    """Write one line of a health check: as it is, or from its words."""
    if not isinstance(value, Mapping):
        return str(value)
    word, given = next(iter(value.items()), ("", ""))
    data = as_dict(given)
    if word not in CHECK_FORMS or not isinstance(given, Mapping):
        return f"{word} {given}"
    if word == "send" and not empty(data.get("headers")) and empty(data.get("version")):
        # Without a version HAProxy speaks HTTP/1.0, which knows no Host.
        data["version"] = "HTTP/1.1"
    return " ".join([str(word), *_words(CHECK_FORMS[str(word)], data)])


def _server(data: Mapping[str, Any]) -> str:
    if not empty(data.get("track")) and data.get("check") is None:
        # The state comes from another server; HAProxy refuses both at once.
        data = {**data, "check": False}
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


NESTED = {"format", "checks", "form", "times", "timeout", "tune", "default_server"}
_ITEMS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "servers": _server,
    "templates": _server_template,
    "peers": _peer,
    "users": _user,
    "groups": _group,
    "nameservers": _nameserver,
}


def _nested(key: str, keyword: Keyword, value: Any, data: Mapping[str, Any], model: Model, mode: str) -> list[str]:
    """Write the lines of a value that has a shape of its own."""
    kind = keyword.kind
    if kind == "format":
        line = format_line(str(value), mode, map(str, as_list(data.get("capture"))))
        word, _blank, text = line.partition(" ")
        return [line if word == "option" else f"{word} {quote(text)}"]
    if kind == "checks":
        return [f"{keyword.word} {check_line(item)}" for item in as_list(value)]
    if kind == "form":
        return [f"{keyword.word} {form_line(key, value) if isinstance(value, Mapping) else value}"]
    if kind == "times":
        times = as_dict(value)
        return [f"{keyword.word} {row.word} {times[name]}" for name, row in TIMES[key].items() if not empty(times.get(name))]
    if kind == "timeout":
        return _timeouts(as_dict(value))
    if kind == "tune":
        return [f"tune.{name} {quote(setting)}" for name, setting in as_dict(value).items()]
    words = _words(SERVER_OPTIONS, model.tls.placed(as_dict(value)))
    return [" ".join(["default-server", *words])] if words else []


def _switch(keyword: Keyword, value: Any) -> list[str]:
    """Write the line of a boolean."""
    on = truth(value)
    if keyword.kind == "onoff":
        return [f"{keyword.word} {'on' if on else 'off'}"]
    if keyword.kind == "no":
        return [keyword.word if on else f"no {keyword.word}"]
    return [keyword.word] if on else []


def _lines(table: Mapping[str, Keyword], data: Mapping[str, Any], model: Model, guard: bool = False, mode: str = "http") -> list[str]:
    """Write the lines of a section, in the order of its table."""
    lines: list[str] = []
    for key, keyword in table.items():
        value = data.get(key)
        kind = keyword.kind
        if kind == "retry_guard":
            condition = RETRY_GUARD if value is None else str(value)
            if guard and condition:
                lines.append(f"http-request {keyword.word} {condition}")
        elif empty(value) or kind == "own":
            continue
        elif kind in ("lines", "words"):
            lines += [f"{keyword.word} {item}" for item in as_list(value)]
        elif kind == "raw":
            lines += [str(item) for item in as_list(value)]
        elif kind == "options":
            lines += [_option(item) for item in as_list(value)]
        elif kind == "peers" and not empty(data.get("bind")):
            lines += [_peer({**model.tls.placed(as_dict(item)), "word": "server"}) for item in as_list(value)]
        elif kind in _ITEMS:
            lines += [_ITEMS[kind](model.tls.placed(as_dict(item))) for item in as_list(value)]
        elif kind == "binds":
            lines += [_bind(as_dict(item), model) for item in as_list(value)]
        elif kind in ("flag", "no", "onoff"):
            lines += _switch(keyword, value)
        elif kind in NESTED:
            lines += _nested(key, keyword, value, data, model, mode)
        elif kind in ("word", "mode"):
            lines.append(f"{keyword.word} {quote(value)}")
        else:
            lines.append(f"{keyword.word} {value}")
    return lines


def defaults_of(section: Section, model: Model) -> dict[str, Any]:
    """Find the defaults that a section comes from."""
    return model.named_defaults.get(str(section.data.get("from") or ""), model.defaults)


def mode_of(section: Section, model: Model) -> str:
    """Tell the mode that a section ends up in."""
    return str(section.data.get("mode") or defaults_of(section, model).get("mode") or "tcp")


def _defaults_name(name: str, mode: str, model: Model) -> str:
    """Name the defaults for a mode; the mode in which they are given keeps their name."""
    if not name:
        return mode
    return name if str(model.named_defaults[name].get("mode") or "tcp") == mode else f"{name}-{mode}"


def http_only(option: Any) -> bool:
    """Tell whether an option makes sense in HTTP mode only."""
    text = str(option)
    return (text[3:] if text.startswith("no ") else text).split(" ", 1)[0] in HTTP_ONLY_OPTIONS


def _defaults(model: Model, mode: str, name: str = "") -> list[str]:
    """Write the defaults of one mode: HAProxy complains where a TCP section inherits what is for HTTP."""
    data = {**(model.named_defaults[name] if name else model.defaults), "mode": mode}
    if mode != "http":
        data = {key: value for key, value in data.items() if key not in HTTP_ONLY_KEYS}
        data["option"] = [
            "tcplog" if str(option).startswith("httplog") else option for option in as_list(data.get("option")) if not http_only(option)
        ]
        data["timeout"] = {key: value for key, value in as_dict(data.get("timeout")).items() if key not in HTTP_ONLY_TIMEOUTS}
        if str(data.get("log_format")) in LOG_WORDS:
            data["log_format"] = "tcp"
    return _lines(DEFAULTS, _with_checks(data), model, mode=mode)


def _with_checks(data: Mapping[str, Any]) -> dict[str, Any]:
    """Switch the kind of check on whose rules are given."""
    options = [str(option) for option in as_list(data.get("option"))]
    for key, option in (("http_check", "httpchk"), ("tcp_check", "tcp-check")):
        if not empty(data.get(key)) and not any(item.split(" ", 1)[0] == option for item in options):
            options.append(option)
    return {**data, "option": options}


def _compresses(section: Section, model: Model) -> bool:
    """Tell whether answers of a section may be compressed over TLS without anybody having asked for that.

    What is compressed and secret can be guessed from its size (BREACH), so over TLS nobody is asked to compress.
    """
    both = {**defaults_of(section, model), **section.data}
    if truth(both.get("compression_over_tls")) or empty(both.get("compression")):
        return False
    return section.kind != "backend" or not empty(section.data.get("compression"))


def _section(section: Section, model: Model, mode: str) -> list[str]:
    data = _with_checks(section.data)
    retries = data.get("retry_on", defaults_of(section, model).get("retry_on"))
    sends = section.kind == "backend" or not empty(data.get("server")) or not empty(data.get("server_template"))
    guard = sends and mode == "http" and not empty(retries) and str(retries) != "none" and not table_only(section)
    if "log_format" not in data and defaults_of(section, model).get("log_format") == "json" and not empty(data.get("capture")):
        # The format of the defaults doesn't know what this section captures.
        data["log_format"] = "json"
    for key, rules in section.first.items():
        data[key] = [*rules, *as_list(data.get(key))]
    if mode == "http" and _compresses(section, model) and UNCOMPRESSED not in as_list(data.get("http_request")):
        data["http_request"] = [f"{UNCOMPRESSED} if {{ ssl_fc }}", *as_list(data.get("http_request"))]
    # The section's "defaults" sets the mode.
    return _lines(SECTIONS[section.kind], {**data, "mode": None}, model, guard, mode)


def render(model: Model) -> list[dict[str, Any]]:
    """List the sections of haproxy.cfg: each its first line and the lines below it."""
    global_ = _lines(GLOBAL, model.global_, model)
    result: list[dict[str, Any]] = [
        {"name": "global", "lines": ["setenv HITLESS_DIGEST @HITLESS_DIGEST@", *global_]},
    ]
    origins = {
        id(section): (
            str(section.data.get("from") or "") if defaults_of(section, model) is not model.defaults else "",
            mode_of(section, model),
        )
        for section in model.sections
    }
    # Named defaults are written although nothing uses them, so that their mistakes show.
    unused = [(name, str(data.get("mode") or "tcp")) for name, data in model.named_defaults.items()]
    for name, mode in _in_order([*origins.values(), *unused]):
        result.append({"name": f"defaults {quote(_defaults_name(name, mode, model))}", "lines": _defaults(model, mode, name)})
    if model.stats_login is not None:
        user, password = model.stats_login
        result.append(
            {"name": "userlist stats", "lines": [f"user {quote(user)} insecure-password {quote(password)}"]},
        )
    for section in model.others:
        result.append({"name": f"{section.kind} {quote(section.name)}", "lines": _lines(OTHERS[section.kind], section.data, model)})
    for section in model.sections:
        name, mode = origins[id(section)]
        result.append(
            {
                "name": f"{section.kind} {quote(section.name)} from {quote(_defaults_name(name, mode, model))}",
                "lines": _section(section, model, mode),
            }
        )
    if model.raw:
        result.append({"name": "", "lines": model.raw})
    for item in result:
        item["lines"] = [resolve(line) for line in item["lines"]]
    return result


def _in_order(values: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(values))
