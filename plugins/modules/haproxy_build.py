#!/usr/bin/python
# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_build
short_description: Build HAProxy from a tarball, as an unprivileged user
version_added: 1.0.0
description:
  - Checks the tarball's SHA-256, unpacks and builds it as a user that exists for that time only, and puts the program into a folder of
    its own. The folder appears in one step, with a program that runs and says the expected version, or not at all.
  - What uses the program is left alone - M(hitless.lb.service_config) with O(hitless.lb.service_config#module:files[].link) brings it to a service.
  - Where the folder has its program already, nothing is done, and the tarball isn't needed.
  - It needs root on the node, and the compiler and libraries must be installed.
options:
  directory:
    description:
      - The folder that the program gets, as C(DIRECTORY/sbin/haproxy). Its name must change with everything that shapes the build.
    type: path
    required: true
  version:
    description: The version that the tarball must have.
    type: str
    required: true
  tarball:
    description: The tarball, on the node. Required only where the program isn't there yet.
    type: path
  sha256:
    description: The tarball's SHA-256 in hexadecimal digits.
    type: str
    required: true
  arguments:
    description: Words for C(make), such as V(USE_OPENSSL=1).
    type: list
    elements: str
    default: []
  in_use:
    description: A link to the program that runs now. After a build all folders beside O(directory) are removed but the one that this link leads to.
    type: path
  timeout:
    description: How long the build may take, in seconds.
    type: int
    default: 1800
author:
  - hitless.lb contributors (!UNKNOWN)
extends_documentation_fragment: [hitless.lb.attributes]
attributes:
  check_mode:
    support: partial
    details: It says whether it would build; the results of a build are known only after it.
  diff_mode:
    support: none
seealso:
  - module: hitless.lb.service_config
  - plugin: hitless.lb.haproxy_install_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Build HAProxy
  hitless.lb.haproxy_build:
    directory: /opt/haproxy/3.0.11-0123456789ab
    version: 3.0.11
    tarball: /usr/local/src/haproxy-3.0.11.tar.gz
    sha256: "{{ haproxy_sha256 }}"
    arguments: [USE_OPENSSL=1, USE_PCRE2=1, USE_SYSTEMD=1]
  register: build
"""

RETURN = r"""
binary:
  description: The program.
  returned: always
  type: str
  sample: /opt/haproxy/3.0.11-0123456789ab/sbin/haproxy
built:
  description: Whether the program is there (in check mode it may be missing after the task).
  returned: always
  type: bool
libraries:
  description: The packages that own the libraries that the program needs. Empty when nothing was built.
  returned: always
  type: list
  elements: str
  sample: [libc6, libpcre2-8-0, libssl3t64]
seconds:
  description: How long the build took.
  returned: always
  type: float
"""

import hashlib
import os
import pwd
import re
import shutil
import tempfile
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hitless.lb.plugins.module_utils._process import run

BUILD_ROOT = "/usr/local/src"
BUILD_PREFIX = "hitless-haproxy-"
BUILD_USER = "hitless-build"
TARGET = "linux-glibc"
PROGRAM = os.path.join("sbin", "haproxy")
WORDS = 4000

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "directory": {"type": "path", "required": True},
    "version": {"type": "str", "required": True},
    "tarball": {"type": "path"},
    "sha256": {"type": "str", "required": True},
    "arguments": {"type": "list", "elements": "str", "default": []},
    "in_use": {"type": "path"},
    "timeout": {"type": "int", "default": 1800},
}


class BuildError(Exception):
    """The program couldn't be built."""


def check_sum(path: str, wanted: str) -> None:
    """Refuse a tarball that is another one than was meant."""
    with open(path, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != wanted.lower():
        raise BuildError(f"{path} has the SHA-256 {found}, not {wanted}: it isn't unpacked")


def run_as(argv: t.Sequence[str], uid: int, gid: int, cwd: str, timeout: float) -> None:
    """Run a program as somebody else; its last words are in the error."""
    outcome = run(argv, timeout=timeout, extra={"HOME": cwd}, cwd=cwd, account=(uid, gid))
    if outcome.rc != 0:
        words = "\n".join(part.strip()[-WORDS:] for part in (outcome.stdout, outcome.stderr) if part.strip())
        raise BuildError(f"{' '.join(argv)} ended with {outcome.rc}: {words}")


def drop_user() -> None:
    """Remove the build's user, if there is one."""
    try:
        pwd.getpwnam(BUILD_USER)
    except KeyError:
        return
    outcome = run(["userdel", BUILD_USER])
    if outcome.rc != 0:
        raise BuildError(f"the user {BUILD_USER} couldn't be removed: {outcome.output}")


def add_user() -> tuple[int, int]:
    """Make the build's user, without a home, a shell or a password."""
    drop_user()
    outcome = run(
        [
            "useradd",
            "--system",
            "--user-group",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/usr/sbin/nologin",
            BUILD_USER,
        ]
    )
    if outcome.rc != 0:
        raise BuildError(f"the user {BUILD_USER} couldn't be made: {outcome.output}")
    entry = pwd.getpwnam(BUILD_USER)
    return entry.pw_uid, entry.pw_gid


def drop_leftovers(root: str) -> None:
    """Remove what a build left that was killed."""
    for name in os.listdir(root):
        if name.startswith(BUILD_PREFIX) and os.path.isdir(os.path.join(root, name)):
            shutil.rmtree(os.path.join(root, name))


def check_features(source: str, arguments: t.Sequence[str]) -> None:
    """Refuse a feature that the Makefile doesn't know: make would pass over it."""
    with open(os.path.join(source, "Makefile"), encoding="utf-8", errors="replace") as stream:
        known = re.search(r"(?m)^use_opts\s*=((?:.*\\\n)*.*)", stream.read())
    names = {word.partition("=")[0] for word in arguments if word.startswith("USE_")}
    unknown = sorted(names - set(re.findall(r"USE_[A-Z0-9_]+", known.group(1)))) if known else ["Makefile of HAProxy's"]
    if unknown:
        raise BuildError(f"this source has no {', '.join(unknown)}")


def unpack_and_make(tarball: str, arguments: t.Sequence[str], folder: str, uid: int, gid: int, timeout: float) -> str:
    """Build in a folder; returns the program."""
    os.chown(folder, uid, gid)
    source = os.path.join(folder, "source")
    with open(tarball, "rb") as stream:
        # The tarball may lie where only root can read.
        copy = os.path.join(folder, "tarball")
        with open(copy, "wb") as target:
            shutil.copyfileobj(stream, target)
    os.chmod(copy, 0o644)
    run_as(["mkdir", source], uid, gid, folder, 60)
    run_as(["tar", "--extract", "--file", copy, "--directory", source, "--strip-components", "1"], uid, gid, folder, 300)
    check_features(source, arguments)
    jobs = len(os.sched_getaffinity(0))
    make = ["make", f"-j{jobs}", "--directory", source, f"TARGET={TARGET}", "IGNOREGIT=1", *arguments, "haproxy"]
    run_as(make, uid, gid, folder, timeout)
    return os.path.join(source, "haproxy")


def version_of(program: str) -> str:
    """The version that a program says it has."""
    outcome = run([program, "-v"])
    match = re.search(r"(?m)^HA-?Proxy version (\S+)", outcome.stdout)
    if outcome.rc != 0 or not match:
        raise BuildError(f"{program} was built and doesn't run: {outcome.output}")
    return match.group(1)


def install(program: str, directory: str, version: str) -> None:
    """Put the program into its folder, in one step."""
    found = version_of(program)
    if found.partition("-")[0] != version.partition("-")[0]:
        raise BuildError(f"the tarball is version {found}, not {version}")
    os.makedirs(os.path.dirname(directory), mode=0o755, exist_ok=True)
    new = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(directory))
    try:
        os.chmod(new, 0o755)
        target = os.path.join(new, PROGRAM)
        os.makedirs(os.path.dirname(target), mode=0o755)
        shutil.copyfile(program, target)
        os.chmod(target, 0o755)
        run(["strip", "--strip-unneeded", target])
        with open(target, "rb") as stream:
            os.fsync(stream.fileno())
        os.rename(new, directory)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def libraries_of(program: str) -> list[str]:
    """The packages that own the libraries that a program loads."""
    paths = {os.path.realpath(path) for path in re.findall(r"(?m)(?:=> )?(/\S+) \(0x", run(["ldd", program]).stdout)}
    # On a host with merged /usr dpkg may know the file by its other name.
    names = {name for path in paths for name in (path, path.removeprefix("/usr"))}
    outcome = run(["dpkg-query", "--search", *sorted(names)]) if names else None
    return sorted({line.split(":")[0] for line in outcome.stdout.splitlines() if ": /" in line}) if outcome else []


def drop_other_builds(directory: str, in_use: str) -> None:
    """Remove the builds that nobody needs."""
    real = os.path.realpath(in_use)
    folder = os.path.dirname(directory)
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if path != directory and not real.startswith(path + os.sep) and os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)


