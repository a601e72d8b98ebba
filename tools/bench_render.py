# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what a large haproxy.cfg costs on the controller: checking and writing it, by the number of servers and backends.

Ansible evaluates the role's own variables and template with the real filters, in a process of its own for each size. The same input goes
through a template of nested loops too, the way in which most roles write this file, without any check; the ratio says what the checks and
filters cost or save. Needs no lab.

tools/bench_render.py            all sizes, as a table and as JSON in .cache/bench_render.json
tools/bench_render.py 1000 100   one size
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ROLE = ROOT / "roles" / "haproxy"
SIZES = ((10, 1), (100, 1), (100, 10), (1000, 1), (1000, 10), (1000, 100), (5000, 1), (5000, 50), (5000, 500))
ROUNDS = 3
NODE = {"ipv6": False, "packages": {"haproxy": {"installed": "3.0.11-1", "candidate": None}}, "sysctls": {}, "certificates": {}}
# What the loops of other roles look like: one within the other, each value behind an "if".
NESTED_LOOPS = """\
{% for frontend in haproxy_frontends %}
frontend {{ frontend.name }}
{% for bind in frontend.bind %}
    bind {{ bind.address }}:{{ bind.port }}
{% endfor %}
{% for rule in frontend.use_backend | default([]) %}
    use_backend {{ rule }}
{% endfor %}
{% if frontend.default_backend is defined %}
    default_backend {{ frontend.default_backend }}
{% endif %}
{% endfor %}
{% for backend in haproxy_backends %}
backend {{ backend.name }}
{% if backend.balance is defined %}
    balance {{ backend.balance }}
{% endif %}
{% for check in backend.http_check | default([]) %}
    http-check {{ check }}
{% endfor %}
{% for server in backend.server | default([]) %}
    server {{ server.name }} {{ server.address }}:{{ server.port }}
{%- if server.weight is defined %} weight {{ server.weight }}{% endif %}
{%- if server.maxconn is defined %} maxconn {{ server.maxconn }}{% endif %}
{%- if server.backup | default(false) %} backup{% endif %}
{%- if server.check | default(true) %} check{% endif %}

{% endfor %}
{% endfor %}
"""


def variables(servers: int, backends: int) -> dict[str, Any]:
    """The inventory of a large site: servers spread evenly over backends, each chosen by its host name."""
    each = servers // backends
    return {
        "haproxy_frontends": [
            {
                "name": "public",
                "bind": [{"address": "*", "port": 80}],
                "use_backend": [f"service{number} if {{ hdr(host) -i {number}.example.com }}" for number in range(1, backends)],
                "default_backend": "service0",
            }
        ],
        "haproxy_backends": [
            {
                "name": f"service{number}",
                "balance": "leastconn",
                "http_check": ["send meth GET uri /healthz ver HTTP/1.1 hdr Host www.example.com", "expect status 200"],
                "server": [
                    {
                        "name": f"s{index}",
                        "address": f"10.{number // 250}.{number % 250}.{index % 250}",
                        "port": 8000 + index // 250,
                        "weight": 100,
                        "maxconn": 200,
                    }
                    for index in range(each)
                ],
            }
            for number in range(backends)
        ],
    }


def best(work: Callable[[], object]) -> float:
    """The shortest of some runs: the machine has other things to do, too."""
    seconds = []
    for _round in range(ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def case(servers: int, backends: int, what: str) -> dict[str, float]:
    """Measure one size in this process: CPU time, and by how much the process grew."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import Templar, trust_as_template

    init_plugin_loader([str(ROOT / ".collections")])
    loader = DataLoader()
    loader.set_basedir(str(ROLE))
    known: dict[str, Any] = {"ansible_managed": "Ansible managed", "role_path": str(ROLE), "ansible_search_path": [str(ROLE)]}
    known |= loader.load_from_file(str(ROLE / "defaults" / "main.yml"), trusted_as_template=True)
    known |= loader.load_from_file(str(ROLE / "vars" / "main.yml"), trusted_as_template=True)
    known |= {"__haproxy_node": NODE, **variables(servers, backends)}
    templar = Templar(loader=loader, variables=known)

    def evaluate(text: str) -> Any:
        return templar.template(trust_as_template(text))

    jobs: dict[str, dict[str, Callable[[], Any]]] = {
        "role": {
            "check": lambda: evaluate("{{ __haproxy_model | hitless.lb.haproxy_validate(__haproxy_node) }}"),
            "render": lambda: evaluate("{{ lookup('ansible.builtin.template', 'haproxy.cfg.j2') }}"),
        },
        "loops": {"render": lambda: evaluate(NESTED_LOOPS)},
    }
    text = jobs[what]["render"]()
    if sum(line.strip().startswith("server ") for line in text.splitlines()) != servers:
        raise SystemExit(f"bench_render: {what} didn't write {servers} servers")
    result = {name: round(best(job), 3) for name, job in jobs[what].items()}
    return result | {"mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}


def measure(sizes: tuple[tuple[int, int], ...] = SIZES) -> list[dict[str, Any]]:
    """Measure every size.

    :raises SystemExit: a size could not be measured.
    """
    rows = []
    for servers, backends in sizes:
        row: dict[str, Any] = {"servers": servers, "backends": backends}
        for what in ("role", "loops"):
            done = subprocess.run(
                [sys.executable, __file__, "--case", what, str(servers), str(backends)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"{done.stdout}{done.stderr}\nbench_render: {servers} servers over {backends} backends failed")
            row[what] = json.loads(done.stdout.splitlines()[-1])
        row["ratio"] = round((row["role"]["check"] + row["role"]["render"]) / row["loops"]["render"], 2)
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the rows out."""
    lines = [f"{'servers':>8}{'backends':>10}{'check s':>10}{'render s':>10}{'MB':>8}{'nested loops s':>17}{'MB':>8}{'ratio':>8}"]
    for row in rows:
        role, loops = row["role"], row["loops"]
        lines.append(
            f"{row['servers']:>8}{row['backends']:>10}{role['check']:>10.3f}{role['render']:>10.3f}{role['mb']:>8.0f}"
            f"{loops['render']:>17.3f}{loops['mb']:>8.0f}{row['ratio']:>8.2f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=["role", "loops"], help=argparse.SUPPRESS)
    parser.add_argument("size", nargs="*", type=int, metavar="SERVERS BACKENDS")
    arguments = parser.parse_args()
    if len(arguments.size) not in (0, 2):
        parser.error("give both numbers, or none")
    if arguments.case:
        sys.stdout.write(json.dumps(case(arguments.size[0], arguments.size[1], arguments.case)) + "\n")
        return 0
    rows = measure(((arguments.size[0], arguments.size[1]),) if arguments.size else SIZES)
    target = ROOT / ".cache" / "bench_render.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{table(rows)}\nas JSON: {target.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
