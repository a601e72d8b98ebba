# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab at rest, as the client sees it."""

from __future__ import annotations

import collections
import itertools
import re
import subprocess
import uuid

import pytest
from testing import lab


def test_exactly_one_load_balancer_owns_the_virtual_ip_and_it_is_at_home() -> None:
    assert lab.exactly_one_owner() == "lb1"
    assert lab.mac_of_vip() == lab.mac_of("lb1")


def test_answers_alternate_between_the_web_servers() -> None:
    servers = [lab.greeting() for number in range(10)]
    assert collections.Counter(servers) == {"web1": 5, "web2": 5}
    assert all(first != second for first, second in itertools.pairwise(servers)), servers


@pytest.mark.parametrize("path", ["/", "/healthz"])
def test_the_site_greets(path: str) -> None:
    answer = lab.curl("-i", f"http://{lab.VIP}:8080{path}")
    assert answer.startswith("HTTP/1.1 200"), answer
    assert re.search(r"(?mi)^content-type: text/html", answer)
    assert re.search(r"<h1>Greeting from web[12]</h1>", answer)
    assert not re.search(r"(?mi)^server: nginx/", answer), "the version of nginx is nobody's business"


@pytest.mark.parametrize("host", ["unknown.example.org", "198.51.100.100", "web1"])
def test_an_unknown_host_gets_the_default_site(host: str) -> None:
    assert "Greeting from web" in lab.curl("-H", f"Host: {host}", f"http://{lab.VIP}:8080/healthz")
    assert "Greeting from web1" in lab.curl("-H", f"Host: {host}", f"http://{lab.ADDRESSES['web1']}/healthz")


