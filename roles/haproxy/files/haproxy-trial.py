# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Managed by Ansible (role hitless.lb.haproxy).
"""Start HAProxy with a configuration where nobody can notice, and tell whether it comes up.

"haproxy -c" reads a configuration, but what it can't do shows only when it starts: a port that another program holds, a
directory that isn't there, too many open files. A running HAProxy that is told to reload such a configuration pauses, or
ends. So it is started beside it first, in a network of its own and with file systems that it can't write to, and its ports
are then tried in the real network.

Ends with 0 when it came up, or when that can't be found out here; with 1 and HAProxy's words when it didn't.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
IP_FREEBIND, IPV6_FREEBIND = 15, 78
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
LISTEN = "0A"
ADMIN_SOCKET = "/run/haproxy/admin.sock"
SECONDS = 20.0
# Folders that can't be covered without taking away what HAProxy needs.
NEEDED = {"/", "/etc", "/etc/haproxy", "/usr", "/usr/sbin", "/lib", "/dev", "/proc", "/sys"}
UNIX_SOCKET = re.compile(r"^[ \t]*(?:bind|stats[ \t]+socket)[ \t]+(?:unix@|uxst@)?(/[^\s:]+)", re.MULTILINE)
# Interfaces and sockets that the trial can't have
NEEDS_NODE = re.compile(
    r"^[ \t]*(?:bind[ \t].*[ \t](?:interface|namespace)[ \t]|bind[ \t]+(?:\S*,)?(?:fd|quic[46])@|unix-bind[ \t])", re.MULTILINE
)
# What goes wrong only because the trial has no network and may not write.
NOT_HERE = re.compile(r"could not resolve address|unresolvable|Read-only file system", re.IGNORECASE)


class CannotTell(Exception):
    """This can't be found out on this host, or for this configuration."""


class Refused(Exception):
    """HAProxy didn't come up; with its words."""


def socket_folders(config: str) -> list[str]:
    """List the folders in which HAProxy would make sockets."""
    folders = sorted({os.path.realpath(os.path.dirname(path)) for path in UNIX_SOCKET.findall(config)})
    if NEEDED & set(folders) or any(folder.startswith("/etc/haproxy/") for folder in folders):
        raise CannotTell("a socket lies in a folder that HAProxy needs")
    return [folder for folder in folders if os.path.isdir(folder)]


def addresses(table: str, family: int) -> list[tuple[int, str, int]]:
    """Read the listening sockets of a /proc/net/tcp or /proc/net/tcp6."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == LISTEN:
            number, port = fields[1].split(":")
            words = struct.unpack(f">{len(number) // 8}I", bytes.fromhex(number))
            found.append((family, socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words)), int(port, 16)))
    return found


def call(function: str, *arguments: object) -> None:
    """Call the C library, and raise what it says."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount a file system."""
    source_, kind_, options_ = (None if text is None else os.fsencode(text) for text in (source, kind, options))
    call("mount", source_, os.fsencode(target), kind_, ctypes.c_ulong(flags), options_)


