# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From fresh hosts to the service and back. The tests run in the order of this file, each on what the one before left."""

from __future__ import annotations

import collections
import json
import re
import subprocess
from typing import Any

import pytest
from testing import lab

SECRET = "marker-9f31c0de-do-not-show"
MANAGED = (*lab.LOAD_BALANCERS, *lab.WEB_SERVERS)
FOREIGN_SITE = "server { listen 8099; location / { return 200 'mine'; } }\n"
BEFORE: dict[str, dict[str, str]] = {}
CHECKED: dict[str, Any] = {}

# What a package manager, a boot or a log writes by itself; everything else must be as it was found.
VOLATILE = re.compile(r"/etc/(ld\.so\.cache|mtab|resolv\.conf|hostname|hosts|machine-id|\.pwd\.lock|[a-z]*-)$")


def snapshot(name: str) -> dict[str, str]:
    """Give every file below /etc with its checksum, mode and owner; the packages; the users; the units' states."""
    places = "/etc /usr/local /usr/libexec -xdev"
    files = lab.run(name, f"find {places} \\( -type f -o -type l \\) -printf '%p %m %U:%G %l\\n' | sort")
    sums = lab.run(name, f"find {places} -type f -exec sha256sum {{}} + | sort -k2")
    return {
        "files": "\n".join(line for line in files.splitlines() if not VOLATILE.match(line.split()[0])),
        "sums": "\n".join(line for line in sums.splitlines() if not VOLATILE.match(line.split()[-1])),
        "packages": lab.run(name, "dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n' | grep ' ii' | sort"),
        "users": lab.run(name, "getent passwd | cut -d: -f1 | sort"),
        "state": lab.run(name, "ls -A /var/lib/hitless 2>/dev/null || true"),
    }


def recorded(play: dict[str, Any]) -> dict[str, dict[str, set[str]]]:
    """Give what a run (as the JSON callback tells it) says that it changes: packages, files and services of every host."""
    result: dict[str, dict[str, set[str]]] = {}
    for one in play["plays"]:
        for task in one["tasks"]:
            for host, outcome in task["hosts"].items():
                if not outcome.get("changed"):
                    continue
                entry = result.setdefault(host, {"packages": set(), "files": set(), "services": set()})
                arguments = outcome.get("invocation", {}).get("module_args", {})
                if outcome.get("action", task["task"].get("action", "")).endswith("package_claim"):
                    entry["packages"] |= set(outcome["missing"])
                if "changed_files" in outcome:
                    entry["files"] |= set(outcome["changed_files"])
                    if outcome["reason"]:
                        entry["services"].add(arguments["unit"])
    return result


