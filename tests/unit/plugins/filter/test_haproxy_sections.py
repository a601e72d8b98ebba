# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HAProxy's data model as lines. Whole configurations are rendered in tests/unit/roles/haproxy."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.hitless.lb.plugins.filter.haproxy_sections import haproxy_sections
from ansible_collections.hitless.lb.plugins.filter.haproxy_validate import haproxy_validate
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import merge, quote, truth, version_tuple
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_render import host_port

SERVERS = [{"name": "web1", "address": "192.0.2.21", "port": 80}]


def lines(model: dict[str, Any], section: str, node: dict[str, Any] | None = None) -> list[str]:
    """The lines of one section."""
    (found,) = [item["lines"] for item in haproxy_sections(model, node) if item["name"].split(" from ", maxsplit=1)[0] == section]
    return list(found)


def words(text: str) -> list[str]:
    """Split a line as HAProxy does, as far as blanks, single quotes and backslashes go."""
    result: list[str] = []
    word: str | None = None
    quoted = escaped = False
    for character in text:
        if escaped:
            word, escaped = (word or "") + character, False
        elif character == "'":
            word, quoted = word or "", not quoted
        elif character == "\\" and not quoted:
            escaped = True
        elif character == " " and not quoted:
            if word is not None:
                result.append(word)
            word = None
        else:
            word = (word or "") + character
    return result if word is None else [*result, word]


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1))
def test_a_quoted_value_is_one_argument(value: str) -> None:
    assert words(f"user {quote(value)} x") == ["user", value, "x"]


@pytest.mark.parametrize(
    ("address", "port", "written"),
    [
        ("192.0.2.1", 80, "192.0.2.1:80"),
        ("2001:db8::1", 80, "[2001:db8::1]:80"),
        ("[2001:db8::1]", 80, "[2001:db8::1]:80"),
        ("ipv6@2001:db8::1", "80-90", "ipv6@[2001:db8::1]:80-90"),
        ("web.example.com", 80, "web.example.com:80"),
        ("/run/app.sock", None, "/run/app.sock"),
        ("unix@/run/app.sock", 80, "unix@/run/app.sock"),
        ("*", 80, "*:80"),
    ],
)
def test_an_address_and_its_port(address: str, port: Any, written: str) -> None:
    assert host_port(address, port) == written


@pytest.mark.parametrize(("ipv6", "written"), [(False, "bind *:80"), (True, "bind *:80,[::]:80 v6only")])
def test_a_star_means_what_the_node_has(ipv6: bool, written: str) -> None:
    assert lines({"servers": SERVERS}, "frontend http", {"ipv6": ipv6})[0] == written


def test_the_order_of_sections() -> None:
    model = {
        "servers": SERVERS,
        "frontends": [{"name": "f", "mode": "tcp", "bind": [{"port": 1}], "default_backend": "b"}],
        "backends": [{"name": "b", "mode": "tcp", "server": SERVERS}],
        "listen": [{"name": "l", "bind": [{"port": 2}], "server": SERVERS}],
        "stats": {"enabled": True, "user": "u", "password": "p", "bind": [{"address": "127.0.0.1", "port": 8090}]},
        "raw": ["peers x"],
    }
    assert [section["name"] for section in haproxy_sections(model)] == [
        "global",
        "defaults http",
        "defaults tcp",
        "userlist stats",
        "frontend monitor from http",
        "frontend http from http",
        "frontend f from tcp",
        "listen stats from http",
        "listen l from http",
        "backend web from http",
        "backend b from tcp",
        "",
    ]


def test_an_own_section_takes_the_place_of_the_ready_made_one() -> None:
    model = {"servers": SERVERS, "backends": [{"name": "web", "server": [{"name": "x", "address": "192.0.2.9", "port": 1}]}]}
    assert lines(model, "backend web")[-1] == "server x 192.0.2.9:1"
    assert lines(model, "frontend http")[-1] == "default_backend web"


@pytest.mark.parametrize(
    ("keys", "there"),
    [
        ({}, True),
        ({"mode": "tcp"}, False),
        ({"retry_on": "none"}, False),
        ({"retry_on": ""}, False),
        ({"disable_l7_retry": ""}, False),
    ],
)
def test_what_changes_something_is_never_sent_twice(keys: dict[str, Any], there: bool) -> None:
    found = lines({"backends": [{"name": "b", "server": SERVERS, **keys}]}, "backend b")
    assert ("http-request disable-l7-retry unless { method GET HEAD OPTIONS TRACE }" in found) is there


