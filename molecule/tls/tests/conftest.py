# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes what the scenarios share importable, and gives the client what it needs to ask about TLS."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture(scope="session", autouse=True)
def _client() -> None:
    """Put the lab's CA and a client's certificate on the client, and install the programs that ask."""
    from testing import lab

    lab.run(
        "client",
        "DEBIAN_FRONTEND=noninteractive apt-get -qq update && apt-get -qq install -y --no-install-recommends openssl testssl.sh >/dev/null",
    )
    for name in ("ca.crt", "lb-client.crt", "lb-client.key"):
        lab.docker("cp", str(lab.PROJECT / ".lab" / "ca" / name), f"client:/root/{name}")
