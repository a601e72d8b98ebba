#!/usr/bin/python
# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lb_status
short_description: How a load balancer is at this moment
version_added: 1.0.0
description:
  - Says which virtual IPs a node owns, in which state its Keepalived is, whether its HAProxy answers, how every server of its
    backends is, and who else answers for a virtual IP.
  - It never changes anything. Keepalived is asked by a signal and writes its answer to C(/tmp/keepalived.json), HAProxy is asked on its
    runtime socket.
  - A program that is frozen or absent costs O(timeout) at most.
options:
  vips:
    description: Virtual IPs to look for, with or without prefix; what stands beside the address is left out of account.
    type: list
    elements: str
    default: []
  urls:
    description:
      - URLs to fetch from the node, for a look at the service through the virtual IP. Any answer below status 500 counts as one. Certificates
        aren't verified, redirections not followed.
    type: list
    elements: str
    default: []
  haproxy_socket:
    description: HAProxy's runtime socket.
    type: path
    default: /run/haproxy/admin.sock
  timeout:
    description: Seconds that every question may take, 0.1 to 60.
    type: float
    default: 2
author:
  - hitless.lb contributors (!UNKNOWN)
extends_documentation_fragment: [hitless.lb.attributes]
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing ever changes.
seealso:
  - module: hitless.lb.node_info
"""

EXAMPLES = r"""
- name: Look at every load balancer
  hitless.lb.lb_status:
    vips: [192.0.2.100]
    urls: ["http://192.0.2.100/healthz"]
  register: now

- name: Wait until this node could take over
  hitless.lb.lb_status:
    vips: [192.0.2.100]
  register: now
  until: now.ready
  retries: 20
  delay: 1
"""

RETURN = r"""
owned:
  description: For every virtual IP whether the node has the address.
  returned: always
  type: dict
  sample: {192.0.2.100: true}
ready:
  description:
    - Whether the node serves or could take over - every VRRP instance is MASTER or BACKUP with no check failing, and HAProxy answers where it is
      installed.
  returned: always
  type: bool
configured:
  description: Whether Keepalived is installed and has a configuration.
  returned: always
  type: bool
hostname:
  description: The node's own name.
  returned: always
  type: str
vips:
  description: For every virtual IP the RV(ignore:interface) it belongs to, and that one's own RV(ignore:address) and RV(ignore:mac); empty where none fits.
  returned: always
  type: dict
  sample: {192.0.2.100: {interface: eth0, address: 192.0.2.11, mac: "02:42:c0:00:02:0b"}}
neighbors:
  description: For every virtual IP the MAC that answers for it, V(local) for a virtual IP of the node itself, null when nobody answers.
  returned: always
  type: dict
  sample: {192.0.2.100: local}
