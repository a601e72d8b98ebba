# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter lb_preload: one process loads what all later ones use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[4] / "plugins"
PACKAGE = "ansible_collections.hitless.lb.plugins"
CODE = f"""
import json, sys
from {PACKAGE}.filter.lb_preload import FilterModule
same = [FilterModule().filters()["lb_preload"](value) for value in (False, None, [1])]
print(json.dumps([same, sorted(name for name in sys.modules if name.startswith("{PACKAGE}."))]))
"""


def test_everything_is_loaded_and_the_value_passes() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    same, loaded = json.loads(done.stdout)
    assert same == [False, None, [1]]
    wanted = {f"{PACKAGE}.{kind}.{path.stem}" for kind in ("filter", "lookup") for path in (PLUGINS / kind).glob("*.py")}
    assert wanted <= set(loaded)
    # What the filters themselves are made of comes with them.
    assert {f"{PACKAGE}.plugin_utils.{path.stem}" for path in (PLUGINS / "plugin_utils").glob("_*.py")} <= set(loaded)
