#!/usr/bin/python
# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: One quick look at a node before it is changed
version_added: 1.0.0
description:
  - Collects in one round trip what the roles of this collection must know before they act - packages and what apt would
    install, network interfaces, listening sockets, units, kernel settings, certificates and who answers for an address.
  - It never changes anything. It starts C(dpkg-query), C(ip) and C(systemctl) once each at most, C(apt-cache) only when
    a package of O(packages) isn't installed, and takes well below a third of a second.
options:
  packages:
    description: Names of Debian packages to look up.
    type: list
    elements: str
    default: []
  units:
    description: Names of systemd units to look up. A name without a suffix means a service.
    type: list
    elements: str
    default: []
  sysctls:
    description:
      - Kernel settings to read, such as V(net.ipv4.ip_nonlocal_bind).
      - With a slash in the name the dots are taken as they are, for interfaces whose name has a dot
        (V(net/ipv4/conf/eth0.100/rp_filter)).
    type: list
    elements: str
    default: []
  certificates:
    description: Files to look for. They aren't opened.
    type: list
    elements: path
    default: []
  programs:
    description:
      - Commands by which programs tell about themselves, such as V(haproxy -vv).
      - Each runs for 10 seconds at most, with a plain environment and without a shell.
    type: list
    elements: str
    default: []
  neighbors:
    description:
      - IPv4 or IPv6 addresses for which the network is asked who answers.
      - IPv4 is asked by an ARP probe that leaves every cache as it was (where raw sockets aren't permitted, and for
        IPv6, the kernel is made to ask by a datagram to UDP port 9). It takes up to 1 second when nobody answers.
    type: list
    elements: str
    default: []
  neighbor_interface:
    description: The interface on which O(neighbors) are asked. Required with O(neighbors).
    type: str
requirements:
  - Debian or a relative of it (C(dpkg-query), C(apt-cache)), C(ip) of iproute2
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
  - module: hitless.lb.package_claim
  - module: hitless.lb.service_config
"""

EXAMPLES = r"""
- name: Look at the node
  hitless.lb.node_info:
    packages: [haproxy]
    units: [haproxy.service]
    sysctls: [net.ipv4.ip_nonlocal_bind]
  register: node

- name: Refuse an address that somebody else has
  hitless.lb.node_info:
    neighbors: [192.0.2.10]
    neighbor_interface: eth0
  register: node
  failed_when: node.neighbors['192.0.2.10'] not in [none, 'local']
"""

RETURN = r"""
hostname:
  description: The node's own name.
  returned: always
  type: str
  sample: lb1
os:
  description: The distribution.
  returned: always
  type: dict
  contains:
    id:
      description: Its short name.
      type: str
      sample: debian
    version_id:
      description: Its version.
      type: str
      sample: "13"
    codename:
      description: The version's code name.
      type: str
      sample: trixie
container:
  description: The kind of container this is; empty on a machine.
  returned: always
  type: str
  sample: docker
ipv6:
  description: Whether a program can bind an IPv6 socket.
  returned: always
  type: bool
systemd:
  description: Whether systemd runs the host (false while an image is built).
  returned: always
  type: bool
packages:
  description:
    - For every name in O(packages) the RV(ignore:installed) version, and the RV(ignore:candidate) that apt would
      install, which is looked up only for what isn't installed. Null where there is none.
  returned: always
  type: dict
  sample: {haproxy: {installed: 3.0.11-1+deb13u1, candidate: null}}
interfaces:
  description: Network interfaces in the kernel's order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name without the peer's part.
      type: str
    up:
      description: Whether it is switched on.
      type: bool
    mac:
      description: Hardware address.
      type: str
    addresses:
      description: Addresses with C(address), C(prefix) (length) and C(family) (4 or 6).
      type: list
      elements: dict
listeners:
  description: Sockets that wait for others.
  returned: always
  type: list
  elements: dict
  contains:
    protocol:
      description: V(tcp) or V(udp).
      type: str
    address:
      description: The address as bound; V(0.0.0.0) and V(::) mean every one.
      type: str
    port:
      description: The port.
      type: int
    process:
      description: Name of the process that holds it; empty when that can't be seen.
      type: str
    pid:
      description: Its id; 0 when that can't be seen.
      type: int
units:
  description: For every name in O(units), as it was written there, systemd's load state, active state and unit file state.
  returned: always
  type: dict
  sample: {haproxy.service: {load_state: loaded, active_state: active, unit_file_state: enabled}}
sysctls:
  description: For every name in O(sysctls) its value as text, null when there is no such setting.
  returned: always
  type: dict
  sample: {net.ipv4.ip_nonlocal_bind: "1"}
certificates:
  description: For every path in O(certificates) whether it C(exists), and its C(mtime) (Unix time, null when it doesn't).
  returned: always
  type: dict
  sample: {/etc/ssl/private/site.pem: {exists: true, mtime: 1760000000}}
programs:
  description: For every command in O(programs) what it said, null where there is no such program or it failed.
  returned: always
  type: dict
  sample: {haproxy -vv: "HAProxy version 3.0.11 (and so on)"}
neighbors:
  description: For every address in O(neighbors) the MAC that answers, V(local) when the node has it itself, null when nobody answers.
  returned: always
  type: dict
  sample: {192.0.2.10: "02:42:c0:00:02:0a"}
"""

import ipaddress
import socket
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hitless.lb.plugins.module_utils import _node
from ansible_collections.hitless.lb.plugins.module_utils._process import run
from ansible_collections.hitless.lb.plugins.module_utils._systemd import Systemd, unit_name

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "packages": {"type": "list", "elements": "str", "default": []},
    "units": {"type": "list", "elements": "str", "default": []},
    "sysctls": {"type": "list", "elements": "str", "default": []},
    "certificates": {"type": "list", "elements": "path", "default": []},
    "programs": {"type": "list", "elements": "str", "default": []},
    "neighbors": {"type": "list", "elements": "str", "default": []},
    "neighbor_interface": {"type": "str"},
}


def collect(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Everything that was asked for."""
    systemd = Systemd()
    interfaces = _node.parse_addresses(run(["ip", "-j", "addr"]).stdout)
    statuses = systemd.show_many([unit_name(name) for name in params["units"]])
    return {
        "hostname": socket.gethostname(),
        "os": _node.parse_os_release(_node.read_text("/etc/os-release")),
        "container": _node.container_kind(),
        "ipv6": _node.has_ipv6(),
        "systemd": systemd.running,
        "packages": _node.packages(params["packages"]),
        "interfaces": interfaces,
        "listeners": _node.listeners(),
        "units": {
            name: {
                "load_state": statuses[unit_name(name)].load_state,
                "active_state": statuses[unit_name(name)].active_state,
                "unit_file_state": statuses[unit_name(name)].unit_file_state,
            }
            for name in params["units"]
        },
        "sysctls": {name: _node.sysctl(name) for name in params["sysctls"]},
        "certificates": {path: _node.certificate(path) for path in params["certificates"]},
        "programs": {command: _node.said(command) for command in params["programs"]},
        "neighbors": _node.neighbours(params["neighbors"], params["neighbor_interface"] or "", interfaces),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    for address in module.params["neighbors"]:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            module.fail_json(msg=f"neighbors: {address!r} isn't an IP address; write it without a prefix")
    if module.params["neighbors"] and not module.params["neighbor_interface"]:
        module.fail_json(msg="neighbors needs neighbor_interface: the interface on which the network is asked")
    module.exit_json(changed=False, **collect(module.params))


if __name__ == "__main__":
    main()