keepalived:
  description: How Keepalived is.
  returned: always
  type: dict
  contains:
    active:
      description: Whether the unit is active.
      type: bool
    answering:
      description: Whether the process said how it is.
      type: bool
    version:
      description: Version of the package; empty when it isn't installed.
      type: str
    instances:
      description:
        - Every VRRP instance with C(name), C(state), C(priority) (as configured), C(effective_priority) (what the checks leave of it),
          C(virtual_router_id), C(interface), C(vips), C(master_priority) (the owner's last advert, 0 when none was seen) and C(advert_interval).
      type: list
      elements: dict
haproxy:
  description: How HAProxy is.
  returned: always
  type: dict
  contains:
    active:
      description: Whether the unit is active.
      type: bool
    answering:
      description: Whether it answers on its runtime socket.
      type: bool
    version:
      description: Version of the package; empty when it isn't installed.
      type: str
    backends:
      description: Every server with C(backend), C(server), C(status), C(check_status) and C(address).
      type: list
      elements: dict
urls:
  description: For every URL whether it C(answers), the C(status) of the answer (0 for none), the C(error), and C(seconds) it took.
  returned: always
  type: dict
"""

import contextlib
import csv
import http.client
import io
import ipaddress
import json
import os
import re
import socket
import ssl
import stat
import time
import typing as t
import urllib.parse

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hitless.lb.plugins.module_utils import _node
from ansible_collections.hitless.lb.plugins.module_utils._process import run
from ansible_collections.hitless.lb.plugins.module_utils._systemd import Systemd

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "vips": {"type": "list", "elements": "str", "default": []},
    "urls": {"type": "list", "elements": "str", "default": []},
    "haproxy_socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
    "timeout": {"type": "float", "default": 2},
}

KEEPALIVED_DUMP = "/tmp/keepalived.json"
KEEPALIVED_CONFIG = "/etc/keepalived/keepalived.conf"
HAPROXY_PROGRAM = "/usr/sbin/haproxy"
STATES = {0: "INIT", 1: "BACKUP", 2: "MASTER", 3: "FAULT"}
SCREEN_SIZE = 262144


def bare(vip: str) -> str:
    """The address of a virtual IP, without prefix and whatever stands beside it."""
    return str(ipaddress.ip_interface(vip.split()[0]).ip)


def place_of(vip: str, interfaces: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str]:
    """The interface in whose network a virtual IP lies, with that one's own address and MAC."""
    address = ipaddress.ip_address(vip)
    for link in interfaces:
        for entry in link["addresses"]:
            own = ipaddress.ip_interface(f"{entry['address']}/{entry['prefix']}")
            if (
                own.ip != address
                and own.version == address.version
                and own.network.prefixlen < own.max_prefixlen
                and address in own.network
            ):
                return {"interface": str(link["name"]), "address": str(own.ip), "mac": str(link["mac"])}
    return {"interface": "", "address": "", "mac": ""}


def parse_dump(text: str) -> list[dict[str, t.Any]]:
    """VRRP instances from Keepalived's JSON."""
    instances = []
    parsed = json.loads(text)
    for raw in parsed if isinstance(parsed, list) else parsed.get("vrrp", []):
        data = raw["data"]
        instances.append(
            {
                "name": data["iname"],
                "state": STATES.get(data["state"], str(data["state"])),
                "priority": data["base_priority"],
                "effective_priority": data["effective_priority"],
                "virtual_router_id": data["vrid"],
                "interface": data.get("ifp_ifname", ""),
                "vips": [line.split()[0] for line in data.get("vips", [])],
                "master_priority": data.get("master_priority", 0),
                "advert_interval": data.get("adver_int", 0),
            }
        )
    return instances


def read_dump(path: str, older: tuple[int, int] | None, owner: int = 0) -> str | None:
    """What Keepalived wrote; None while it is the old file, isn't there, or is somebody else's."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, encoding="utf-8", errors="replace") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != owner or (status.st_ino, status.st_mtime_ns) == older:
            return None
        return stream.read()


def ask_keepalived(pid: int, limit: float, path: str = KEEPALIVED_DUMP, owner: int = 0) -> list[dict[str, t.Any]] | None:
    """The instances of a running Keepalived; None when it doesn't say."""
    number = run(["keepalived", "--signum=JSON"], timeout=limit).stdout.strip()
    if not number.isdigit() or pid <= 0:
        return None
    older = None
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        older = (status.st_ino, status.st_mtime_ns)
    try:
        os.kill(pid, int(number))
    except OSError:
        return None
    until = time.monotonic() + limit
    while time.monotonic() < until:
        text = read_dump(path, older, owner)
        if text:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                return parse_dump(text)
        time.sleep(0.02)
    return None


def ask_haproxy(path: str, command: str, limit: float) -> str | None:
    """The answer of HAProxy's runtime socket; None when there is none in time."""
    until = time.monotonic() + limit
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
            wire.settimeout(limit)
            wire.connect(path)
            wire.sendall(command.encode() + b"\n")
            while True:
                wire.settimeout(max(0.01, until - time.monotonic()))
                part = wire.recv(SCREEN_SIZE)
                if not part:
                    return answer.decode(errors="replace") or None
                answer += part
    except OSError:
        return None


def parse_servers(text: str) -> list[dict[str, str]]:
    """Servers from ``show stat``."""
    lines = text.lstrip("# ")
    return [
        {
            "backend": row["pxname"],
            "server": row["svname"],
            "status": row["status"],
            "check_status": row.get("check_status") or "",
            "address": row.get("addr") or "",
        }
        for row in csv.DictReader(io.StringIO(lines))
        if row.get("svname") not in ("FRONTEND", "BACKEND", None) and row.get("status") and row.get("type") == "2"
    ]


def fetch(url: str, limit: float) -> dict[str, t.Any]:
    """One GET, without following redirections."""
    parts = urllib.parse.urlsplit(url)
    started = time.monotonic()
    status, error = 0, ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=limit, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=limit)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers={"User-Agent": "hitless.lb"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as problem:
        error = str(problem) or type(problem).__name__
    finally:
        connection.close()
    return {"answers": 0 < status < 500, "status": status, "error": error, "seconds": round(time.monotonic() - started, 3)}


def is_ready(keepalived: t.Mapping[str, t.Any], haproxy: t.Mapping[str, t.Any]) -> bool:
    """Whether the node serves or could take over."""
    instances = keepalived["instances"]
    well = bool(instances) and all(
        instance["state"] in ("MASTER", "BACKUP") and instance["effective_priority"] >= instance["priority"] for instance in instances
    )
    return bool(keepalived["active"]) and well and (bool(haproxy["answering"]) or not haproxy["version"])


def haproxy_version(package: str, program: str = HAPROXY_PROGRAM) -> str:
    """The version of HAProxy: of its package, or what a program says that was built and has the package's place."""
    if not os.path.islink(program):
        return package
    match = re.search(r"(?m)^HA-?Proxy version (\S+)", run([program, "-v"]).stdout)
    return match.group(1) if match else package


def collect(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Everything at once."""
    limit = params["timeout"]
    systemd = Systemd()
    units = systemd.show_many(["keepalived.service", "haproxy.service"])
    versions = _node.installed_packages(["keepalived", "haproxy"])
    interfaces = _node.parse_addresses(run(["ip", "-j", "addr"]).stdout)
    own = {entry["address"] for link in interfaces for entry in link["addresses"]}
    vips = list(dict.fromkeys(bare(vip) for vip in params["vips"]))
    places = {vip: place_of(vip, interfaces) for vip in vips}
    neighbors: dict[str, str | None] = {}
    for interface in dict.fromkeys(place["interface"] for place in places.values()):
        here = [vip for vip in vips if places[vip]["interface"] == interface]
        neighbors.update(_node.neighbours(here, interface, interfaces))
    keepalived: dict[str, t.Any] = {
        "active": units["keepalived.service"].active,
        "answering": False,
        "version": versions.get("keepalived", ""),
        "instances": [],
    }
    if keepalived["active"]:
        instances = ask_keepalived(units["keepalived.service"].main_pid, limit)
        keepalived["answering"] = instances is not None
        keepalived["instances"] = instances or []
    haproxy: dict[str, t.Any] = {
        "active": units["haproxy.service"].active,
        "answering": False,
        "version": haproxy_version(versions.get("haproxy", "")),
        "backends": [],
    }
    if os.path.exists(params["haproxy_socket"]):
        answer = ask_haproxy(params["haproxy_socket"], "show stat", limit)
        haproxy["answering"] = answer is not None
        haproxy["backends"] = parse_servers(answer or "")
    return {
        "owned": {vip: vip in own for vip in vips},
        "ready": is_ready(keepalived, haproxy),
        "configured": bool(keepalived["version"]) and os.path.exists(KEEPALIVED_CONFIG),
        "hostname": socket.gethostname(),
        "vips": places,
        "neighbors": neighbors,
        "keepalived": keepalived,
        "haproxy": haproxy,
        "urls": {url: fetch(url, limit) for url in params["urls"]},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    for vip in module.params["vips"]:
        try:
            bare(vip)
        except (ValueError, IndexError):
            module.fail_json(msg=f"vips: {vip!r} isn't an IP address; write it with or without a prefix, such as 192.0.2.100")
    for url in module.params["urls"]:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            module.fail_json(
                msg=f"urls: {url!r} isn't one that can be fetched; write http://ADDRESS:PORT/PATH or https://ADDRESS:PORT/PATH"
            )
    if not 0.1 <= module.params["timeout"] <= 60:
        module.fail_json(msg=f"timeout: {module.params['timeout']:g} isn't from 0.1 to 60 seconds")
    module.exit_json(changed=False, **collect(module.params))


if __name__ == "__main__":
    main()
