# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure requests a second on the lab: straight to nginx, through the virtual IP, and through a classic configuration beside it.

The load goes from the lab's client to the lab's own addresses, for a bounded time. All ways of one kind are measured in turns, several rounds,
and the median counts. What can be compared is the ratio within one run, because the machine's own speed is nobody's promise.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VIP = "198.51.100.100"
WEB = "198.51.100.21"
ROUNDS = 3
SECONDS = 4
CONNECTIONS = 20
# The kinds of load, each with its ways: straight, ours, classic.
KINDS: dict[str, tuple[str, str, str]] = {
    "HTTP, new connections": (f"http://{WEB}/healthz", f"http://{VIP}:8080/healthz", f"http://{VIP}:8081/healthz"),
    "HTTP, keep-alive": (f"http://{WEB}/healthz", f"http://{VIP}:8080/healthz", f"http://{VIP}:8081/healthz"),
    "TLS, a handshake each": (f"https://{WEB}/healthz", f"https://{VIP}:8443/healthz", f"https://{VIP}:8082/healthz"),
    "TLS, keep-alive": (f"https://{WEB}/healthz", f"https://{VIP}:8443/healthz", f"https://{VIP}:8082/healthz"),
    "HTTP/2": (f"https://{WEB}/healthz", f"https://{VIP}:8443/healthz", f"https://{VIP}:8083/healthz"),
}
BALANCERS = ("lb1", "lb2")
WAYS = ("nginx", "virtual IP", "classic")
# What most guides write: long intervals between checks, no second try, TLS decrypted and encrypted again without looking at a certificate.
CLASSIC = """\
global
    user haproxy
    group haproxy
    log /dev/log local0
defaults
    log global
    timeout connect 5s
    timeout client 50s
    timeout server 50s
    default-server inter 10s fall 3 rise 2
listen http
    mode http
    option httplog
    bind *:8081
    option httpchk GET /healthz
    balance roundrobin
    server web1 198.51.100.21:80 check
    server web2 198.51.100.22:80 check
listen https
    mode tcp
    option tcplog
    bind *:8082 ssl crt /etc/haproxy/certs/lb-site.pem
    balance roundrobin
    server web1 198.51.100.21:443 check ssl verify none
    server web2 198.51.100.22:443 check ssl verify none
listen http2
    mode tcp
    option tcplog
    bind *:8083 ssl crt /etc/haproxy/certs/lb-site.pem alpn h2
    balance roundrobin
    server web1 198.51.100.21:443 check ssl verify none alpn h2
    server web2 198.51.100.22:443 check ssl verify none alpn h2
"""


def run(*command: str, text: str = "") -> str:
    """Run a command and give its output; show it all if it fails.

    :raises SystemExit: it failed.
    """
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nbench: {' '.join(command)} failed")
    return done.stdout


def wrk(url: str, new_connections: bool) -> dict[str, float]:
    """Load one address over HTTP/1.1."""
    header = ["-H", "Connection: close"] if new_connections else []
    output = run("docker", "exec", "client", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", *header, url)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    if rate is None or p99 is None:
        sys.exit(f"{output}\nbench: wrk gave no rate")
    # wrk counts the close of a finished connection as a read error; only the others are failures.
    failed = (int(bad[1]) if bad else 0) + (sum(int(sockets[i]) for i in (1, 3, 4)) if sockets else 0)
    return {"per_second": float(rate[1]), "p99_ms": float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]], "failed": failed}


def h2load(url: str) -> dict[str, float]:
    """Load one address over HTTP/2, ten streams a connection; the slowest request stands for the 99th percentile, which h2load doesn't tell."""
    output = run("docker", "exec", "client", "h2load", "-t1", f"-c{CONNECTIONS}", "-m10", f"-D{SECONDS}", url)
    rate = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", output)
    failed = re.search(r"requests: .* (\d+) failed, (\d+) errored, (\d+) timeout", output)
    protocol = re.search(r"Application protocol: (\S+)", output)
    if rate is None or failed is None or protocol is None or protocol[1] != "h2":
        sys.exit(f"{output}\nbench: h2load gave no rate over HTTP/2")
    return {"per_second": float(rate[1]), "failed": float(sum(int(number) for number in failed.groups()))}


def moves() -> int:
    """Count how often a load balancer became the owner of the virtual IP."""
    count = "grep -c 'Entering MASTER STATE' /var/log/keepalived.log || true"
    return sum(int(run("docker", "exec", name, "sh", "-c", count)) for name in BALANCERS)


def one(kind: str, url: str) -> dict[str, float]:
    """Measure one way of one kind, once."""
    return h2load(url) if kind == "HTTP/2" else wrk(url, "new" in kind or "handshake" in kind)


def measure() -> dict[str, Any]:
    """Measure everything; the lab runs, with lb_tls=terminate.

    :return: For each kind and way the median rate, the 99th percentile in ms (not for HTTP/2) and the failed requests; each kind's ratios; how
        often the virtual IP moved meanwhile.
    :raises SystemExit: a program failed, or gave no rate.
    """
    wanted = "command -v wrk h2load >/dev/null || { apt-get -qq update && apt-get -qq install -y wrk nghttp2-client; }"
    run("docker", "exec", "client", "bash", "-c", wanted)
    for name in BALANCERS:
        started = "cat > /run/classic.cfg && haproxy -D -f /run/classic.cfg -p /run/classic.pid"
        run("docker", "exec", "-i", name, "sh", "-c", started, text=CLASSIC)
    before = moves()
    try:
        rows: dict[str, dict[str, float]] = {}
        for kind, urls in KINDS.items():
            print(f"bench: {kind}", flush=True)
            results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _round in range(ROUNDS):
                for way, url in zip(WAYS, urls, strict=True):
                    results[way].append(one(kind, url))
            for way, values in results.items():
                rows[f"{kind}: {way}"] = {key: round(statistics.median(value[key] for value in values), 2) for key in values[0]}
        ratios = {
            kind: {
                "of nginx": round(rows[f"{kind}: virtual IP"]["per_second"] / rows[f"{kind}: nginx"]["per_second"], 2),
                "of classic": round(rows[f"{kind}: virtual IP"]["per_second"] / rows[f"{kind}: classic"]["per_second"], 2),
            }
            for kind in KINDS
        }
        moved = moves() - before
    finally:
        for name in BALANCERS:
            run("docker", "exec", name, "sh", "-c", "kill $(cat /run/classic.pid); rm -f /run/classic.cfg /run/classic.pid")
    return {"rows": rows, "ratios": ratios, "moves": moved}


def table(report: dict[str, Any]) -> str:
    """Lay the result of :func:`measure` out."""
    lines = [f"{'load':<40}{'requests/s':>12}{'p99 ms':>9}{'failed':>8}"]
    for name, row in report["rows"].items():
        p99 = f"{row['p99_ms']:.1f}" if "p99_ms" in row else "-"
        lines.append(f"{name:<40}{row['per_second']:>12.0f}{p99:>9}{row['failed']:>8.0f}")
    for kind, ratio in report["ratios"].items():
        lines.append(
            f"{kind}: through the virtual IP {ratio['of nginx']} of nginx alone, {ratio['of classic']} of the classic configuration"
        )
    lines.append(f"meanwhile the virtual IP moved {report['moves']} times")
    return "\n".join(lines)
