# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to install HAProxy, one after the other on a service under way. The tests run in the order of this file."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testing import lab

HERE = Path(__file__).resolve().parents[1]
PLAYBOOK = str(HERE / "method.yml")
ROOT = "/srv/lab"
SERVER = "web1"
ADDRESS = lab.ADDRESSES[SERVER]
KNOWN: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """web1 (of lb1's release) serves HAProxy's packages, and a page for HAProxy to ask for; and it has the tarball of Debian's own source."""
    tmp = tmp_path_factory.mktemp("install")
    lab.run(SERVER, f"mkdir -p {ROOT} && echo fine > {ROOT}/healthz")
    made = subprocess.run(
        ["docker", "exec", "-i", SERVER, "sh", "-s", f"{ROOT}/repo"],
        input=(HERE / "repository.sh").read_bytes(),
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr.decode()
    KNOWN["good"], KNOWN["bad"] = made.stdout.decode().split()
    for name in ("key", "other"):
        (tmp / f"{name}.asc").write_text(lab.run(SERVER, f"cat {ROOT}/repo/{name}.asc") + "\n", encoding="utf-8")
        KNOWN[name] = str(tmp / f"{name}.asc")
    tarball = tmp / "haproxy.tar.gz"
    tarball.write_bytes(
        subprocess.run(["docker", "exec", SERVER, "cat", f"{ROOT}/repo/haproxy.tar.gz"], capture_output=True, check=True).stdout
    )
    KNOWN["tarball"] = {"tarball": str(tarball), "sha256": hashlib.sha256(tarball.read_bytes()).hexdigest()}
    lab.run(SERVER, f"systemd-run --quiet --unit lab-web python3 -m http.server --directory {ROOT} 8000")
    lab.wait_for("web1's pages", lambda: lab.curl(f"http://{ADDRESS}:8000/healthz", host="lb1") == "fine\n")
    yield
    lab.run(SERVER, "systemctl stop lab-web")


def method(*arguments: str, **variables: Any) -> lab.Play:
    """Run the playbook with one method."""
    return lab.playbook(PLAYBOOK, *arguments, variables=variables)


def under_way(**variables: Any) -> lab.Play:
    """Run it while a stream of requests asks lb1: none may be lost."""
    with lab.stream(rate=20, target=lab.ADDRESSES["lb1"]) as requests:
        play = method(**variables)
    assert requests.lost == [], requests.summary()
    assert len(requests.answers) > 20
    return play


def changes_and_stays(**variables: Any) -> lab.Play:
    """Run it under way, and once more: the second run changes nothing."""
    play = under_way(**variables)
    assert play.rc == 0, play.output
    assert play.changed["lb1"] > 0, play.output
    again = method(**variables)
    assert again.rc == 0, again.output
    assert sum(again.changed.values()) == 0, again.output
    return play


def repository_of(suite: str, key: str = "key", **more: Any) -> dict[str, Any]:
    return {
        "haproxy_install_method": "repository",
        "haproxy_repository": {"uris": [f"http://{ADDRESS}:8000/repo"], "suites": [f"{suite}/"], "key_path": KNOWN[key], **more},
    }


def source(**more: Any) -> dict[str, Any]:
    # What takes the compiler least time.
    quick = {"features": ["USE_OPENSSL", "USE_PROMEX"], "make": ["OPT_CFLAGS=-O0"]}
    return {"haproxy_install_method": "source", "haproxy_source": KNOWN["tarball"] | quick | more}


def running() -> tuple[str, str, str]:
    """Give the version that HAProxy itself says, the program that its master process runs, and that process."""
    ask = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); s.sendall(b'show info\\n'); print(s.recv(4096).decode())"
    info = dict(line.split(": ", 1) for line in lab.run("lb1", f'python3 -c "{ask}"').splitlines() if ": " in line)
    pid = lab.run("lb1", "systemctl show -P MainPID haproxy")
    return info["Version"], lab.run("lb1", f"readlink /proc/{pid}/exe"), pid


def snapshot() -> dict[str, str]:
    """Give everything of lb1 that installing touches."""
    files = "/etc /usr/sbin /usr/local /opt /var/lib/hitless /var/lib/haproxy"
    noise = "/etc/(ld.so.cache|mtab|resolv.conf|.pwd.lock|[a-z]*-) "
    return {
        "files": lab.run("lb1", f"find {files} -xdev -printf '%p %y %m %U:%G %l\\n' 2>/dev/null | sort | grep -vE '^{noise}' || true"),
        "packages": lab.run("lb1", "dpkg-query -W -f '${Package} ${db:Status-Abbrev}\\n' | grep ' ii' | sort"),
        "manual": lab.run("lb1", "apt-mark showmanual | sort"),
        "users": lab.run("lb1", "getent passwd | cut -d: -f1 | sort; getent group | cut -d: -f1 | sort"),
        "diversions": lab.run("lb1", "dpkg-divert --list | sort"),
        "lists": lab.run("lb1", f"ls /var/lib/apt/lists | grep {ADDRESS} || true"),
    }


