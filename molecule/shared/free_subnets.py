# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse the lab's subnets where the machine routes them already: a Docker network there would cut somebody off.

free_subnets.py FILE …   each FILE is what ``ip -json route show table all`` printed. Ends with 1 and a line of text if a subnet is taken.
"""

from __future__ import annotations

import ipaddress
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

SUBNETS = [ipaddress.ip_network("198.51.100.0/24"), ipaddress.ip_network("2001:db8:51::/64")]


def taken(routes: Iterable[Mapping[str, Any]]) -> str | None:
    """Say which of the lab's subnets a machine with these routes has taken already; none if they are free."""
    for route in routes:
        try:
            network = ipaddress.ip_network(route["dst"], strict=False)
        except ValueError:
            continue  # "default"
        if network.prefixlen == 0 or network.is_multicast or network.is_link_local:
            continue
        for subnet in SUBNETS:
            if network.version == subnet.version and network.overlaps(subnet):
                by = route.get("dev", "another table")
                return f"the lab's subnet {subnet} is routed on this machine already ({route['dst']} by {by}): remove that route or network first"
    return None


def main(files: list[str]) -> int:
    """Read the routes and print the finding."""
    for file in files:
        found = taken(json.loads(Path(file).read_text(encoding="utf-8") or "[]"))
        if found:
            print(f"lab: {found}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
