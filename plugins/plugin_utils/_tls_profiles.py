# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mozilla's TLS profiles (server side TLS 5.7), in the one place from which HAProxy and nginx get them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Protocols, ciphers and curves. TLS 1.2 alone has ``ciphers``; ``dh_ciphers`` need parameters of their own."""

    protocols: tuple[str, ...]
    ciphers: tuple[str, ...]
    dh_ciphers: tuple[str, ...]
    ciphersuites: tuple[str, ...] = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
    curves: tuple[str, ...] = ("X25519", "prime256v1", "secp384r1")


PROFILES = {
    "intermediate": Profile(
        protocols=("TLSv1.2", "TLSv1.3"),
        ciphers=(
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-RSA-CHACHA20-POLY1305",
        ),
        dh_ciphers=("DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305"),
    ),
    "modern": Profile(protocols=("TLSv1.3",), ciphers=(), dh_ciphers=()),
}


def haproxy_settings(name: str, dh: bool = False) -> dict[str, str]:
    """A profile as keys of HAProxy's ``global`` section.

    :param dh: Diffie-Hellman parameters are there, so the ciphers that need them are offered too.
    """
    profile = PROFILES[name]
    settings = {"ssl_default_bind_options": f"ssl-min-ver {profile.protocols[0]} no-tls-tickets"}
    if profile.ciphers:
        settings["ssl_default_bind_ciphers"] = ":".join([*profile.ciphers, *(profile.dh_ciphers if dh else ())])
    settings["ssl_default_bind_ciphersuites"] = ":".join(profile.ciphersuites)
    settings["ssl_default_bind_curves"] = ":".join(profile.curves)
    return settings


def nginx_lines(name: str) -> list[str]:
    """A profile as nginx's directives; the suites of TLS 1.3 are OpenSSL's own, which are the same."""
    profile = PROFILES[name]
    lines = [f"ssl_protocols {' '.join(profile.protocols)};"]
    if profile.ciphers:
        lines.append(f"ssl_ciphers {':'.join(profile.ciphers)};")
    return [*lines, f"ssl_ecdh_curve {':'.join(profile.curves)};"]
