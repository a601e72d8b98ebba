# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building from a tarball, with a Makefile that makes a shell script."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.hitless.lb.plugins.modules import haproxy_build
from ansible_collections.hitless.lb.plugins.modules.haproxy_build import BuildError

OPTIONS = "use_opts = USE_OPENSSL \\\n  USE_X\n"
MAKEFILE = """haproxy:
\tprintf '#!/bin/sh\\necho HAProxy version 3.0.11-abc $(USE_X) $(TARGET) %s\\n' "$$(id -u)" > haproxy
\tchmod +x haproxy
"""


def tarball(folder: Path, makefile: str = MAKEFILE, options: str = OPTIONS) -> Path:
    makefile = options + makefile
    path = folder / "haproxy.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("haproxy-3.0.11/Makefile")
        member.size = len(makefile)
        archive.addfile(member, io.BytesIO(makefile.encode()))
    return path


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, t.Any]:
    # Only root can be somebody else; who builds is looked at in the containers.
    monkeypatch.setattr(haproxy_build, "add_user", lambda: (os.getuid(), os.getgid()))
    monkeypatch.setattr(haproxy_build, "drop_user", lambda: None)
    path = tarball(tmp_path)
    return {
        "directory": str(tmp_path / "opt" / "3.0.11-x"),
        "version": "3.0.11",
        "tarball": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "arguments": ["USE_X=1"],
        "in_use": str(tmp_path / "link"),
        "timeout": 60,
    }


def build(params: dict[str, t.Any], tmp_path: Path) -> str:
    haproxy_build.build(params, str(tmp_path / "src"))
    assert os.listdir(tmp_path / "src") == [], "nothing of the build stays"
    return haproxy_build.run([os.path.join(params["directory"], "sbin", "haproxy")]).stdout


def test_a_build_and_its_arguments(params: dict[str, t.Any], tmp_path: Path) -> None:
    assert build(params, tmp_path) == f"HAProxy version 3.0.11-abc 1 linux-glibc {os.getuid()}\n"
    assert os.stat(os.path.join(params["directory"], "sbin", "haproxy")).st_mode & 0o7777 == 0o755


def test_another_tarball_is_not_even_unpacked(params: dict[str, t.Any], tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="isn't unpacked"):
        haproxy_build.build(params | {"sha256": "0" * 64}, str(tmp_path / "src"))
    assert not (tmp_path / "src").exists()


@pytest.mark.parametrize(
    ("makefile", "words"),
    [
        ("haproxy:\n\techo no such header; exit 3\n", "no such header"),
        (MAKEFILE.replace("3.0.11", "3.0.10"), "is version 3.0.10-abc, not 3.0.11"),
        ("haproxy:\n\tprintf '#!/bin/sh\\nexit 1\\n' > haproxy; chmod +x haproxy\n", "doesn't run"),
    ],
)
def test_a_build_that_fails_leaves_nothing(params: dict[str, t.Any], tmp_path: Path, makefile: str, words: str) -> None:
    path = tarball(tmp_path, makefile)
    params["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(BuildError, match=words):
        haproxy_build.build(params, str(tmp_path / "src"))
    assert os.listdir(tmp_path / "src") == []
    assert not os.path.exists(params["directory"])


def test_a_build_that_hangs_is_stopped(params: dict[str, t.Any], tmp_path: Path) -> None:
    path = tarball(tmp_path, "haproxy:\n\tsleep 60\n")
    params |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "timeout": 1}
    with pytest.raises(BuildError, match="stopped after 1 seconds"):
        haproxy_build.build(params, str(tmp_path / "src"))


def test_what_a_killed_build_left_goes_and_the_program_in_use_stays(params: dict[str, t.Any], tmp_path: Path) -> None:
    (tmp_path / "src" / "hitless-haproxy-old" / "source").mkdir(parents=True)
    for name in ("3.0.10-used", "3.0.9-old"):
        (tmp_path / "opt" / name / "sbin").mkdir(parents=True)
        (tmp_path / "opt" / name / "sbin" / "haproxy").touch()
    (tmp_path / "link").symlink_to(tmp_path / "opt" / "3.0.10-used" / "sbin" / "haproxy")
    build(params, tmp_path)
    assert sorted(os.listdir(tmp_path / "opt")) == ["3.0.10-used", "3.0.11-x"]


@pytest.mark.parametrize(("options", "words"), [(OPTIONS.replace("USE_X", "USE_Y"), "has no USE_X"), ("", "no Makefile of HAProxy's")])
def test_a_feature_that_make_would_pass_over(params: dict[str, t.Any], tmp_path: Path, options: str, words: str) -> None:
    path = tarball(tmp_path, options=options)
    params["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(BuildError, match=words):
        haproxy_build.build(params, str(tmp_path / "src"))
