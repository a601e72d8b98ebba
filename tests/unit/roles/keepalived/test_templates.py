# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's templates, rendered from fixtures and read again: by a small reader here, and by the real programs where they are installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import comment

from ansible_collections.hitless.lb.plugins.plugin_utils._keepalived import shape
from products import Checker, checkers

ROLE = Path(__file__).resolve().parents[4] / "roles" / "keepalived"
CHECKERS = checkers("keepalived", "--version")
CHECK = "/usr/libexec/keepalived/hitless-check-http"
NODES = [
    {"name": "lb1", "address": "192.0.2.11", "address6": "2001:db8::11"},
    {"name": "lb2", "address": "192.0.2.12", "address6": "2001:db8::12"},
    {"name": "lb3", "address": "192.0.2.13", "address6": "2001:db8::13"},
]
FIXTURES: dict[str, dict[str, Any]] = {
    "minimal": {"virtual_ipaddress": "192.0.2.100"},
    "several addresses": {"virtual_ipaddress": ["192.0.2.100/24 label eth0:web", "192.0.2.101", "192.0.2.102/32 scope global"]},
    "IPv6 alone": {"virtual_ipaddress": ["2001:db8::100/64"]},
    "both families": {"virtual_ipaddress": ["192.0.2.100", "2001:db8::100"]},
    "alone": {"virtual_ipaddress": ["192.0.2.100"], "nodes": NODES[:1], "allow_single": True},
    "nopreempt": {"virtual_ipaddress": ["192.0.2.100"], "nopreempt": True},
    "slow and patient": {
        "virtual_ipaddress": ["192.0.2.100"],
        "advert_int": 1,
        "preempt_delay": 30,
        "check": {
            "type": "http",
            "url": "http://[::1]:8404/healthz",
            "interval": 2,
            "timeout": 3,
            "fall": 5,
            "rise": 3,
            "init_fail": False,
        },
    },
    "process": {"virtual_ipaddress": ["192.0.2.100"], "check": {"type": "process", "method": "killall"}},
    "no check": {"virtual_ipaddress": ["192.0.2.100"], "check": {"type": "none"}},
    "active and active": {
        "vrrp_instances": [
            {"name": "a", "virtual_router_id": 61, "virtual_ipaddress": ["192.0.2.101"], "nodes": ["lb1", "lb2", "lb3"]},
            {"name": "b", "virtual_router_id": 62, "virtual_ipaddress": ["192.0.2.102"], "nodes": ["lb2", "lb3", "lb1"]},
        ],
    },
    "everything": {
        "check": {"type": "command", "command": "/usr/bin/true --now", "weight": -150, "user": "root"},
        "vrrp_scripts": [
            {"name": "disk", "script": "/usr/bin/true /var", "interval": 5, "weight": -60, "fall": 2, "rise": 2, "init_fail": True},
            {"name": "spare", "script": "/usr/bin/true", "weight": 0, "user": "root"},
        ],
        "track_files": [{"name": "move", "file": "/run/keepalived.move", "weight": 1, "init_file": 0, "overwrite": True}],
        "bfd_instances": [
            {
                "name": "path",
                "neighbor_ip": "192.0.2.12",
                "source_ip": "192.0.2.11",
                "min_rx": 50,
                "min_tx": 50,
                "multiplier": 5,
                "weight": -40,
            }
        ],
        "vrrp_instances": [
            {
                "name": "a",
                "virtual_router_id": 61,
                "virtual_ipaddress": ["192.0.2.101"],
                "virtual_ipaddress_excluded": ["198.51.100.1/32"],
                "track_script": ["disk", "spare"],
                "track_file": ["move"],
                "track_interface": ["lo weight -30"],
                "track_bfd": ["path"],
                "down_timer_adverts": 4,
                "garp_master_delay": 1,
                "garp_master_repeat": 3,
                "garp_master_refresh": 10,
                "garp_master_refresh_repeat": 2,
                "garp_lower_prio_delay": 1,
                "garp_lower_prio_repeat": 2,
                "higher_prio_send_advert": True,
                "lower_prio_no_advert": False,
                "notify_master": "/usr/bin/true master",
                "notify_backup": "/usr/bin/true backup",
                "notify_fault": "/usr/bin/true fault",
                "notify_stop": "/usr/bin/true stop",
                "notify": "/usr/bin/true any",
                "raw": ["virtual_routes {", "    198.51.100.0/24 dev eth0", "}"],
            },
            {"name": "b", "virtual_router_id": 62, "virtual_ipaddress": ["192.0.2.102"]},
        ],
        "sync_groups": [{"name": "both", "group": ["a", "b"], "notify_master": "/usr/bin/true group"}],
        "global_defs": {
            "router_id": "edge",
            "vrrp_garp_master_repeat": 2,
            "vrrp_garp_master_refresh_repeat": 1,
            "vrrp_garp_lower_prio_delay": 1,
            "vrrp_garp_lower_prio_repeat": 1,
            "vrrp_higher_prio_send_advert": True,
            "vrrp_startup_delay": 1.5,
            "vrrp_rt_priority": 50,
            "vrrp_no_swap": True,
            "max_auto_priority": 0,
            "raw": ["vrrp_min_garp"],
        },
        "raw": ["static_routes {", "}"],
        "daemon_args": ["--log-detail"],
    },
    "peers by hand": {
        "vrrp_instances": [
            {
                "name": "web",
                "virtual_router_id": 7,
                "virtual_ipaddress": ["192.0.2.100"],
                "interface": "eth0",
                "unicast_src_ip": "192.0.2.11",
                "unicast_peer": [{"address": "192.0.2.12", "priority": 100, "min_ttl": 254, "max_ttl": 255}],
                "priority": 150,
            }
        ],
        "nodes": [],
    },
}


