# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the collection on the lab: the cost of a run, and requests a second straight to nginx and through the virtual IP.

Prints one table and writes the same as JSON to .cache/bench.json. Makes the lab anew for the cold run. The load goes from the lab's
client to the lab's own addresses, for a bounded time. Requests a second are compared as ratios within one run, straight and through the
virtual IP in turns, because the machine's own speed is nobody's promise.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LAB = str(ROOT / "molecule" / "shared" / "lab.sh")
VIP = "198.51.100.100"
ROUNDS = 3
SECONDS = 8
TARGETS = {
    "web1, new connections": ("http://198.51.100.21:80/healthz", True),
    "virtual IP, new connections": (f"http://{VIP}:8080/healthz", True),
    "web1, keep-alive": ("http://198.51.100.21:80/healthz", False),
    "virtual IP, keep-alive": (f"http://{VIP}:8080/healthz", False),
}


def run(*command: str, **environment: str) -> str:
    """Run a command and give its output; show it all if it fails.

    :raises SystemExit: it failed.
    """
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nbench: {' '.join(command)} failed")
    return done.stdout


def site() -> dict[str, Any]:
    """Run the site playbook once: wall time in s, tasks that ran on hosts, changes, peak memory of the controller in MB."""
    started = time.monotonic()
    process = subprocess.Popen(
        ["ansible-playbook", "site.yml"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks", "ANSIBLE_NOCOLOR": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    output = process.stdout.read()
    status, usage = os.wait4(process.pid, 0)[1:]
    wall = time.monotonic() - started
    if status:
        sys.exit(f"{output}\nbench: site.yml failed")
    recap = output.split("PLAY RECAP")[-1]
    slowest = re.findall(r"(?m)^(\S.*?) -+ (\d+\.\d+)s$", recap)
    return {
        "seconds": round(wall, 1),
        "task_results": sum(int(n) for n in re.findall(r"\bok=(\d+)", recap)),
        "skipped": sum(int(n) for n in re.findall(r"\bskipped=(\d+)", recap)),
        "changed": sum(int(n) for n in re.findall(r"\bchanged=(\d+)", recap)),
        "controller_mb": round(usage.ru_maxrss / 1024, 1),
        "slowest_tasks": {name: float(seconds) for name, seconds in slowest[:8]},
    }


def requests_per_second(url: str, new_connections: bool) -> dict[str, float]:
    """Load one address with wrk from the client; the rate and the number of failed requests."""
    header = ["-H", "Connection: close"] if new_connections else []
    output = run("docker", "exec", "client", "wrk", "-t1", "-c20", f"-d{SECONDS}s", "--latency", *header, url)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    if rate is None or p99 is None:
        sys.exit(f"{output}\nbench: wrk gave no rate")
    # wrk counts the close of a finished connection as a read error; only the others are failures.
    failed = (int(bad[1]) if bad else 0) + (sum(int(sockets[i]) for i in (1, 3, 4)) if sockets else 0)
    return {
        "per_second": float(rate[1]),
        "p99_ms": float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]],
        "failed": failed,
    }


def main() -> int:
    """Measure, print the table and write the JSON."""
    report: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": "make bench" + (f" DEBIAN={os.environ['DEBIAN']}" if os.environ.get("DEBIAN") else ""),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
    }
    run(LAB, "take-down")
    run(LAB, "ready")
    run(
        "molecule", "create", "--scenario-name", "default",
        MOLECULE_EPHEMERAL_DIRECTORY=str(ROOT / ".cache" / "molecule" / "default"),
    )  # fmt: skip
    print("bench: cold site.yml", flush=True)
    report["site_cold"] = site()
    print("bench: unchanged site.yml", flush=True)
    unchanged = [site() for number in range(ROUNDS)]
    report["site_unchanged"] = sorted(unchanged, key=lambda one: one["seconds"])[ROUNDS // 2]
    for balancer in ("lb1", "lb2"):
        report[f"versions_{balancer}"] = run(
            "docker", "exec", balancer, "dpkg-query", "-W", "-f", "${Package} ${Version}; ", "haproxy", "keepalived", "rsyslog"
        ).strip("; ")
    report["ip_forward"] = run("docker", "exec", "lb1", "cat", "/proc/sys/net/ipv4/ip_forward").strip()
    run("docker", "exec", "client", "bash", "-c", "command -v wrk >/dev/null || { apt-get -qq update && apt-get -qq install -y wrk; }")
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in TARGETS}
    for number in range(1, ROUNDS + 1):
        print(f"bench: requests a second, round {number} of {ROUNDS}", flush=True)
        for name, (url, new) in TARGETS.items():
            rounds[name].append(requests_per_second(url, new))
    report["requests"] = {
        name: {key: round(statistics.median(one[key] for one in results), 2) for key in results[0]} for name, results in rounds.items()
    }
    report["ratio_through_vip"] = {
        kind: round(report["requests"][f"virtual IP, {kind}"]["per_second"] / report["requests"][f"web1, {kind}"]["per_second"], 2)
        for kind in ("new connections", "keep-alive")
    }
    target = ROOT / ".cache" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    print(f"\n{report['command']}, {report['date']}, {report['cores']} cores, kernel {report['kernel']}")
    print(f"lb1: {report['versions_lb1']}\nlb2: {report['versions_lb2']}\n")
    print(f"{'run':<30}{'seconds':>9}{'results':>9}{'changed':>9}{'controller MB':>15}")
    for key, name in (("site_cold", "site.yml, cold"), ("site_unchanged", "site.yml, unchanged")):
        row = report[key]
        print(f"{name:<30}{row['seconds']:>9}{row['task_results']:>9}{row['changed']:>9}{row['controller_mb']:>15}")
    print("\nslowest tasks of the unchanged run")
    for name, seconds in report["site_unchanged"]["slowest_tasks"].items():
        print(f"  {seconds:6.2f} s  {name}")
    print(f"\n{'load':<30}{'requests/s':>12}{'p99 ms':>9}{'failed':>8}")
    for name, row in report["requests"].items():
        print(f"{name:<30}{row['per_second']:>12.0f}{row['p99_ms']:>9.1f}{row['failed']:>8.0f}")
    for kind, ratio in report["ratio_through_vip"].items():
        print(f"through the virtual IP / straight, {kind}: {ratio}")
    print(f"\nas JSON: {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