def build(params: t.Mapping[str, t.Any], root: str = BUILD_ROOT) -> float:
    """Build and install; returns the seconds that it took."""
    started = time.monotonic()
    check_sum(params["tarball"], params["sha256"])
    os.makedirs(root, mode=0o755, exist_ok=True)
    drop_leftovers(root)
    uid, gid = add_user()
    folder = tempfile.mkdtemp(prefix=BUILD_PREFIX, dir=root)
    try:
        program = unpack_and_make(params["tarball"], params["arguments"], folder, uid, gid, params["timeout"])
        install(program, params["directory"], params["version"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        drop_user()
    if params["in_use"]:
        drop_other_builds(params["directory"], params["in_use"])
    return round(time.monotonic() - started, 1)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    if os.geteuid() != 0:
        module.fail_json(msg="this needs root: run the task with become: true")
    binary = os.path.join(params["directory"], PROGRAM)
    result: dict[str, t.Any] = {"changed": False, "binary": binary, "built": os.path.isfile(binary), "libraries": [], "seconds": 0.0}
    if not result["built"]:
        result["changed"] = True
        if not module.check_mode:
            if not params["tarball"]:
                module.fail_json(msg=f"{binary} isn't there, and tarball is missing")
            try:
                result["seconds"] = build(params)
            except (BuildError, OSError) as error:
                module.fail_json(msg=f"HAProxy {params['version']} wasn't built, and what runs was left alone: {error}")
            result["built"] = True
            result["libraries"] = libraries_of(binary)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