def test_the_guard_stands_before_other_rules() -> None:
    found = lines({"backends": [{"name": "b", "server": SERVERS, "http_request": ["set-path /x"]}]}, "backend b")
    assert found[0].startswith("http-request disable-l7-retry") and found[1] == "http-request set-path /x"


def test_the_own_condition_of_the_guard() -> None:
    found = lines({"backends": [{"name": "b", "server": SERVERS, "disable_l7_retry": "if METH_POST"}]}, "backend b")
    assert "http-request disable-l7-retry if METH_POST" in found


@pytest.mark.parametrize(("option", "count"), [([], 1), (["httpchk GET /"], 1), (["httpchk"], 1), (["dontlognull"], 1)])
def test_check_rules_switch_the_check_on_once(option: list[str], count: int) -> None:
    found = lines({"backends": [{"name": "b", "server": SERVERS, "option": option, "http_check": ["expect status 200"]}]}, "backend b")
    assert sum(line.startswith("option httpchk") for line in found) == count


def test_tcp_has_nothing_that_is_for_http() -> None:
    found = lines({"defaults": {"mode": "tcp"}, "log": {"target": "x"}, "backends": [{"name": "b", "server": SERVERS}]}, "defaults tcp")
    text = "\n".join(found)
    for word in ("httplog", "forwardfor", "idle-close", "retry-on", "http-reuse", "http-request", "http-keep-alive"):
        assert word not in text
    assert "option tcplog" in found and "option redispatch 1" in found


def test_without_a_log_there_is_no_log_format() -> None:
    found = lines({}, "defaults http")
    assert "log global" not in found and "option httplog" not in found
    assert not any("log-format" in line for line in lines({"defaults": {"log_format": "json"}}, "defaults http"))
    assert "option httplog" in lines({"log": {"target": "127.0.0.1:514"}}, "defaults http")


def test_a_number_of_connections_replaces_the_limit_of_files() -> None:
    assert "fd-hard-limit 50000" in lines({}, "global")
    assert not any("fd-hard-limit" in line for line in lines({"global": {"maxconn": 1000}}, "global"))
    assert "fd-hard-limit 9000" in lines({"global": {"maxconn": 1000, "fd_hard_limit": 9000}}, "global")


def test_booleans_of_a_server() -> None:
    server = SERVERS[0] | {"check": False, "backup": True, "disabled": False, "ssl": "no", "send_proxy_v2": "yes"}
    assert lines({"backends": [{"name": "b", "server": [server]}]}, "backend b")[-1] == (
        "server web1 192.0.2.21:80 no-check backup enabled no-ssl send-proxy-v2"
    )


def test_merging_goes_down_but_not_into_lists() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": [1]}
    assert merge(base, {"a": {"b": 3}, "d": [2]}) == {"a": {"b": 3, "c": 2}, "d": [2]}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1]}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("2.6.12-1+deb12u3", (2, 6, 12)), ("1:3.0-1", (3, 0)), ("2.10~dev1", (2, 10)), ("", None), (None, None), ("unknown", None)],
)
def test_versions(text: str | None, numbers: tuple[int, ...] | None) -> None:
    assert version_tuple(text) == numbers


@pytest.mark.parametrize(("value", "meant"), [(True, True), ("Yes", True), ("off", False), (0, False), ("x", None), (None, None)])
def test_booleans(value: Any, meant: bool | None) -> None:
    assert truth(value) is meant


def test_input_that_is_no_dictionary() -> None:
    with pytest.raises(AnsibleFilterError, match="haproxy_sections takes a dictionary, not str"):
        haproxy_sections("x")  # type: ignore[arg-type]


def test_the_input_stays_as_it_was() -> None:
    model = {"global": {"log": ["x local0"]}, "log": {"target": "y"}, "backends": [{"name": "b", "server": SERVERS, "http_check": ["x"]}]}
    before = repr(model)
    haproxy_sections(model)
    haproxy_validate(model)
    assert repr(model) == before


def big(backends: int) -> dict[str, Any]:
    """A model with ten servers a backend."""
    return {
        "frontends": [
            {
                "name": "f",
                "bind": [{"address": "*", "port": 80}],
                "use_backend": [f"b{number} if {{ hdr(host) -i {number}.example.com }}" for number in range(backends)],
                "default_backend": "b0",
            }
        ],
        "backends": [
            {
                "name": f"b{number}",
                "http_check": ["send meth GET uri /healthz", "expect status 200"],
                "server": [{"name": f"s{index}", "address": f"10.0.{number % 256}.{index}", "port": 80} for index in range(10)],
            }
            for number in range(backends)
        ],
    }


