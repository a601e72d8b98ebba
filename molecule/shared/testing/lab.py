# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios' tests share: the lab seen from the client, its nodes, and a measured stream of requests."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import testinfra
from testinfra.host import Host

PROJECT = Path(__file__).resolve().parents[3]
VIP = "198.51.100.100"
LOAD_BALANCERS = ("lb1", "lb2")
WEB_SERVERS = ("web1", "web2")
NODES = (*LOAD_BALANCERS, *WEB_SERVERS, "client")
ADDRESSES = {"lb1": "198.51.100.11", "lb2": "198.51.100.12", "web1": "198.51.100.21", "web2": "198.51.100.22"}


def node(name: str) -> Host:
    """Give testinfra's view of a container, as root."""
    return testinfra.get_host(f"docker://{name}")


def docker(*arguments: str, check: bool = True, seconds: float = 120) -> str:
    """Run a Docker command and give its output.

    :raises AssertionError: it failed, and ``check`` is true.
    """
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=seconds)
    assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}: {done.stderr.strip()}"
    return done.stdout


def run(name: str, command: str) -> str:
    """Run a shell command in a container and give its output; it must succeed."""
    return docker("exec", name, "bash", "-c", command).strip()


def wait_for(what: str, condition: Callable[[], object], seconds: float = 30.0) -> float:
    """Wait for a state and give the time that it took.

    :raises AssertionError: it didn't come about in time; the message names it.
    """
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if condition():
            return time.monotonic() - begin
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


# --- The virtual IP ----------------------------------------------------------------------------------------------------


def answering(name: str) -> bool:
    """Say whether a container can be asked: running and not paused."""
    return docker("container", "inspect", "-f", "{{.State.Running}} {{.State.Paused}}", name).strip() == "true false"


def owners() -> list[str]:
    """Name the load balancers that hold the virtual IP, of those that can be asked."""
    return [
        name
        for name in LOAD_BALANCERS
        if answering(name) and docker("exec", name, "ip", "-o", "addr", "show", "to", VIP, check=False).strip()
    ]


def mac_of_vip() -> str:
    """Give the MAC that the client has for the virtual IP: the client's own view of who owns it."""
    run("client", f"ping -c1 -W1 {VIP} >/dev/null || true")
    return run("client", f"ip neigh show {VIP} | sed -n 's/.*lladdr \\([^ ]*\\).*/\\1/p'")


def mac_of(name: str) -> str:
    """Give a node's MAC on the lab's network."""
    return run(name, "cat /sys/class/net/eth0/address")


def at_home() -> bool:
    """Say whether lb1, and lb1 alone, owns the virtual IP and the service answers through it."""
    return owners() == ["lb1"] and greeting() in WEB_SERVERS


def wait_at_home(seconds: float = 30.0) -> float:
    """Wait until the virtual IP is at home."""
    return wait_for("the virtual IP at home on lb1, and the service answering", at_home, seconds)


def exactly_one_owner(samples: int = 20) -> str:
    """Look several times: exactly one owner each time. Give its name.

    :raises AssertionError: none, or more than one.
    """
    seen = [owners() for number in range(samples)]
    assert all(len(names) == 1 for names in seen), f"owners seen at rest: {seen}"
    assert len({names[0] for names in seen}) == 1, f"the virtual IP moved at rest: {seen}"
    return seen[0][0]


# --- The service, from the client ----------------------------------------------------------------------------------------


def curl(*arguments: str, host: str = "client") -> str:
    """Ask with curl from a container (5 s at most); an empty answer if there is none."""
    return docker("exec", host, "curl", "-sS", "-m", "5", *arguments, check=False)


def greeting(path: str = "/healthz") -> str:
    """Give the name of the web server that answers through the virtual IP; empty if none does."""
    answer = curl(f"http://{VIP}:8080{path}")
    return answer.split("Greeting from ")[1].split("<")[0] if "Greeting from " in answer else ""


def stats_password() -> str:
    """Give the stats page's password of this checkout."""
    return (PROJECT / ".lab" / "stats_password").read_text(encoding="utf-8").strip()


