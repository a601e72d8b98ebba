# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter hitless.lb.lb_status_table: what all load balancers said, as a table and as a list of problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: lb_status_table
author: hitless.lb contributors
version_added: 1.0.0
short_description: Compare what all load balancers said
description:
  - Lays out the results of M(hitless.lb.lb_status) of all nodes as a table, and says what isn't as it should be.
  - Every virtual IP must have exactly one owner, HAProxy must answer on every node, every backend must have a server, every URL must answer.
positional: _input
options:
  _input:
    description: For every host what M(hitless.lb.lb_status) returned; a host that couldn't be reached has C(unreachable).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Compare the nodes
  ansible.builtin.debug:
    msg: "{{ {'lb1': lb1_now, 'lb2': lb2_now} | hitless.lb.lb_status_table }}"
"""

RETURN = r"""
_value:
  description: The table and the problems.
  type: dict
  contains:
    table:
      description: Lines of text.
      type: list
      elements: str
    problems:
      description: What isn't as it should be, and what to do about it. Empty when all is well.
      type: list
      elements: str
    configured:
      description: Whether Keepalived is configured on any of the nodes.
      type: bool
    owners:
      description: For every virtual IP the hosts that own it.
      type: dict
"""


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, every column as wide as its widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _upstream(version: str) -> str:
    """The part of a Debian package version that its users know."""
    return version.split(":", 1)[-1].split("-", 1)[0].split("+", 1)[0]


def _words(items: Sequence[str]) -> str:
    """Names as a sentence has them."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _lost(result: Any) -> bool:
    return not isinstance(result, Mapping) or bool(result.get("unreachable") or result.get("failed")) or "owned" not in result


def _node_row(host: str, result: Any, vips: Sequence[str]) -> list[str]:
    """One node's line of the table."""
    if _lost(result):
        return [host, "?", "can't be reached", "", "can't be reached"]
    owned = [vip for vip in vips if result["owned"].get(vip)]
    keepalived, haproxy = result["keepalived"], result["haproxy"]
    states, priorities = [], []
    for instance in keepalived["instances"]:
        states.append(f"{instance['name']} {instance['state']}")
        effective, base = instance["effective_priority"], instance["priority"]
        priorities.append(str(base) if effective == base else f"{effective} (of {base})")
    version = _upstream(keepalived["version"])
    if not version:
        vrrp = "not installed"
    elif not keepalived["active"]:
        vrrp = f"{version} doesn't run"
    elif not keepalived["answering"]:
        vrrp = f"{version} doesn't answer"
    else:
        vrrp = f"{version} {', '.join(states) or 'no instance'}"
    version = _upstream(haproxy["version"])
    if not version:
        proxy = "not installed"
    elif not haproxy["active"]:
        proxy = f"{version} doesn't run"
    else:
        proxy = f"{version} {'answers' if haproxy['answering'] else 'does not answer'}"
    return [host, ", ".join(owned) or "-", vrrp, ", ".join(priorities), proxy]


def _server_rows(results: Mapping[str, Any], hosts: Sequence[str]) -> list[list[str]]:
    """How every server is, seen from every node."""
    states: dict[tuple[str, str], dict[str, str]] = {}
    for host in hosts:
        for entry in results[host]["haproxy"]["backends"]:
            check = f" ({entry['check_status']})" if entry.get("check_status") and not entry["status"].startswith("UP") else ""
            states.setdefault((entry["backend"], entry["server"]), {})[host] = entry["status"] + check
    if not states:
        return []
    rows = [["backend/server", *hosts]]
    rows += [[f"{backend}/{server}", *(seen.get(host, "-") for host in hosts)] for (backend, server), seen in states.items()]
    return rows


def _firewall_lines(results: Mapping[str, Any], vip: str, owners: Sequence[str]) -> str:
    """What lets VRRP through, for each of the owners."""
    places = {owner: results[owner].get("vips", {}).get(vip) or {} for owner in owners}
    text = []
    for owner in owners:
        for other in owners:
            address = places[other].get("address")
            if other == owner or not address:
                continue
            family = "ipv6" if ":" in address else "ipv4"
            word = "ip6" if ":" in address else "ip"
            text.append(
                f"\n  on {owner}, with nftables: nft insert rule inet filter input {word} saddr {address} meta l4proto 112 accept"
                " (the names of your table and chain may differ)"
                f"\n  on {owner}, with ufw: ufw allow proto vrrp from {address}"
                f'\n  on {owner}, with firewalld: firewall-cmd --permanent --add-rich-rule=\'rule family="{family}"'
                f' source address="{address}" protocol value="vrrp" accept\' && firewall-cmd --reload'
            )
    return "".join(text)