def test_a_key_of_somebody_else_is_refused_and_nothing_is_touched() -> None:
    lab.run("lb1", "apt-get -qq update")
    KNOWN["before"] = snapshot()
    play = method(**repository_of("good", key="other"))
    assert play.rc != 0
    assert "apt can't use this package source" in play.output
    assert snapshot() == KNOWN["before"]


def test_check_mode_says_what_it_cannot_know() -> None:
    play = method("--check", **repository_of("good"))
    assert play.rc == 0, play.output
    assert "The package source is new" in play.output
    assert snapshot() == KNOWN["before"]


def test_from_source_on_a_fresh_host() -> None:
    first = method(**source())
    assert first.rc == 0, first.output
    version, program, _pid = running()
    assert program.startswith(f"/opt/haproxy/{version.split('-')[0]}-")
    assert lab.node("lb1").service("haproxy").is_enabled
    assert lab.curl(f"http://{lab.ADDRESSES['lb1']}:8080/healthz") == "fine\n"
    assert "gcc" not in [line.split()[0] for line in lab.run("lb1", "dpkg-query -W").splitlines()]
    KNOWN["version"] = version.split("-")[0]
    # Compiling it once is enough: a program that is there is taken as it is.
    lab.run("lb1", "cp -a /opt/haproxy /srv/built")


def test_from_source_to_the_package() -> None:
    _version, _program, pid = running()
    changes_and_stays()
    version, program, same = running()
    assert (program, same) == ("/usr/sbin/haproxy", pid), "a reload, not a restart"
    KNOWN["debian"] = version
    assert lab.run("lb1", "dpkg -V haproxy | grep -v /etc/ || true") == ""


def test_another_package_source() -> None:
    _version, _program, pid = running()
    changes_and_stays(**repository_of("good"))
    assert running() == (KNOWN["good"], "/usr/sbin/haproxy", pid)
    assert lab.run("lb1", "apt-cache policy haproxy | sed -n 's/.*Candidate: //p'") == KNOWN["good"]


def test_a_program_that_refuses_the_configuration_never_gets_to_the_service() -> None:
    before = running()
    play = under_way(**repository_of("bad"))
    assert play.rc != 0
    for words in (f"haproxy {KNOWN['bad']} didn't take the place of {KNOWN['good']}", "this program refuses everything", "taken out again"):
        assert words in " ".join(play.output.split()), play.output
    assert running() == before
    assert lab.run("lb1", "dpkg-query -W -f '${Version}' haproxy") == KNOWN["good"]
    assert not lab.node("lb1").file("/etc/apt/sources.list.d/hitless-haproxy.sources").exists


def test_back_to_the_release_asks_for_the_older_version() -> None:
    under_way(**repository_of("good"))
    stays = under_way()
    assert stays.rc == 0, stays.output
    assert "haproxy_downgrade: true goes back" in " ".join(stays.output.split())
    assert running()[0] == KNOWN["good"]
    changes_and_stays(haproxy_downgrade=True)
    assert running()[0] == KNOWN["debian"]


def test_from_the_package_to_source() -> None:
    lab.run("lb1", "mv /srv/built /opt/haproxy")
    _version, _program, pid = running()
    changes_and_stays(**source())
    version, program, same = running()
    assert (version.split("-")[0], program.split("/")[2], same) == (KNOWN["version"], "haproxy", pid)
    assert lab.node("lb1").file("/usr/sbin/haproxy.distrib").exists


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "0" * 64}, "haproxy_source.sha256"),
        ({"features": ["USE_OPENSLL"]}, "did you mean 'USE_OPENSSL'"),
        # Found only by trying.
        ({"make": ["CC=false"]}, "what runs was left alone"),
    ],
)
def test_a_build_that_fails_leaves_the_service_alone(change: dict[str, Any], words: str) -> None:
    before = running()
    play = under_way(**source(**change))
    assert play.rc != 0
    assert words in " ".join(play.output.split()), play.output
    assert running() == before
    assert lab.run("lb1", "ls -A /usr/local/src; getent passwd hitless-build || true") == ""


def test_removal_gives_the_host_back() -> None:
    play = method(haproxy_state="absent", haproxy_purge=True)
    assert play.rc == 0, play.output
    after = snapshot()
    for what, before in KNOWN["before"].items():
        assert after[what] == before, what
