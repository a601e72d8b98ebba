# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rsyslog_plan: what it refuses and in which words, and what it makes of good variables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.filter.rsyslog_plan import rsyslog_plan

ROLE = Path(__file__).resolve().parents[4] / "roles" / "rsyslog"
SPEC = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")) | {"rsyslog_input": "udp"}
NODE: dict[str, Any] = {
    "hostname": "lb1",
    "os": {"id": "debian", "version_id": "12", "codename": "bookworm"},
    "ipv6": True,
    "listeners": [],
}


def planned(variables: dict[str, Any], **node: Any) -> dict[str, Any]:
    """What the filter returns for these variables over the role's defaults, on a node with these traits."""
    return rsyslog_plan(DEFAULTS | variables, SPEC, NODE | node)


def findings(variables: dict[str, Any], **node: Any) -> list[str]:
    """What the filter complains of."""
    with pytest.raises(AnsibleFilterError) as caught:
        planned(variables, **node)
    lines = str(caught.value).splitlines()
    assert lines[0] == "these variables can't be used:"
    return [line.removeprefix("- ") for line in lines[1:]]


def stream(**keys: Any) -> dict[str, Any]:
    """Variables with one stream."""
    return {"rsyslog_streams": [{"name": "a", "facility": "local0", "path": "/var/log/a.log"} | keys]}


def streams(*items: dict[str, Any]) -> dict[str, Any]:
    """Variables with several streams."""
    return {"rsyslog_streams": list(items)}


A = {"name": "a", "facility": "local0", "path": "/var/log/a.log"}
B = {"name": "b", "facility": "local1", "path": "/var/log/b.log"}
UNIX = {"rsyslog_input": "unix"}
PLAIN = "write a plain path, for example /var/log/haproxy.log"

BAD: list[tuple[dict[str, Any], str]] = [
    (streams(), "rsyslog_streams: there are none; list at least one, or use rsyslog_state: absent"),
    (stream(name="a b"), "rsyslog_streams[0].name: 'a b' isn't a name; write letters, digits, _ and -, for example haproxy"),
    (streams(A, B | {"name": "a"}), "rsyslog_streams[1].name: 'a' is the name of rsyslog_streams[0] too; give every stream its own"),
    (
        streams(A, B | {"path": "/var/log/a.log"}),
        "rsyslog_streams[1].path: rsyslog_streams[0] writes to /var/log/a.log too; give every stream its own file",
    ),
    (
        streams(A, B | {"facility": "local0"}),
        "rsyslog_streams[1]: rsyslog_streams[0] takes every line of local0, so this stream would stay empty;"
        " use another facility, or put this stream first and give it a program",
    ),
    (
        stream(path="var/log/a.log"),
        "rsyslog_streams[0].path: 'var/log/a.log' isn't an absolute path; write it from the root on, for example /var/log/haproxy.log",
    ),
    (stream(path="/var/log/../x"), "rsyslog_streams[0].path: '/var/log/../x' goes through '..'; write the path that is meant"),
    (stream(path='/var/log/a"\nx'), f"rsyslog_streams[0].path: '/var/log/a\"\\nx' has characters that a path here can't have; {PLAIN}"),
    (stream(path="/var/log/*.log"), f"rsyslog_streams[0].path: '/var/log/*.log' has characters that a path here can't have; {PLAIN}"),
    (stream(path="/var/log/a b"), f"rsyslog_streams[0].path: '/var/log/a b' has a blank or a percent sign; {PLAIN}"),
    (stream(path="/var/log/a/"), "rsyslog_streams[0].path: '/var/log/a/' is a folder; name the file in it"),
    (
        stream(path="/home/me/a.log"),
        "rsyslog_streams[0].path: rsyslog may not write to /home/me/a.log, or what it writes there is lost; use a file below /var/log",
    ),
    (
        stream(path="/var/log/syslog"),
        "rsyslog_streams[0].path: /var/log/syslog belongs to the distribution's own rules;"
        " use a file of its own, for example /var/log/haproxy.log",
    ),
    (stream(owner="a b"), "rsyslog_streams[0].owner: 'a b' isn't a name of a user; write one that exists, for example root"),
    (stream(group='x"'), "rsyslog_streams[0].group: 'x\"' isn't a name of a group; write one that exists, for example root"),
    (stream(mode="640"), "rsyslog_streams[0].mode: '640' isn't a mode; write it as text with a leading zero, for example '0640'"),
    (stream(mode=0o640), "rsyslog_streams[0].mode: '416' isn't a mode; write it as text with a leading zero, for example '0640'"),
    (stream(mode="0660"), "rsyslog_streams[0].mode: '0660' lets others write; only the owner may, for example '0640'"),
    (stream(mode="0440"), "rsyslog_streams[0].mode: '0440' keeps the owner out; the owner reads and writes, for example '0640'"),
    (
        stream(program='a" then stop'),
        "rsyslog_streams[0].program: 'a\" then stop' isn't the name of a program; write it as it stands in the log, for example haproxy",
    ),
    (
        {"rsyslog_udp_address": "0.0.0.0"},
        "rsyslog_udp_address: 0.0.0.0 can be reached from outside, and nobody could tell who sent a line;"
        " write a loopback address, for example 127.0.0.1",
    ),
    (
        {"rsyslog_udp_address": "localhost"},
        "rsyslog_udp_address: 'localhost' isn't an IP address; write a loopback address, for example 127.0.0.1",
    ),
    ({"rsyslog_udp_port": 0}, "rsyslog_udp_port: 0 isn't a port; write 1 to 65535, for example 514"),
    (
        UNIX | {"rsyslog_unix_socket": "/var/lib/haproxy/dev/log"},
        "rsyslog_unix_socket: HAProxy can't see /var/lib/haproxy/dev/log, because Debian's unit mounts the system's /dev/log over it;"
        " choose another name, for example /var/lib/haproxy/dev/rsyslog",
    ),
    (
        UNIX | {"rsyslog_unix_socket": "/dev/log"},
        "rsyslog_unix_socket: /dev/log belongs to systemd; choose another, for example /var/lib/haproxy/dev/rsyslog",
    ),
    (
        UNIX | {"rsyslog_unix_socket": "dev/log"},
        "rsyslog_unix_socket: 'dev/log' isn't an absolute path; write it from the root on, for example /var/lib/haproxy/dev/rsyslog",
    ),
    (
        UNIX | {"rsyslog_unix_socket": "/" + "x" * 110},
        f"rsyslog_unix_socket: /{'x' * 110} is 111 bytes long; a socket's path has at most 107",
    ),
    ({"rsyslog_rotate_keep": -1}, "rsyslog_rotate_keep: -1 can't be; write 0 to 10000, for example 14"),
    (
        {"rsyslog_rotate_max_size": "5 GB"},
        "rsyslog_rotate_max_size: '5 GB' isn't a size; write a number with k, M or G behind it, for example 500M",
    ),
    ({"rsyslog_raw": ["a\x00"]}, "rsyslog_raw[0]: 'a\\x00' has a control character; write plain lines"),
    ({"rsyslog_raw": None}, "rsyslog_raw: it has no value; give it one, or leave it out"),
]