def _owner_problem(results: Mapping[str, Any], vip: str, owners: Sequence[str], answering: Sequence[str]) -> str:
    """What is wrong with a virtual IP that hasn't exactly one owner."""
    if not owners:
        down = [host for host in answering if not results[host]["keepalived"]["active"]]
        fault = [
            host
            for host in answering
            if any(vip in instance["vips"] and instance["state"] == "FAULT" for instance in results[host]["keepalived"]["instances"])
        ]
        if down:
            cause = f"Keepalived doesn't run on {_words(down)}; journalctl -u keepalived on that node says why"
        elif fault:
            cause = f"its VRRP instance is in FAULT on {_words(fault)}; a check, or an interface that it tracks, is down there"
        else:
            cause = "no VRRP instance of these nodes has it, or none of them has won the election yet; look at /var/log/keepalived.log"
        elsewhere = sorted({mac for host in answering if (mac := results[host].get("neighbors", {}).get(vip)) and mac != "local"})
        seen = f" Another host answers for it: {_words(elsewhere)}." if elsewhere else ""
        return f"{vip} has no owner: {cause}.{seen}"
    stale = [host for host in owners if not results[host]["keepalived"]["active"]]
    text = f"{vip} has {len(owners)} owners: {_words(owners)}. "
    if stale:
        return (
            text
            + f"Keepalived doesn't run on {_words(stale)}, which still has the address: start it there (systemctl restart keepalived), and it clears it."
        )
    nodes = [f"{owner} ({results[owner].get('vips', {}).get(vip, {}).get('address') or 'unknown address'})" for owner in owners]
    return (
        text + f"They don't hear each other: most likely VRRP (IP protocol 112) is blocked between {_words(nodes)}. Let it through:"
        f"{_firewall_lines(results, vip, owners)}"
    )


def _host_problems(host: str, result: Mapping[str, Any]) -> list[str]:
    """What is wrong on one node."""
    problems = []
    keepalived, haproxy = result["keepalived"], result["haproxy"]
    if not keepalived["version"]:
        problems.append(f"Keepalived isn't installed on {host}: run the site playbook.")
    elif not keepalived["active"]:
        problems.append(f"Keepalived doesn't run on {host}: journalctl -u keepalived says why, and the site playbook repairs it.")
    elif not keepalived["answering"]:
        problems.append(f"Keepalived doesn't answer on {host}: it is frozen or has just been started; systemctl restart keepalived.")
    for instance in keepalived["instances"]:
        if instance["state"] not in ("MASTER", "BACKUP"):
            problems.append(
                f"The VRRP instance {instance['name']} is in state {instance['state']} on {host}: /var/log/keepalived.log says why."
            )
    if not haproxy["answering"]:
        why = (
            "isn't installed"
            if not haproxy["version"]
            else "doesn't run"
            if not haproxy["active"]
            else "is frozen or has no runtime socket"
        )
        problems.append(f"HAProxy doesn't answer on {host}: it {why}; systemctl status haproxy.")
    backends: dict[str, list[str]] = {}
    for entry in haproxy["backends"]:
        backends.setdefault(entry["backend"], []).append(entry["status"])
    for backend, states in backends.items():
        if not any(state.startswith(("UP", "DRAIN", "no check", "NOLB")) for state in states):
            problems.append(
                f"All servers of the backend {backend} are down, as {host} sees them ({_words(sorted(set(states)))}): look at the web servers."
            )
    for url, answer in result.get("urls", {}).items():
        if not answer["answers"]:
            problems.append(f"{url} doesn't answer, asked from {host}: {answer['error'] or 'status ' + str(answer['status'])}.")
    return problems


def lb_status_table(results: Mapping[str, Any]) -> dict[str, Any]:
    """Compare what all load balancers said."""
    if not isinstance(results, Mapping) or not results:
        raise AnsibleFilterError("lb_status_table needs a dictionary of hosts, each with what hitless.lb.lb_status returned")
    hosts = list(results)
    answering = [host for host in hosts if not _lost(results[host])]
    vips = list(dict.fromkeys(vip for host in answering for vip in results[host]["owned"]))
    owners = {vip: [host for host in answering if results[host]["owned"].get(vip)] for vip in vips}

    table = _columns([["node", "owns", "Keepalived", "priority", "HAProxy"], *(_node_row(host, results[host], vips) for host in hosts)])
    servers = _server_rows(results, answering)
    if servers:
        table += ["", *_columns(servers)]

    problems = [_owner_problem(results, vip, owners[vip], answering) for vip in vips if len(owners[vip]) != 1]
    for host in hosts:
        if _lost(results[host]):
            said = str(results[host].get("msg") or "") if isinstance(results[host], Mapping) else ""
            problems.append(f"{host} can't be reached, so nobody knows how it is" + (f": {said.strip()}" if said.strip() else "."))
        else:
            problems += _host_problems(host, results[host])
    configured = any(results[host].get("configured") for host in answering)
    return {"table": table, "problems": problems, "configured": bool(configured), "owners": owners}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Name the filters of this file."""
        return {"lb_status_table": lb_status_table}
