# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates that a service needs from the small CA."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.filter.lb_ca_certificates import lb_ca_certificates

WEB = [{"name": "web1", "address": "192.0.2.21", "port": 80}]


def test_one_for_the_clients_one_for_haproxy_and_one_a_server() -> None:
    site, client, web = lb_ca_certificates(WEB, ["192.0.2.100"], ["www.example.com"])
    assert site == {"name": "lb-site", "common_name": "www.example.com", "names": ["www.example.com", "192.0.2.100"], "usage": "server"}
    assert client == {"name": "lb-client", "common_name": "lb-client", "names": [], "usage": "client"}
    assert web["name"] == "server-web1" and web["usage"] == "server"
    assert web["names"] == ["web1", "192.0.2.21", "www.example.com", "192.0.2.100"]


@pytest.mark.parametrize(
    ("vips", "addresses"),
    [
        (["192.0.2.100/24", "2001:db8::100"], ["192.0.2.100", "2001:db8::100"]),
        (["192.0.2.100/24 dev eth0", "192.0.2.101"], ["192.0.2.100", "192.0.2.101"]),
        (["192.0.2.100", "192.0.2.100"], ["192.0.2.100"]),
    ],
)
def test_virtual_ips_however_they_are_written(vips: list[str], addresses: list[str]) -> None:
    assert lb_ca_certificates([], vips)[0]["names"] == addresses


@pytest.mark.parametrize("vips", [None, []])
def test_a_certificate_for_nobody_is_refused(vips: list[str] | None) -> None:
    with pytest.raises(AnsibleFilterError, match=r"^lb_names: there is neither a name nor a virtual IP"):
        lb_ca_certificates(WEB, vips, [])