def backends(address: str = VIP) -> dict[tuple[str, str], str]:
    """Give the state of every server as the stats page tells it: {(backend, server): status}."""
    text = curl("-u", f"admin:{stats_password()}", f"http://{address}:8090/haproxy/stats;csv")
    rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
    return {
        (row["pxname"], row["svname"]): row["status"]
        for row in rows
        if row["svname"] not in ("FRONTEND", "BACKEND") and row["status"] not in ("", "no check")
    }


def web_state(server: str, address: str = VIP) -> str:
    """Give the state of a web server in the HTTP service."""
    return backends(address).get(("web", server), "")


# --- A stream of requests ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """One request: when it started, how long it took (both in seconds), its status (0: none in time), who answered, what went wrong."""

    start: float
    duration: float
    status: int
    server: str
    wrong: str

    @property
    def good(self) -> bool:
        """Say whether it was answered as it should be."""
        return self.status == 200


class Stream:
    """A running stream; its answers are there when the ``with`` block has ended."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.answers: list[Answer] = []

    @property
    def lost(self) -> list[Answer]:
        """Give the requests without a good answer."""
        return [answer for answer in self.answers if not answer.good]

    def lost_between(self, begin: float, end: float = float("inf")) -> list[Answer]:
        """Give the requests that started in a span of time (s since the epoch) and were lost."""
        return [answer for answer in self.lost if begin <= answer.start <= end]

    def servers_after(self, begin: float) -> set[str]:
        """Name the web servers that answered requests started after a moment."""
        return {answer.server for answer in self.answers if answer.good and answer.start >= begin}

    @property
    def longest_gap(self) -> float:
        """Give the longest time between two good answers, in s."""
        good = sorted(answer.start + answer.duration for answer in self.answers if answer.good)
        return max((later - earlier for earlier, later in itertools.pairwise(good)), default=float("inf"))

    def summary(self) -> str:
        """Say what was measured, in one line, and what went wrong, in some more."""
        begin = self.answers[0].start if self.answers else 0
        wrong = [f"\n  after {lost.start - begin:.3f} s, for {lost.duration:.3f} s: {lost.wrong}" for lost in self.lost[:20]]
        return f"sent {len(self.answers)}, lost {len(self.lost)}, longest gap {self.longest_gap:.2f} s{''.join(wrong)}"


@contextmanager
def stream(rate: float = 50, seconds: float = 300, timeout: float = 2, target: str = VIP, path: str = "/healthz") -> Iterator[Stream]:
    """Send requests from the client while the block runs. It stops with the block, and with this process."""
    result = Stream()
    code = (Path(__file__).parent / "stream.py").read_text(encoding="utf-8")
    process = subprocess.Popen(
        ["docker", "exec", "-i", "client", "python3", "-c", code] + [target, "8080", path, str(rate), str(seconds), str(timeout)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    first = process.stdout.readline()  # the stream runs, and its first request is over
    try:
        yield result
    finally:
        with suppress(OSError):
            process.stdin.close()
        lines = [first, *process.stdout.read().splitlines()]
        process.wait(timeout=30)
        result.answers.extend(Answer(*json.loads(line)) for line in lines if line.strip())
        print(f"stream: {result.summary()}")


# --- Playbooks ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Play:
    """What a playbook run gave."""

    rc: int
    output: str
    changed: dict[str, int]
    failed: dict[str, int]


def playbook(
    name: str = "site.yml",
    *arguments: str,
    variables: dict[str, object] | None = None,
    environment: dict[str, str] | None = None,
) -> Play:
    """Run a playbook on the lab with the lab's inventory."""
    # Containers share the processors as one group, against which every process of the controller counts in full: don't starve them.
    command = ["nice", "-n", "10", "ansible-playbook", "-i", "inventories/lab", name, *arguments]
    if variables is not None:
        command += ["-e", json.dumps(variables)]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MOLECULE", "ANSIBLE"))}
    clean |= {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    clean |= environment or {}
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=clean, timeout=900)
    output = done.stdout + done.stderr
    recap = [line.split(" : ") for line in output.split("PLAY RECAP")[-1].splitlines() if " : ok=" in line]
    counts = {name.strip(): dict(pair.split("=") for pair in text.split()) for name, text in recap}
    return Play(
        done.returncode,
        output,
        {host: int(count["changed"]) for host, count in counts.items()},
        {host: int(count["failed"]) + int(count["unreachable"]) for host, count in counts.items()},
    )