def test_the_time_grows_with_the_number_of_servers_and_no_faster() -> None:
    def seconds(model: dict[str, Any]) -> float:
        best = float("inf")
        for _attempt in range(3):
            started = time.process_time()
            haproxy_validate(model, {})
            haproxy_sections(model, {})
            best = min(best, time.process_time() - started)
        return best

    small, large = seconds(big(25)), seconds(big(400))
    assert large < 16 * small * 4, f"16 times the servers took {large / small:.0f} times as long"


def json_line(text: str) -> dict[str, Any]:
    """What a JSON format becomes, with something in place of HAProxy's variables."""
    (word,) = words(text)[1:]
    filled = re.sub(r'(?<=")%(\[[^]]*\]|[A-Za-z]+)', "x", word)
    parsed: dict[str, Any] = json.loads(re.sub(r"%[A-Za-z]+", "1", filled))
    return parsed


def test_the_json_of_a_frontend_has_its_headers() -> None:
    capture = ["request header Host len 64", "response header Content-Type len 9", "cookie SID len 9", "request header User-Agent len 64"]
    frontend = {"name": "f", "bind": [{"port": 1}], "capture": capture, "http_request": ["return status 200"]}
    for model in ({"defaults": {"log_format": "json"}}, {"frontends": [{"log_format": "json"}]}):
        found = lines({**model, "log": {"target": "x"}, "frontends": [{**model.get("frontends", [{}])[0], **frontend}]}, "frontend f")
        line = json_line(next(line for line in found if line.startswith("log-format")))
        assert line["request_headers"] == {"Host": "x", "User-Agent": "x"} and line["response_headers"] == {"Content-Type": "x"}
        assert line["status"] == 1 and line["uri"] == "x"
    assert "%[capture.req.hdr(1),json(utf8s)]" in "".join(found)


def test_json_by_mode() -> None:
    model = {
        "defaults": {"log_format": "json"},
        "log": {"target": "x"},
        "backends": [{"name": "a", "server": SERVERS}, {"name": "b", "mode": "tcp", "server": SERVERS}],
    }
    for mode, key in (("http", "status"), ("tcp", "time_total")):
        found = lines(model, f"defaults {mode}")
        assert key in json_line(next(line for line in found if line.startswith("log-format")))
        assert not any(line.startswith(("option httplog", "option tcplog")) for line in found)


@pytest.mark.parametrize(
    ("word", "mode", "line"),
    [
        ("http", "http", "option httplog"),
        ("http", "tcp", "option tcplog"),
        ("tcp", "http", "option tcplog"),
        ("%ci a", "http", "log-format '%ci a'"),
    ],
)
def test_log_formats_by_one_word(word: str, mode: str, line: str) -> None:
    found = lines({"backends": [{"name": "b", "mode": mode, "log_format": word, "server": SERVERS}]}, "backend b")
    assert line in found


@pytest.mark.parametrize(
    ("defaults", "keys", "there"),
    [
        ({}, {}, False),
        ({"compression": ["algo gzip"]}, {}, True),
        ({"compression": ["algo gzip"]}, {"compression_over_tls": True}, False),
        ({"compression": ["algo gzip"], "compression_over_tls": True}, {}, False),
        ({"compression": ["algo gzip"], "compression_over_tls": True}, {"compression_over_tls": False}, True),
        ({}, {"compression": ["algo gzip"]}, True),
        ({"compression": ["algo gzip"]}, {"mode": "tcp"}, False),
    ],
)
def test_answers_over_tls_are_compressed_only_when_asked_for(defaults: dict[str, Any], keys: dict[str, Any], there: bool) -> None:
    model = {"defaults": defaults, "listen": [{"name": "l", "bind": [{"port": 1}], "server": SERVERS, **keys}]}
    assert ("http-request del-header Accept-Encoding if { ssl_fc }" in lines(model, "listen l")) is there


def test_a_limit_stands_before_other_rules_and_spares_the_roles_own_sections() -> None:
    model = {
        "servers": SERVERS,
        "rate_limit": {"requests": 10, "period": "2m", "status": 503},
        "stats": {"enabled": True, "user": "u", "password": "p", "bind": [{"address": "127.0.0.1", "port": 8090}]},
        "listen": [{"name": "db", "mode": "tcp", "bind": [{"port": 2}], "server": SERVERS}],
    }
    found = lines(model, "frontend http")
    rule = "http-request deny deny_status 503 hdr Retry-After 120 if { sc2_http_req_rate gt 10 }"
    assert found.index(rule) < found.index("http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]")
    for section in ("frontend monitor", "listen stats", "listen db"):
        assert not any("sc2" in line for line in lines(model, section))
    assert lines(model, "backend rate_limit") == ["stick-table type ipv6 size 100k expire 240s store http_req_rate(2m)"]