@pytest.mark.parametrize("address", [f"{lab.VIP}:8443", lab.ADDRESSES["web1"], lab.ADDRESSES["web2"]])
def test_tls_without_a_server_name_gets_the_default_site(address: str) -> None:
    assert "Greeting from web" in lab.curl("-k", f"https://{address}/healthz")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_old_tls_is_refused(version: str) -> None:
    done = subprocess.run(
        ["docker", "exec", "client", "curl", "-sSk", "-m5", "--tls-max", version, "--ciphers", "ALL:@SECLEVEL=0"]
        + [f"https://{lab.ADDRESSES['web1']}/healthz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 35, done


@pytest.mark.parametrize("port", [28080, 29080, 18080, 19080])
def test_the_published_ports_answer_on_the_machine(port: int) -> None:
    done = subprocess.run(["curl", "-sS", "-m5", f"http://127.0.0.1:{port}/healthz"], capture_output=True, text=True, check=False)
    assert "Greeting from web" in done.stdout, done


def test_the_virtual_ip_answers_on_the_machine() -> None:
    done = subprocess.run(["curl", "-sS", "-m5", f"http://{lab.VIP}:8080/healthz"], capture_output=True, text=True, check=False)
    assert "Greeting from web" in done.stdout, done


def test_the_web_servers_see_the_clients_address() -> None:
    mark = uuid.uuid4().hex
    lab.curl(f"http://{lab.VIP}:8080/?{mark}")
    lab.wait_for(
        "the request in nginx's access log, with the client's address",
        lambda: any(
            lab.run(web, f"grep {mark} /var/log/nginx/access.log || true").startswith("198.51.100.41 - - [") for web in lab.WEB_SERVERS
        ),
    )


@pytest.mark.parametrize("path", ["/haproxy/stats", "/haproxy/stats;csv", "/metrics"])
def test_stats_and_metrics_need_the_login(path: str) -> None:
    url = f"http://{lab.VIP}:8090{path}"
    assert lab.curl("-o", "/dev/null", "-w", "%{http_code}", url) == "401"
    assert lab.curl("-o", "/dev/null", "-w", "%{http_code}", "-u", "admin:wrong", url) == "401"
    assert lab.curl("-o", "/dev/null", "-w", "%{http_code}", "-u", f"admin:{lab.stats_password()}", url) == "200"


def test_the_stats_page_shows_both_servers_up_the_node_and_refreshes() -> None:
    page = lab.curl("-i", "-u", f"admin:{lab.stats_password()}", f"http://{lab.VIP}:8090/haproxy/stats")
    assert re.search(r"(?mi)^refresh: \d+", page)
    assert "lb1" in page
    assert (lab.web_state("web1"), lab.web_state("web2")) == ("UP", "UP")


def test_metrics_tell_the_servers_state() -> None:
    metrics = lab.curl("-u", f"admin:{lab.stats_password()}", f"http://{lab.VIP}:8090/metrics")
    assert 'haproxy_server_status{proxy="web",server="web1",state="UP"} 1' in metrics


@pytest.mark.parametrize("balancer", lab.LOAD_BALANCERS)
def test_a_request_is_logged_once(balancer: str) -> None:
    mark = uuid.uuid4().hex
    assert "Greeting" in lab.curl(f"http://{lab.ADDRESSES[balancer]}:8080/healthz?{mark}")
    lab.wait_for("the request in /var/log/haproxy.log", lambda: mark in lab.run(balancer, f"grep {mark} /var/log/haproxy.log || true"))
    assert len(lab.run(balancer, f"grep {mark} /var/log/haproxy.log").splitlines()) == 1
    assert lab.run(balancer, f"grep -rl {mark} /var/log --include=* --exclude-dir=journal").split() == ["/var/log/haproxy.log"]


def test_a_restart_of_rsyslog_does_not_silence_haproxy() -> None:
    lab.run("lb1", "systemctl restart rsyslog")
    mark = uuid.uuid4().hex
    lab.wait_for("rsyslog's input on loopback", lambda: lab.node("lb1").socket("udp://127.0.0.1:514").is_listening)
    lab.curl(f"http://{lab.VIP}:8080/healthz?{mark}")
    lab.wait_for("the request in /var/log/haproxy.log", lambda: mark in lab.run("lb1", f"grep {mark} /var/log/haproxy.log || true"))


def test_the_state_changes_are_in_keepalived_log() -> None:
    assert "MASTER STATE" in lab.run("lb1", "cat /var/log/keepalived.log")
    assert "BACKUP STATE" in lab.run("lb2", "cat /var/log/keepalived.log")


@pytest.mark.parametrize(
    ("name", "unit"),
    [(n, u) for n in lab.LOAD_BALANCERS for u in ("haproxy", "keepalived", "rsyslog")] + [(n, "nginx") for n in lab.WEB_SERVERS],
)
def test_services_run_and_start_at_boot(name: str, unit: str) -> None:
    service = lab.node(name).service(unit)
    assert service.is_running
    assert service.is_enabled


@pytest.mark.parametrize("name", lab.LOAD_BALANCERS)
def test_only_what_was_asked_for_listens_to_the_network(name: str) -> None:
    # The UDP sockets on all addresses are HAProxy's own, which only send log lines; a connected sender isn't told from a listener by ss.
    listening = {
        line.split()[3].rsplit(":", 1)[1]
        for line in lab.run(name, "ss -Hlnt").splitlines()
        if not re.match(r"(127\.|\[::1\])", line.split()[3])
    }
    assert listening == {"22", "8080", "8443", "8090"}
    assert lab.node(name).socket("udp://127.0.0.1:514").is_listening
    assert not lab.node(name).socket("udp://0.0.0.0:514").is_listening


@pytest.mark.parametrize(
    ("name", "checker"),
    [
        (n, c)
        for n in lab.LOAD_BALANCERS
        for c in ("haproxy -c -f /etc/haproxy/haproxy.cfg", "keepalived -t -f /etc/keepalived/keepalived.conf", "rsyslogd -N1")
    ]
    + [(n, "nginx -t") for n in lab.WEB_SERVERS],
)
def test_the_products_own_checkers_accept_the_files(name: str, checker: str) -> None:
    if checker.startswith("keepalived") and "v2.2.7" in lab.run(name, "keepalived --version 2>&1"):
        # keepalived 2.2.7 ends with 143, silent, when a script user isn't root
        checker = (
            "sed -E 's/^( *)(script_user|user) .*/\\1\\2 root/' /etc/keepalived/keepalived.conf >/tmp/check.conf"
            " && keepalived -t -f /tmp/check.conf"
        )
    result = lab.node(name).run(checker)
    assert result.rc == 0, result


@pytest.mark.parametrize("name", lab.LOAD_BALANCERS)
def test_logrotate_finds_nothing_to_complain_of(name: str) -> None:
    result = lab.node(name).run("logrotate -d /etc/logrotate.conf")
    assert result.rc == 0, result
    assert "error" not in (result.stdout + result.stderr).lower()
    assert "/var/log/haproxy.log" in result.stderr + result.stdout
    assert "/var/log/keepalived.log" in result.stderr + result.stdout


@pytest.mark.parametrize("name", lab.LOAD_BALANCERS)
def test_the_password_is_readable_by_root_alone_and_never_world_readable(name: str) -> None:
    configuration = lab.node(name).file("/etc/haproxy/haproxy.cfg")
    assert configuration.mode & 0o007 == 0
    assert configuration.user == "root"


@pytest.mark.parametrize("name", lab.LOAD_BALANCERS)
def test_the_original_configuration_is_kept_beside_the_new_one(name: str) -> None:
    assert lab.node(name).file("/etc/haproxy/haproxy.cfg.orig").exists


@pytest.mark.parametrize("name", lab.LOAD_BALANCERS)
def test_addresses_of_others_can_be_bound(name: str) -> None:
    for family in ("ipv4", "ipv6"):
        assert lab.run(name, f"cat /proc/sys/net/{family}/ip_nonlocal_bind") == "1"


@pytest.mark.parametrize("name", lab.LOAD_BALANCERS)
def test_check_scripts_run_unprivileged(name: str) -> None:
    configuration = lab.run(name, "cat /etc/keepalived/keepalived.conf")
    assert "enable_script_security" in configuration
    assert re.search(r"(?m)^\s*script_user\s+(?!root)\S+", configuration)


def test_status_shows_a_table_and_changes_nothing() -> None:
    play = lab.playbook("playbooks/status.yml")
    assert play.rc == 0, play.output
    assert sum(play.changed.values()) == 0, play.output
    for word in ("198.51.100.100", "lb1", "lb2", "MASTER", "BACKUP", "250", "240", "web1", "web2", "UP"):
        assert word in play.output, f"{word} is missing in:\n{play.output}"