def run_as_json(*arguments: str) -> dict[str, Any]:
    """Run the site playbook and give the result as data."""
    play = lab.playbook("site.yml", *arguments, environment={"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})
    assert play.rc == 0, play.output
    result: dict[str, Any] = json.loads(play.output[play.output.index("{") : play.output.rindex("}") + 1])
    return result


def test_fresh_hosts_one_with_a_service_of_its_own() -> None:
    lab.run("web2", "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y nginx-light >/dev/null")
    lab.run("web2", f"cat > /etc/nginx/conf.d/mine.conf <<'X'\n{FOREIGN_SITE}X\nsystemctl restart nginx")
    assert lab.curl("http://198.51.100.22:8099/") == "mine"
    BEFORE.update({name: snapshot(name) for name in lab.NODES})


def test_check_mode_on_fresh_hosts_says_what_it_could_not_check_and_touches_nothing() -> None:
    checked = run_as_json("--check", "--diff")
    said = json.dumps(checked)
    assert "could not be checked" in said or "couldn't be checked" in said, said
    CHECKED.update(recorded(checked))
    for name in lab.NODES:
        assert snapshot(name) == BEFORE[name], name


def test_the_first_run_changes_what_check_mode_listed() -> None:
    run = run_as_json()
    real = recorded(run)
    assert real == CHECKED
    # In preflight, at the role's beginning, and when it is known what apt has installed
    looks = collections.Counter(
        host
        for one in run["plays"]
        for task in one["tasks"]
        if task["task"]["name"].endswith("Refuse what HAProxy can't work with")
        for host, outcome in task["hosts"].items()
        if not outcome.get("skipped")
    )
    assert looks == {"lb1": 3, "lb2": 3}
    assert {"haproxy", "keepalived"} <= real["lb1"]["packages"]
    assert "/etc/haproxy/haproxy.cfg" in real["lb1"]["files"]
    assert "keepalived.service" in real["lb2"]["services"]
    lab.wait_at_home()


# A second run for real is that of the installed collection, below.
def test_check_mode_after_the_first_run_says_that_nothing_would_change() -> None:
    play = lab.playbook("site.yml", "--check", "--diff")
    assert play.rc == 0, play.output
    assert sum(play.changed.values()) == 0, play.output


def test_a_secret_shows_up_in_no_output() -> None:
    with lab.stream(rate=20) as requests:
        play = lab.playbook("site.yml", "--diff", "-vvv", variables={"lb_stats_password": SECRET})
        assert play.rc == 0, play.output
        assert play.changed["lb1"] and play.changed["lb2"], play.output
        again = lab.playbook("site.yml", "--diff", "-vvv")
        assert again.rc == 0, again.output
    # The command line that Ansible prints with -vvv is this test's own; nothing else may have it.
    for output in (play.output, again.output):
        leaks = [line for line in output.splitlines() if SECRET in line and "ansible-playbook" not in line]
        assert leaks == []
    assert requests.lost == [], requests.summary()
    lab.wait_at_home()


@pytest.mark.parametrize("host", ["lb2", "lb1", "web1"])
def test_a_limited_run_writes_the_same_files(host: str) -> None:
    play = lab.playbook("site.yml", "--limit", host)
    assert play.rc == 0, play.output
    assert sum(play.changed.values()) == 0, play.output


@pytest.mark.parametrize(
    ("tag", "host"),
    [(f"haproxy{phase}", "lb2") for phase in ("", "_validate", "_install", "_configure", "_service")]
    + [("keepalived", "lb2"), ("keepalived_configure", "lb2"), ("rsyslog", "lb2"), ("rsyslog_configure", "lb2")]
    + [("nginx_web", "web1"), ("nginx_web_configure", "web1")],
)
def test_every_tag_works_alone(tag: str, host: str) -> None:
    play = lab.playbook("site.yml", "--tags", tag, "--limit", host)
    assert play.rc == 0, play.output
    assert sum(play.changed.values()) == 0, play.output


def test_each_role_alone_with_its_defaults() -> None:
    play = lab.playbook(str(lab.PROJECT / "molecule/lifecycle/roles_alone.yml"))
    assert play.rc == 0, play.output
    for unit in ("nginx", "haproxy", "rsyslog", "keepalived"):
        assert lab.node("client").service(unit).is_running, unit
    again = lab.playbook(str(lab.PROJECT / "molecule/lifecycle/roles_alone.yml"))
    assert again.rc == 0, again.output
    assert sum(again.changed.values()) == 0, again.output
    gone = lab.playbook(str(lab.PROJECT / "molecule/lifecycle/roles_alone.yml"), variables={"role_state": "absent", "role_purge": True})
    assert gone.rc == 0, gone.output
    assert snapshot("client") == BEFORE["client"]


def test_the_installed_collection_runs_the_site_playbook() -> None:
    built = subprocess.run(["python", "tools/build.py", "--print-path"], cwd=lab.PROJECT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    play = lab.playbook("hitless.lb.site", environment={"ANSIBLE_COLLECTIONS_PATH": built.stdout.strip().splitlines()[-1]})
    assert play.rc == 0, play.output
    assert sum(play.changed.values()) == 0, play.output


def test_removal_asks_for_a_yes() -> None:
    play = lab.playbook("playbooks/remove.yml")
    assert play.rc != 0
    assert "lb_remove=true" in play.output
    assert lab.exactly_one_owner() == "lb1"


def test_removal_keeps_logs_and_keys() -> None:
    play = lab.playbook("playbooks/remove.yml", variables={"lb_remove": True})
    assert play.rc == 0, play.output
    for name in lab.LOAD_BALANCERS:
        assert lab.node(name).file("/var/log/haproxy.log").exists
        assert lab.run(name, f"ip -o addr show to {lab.VIP}") == ""


def test_removal_gives_every_host_back_as_it_was_found() -> None:
    converged = lab.playbook("site.yml")
    assert converged.rc == 0, converged.output
    play = lab.playbook("playbooks/remove.yml", variables={"lb_remove": True, "lb_purge": True})
    assert play.rc == 0, play.output
    for name in MANAGED:
        after = snapshot(name)
        for what, before in BEFORE[name].items():
            assert after[what] == before, f"{name}: {what}"
    assert lab.curl("http://198.51.100.22:8099/") == "mine"
    again = lab.playbook("playbooks/remove.yml", variables={"lb_remove": True, "lb_purge": True})
    assert again.rc == 0, again.output
    assert sum(again.changed.values()) == 0, again.output