@pytest.mark.parametrize(("variables", "message"), BAD, ids=[message[:60].replace("\x00", "") for variables, message in BAD])
def test_bad_variables_are_refused_with_what_to_write_instead(variables: dict[str, Any], message: str) -> None:
    assert findings(variables) == [message]


def test_all_findings_come_at_once() -> None:
    found = findings({"rsyslog_udp_port": 0, "rsyslog_rotate_keep": "many", "rsyslog_raw": ["\r"]} | stream(mode="x"))
    assert [line.split(":", 1)[0] for line in found] == [
        "rsyslog_rotate_keep",
        "rsyslog_streams[0].mode",
        "rsyslog_udp_port",
        "rsyslog_raw[0]",
    ]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"rsyslog_input": "tcp"}, "udp, unix, none"),
        (stream(facility="local8"), "local7"),
        (stream(format="json"), "format"),
        (streams({"name": "a"}), "facility"),
    ],
)
def test_wrong_types_and_unknown_keys_are_findings(variables: dict[str, Any], words: str) -> None:
    found = findings(variables)
    assert {line.split(":", 1)[0] for line in found} == {next(iter(variables))}
    assert words in " ".join(found)


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        (
            {"address": "0.0.0.0", "process": "syslog-ng"},
            "syslog-ng holds 0.0.0.0:514/udp; choose another port (and give it to HAProxy too), or write rsyslog_input: unix",
        ),
        (
            {"address": "::", "process": ""},
            "another program holds [::]:514/udp; choose another port (and give it to HAProxy too), or write rsyslog_input: unix",
        ),
        (
            {"address": "0.0.0.0", "process": "rsyslogd"},
            "rsyslog itself listens on 0.0.0.0:514/udp already, by a configuration of this host;"
            " write rsyslog_input: none and send HAProxy's lines there, or choose another port",
        ),
        ({"address": "127.0.0.1", "process": "rsyslogd"}, None),
        ({"address": "192.0.2.1", "process": "syslog-ng"}, None),
        ({"address": "0.0.0.0", "process": "syslog-ng", "protocol": "tcp"}, None),
        ({"address": "0.0.0.0", "process": "syslog-ng", "port": 515}, None),
    ],
)
def test_a_port_that_somebody_holds(listener: dict[str, Any], expected: str | None) -> None:
    held = [{"protocol": "udp", "port": 514, "pid": 1} | listener]
    if expected is None:
        assert planned({}, listeners=held)["input"] == "udp"
    else:
        assert findings({}, listeners=held) == [f"rsyslog_udp_port: {expected}"]
    assert planned({"rsyslog_input": "none"}, listeners=held)["input"] == "none"
    assert planned(UNIX, listeners=held)["input"] == "unix"


