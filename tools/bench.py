# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the collection: what a large haproxy.cfg costs, and on the lab the cost of a run and requests a second, straight and through the VIP.

Prints one table and writes the same as JSON to .cache/bench.json. Makes the lab anew for the cold run.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bench_load
import bench_render

ROOT = Path(__file__).resolve().parent.parent
LAB = str(ROOT / "molecule" / "shared" / "lab.sh")
ROUNDS = 3


def run(*command: str, **environment: str) -> str:
    """Run a command and give its output; show it all if it fails.

    :raises SystemExit: it failed.
    """
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nbench: {' '.join(command)} failed")
    return done.stdout


def backends(servers: int, number: int) -> dict[str, Any]:
    """Give that many backends as variables; their servers are ports of web1 that nobody checks or asks."""
    made = [
        {
            "name": f"b{one}",
            "server": [{"name": f"s{at}", "address": "198.51.100.21", "port": 20000 + at} for at in range(servers // number)],
        }
        for one in range(number)
    ]
    return {"haproxy_backends": [{**backend, "default_server": {"check": False}} for backend in made]}


def site(variables: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run the site playbook once: wall time in s, tasks that ran on hosts, changes, peak memory of the controller in MB.

    :param variables: what it is told, if anything.
    """
    told = ROOT / ".cache" / "bench_variables.json"
    told.parent.mkdir(exist_ok=True)
    told.write_text(json.dumps(variables or {}), encoding="utf-8")
    started = time.monotonic()
    process = subprocess.Popen(
        ["ansible-playbook", "site.yml", "-e", f"@{told}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
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


def main() -> int:
    """Measure, print the table and write the JSON."""
    report: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": "make bench" + (f" DEBIAN={os.environ['DEBIAN']}" if os.environ.get("DEBIAN") else ""),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
    }
    # Needs no lab; alone: tools/bench_render.py
    print("bench: check and render large configurations", flush=True)
    report["render"] = bench_render.measure()
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
    print("bench: site.yml applies a small and a large configuration", flush=True)
    report["site_2_servers"] = site(backends(2, 1))
    report["site_1000_servers"] = site(backends(1000, 100))
    report["site_1000_servers_unchanged"] = site(backends(1000, 100))
    for balancer in ("lb1", "lb2"):
        report[f"versions_{balancer}"] = run(
            "docker", "exec", balancer, "dpkg-query", "-W", "-f", "${Package} ${Version}; ", "haproxy", "keepalived", "rsyslog"
        ).strip("; ")
    report["ip_forward"] = run("docker", "exec", "lb1", "cat", "/proc/sys/net/ipv4/ip_forward").strip()
    # Its first run also takes the thousand servers away again.
    print("bench: site.yml to lb_tls=terminate, for TLS at the load balancer", flush=True)
    run("ansible-playbook", "site.yml", "-e", "lb_tls=terminate")
    report["load"] = bench_load.measure()
    target = ROOT / ".cache" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    print(f"\n{report['command']}, {report['date']}, {report['cores']} cores, kernel {report['kernel']}")
    print(f"lb1: {report['versions_lb1']}\nlb2: {report['versions_lb2']}\n")
    print(f"{'run':<30}{'seconds':>9}{'results':>9}{'changed':>9}{'controller MB':>15}")
    for key, name in (
        ("site_cold", "site.yml, cold"),
        ("site_unchanged", "site.yml, unchanged"),
        ("site_2_servers", "… 2 servers more"),
        ("site_1000_servers", "… 1,000 in 100 backends"),
        ("site_1000_servers_unchanged", "… unchanged"),
    ):
        row = report[key]
        print(f"{name:<30}{row['seconds']:>9}{row['task_results']:>9}{row['changed']:>9}{row['controller_mb']:>15}")
    print(f"\nhaproxy.cfg on the controller, beside nested loops in a template\n{bench_render.table(report['render'])}")
    print("\nslowest tasks of the unchanged run")
    for name, seconds in report["site_unchanged"]["slowest_tasks"].items():
        print(f"  {seconds:6.2f} s  {name}")
    print(f"\n{bench_load.table(report['load'])}")
    print(f"\nas JSON: {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