def test_a_limit_for_slow_requests_alone_takes_no_table() -> None:
    model = {"servers": SERVERS, "rate_limit": {"slow_request": "5s"}}
    found = lines(model, "frontend http")
    assert "timeout http-request 5s" in found and "option http-buffer-request" in found
    assert not any(section["name"].startswith("backend rate_limit") for section in haproxy_sections(model))


def test_a_limit_for_some_frontends() -> None:
    model = {
        "servers": SERVERS,
        "frontends": [{"name": "x", "bind": [{"port": 2}], "default_backend": "web"}],
        "rate_limit": {"requests": 1, "frontends": ["x"]},
    }
    assert any("sc2" in line for line in lines(model, "frontend x")) and not any("sc2" in line for line in lines(model, "frontend http"))


@pytest.mark.parametrize(
    "more",
    [
        {"listen": [{"name": "l", "bind": [{"port": 1}], "server": SERVERS, "stick_table": "type ip size 1m peers lbs"}]},
        {"listen": [{"name": "l", "bind": [{"port": 1}], "server": SERVERS, "raw": ["stick-table type ip size 1m peers lbs"]}]},
        {"raw": ["backend t", "    stick-table type ip size 1m peers lbs"]},
        {"servers": SERVERS, "rate_limit": {"requests": 1, "peers": "lbs"}},
    ],
)
def test_the_load_balancers_are_peers_when_a_table_says_so(more: dict[str, Any]) -> None:
    nodes = {"nodes": {"lb1": "192.0.2.11", "lb2": "192.0.2.12"}, "address": "192.0.2.12"}
    assert lines({"peer": nodes, **more}, "peers lbs") == ["peer lb1 192.0.2.11:10000", "peer lb2 192.0.2.12:10000"]
    assert "localpeer lb2" in lines({"peer": nodes, **more}, "global")
    names = [section["name"] for section in haproxy_sections({"peer": nodes, "servers": SERVERS})]
    assert "peers lbs" not in names
    own = [*more.get("raw", []), "peers lbs", "    peer lb1 192.0.2.1:1"]
    assert "peers lbs" not in [section["name"] for section in haproxy_sections({"peer": nodes, **more, "raw": own})]


def test_named_defaults_are_put_over_one_another() -> None:
    model = {
        "named_defaults": [
            {"name": "b", "from": "a", "timeout": {"server": "9s"}},
            {"name": "a", "timeout": {"client": "8s"}, "retries": 7},
        ],
        "backends": [{"name": "x", "from": "b", "server": SERVERS}, {"name": "y", "from": "b", "mode": "tcp", "server": SERVERS}],
    }
    found = lines(model, "defaults b")
    assert {"timeout server 9s", "timeout client 8s", "retries 7", "mode http"} <= set(found)
    assert "mode tcp" in lines(model, "defaults b-tcp")
    assert [section["name"] for section in haproxy_sections(model) if section["name"].startswith("backend")] == [
        "backend x from b",
        "backend y from b-tcp",
    ]


def test_a_section_that_turns_retries_off_by_its_defaults_has_no_guard() -> None:
    model = {"named_defaults": [{"name": "a", "retry_on": ""}], "backends": [{"name": "x", "from": "a", "server": SERVERS}]}
    assert not any("disable-l7-retry" in line for line in lines(model, "backend x"))


def test_checks_as_words() -> None:
    check = [
        {"connect": {"port": "443", "ssl": True}},
        {"send": {"uri": "/a b", "headers": {"Host": "x"}}},
        {"send": {"method": "GET", "headers": {}}},
        {"expect": {"not": True, "rstatus": "^5"}},
        {"comment": "'x y'"},
        "expect status 200",
    ]
    found = lines({"backends": [{"name": "b", "server": SERVERS, "http_check": check}]}, "backend b")
    assert [line for line in found if line.startswith("http-check")] == [
        "http-check connect port 443 ssl",
        "http-check send uri '/a b' ver HTTP/1.1 hdr Host x",
        "http-check send meth GET",
        "http-check expect ! rstatus ^5",
        "http-check comment 'x y'",
        "http-check expect status 200",
    ]