def node(version: str = "1:2.3.3-1") -> dict[str, Any]:
    """What node_info says about the first load balancer."""
    addresses = [
        {"address": "192.0.2.11", "prefix": 24, "family": 4},
        {"address": "2001:db8::11", "prefix": 64, "family": 6},
    ]
    return {
        "hostname": "lb1",
        "container": "",
        "ipv6": True,
        "packages": {"keepalived": {"installed": version, "candidate": None}},
        "interfaces": [
            {"name": "lo", "up": True, "mac": "00:00:00:00:00:00", "addresses": [{"address": "127.0.0.1", "prefix": 8, "family": 4}]},
            {"name": "eth0", "up": True, "mac": "02:42:00:00:00:0b", "addresses": addresses},
        ],
    }


def model_of(fixture: str, version: str = "1:2.3.3-1") -> dict[str, Any]:
    """The model of a fixture, which has to be a good one."""
    model, findings = shape({"nodes": NODES, "start_after": ["haproxy.service"], **FIXTURES[fixture]}, node(version))
    assert findings == []
    return model


def render(template: str, model: dict[str, Any] | None = None) -> str:
    """A template of the role, as Ansible renders it."""
    environment = jinja2.Environment(  # nosec: configuration files aren't HTML
        loader=jinja2.FileSystemLoader(ROLE / "templates"), undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters["comment"] = comment
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
    return environment.get_template(template).render(
        {name: value for name, value in variables.items() if isinstance(value, str)},
        ansible_managed="Ansible managed",
        __keepalived_model=model,
    )


def read(text: str) -> dict[str, Any]:
    """keepalived.conf as nested dictionaries: a block by its header, a line by itself."""
    stack: list[dict[str, Any]] = [{}]
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.endswith("{"):
            header = line[:-1].strip()
            assert header not in stack[-1], f"twice: {header}"
            stack[-1][header] = {}
            stack.append(stack[-1][header])
        elif line == "}":
            stack.pop()
            assert stack, "a brace too many"
        else:
            assert not set("{}") & set(line)
            stack[-1][line] = True
    assert len(stack) == 1, "a brace is missing"
    return stack[0]


def structure(text: str) -> None:
    """Braces, and what every instance needs."""
    found = read(text)
    instances = [block for header, block in found.items() if header.startswith("vrrp_instance ")]
    assert instances
    for block in instances:
        words = {line.split()[0] for line in block}
        assert {"state", "interface", "virtual_router_id", "priority", "advert_int", "virtual_ipaddress"} <= words
        assert block["virtual_ipaddress"]


@pytest.mark.parametrize("fixture", FIXTURES)
def test_keepalived_conf_is_readable(fixture: str) -> None:
    structure(render("keepalived.conf.j2", model_of(fixture)))


if CHECKERS:

    @pytest.mark.checker
    @pytest.mark.parametrize("keepalived", CHECKERS, ids=str)
    @pytest.mark.parametrize("fixture", FIXTURES)
    def test_keepalived_itself_reads_it(fixture: str, keepalived: Checker, tmp_path: Path) -> None:
        """With programs that are everywhere, and scripts of root: 2.2.7 can't test others."""
        text = render("keepalived.conf.j2", model_of(fixture, f"1:{keepalived.version}-1"))
        text = text.replace(CHECK, "/usr/bin/true").replace("/usr/bin/killall", "/usr/bin/true")
        text = re.sub(r"^(\s*)script_user .*", r"\1script_user root", text, flags=re.MULTILINE)
        file = tmp_path / "keepalived.conf"
        file.write_text(text, encoding="utf-8")
        outcome = keepalived.run(tmp_path, "-t", "-f", str(file))
        assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("template", sorted(path.name for path in (ROLE / "templates").iterdir()))
@pytest.mark.parametrize("fixture", FIXTURES)
def test_every_template_says_who_manages_it_and_ends_with_a_line_break(fixture: str, template: str) -> None:
    text = render(template, model_of(fixture))
    lines = text.splitlines()
    assert "# Ansible managed" in lines[:3]
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_minimal_instance() -> None:
    found = read(render("keepalived.conf.j2", model_of("minimal")))
    assert found["vrrp_instance vip"] == {
        "state BACKUP": True,
        "interface eth0": True,
        "virtual_router_id 51": True,
        "priority 250": True,
        "advert_int 0.05": True,
        "unicast_src_ip 192.0.2.11": True,
        "unicast_ttl 255": True,
        "unicast_peer": {"192.0.2.12 min_ttl 255": True, "192.0.2.13 min_ttl 255": True},
        "track_script": {"haproxy weight -100": True},
        "virtual_ipaddress": {"192.0.2.100/32": True},
    }
    assert found["vrrp_script haproxy"] == {
        f'script "{CHECK} http://127.0.0.1:8404/healthz 1"': True,
        "interval 1": True,
        "timeout 1": True,
        "fall 2": True,
        "rise 2": True,
        "weight 0": True,
        "init_fail": True,
    }
    assert {"vrrp_version 3", "enable_script_security", "script_user keepalived_script", "router_id lb1"} <= set(found["global_defs"])


def test_both_families_are_two_instances_that_move_together() -> None:
    found = read(render("keepalived.conf.j2", model_of("both families")))
    assert found["vrrp_instance vip"]["virtual_ipaddress"] == {"192.0.2.100/32": True}
    assert found["vrrp_instance vip_v6"]["virtual_ipaddress"] == {"2001:db8::100/128": True}
    assert found["vrrp_instance vip_v6"]["unicast_peer"] == {"2001:db8::12 min_ttl 255": True, "2001:db8::13 min_ttl 255": True}
    # Without this line the group would leave weights out of account, and no check could move anything.
    assert found["vrrp_sync_group vip"] == {"sync_group_tracking_weight": True, "group": {"vip": True, "vip_v6": True}}


def test_a_check_without_a_weight_belongs_to_nopreempt() -> None:
    found = read(render("keepalived.conf.j2", model_of("nopreempt")))
    assert found["vrrp_instance vip"]["track_script"] == {"haproxy weight 0": True}
    assert "nopreempt" in found["vrrp_instance vip"]


@pytest.mark.parametrize(("version", "tested"), [("1:2.2.7-1+b2", False), ("2.2.8", True), ("1:2.3.3-1", True)])
def test_keepalived_tests_its_own_reloads_only_where_that_works(version: str, tested: bool) -> None:
    text = render("keepalived.conf.j2", model_of("minimal", version))
    assert ("reload_check_config /run/keepalived-reload.log" in text) is tested


@pytest.mark.parametrize(
    ("method", "command", "user"),
    [
        ("pidof", "/usr/bin/env /usr/bin/pidof haproxy", "keepalived_script"),
        ("pgrep", "/usr/bin/pgrep -x haproxy", "keepalived_script"),
        ("killall", "/usr/bin/killall -0 haproxy", "root"),
    ],
)
def test_who_may_look_for_a_process(method: str, command: str, user: str) -> None:
    model, findings = shape({"nodes": NODES, **FIXTURES["minimal"], "check": {"type": "process", "method": method}}, node())
    assert findings == []
    assert model["runs"] == [{"user": user, "program": command.split()[0]}]
    assert f'    script "{command}"\n' in render("keepalived.conf.j2", model)


def test_killall_runs_as_root_and_needs_its_package() -> None:
    model = model_of("process")
    assert model["packages"] == ["psmisc"]
    assert model["runs"] == [{"user": "root", "program": "/usr/bin/killall"}]
    assert "user root" in read(render("keepalived.conf.j2", model))["vrrp_script haproxy"]


def test_raw_lines_stand_where_they_belong() -> None:
    found = read(render("keepalived.conf.j2", model_of("everything")))
    assert found["vrrp_instance a"]["virtual_routes"] == {"198.51.100.0/24 dev eth0": True}
    assert "vrrp_min_garp" in found["global_defs"]
    assert list(found)[-1] == "static_routes"


def test_everything_that_can_be_said_is_said() -> None:
    found = read(render("keepalived.conf.j2", model_of("everything")))
    instance = found["vrrp_instance a"]
    assert instance["track_script"] == {"haproxy weight -150": True, "disk": True, "spare": True}
    assert instance["track_file"] == {"move": True}
    assert instance["track_interface"] == {"lo weight -30": True}
    assert instance["track_bfd"] == {"path": True}
    assert instance["virtual_ipaddress_excluded"] == {"198.51.100.1/32": True}
    assert found["track_file move"] == {"file /run/keepalived.move": True, "weight 1": True, "init_file 0 overwrite": True}
    assert found["bfd_instance path"]["multiplier 5"]
    for line in (
        "down_timer_adverts 4",
        "garp_master_refresh 10",
        "higher_prio_send_advert on",
        "lower_prio_no_advert off",
        'notify_master "/usr/bin/true master"',
        'notify "/usr/bin/true any"',
    ):
        assert line in instance
    assert found["vrrp_sync_group both"]["group"] == {"a": True, "b": True}
    assert {"vrrp_rt_priority 50", "vrrp_no_swap", "vrrp_startup_delay 1.5", "max_auto_priority 0"} <= set(found["global_defs"])


def test_the_programs_that_run_are_listed_for_the_test() -> None:
    lines = [line for line in render("keepalived.conf.j2", model_of("everything")).splitlines() if line.startswith("#: ")]
    assert lines == ["#: keepalived_script /usr/bin/true", "#: root /usr/bin/true"]


def test_the_command_line() -> None:
    assert 'DAEMON_ARGS="--log-facility=1 --log-detail"\n' in render("default.j2", model_of("everything"))


def test_a_setting_that_only_a_restart_applies_is_part_of_a_file_whose_change_restarts() -> None:
    model, findings = shape(
        {
            "nodes": NODES,
            **FIXTURES["minimal"],
            "global_defs": {"raw": ["nftables keepalived", "vrrp_min_garp"]},
            "raw": ["net_namespace edge"],
        },
        node(),
    )
    assert findings == []
    assert [line for line in render("default.j2", model).splitlines() if "Only a restart" in line] == [
        "# Only a restart applies: net_namespace edge",
        "# Only a restart applies: nftables keepalived",
    ]


def test_the_drop_in() -> None:
    text = render("systemd.conf.j2", model_of("both families"))
    assert "After=haproxy.service\n" in text
    assert "Restart=always\nRestartSec=100ms\n" in text
    assert "TimeoutStartSec=20s\n" in text
    assert "ExecStopPost=/usr/libexec/keepalived/hitless-release 192.0.2.100/32 eth0 2001:db8::100/128 eth0\n" in text
    reload = [line for line in text.splitlines() if line.startswith("ExecReload")]
    assert reload == [
        "ExecReload=",
        "ExecReload=/usr/libexec/keepalived/hitless-config-test /etc/keepalived/keepalived.conf",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ]


def test_a_node_that_is_alone_keeps_its_address_whatever_happens() -> None:
    assert "ExecStopPost" not in render("systemd.conf.j2", model_of("alone"))


def test_the_user_of_the_scripts() -> None:
    assert 'u keepalived_script - "Keepalived scripts (hitless.lb)" / /usr/sbin/nologin\n' in render(
        "sysusers.conf.j2", model_of("minimal")
    )


@pytest.mark.parametrize("template", ["check-http.sh.j2", "config-test.sh.j2", "state.sh.j2", "release.sh.j2"])
def test_scripts_are_good_bash(template: str, tmp_path: Path) -> None:
    script = tmp_path / template.removesuffix(".j2")
    script.write_text(render(template, model_of("minimal")), encoding="utf-8")
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    outcome = subprocess.run(["bash", "-n", script], capture_output=True, text=True, timeout=10, check=False)
    assert outcome.returncode == 0, outcome.stderr