def mount_points() -> list[str]:
    """List the mount points, inner ones last."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return sorted({re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), line.split()[4]) for line in lines})


def seclude(folders: list[str]) -> None:
    """Make everything read-only but the folders of sockets, which become empty, and the own network ready."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    for name in ("net/ipv4/ip_nonlocal_bind", "net/ipv6/ip_nonlocal_bind"):
        path = Path("/proc/sys") / name
        if path.exists():
            path.write_text("1", encoding="ascii")
    for point in mount_points():
        if not point.startswith(("/proc", "/sys", "/dev")):
            try:
                mount(None, point, None, MS_REMOUNT | MS_BIND | MS_RDONLY)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOENT, errno.EACCES, errno.EPERM):
                    raise
    if os.access("/etc", os.W_OK):
        raise CannotTell("the file systems can't be made read-only")
    for folder in folders:
        status = os.stat(folder)
        mount("tmpfs", folder, "tmpfs", 0, f"mode={status.st_mode & 0o7777:o},uid={status.st_uid},gid={status.st_gid}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack("16xh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def answers() -> bool:
    """Ask whether HAProxy's runtime socket answers."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(ADMIN_SOCKET)
            client.sendall(b"show version\n")
            return bool(client.recv(64))
    except OSError:
        return False


def limit_files(nofile: int) -> None:
    """Permit as many files as the unit does, as far as that is permitted here."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, nofile), nofile))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), min(hard, nofile)))


def start(path: str, program: str) -> list[tuple[int, str, int]]:
    """Start HAProxy, wait until it answers, and list what it listens on."""
    # Not a pipe: thousands of servers that can't be reached would fill it.
    output = os.memfd_create("haproxy")
    with subprocess.Popen([program, "-db", "-f", path], stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + SECONDS
            while process.poll() is None and not answers():
                if time.monotonic() > deadline:
                    raise Refused("it doesn't answer on its runtime socket")
                time.sleep(0.02)
            if process.poll() is None:
                found = addresses(Path("/proc/self/net/tcp").read_text(encoding="ascii"), socket.AF_INET)
                if os.path.exists("/proc/self/net/tcp6"):
                    found += addresses(Path("/proc/self/net/tcp6").read_text(encoding="ascii"), socket.AF_INET6)
                return found
        finally:
            process.kill()
    with os.fdopen(output, "rb") as stream:
        stream.seek(0)
        said = stream.read().decode(errors="replace")
    if NOT_HERE.search(said):
        raise CannotTell("it needs the network")
    lines = [line for line in said.splitlines() if line and "[NOTICE]" not in line]
    raise Refused("\n".join(lines[-20:]))


def in_child(work: Callable[[], dict[str, object]]) -> dict[str, object]:
    """Do something in a process of its own that doesn't outlive this one."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer: dict[str, object] = {"unknown": "the trial ended unexpectedly"}
        try:
            os.close(reader)
            call("prctl", PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
            answer = work()
        except Refused as error:
            answer = {"refused": str(error)}
        except (CannotTell, OSError, ValueError, AttributeError) as error:
            answer = {"unknown": str(error)}
        finally:
            with os.fdopen(writer, "wb") as stream:
                stream.write(json.dumps(answer).encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        raw = stream.read()
    os.waitpid(child, 0)
    result: dict[str, object] = json.loads(raw or b'{"unknown": "the trial was killed"}')
    return result


def trial(path: str, nofile: int, program: str = "haproxy") -> list[tuple[int, str, int]]:
    """Start HAProxy in seclusion, and list what it listens on."""
    try:
        config = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(str(error)) from error
    if NEEDS_NODE.search(config) or ADMIN_SOCKET not in config:
        raise CannotTell("it needs what only the running service has")
    folders = socket_folders(config)

    def inside() -> dict[str, object]:
        limit_files(nofile)
        seclude(folders)
        return {"listeners": start(path, program)}

    def outside() -> dict[str, object]:
        # Namespaces can't be left, hence the process; the first one in a new PID namespace takes all others with it.
        call("unshare", CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
        return in_child(inside)

    result = in_child(outside)
    if "unknown" in result:
        raise CannotTell(result["unknown"])
    if "refused" in result:
        raise Refused(result["refused"])
    listeners = result["listeners"]
    assert isinstance(listeners, list)
    return [(int(family), str(address), int(port)) for family, address, port in listeners]


def try_ports(listeners: list[tuple[int, str, int]], foreign: bool) -> list[str]:
    """Bind what HAProxy would bind, as it would, without listening there."""
    problems = []
    for family, address, port in listeners:
        with socket.socket(family, socket.SOCK_STREAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if foreign:
                level, option = (socket.IPPROTO_IP, IP_FREEBIND) if family == socket.AF_INET else (socket.IPPROTO_IPV6, IPV6_FREEBIND)
                one.setsockopt(level, option, 1)
            try:
                one.bind((address, port))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                    problems.append(f"port {port} at {address} can't be bound: {os.strerror(error.errno)}")
    return problems


def main(arguments: list[str]) -> None:
    """haproxy-trial CONFIG FILES [foreign] [/PROGRAM]: FILES is how many the unit may open, foreign permits other nodes' addresses."""
    program = next((word for word in arguments[2:] if word.startswith("/")), "haproxy")
    try:
        problems = try_ports(trial(arguments[0], int(arguments[1]), program), "foreign" in arguments[2:])
    except CannotTell as reason:
        sys.stdout.write(f"no trial: {reason}\n")
        return
    except Refused as words:
        raise SystemExit(f"HAProxy didn't come up in a trial start: {words}") from None
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main(sys.argv[1:])