def test_other_systems_are_refused() -> None:
    assert findings({}, os={"id": "debian", "version_id": "11"}) == [
        "role rsyslog: this host runs debian 11; the role knows Debian 12 and later"
    ]
    assert planned({}, os={"id": "debian", "version_id": ""})["streams"]


def test_a_host_without_ipv6_has_no_ipv6_loopback() -> None:
    assert findings({"rsyslog_udp_address": "::1"}, ipv6=False) == ["rsyslog_udp_address: this host has no IPv6 for ::1; write 127.0.0.1"]
    assert planned({"rsyslog_udp_address": "::1"})["probes"][1] == {"udp_bound": "[::1]:514"}


@pytest.mark.parametrize(
    ("variables", "probe"),
    [
        ({}, {"udp_bound": "127.0.0.1:514"}),
        ({"rsyslog_udp_port": "5140"}, {"udp_bound": "127.0.0.1:5140"}),
        (UNIX, {"command": ["test", "-S", "/var/lib/haproxy/dev/rsyslog"]}),
        ({"rsyslog_input": "none"}, None),
    ],
)
def test_what_tells_that_the_input_is_there(variables: dict[str, Any], probe: dict[str, Any] | None) -> None:
    probes = planned(variables)["probes"]
    assert probes[0] == {"command": ["systemctl", "is-active", "--quiet", "rsyslog.service"]}
    assert probes[1:] == ([probe] if probe else [])


def test_streams_sort_by_facility_and_program() -> None:
    plan = planned(streams(A | {"program": "app/web"}, B | {"facility": "local0", "owner": "app", "mode": "0600"}))
    assert plan["streams"] == [
        {
            "name": "a",
            "path": "/var/log/a.log",
            "owner": "root",
            "group": "adm",
            "mode": "0640",
            "condition": 'prifilt("local0.*") and $programname == "app/web"',
        },
        {
            "name": "b",
            "path": "/var/log/b.log",
            "owner": "app",
            "group": "adm",
            "mode": "0600",
            "condition": 'prifilt("local0.*")',
        },
    ]


def test_rotation() -> None:
    assert planned({})["rotate"] == ["daily", "rotate 14", "missingok", "notifempty", "compress", "delaycompress"]
    variables = {
        "rsyslog_rotate_frequency": "weekly",
        "rsyslog_rotate_keep": 2,
        "rsyslog_rotate_max_size": "1G",
        "rsyslog_rotate_compress": "no",
    }
    assert planned(variables)["rotate"] == ["weekly", "rotate 2", "maxsize 1G", "missingok", "notifempty", "nocompress"]


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("error: haproxy:1 duplicate log entry for /var/log/haproxy.log", True),
        ("error: 00-hitless:5 unknown option 'x' -- ignoring line", True),
        ("error: found error in file 00-hitless, skipping", True),
        ("error: nginx:1 duplicate log entry for /var/log/nginx/error.log", False),
        ("error: other:1 duplicate log entry for /var/log/haproxy.log2", False),
        ("considering log /var/log/haproxy.log", False),
        ("reading config file 00-hitless", False),
    ],
)
def test_what_logrotate_says_about_our_files_alone_counts(line: str, ours: bool) -> None:
    said = f"reading config file x\n{line}\nrotating\n"
    assert bool(re.search(planned({})["complaint"], said)) == ours


def test_errors_name_the_variables_that_somebody_has_set() -> None:
    assert planned({"rsyslog_raw": ["x"], "rsyslog_streams": DEFAULTS["rsyslog_streams"]})["variables"] == ["rsyslog_input", "rsyslog_raw"]


def test_raw_lines_keep_their_order_and_may_hold_several() -> None:
    assert planned({"rsyslog_raw": ["a\n  b  ", "c\n"]})["raw"] == ["a", "  b", "c"]
