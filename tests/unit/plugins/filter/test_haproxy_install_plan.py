# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where HAProxy comes from: good plans, and every refusal with its words."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.filter.haproxy_install_plan import FilterModule, haproxy_install_plan

MAKEFILE = "use_opts = USE_OPENSSL USE_PCRE2 USE_PCRE2_JIT \\\n           USE_PROMEX USE_LUA USE_THREAD USE_SYSTEMD {more}\n\nall:\n"
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQGNBGsBu00BDADblyC5vtQ5\n=kukb\n-----END PGP PUBLIC KEY BLOCK-----\n"
REPOSITORY = {"uris": ["https://deb.example.org/haproxy"], "suites": ["trixie-backports-3.0"], "key": KEY}


def tarball(
    path: Path, version: str = "3.0.11", more: str = "USE_QUIC USE_QUIC_OPENSSL_COMPAT", files: dict[str, str] | None = None
) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (files or {"Makefile": MAKEFILE.format(more=more), "VERSION": f"{version}\n"}).items():
            member = tarfile.TarInfo(f"haproxy-{version}/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def source(path: Path, **more: Any) -> dict[str, Any]:
    return {"method": "source", "source": {"tarball": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **more}}


def refusal(options: dict[str, Any]) -> str:
    with pytest.raises(AnsibleFilterError) as error:
        haproxy_install_plan(options)
    return str(error.value)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return tarball(tmp_path / "haproxy-3.0.11.tar.gz")


def test_the_package_needs_nothing() -> None:
    assert haproxy_install_plan({"method": "package", "repository": {}, "source": {}}) == {"method": "package", "version": "", "binary": ""}
    assert FilterModule().filters() == {"haproxy_install_plan": haproxy_install_plan}


def test_a_tarball_tells_its_version_and_what_the_build_needs(good: Path) -> None:
    plan = haproxy_install_plan(source(good))
    assert (plan["method"], plan["version"]) == ("source", "3.0.11")
    found = plan["source"]
    assert found["arguments"] == ["USE_OPENSSL=1", "USE_PCRE2=1", "USE_PCRE2_JIT=1", "USE_PROMEX=1", "USE_SYSTEMD=1"]
    assert found["build_packages"] == ["gcc", "libc6-dev", "libpcre2-dev", "libssl-dev", "make"]
    assert (
        found["directory"].startswith("/opt/haproxy/3.0.11-") and plan["binary"] == found["binary"] == f"{found['directory']}/sbin/haproxy"
    )
    assert not found["fetched"]


def test_what_shapes_the_build_shapes_its_folder(good: Path) -> None:
    folders = {
        haproxy_install_plan(source(good, **more))["source"]["directory"]
        for more in ({}, {"features": ["USE_OPENSSL"]}, {"make": ["CPU_CFLAGS=-march=native"]}, {"build_packages": ["clang"]})
    }
    other = tarball(good.with_name("other.tar.gz"), more="")
    folders.add(haproxy_install_plan(source(other))["source"]["directory"])
    assert len(folders) == 5
    assert haproxy_install_plan(source(good)) == haproxy_install_plan(source(good))


def test_features_in_haproxys_words(good: Path) -> None:
    found = haproxy_install_plan(source(good, features=["USE_OPENSSL", "USE_LUA", "USE_QUIC", "USE_THREAD=0"], make=["V=1"]))["source"]
    assert found["arguments"] == [
        *("USE_LUA=1", "USE_OPENSSL=1", "USE_QUIC=1", "USE_QUIC_OPENSSL_COMPAT=1", "USE_SYSTEMD=1", "USE_THREAD="),
        "V=1",
    ]
    assert "liblua5.4-dev" in found["build_packages"]


def test_the_library_for_systemd_and_a_version_that_has_it_built_in(tmp_path: Path) -> None:
    old = tarball(tmp_path / "old.tar.gz", version="2.6.12")
    assert "libsystemd-dev" in haproxy_install_plan(source(old))["source"]["build_packages"]
    text = MAKEFILE.format(more="").replace("USE_SYSTEMD", "")
    new = tarball(tmp_path / "new.tar.gz", files={"VERSION": "3.2.1\n", "Makefile": text})
    assert "USE_SYSTEMD=1" not in haproxy_install_plan(source(new))["source"]["arguments"]


def test_an_address_tells_its_version_by_its_name_or_not_at_all() -> None:
    place = {"sha256": "0" * 64}
    for name, version in (
        ("haproxy-3.0.11.tar.gz", "3.0.11"),
        ("haproxy_2.6.12.orig.tar.gz", "2.6.12"),
        ("haproxy-3.3-dev2.tar.xz", "3.3-dev2"),
    ):
        plan = haproxy_install_plan({"method": "source", "source": {**place, "tarball": f"https://example.org/src/{name}"}})
        assert plan["version"] == version and plan["source"]["fetched"]
    latest = {**place, "tarball": "https://example.org/latest.tar.gz"}
    assert "haproxy_source.version" in refusal({"method": "source", "source": latest})
    assert haproxy_install_plan({"method": "source", "source": {**latest, "version": "3.0.1"}})["version"] == "3.0.1"


def test_a_repository_with_its_values_filled_in(tmp_path: Path) -> None:
    plan = haproxy_install_plan({"method": "repository", "repository": {**REPOSITORY, "version": "3.0.*"}})
    assert plan["version"] == "3.0.*"
    assert plan["repository"] == {**REPOSITORY, "components": ["main"], "pin": 990, "version": "3.0.*"}
    path = tmp_path / "key.asc"
    path.write_text(KEY)
    flat = {"uris": ["file:/srv/repo"], "suites": ["good/"], "key_path": str(path)}
    found = haproxy_install_plan({"method": "repository", "repository": flat})["repository"]
    assert (found["components"], found["key"]) == ([], KEY)


def test_what_is_to_go_needs_nothing_of_where_it_came_from() -> None:
    plan = haproxy_install_plan({"method": "source", "state": "absent", "source": {"tarball": "/nowhere"}})
    assert plan["method"] == "package"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tarball": "files/haproxy.tar.gz"}, ("haproxy_source.tarball", "absolute path", "https://")),
        ({"tarball": "http://example.org/haproxy-3.0.11.tar.gz"}, ("haproxy_source.tarball", "https://")),
        ({"tarball": "/nowhere/haproxy.tar.gz"}, ("haproxy_source.tarball", "/nowhere/haproxy.tar.gz")),
        ({"sha256": ""}, ("haproxy_source.sha256", "sha256sum")),
        ({"sha256": "f" * 64}, ("haproxy_source.sha256", "not ffff")),
        ({"version": "3.0.12"}, ("haproxy_source.version", "3.0.11, not 3.0.12")),
        ({"features": ["LUA"]}, ("haproxy_source.features", "'LUA'", "USE_LUA")),
        ({"features": ["USE_OPENSLL"]}, ("haproxy_source.features", "3.0.11 has no USE_OPENSLL", "did you mean 'USE_OPENSSL'")),
        ({"features": ["USE_SYSTEMD=0"]}, ("haproxy_source.features", "leave it out")),
        ({"make": ["USE_LUA=1"]}, ("haproxy_source.make", "USE_LUA=1")),
        ({"make": ["install"]}, ("haproxy_source.make", "'install'")),
        ({"build_packages": ["--purge"]}, ("haproxy_source.build_packages", "--purge")),
    ],
)
def test_a_source_that_is_refused(good: Path, change: dict[str, Any], words: tuple[str, ...]) -> None:
    message = refusal(source(good, **change))
    for word in words:
        assert word in message


