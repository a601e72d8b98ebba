# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's templates, rendered from fixtures and read again: by small readers here, and by rsyslog and logrotate where they are installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import comment

from ansible_collections.hitless.lb.plugins.filter.rsyslog_plan import rsyslog_plan
from products import Checker, checkers

ROLE = Path(__file__).resolve().parents[4] / "roles" / "rsyslog"
SPEC = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
DEFAULTS = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8")) | {"rsyslog_input": "udp"}
RSYSLOGD = checkers("rsyslogd")
LOGROTATE = checkers("logrotate", "--version")
MANAGED = "#\n# Ansible managed\n#\n"
NODE = {"os": {"id": "debian", "version_id": "13"}, "ipv6": True, "listeners": []}
HAPROXY = {"name": "haproxy", "facility": "local0", "path": "/var/log/haproxy.log"}
FIXTURES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "Unix socket": {"rsyslog_input": "unix"},
    "no input": {"rsyslog_input": "none"},
    "another port and IPv6": {"rsyslog_udp_address": "::1", "rsyslog_udp_port": 5140},
    "one stream": {"rsyslog_streams": [HAPROXY]},
    "split by program": {
        "rsyslog_streams": [
            {"name": "app", "facility": "local0", "program": "app", "path": "/var/log/app/app.log", "mode": "0600", "group": "root"},
            HAPROXY,
            {"name": "auth-copy", "facility": "authpriv", "path": "/srv/log/auth"},
        ]
    },
    "weekly and small": {
        "rsyslog_rotate_frequency": "weekly",
        "rsyslog_rotate_keep": 0,
        "rsyslog_rotate_max_size": "100M",
        "rsyslog_rotate_compress": False,
    },
    "raw": {"rsyslog_raw": ['if prifilt("local2.*") then {\n    action(type="omfile" file="/var/log/two.log")\n    stop\n}']},
}


def rendered(template: str, fixture: str) -> str:
    """Render a template of the role from a fixture."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"), trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["comment"] = comment
    plan = rsyslog_plan(DEFAULTS | FIXTURES[fixture], SPEC, NODE)
    return environment.get_template(template).render(ansible_managed="Ansible managed", __rsyslog_plan=plan)


def paths(fixture: str) -> list[str]:
    """The log files of a fixture."""
    return [stream["path"] for stream in (DEFAULTS | FIXTURES[fixture])["rsyslog_streams"]]


@pytest.mark.parametrize("name", FIXTURES)
def test_every_stream_has_one_file_and_ends_the_way_of_its_lines(name: str) -> None:
    text = rendered("rsyslog.conf.j2", name)
    assert text.startswith(MANAGED)
    assert text.endswith("}\n")
    rules = re.findall(r"(?m)^if .*? then \{\n    action\(type=\"omfile\" name=\"[^\"]+\" file=\"([^\"]+)\"[^}]*?\)\n    stop\n\}$", text)
    assert rules == paths(name)
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")


@pytest.mark.parametrize("name", FIXTURES)
def test_there_is_one_input_or_none(name: str) -> None:
    text = rendered("rsyslog.conf.j2", name)
    kind = FIXTURES[name].get("rsyslog_input", "udp")
    assert re.findall(r'input\(type="(\w+)"', text) == {"udp": ["imudp"], "unix": ["imuxsock"], "none": []}[kind]
    assert ('module(load="imudp")' in text) == (kind == "udp")
    # Loopback only, whatever was chosen.
    assert re.findall(r'address="([^"]+)"', text) in ([], ["127.0.0.1"], ["::1"])


@pytest.mark.parametrize("name", FIXTURES)
def test_every_stream_is_rotated_and_rsyslog_told(name: str) -> None:
    text = rendered("logrotate.j2", name)
    assert text.startswith(MANAGED)
    stanzas = re.findall(r"(?ms)^(/\S+)\n\{\n(.*?)\n\}$", text)
    assert [path for path, body in stanzas] == paths(name)
    for _path, body in stanzas:
        lines = [line.strip() for line in body.splitlines()]
        assert lines[-3:] == ["postrotate", "/usr/lib/rsyslog/rsyslog-rotate", "endscript"]
        assert re.fullmatch(r"create 0[0-7]{3} \w+ \w+", lines[-4])
        assert {"missingok", "notifempty"} <= set(lines)


if RSYSLOGD:

    @pytest.mark.checker
    @pytest.mark.parametrize("rsyslogd", RSYSLOGD, ids=str)
    @pytest.mark.parametrize("name", FIXTURES)
    def test_rsyslog_itself_reads_it_without_a_complaint(name: str, rsyslogd: Checker, tmp_path: Path) -> None:
        config = tmp_path / "10-hitless.conf"
        # The distribution's own file loads the module for sockets.
        config.write_text('module(load="imuxsock" SysSock.Use="off")\n' + rendered("rsyslog.conf.j2", name), encoding="utf-8")
        assert complaints(rsyslogd.run(tmp_path, "-N1", "-f", str(config))) == []


if LOGROTATE:

    @pytest.mark.checker
    @pytest.mark.parametrize("logrotate", LOGROTATE, ids=str)
    @pytest.mark.parametrize("name", FIXTURES)
    def test_logrotate_itself_reads_it_without_a_complaint(name: str, logrotate: Checker, tmp_path: Path) -> None:
        rotate = tmp_path / "00-hitless"
        rotate.write_text(rendered("logrotate.j2", name), encoding="utf-8")
        rotate.chmod(0o644)
        assert complaints(logrotate.run(tmp_path, "--debug", "--state", "/dev/null", str(rotate))) == []


def complaints(checked: subprocess.CompletedProcess[str]) -> list[str]:
    """Give what a checker found wrong; none if it was content."""
    said = [line for line in checked.stderr.splitlines() if re.search("(?i)error|could not", line)]
    return said or [f"it ended with {checked.returncode}"] * bool(checked.returncode)