def test_a_file_that_is_no_source_of_haproxy(tmp_path: Path) -> None:
    text = tmp_path / "text.tar.gz"
    text.write_text("hello")
    assert "can't be read as a tarball" in refusal(source(text))
    assert "no source of HAProxy" in refusal(source(tarball(tmp_path / "x.tar.gz", files={"VERSION": "3.0.11\n"})))
    assert "too old" in refusal(source(tarball(tmp_path / "o.tar.gz", version="2.2.3")))
    assert "another TLS library" in refusal(source(tarball(tmp_path / "q.tar.gz", version="2.6.1", more="USE_QUIC"), features=["USE_QUIC"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uris": []}, ("haproxy_repository.uris", "is missing")),
        ({"suites": []}, ("haproxy_repository.suites", "is missing")),
        ({"uris": ["deb.example.org"]}, ("haproxy_repository.uris", "deb.example.org")),
        ({"uris": ["https://a.example/x\nTrusted: yes"]}, ("haproxy_repository.uris",)),
        ({"suites": ["stable main"]}, ("haproxy_repository.suites", "stable main")),
        ({"suites": ["x/"], "components": ["main"]}, ("haproxy_repository.components", "[]")),
        ({"suites": ["x/", "y"]}, ("haproxy_repository.suites", "two kinds")),
        ({"key": ""}, ("haproxy_repository.key", "neither")),
        ({"key_path": "/x"}, ("haproxy_repository.key", "both")),
        ({"key": "", "key_path": "/nowhere"}, ("haproxy_repository.key_path", "/nowhere")),
        ({"key": "mQGN"}, ("haproxy_repository.key", "ASCII-armoured")),
        ({"key": KEY.replace("PUBLIC", "PRIVATE")}, ("haproxy_repository.key", "public key")),
        ({"pin": 1001}, ("haproxy_repository.pin", "1001")),
        ({"version": "3.0 *"}, ("haproxy_repository.version", "3.0.*")),
    ],
)
def test_a_repository_that_is_refused(change: dict[str, Any], words: tuple[str, ...]) -> None:
    message = refusal({"method": "repository", "repository": REPOSITORY | change})
    for word in words:
        assert word in message


def test_other_refusals() -> None:
    assert "package, repository, source" in refusal({"method": "snap"})
    with pytest.raises(AnsibleFilterError, match="takes a dictionary"):
        haproxy_install_plan(["package"])  # type: ignore[arg-type]
