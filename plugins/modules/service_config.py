#!/usr/bin/python
# Copyright (c) hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_config
short_description: Bring a set of files to a running service, or leave everything as it was
version_added: 1.0.0
description:
  - Takes the whole set of files of one service and does in one task - stage, validate, swap, reload, look whether the
    service answers, and if it doesn't, put the previous set back and fail with the checker's or the service's own words.
  - The checkers of O(validate) see the staged files at their final paths in a private mount namespace, on the first run
    and in check mode too, before anything on the host is touched.
  - It compares with what the service is running and not only with the files, so a reload that was lost in a broken run is
    made up for. A run that is killed in the middle is undone by the next one, which then goes on as usual.
  - A service that is down, has failed or doesn't answer is repaired by a run with good values.
  - What it keeps lies in C(/var/lib/hitless/NAME) (root only) and is gone after O(state=absent).
options:
  name:
    description:
      - Name of the set, normally the role's name.
      - Lower-case letters, digits, V(_) and V(-), at most 64 characters, starting with a letter.
    type: str
    required: true
  unit:
    description: The systemd unit of the service. A name without a suffix means a service.
    type: str
    required: true
  state:
    description:
      - V(present) applies the set.
      - V(absent) gives back every file as it was found, removes those that weren't there, and brings the unit back to how
        it was found (running or not, enabled or not). O(files) isn't needed for that.
    type: str
    choices: [present, absent]
    default: present
  enabled:
    description: Whether the unit starts at boot.
    type: bool
    default: true
  files:
    description:
      - Every file of the set, the main file last; they are replaced one by one in this order, each in one step.
      - A file that was managed and isn't listed any more is removed, or its original given back.
      - Links in the folders of a path are followed. A link at the path itself is replaced, never written through; it is
        kept as the original.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path, without C(..) and double slashes.
        type: str
        required: true
      content:
        description:
          - The whole content. The text V(@HITLESS_DIGEST@) in it is replaced by RV(digest).
          - Required unless O(files[].link) is given or O(files[].state=taken_out).
        type: str
      link:
        description:
          - Make the path a symbolic link to this absolute path in place of a file. The checkers see the link, too.
          - Owner, group and mode don't matter then.
        type: str
      original:
        description:
          - An absolute path to which dpkg diverts O(files[].path) (C(dpkg-divert)). What is found at the path is kept there,
            and what lies there when the path is given back comes back, also if a package put it there meanwhile.
          - O(files[].keep_original) doesn't matter then.
        type: str
      owner:
        description: Name or number of the user who owns the file.
        type: str
        default: root
      group:
        description: Name or number of the file's group.
        type: str
        default: root
      mode:
        description: The file's mode in octal, four digits in quotes, V(0000) to V(7777).
        type: str
        default: "0644"
      sensitive:
        description: The content is never shown in a diff, a log or an error.
        type: bool
        default: false
      state:
        description:
          - V(present) puts the file there.
          - V(taken_out) moves a foreign file or link out of the reader's way and gives it back on O(state=absent), or
            when the path isn't listed any more.
        type: str
        choices: [present, taken_out]
        default: present
      action:
        description:
          - What a change of the content asks of the service.
          - A change of owner or mode alone is made, but asks nothing of the service.
          - For files in C(/etc/systemd) systemd is reloaded by itself, so a drop-in needs V(none) or V(restart).
          - With V(runtime) the running service is told a new content over its socket, see O(files[].runtime). Where
            nothing else changes, no reload is made. A file that comes or goes takes a reload; so does a content that
            the service won't take this way, with a warning.
        type: str
        choices: [none, runtime, reload, restart]
        default: reload
      runtime:
        description:
          - How the running service is told a new content of this file, and how it says which one it has. Needed for
            O(files[].action=runtime).
          - The content isn't part of RV(digest); O(files[].runtime.ask) tells instead whether the service has it, in
            every run.
        type: dict
        suboptions:
          unix:
            description: The service's socket. Each command is a connection of its own, whose answer is read to its end.
            type: path
            required: true
          ask:
            description: The question which content the service has.
            type: str
            required: true
          expect:
            description: Regular expression that the answer matches when the service has this content.
            type: str
            required: true
          unused:
            description: Regular expression that the answer matches when the service doesn't use this file. Then it is told nothing.
            type: str
          tell:
            description: The commands that bring it the new content, in order.
            type: list
            elements: dict
            required: true
            suboptions:
              send:
                description: The command. The text V(@HITLESS_CONTENT@) in it is replaced by the content.
                type: str
                required: true
              expect:
                description: Regular expression that the answer matches when the command was obeyed.
                type: str
                required: true
          give_up:
            description: Commands that take back what was begun, when one of O(files[].runtime.tell) wasn't obeyed.
            type: list
            elements: str
            default: []
      keep_original:
        description:
          - Where a foreign file is kept that lies at the path when it is replaced the first time.
          - V(beside) keeps it as C(PATH.orig), or C(PATH.disabled) with O(files[].state=taken_out). Where that name
            is taken already, it goes where V(state) puts it.
          - V(state) keeps it in C(/var/lib/hitless/NAME/original), for folders whose reader takes every name, such as
            C(/etc/logrotate.d) or nginx's C(sites-enabled).
        type: str
        choices: [beside, state]
        default: beside
  validate:
    description:
      - The checkers, in order. Each is a list of words (program and arguments, no shell), or a dictionary with C(argv)
        (that list), C(ok_rc) (list of good return codes, default V([0])) and C(reject_output) (a regular expression;
        output that it matches is bad whatever the return code).
      - Each may take 60 seconds.
      - A checker that isn't installed is an error, in check mode a warning.
    type: list
    elements: raw
    default: []
  probe:
    description:
      - Questions that the service must answer after a start, reload or restart. They are asked again and again until all
        hold together or O(probe_timeout) is over. Each question may take 2 seconds, a command 5.
      - An unchanged run asks them once. A running service that doesn't answer for 5 seconds is restarted.
      - Each needs exactly one of C(tcp), C(http), C(unix), C(udp_bound) and C(command).
    type: list
    elements: dict
    default: []
    suboptions:
      tcp:
        description: Address and port that accept a connection, V(127.0.0.1:80) or V([::1]:80).
        type: str
      http:
        description: URL that is fetched with GET. Certificates aren't verified, redirections not followed.
        type: str
      unix:
        description: Path of a stream socket that accepts a connection.
        type: path
      udp_bound:
        description: Address and port that a process has bound for UDP.
        type: str
      command:
        description: Program and arguments that must end with 0.
        type: list
        elements: str
      host:
        description: The Host header for O(probe[].http). Without it, it is the URL's.
        type: str
      status:
        description: Good status codes for O(probe[].http), 100 to 599.
        type: list
        elements: int
        default: [200]
      send:
        description: A line that is sent to O(probe[].unix); the answer is read to its end.
        type: str
      expect:
        description:
          - Regular expression that the answer must match somewhere (the body, the answer on the socket, the command's
            output). C(^) and C($) match at every line.
          - The text V(@HITLESS_DIGEST@) in it is replaced by RV(digest).
        type: str
      running:
        description:
          - Marks a question whose answer tells whether the service runs this very set, normally by RV(digest).
          - Without such a question the module compares the files with its own record of what the service read last, and
            with the time of the unit's last start or reload.
        type: bool
        default: false
  probe_timeout:
    description: How long the service may take to answer, in seconds, 0.1 to 600.
    type: float
    default: 15.0
  new_process:
    description:
      - After a reload, a process that wasn't there before must exist below the unit's main process. This is the proof that
        a service such as nginx accepted it, which says nothing otherwise.
    type: bool
    default: false
  variables:
    description: Names of the variables that shape these files. They are named in every error.
    type: list
    elements: str
    default: []
  secrets:
    description:
      - Values that must never show up in any output, for example passwords that are part of O(files[].content).
      - In files with O(files[].sensitive=true) the module finds and hides what follows a word such as "password", whole
        lines, and what looks like a key, in all messages by itself. A secret named here is hidden without guessing.
    type: list
    elements: str
    default: []
notes:
  - It needs root on the node.
  - Where systemd doesn't run (an image that is being built), the files are put in place and the unit is enabled, nothing is
    started, reloaded or asked. A warning says so.
  - Where no private mount namespace is permitted, the checkers run after the swap and before the service is told; bad
    files are taken back. In check mode a warning says that nothing could be checked.
  - SIGHUP, SIGTERM and SIGINT that come between the first change and the last are obeyed after it.
  - A unit that somebody masked by hand isn't unmasked but refused. One that M(hitless.lb.package_claim) masked is unmasked
    right before its first start, and masked again if that fails.
  - Two runs for the same set wait for each other, up to 60 seconds.
author:
  - hitless.lb contributors (!UNKNOWN)
extends_documentation_fragment: [hitless.lb.attributes]
attributes:
  check_mode:
    support: full
    details: The files are staged and validated as in a real run.
  diff_mode:
    support: full
    details: The content of sensitive files is hidden.
  platform:
    platforms: linux
seealso:
  - module: hitless.lb.node_info
  - module: hitless.lb.package_claim
"""

EXAMPLES = r"""
- name: Apply the configuration of HAProxy
  hitless.lb.service_config:
    name: haproxy
    unit: haproxy
    files:
      - path: /etc/systemd/system/haproxy.service.d/limits.conf
        content: |
          [Service]
          LimitNOFILE=65536
        action: restart
      - path: /etc/haproxy/haproxy.cfg
        content: "{{ lookup('ansible.builtin.template', 'haproxy.cfg.j2') }}"
        group: haproxy
        mode: "0640"
        sensitive: true
    validate:
      - [haproxy, -c, -q, -f, /etc/haproxy/haproxy.cfg]
    probe:
      - unix: /run/haproxy/admin.sock
        send: show env HITLESS_DIGEST
        expect: "HITLESS_DIGEST=@HITLESS_DIGEST@"
        running: true
    variables: [haproxy_frontends, haproxy_backends]

- name: Apply the configuration of nginx in place of the distribution's default site
  hitless.lb.service_config:
    name: nginx_web
    unit: nginx
    new_process: true
    files:
      - path: /etc/nginx/sites-enabled/default
        state: taken_out
        keep_original: state
      - path: /etc/nginx/nginx.conf
        content: "{{ lookup('ansible.builtin.template', 'nginx.conf.j2') }}"
    validate:
      - argv: [nginx, -t]
        reject_output: '\[warn\]'
    probe:
      - http: http://127.0.0.1/healthz
        host: www.example.com

- name: Renew a certificate in the running HAProxy, without a reload when nothing else changes
  hitless.lb.service_config:
    name: haproxy
    unit: haproxy
    files:
      - path: /etc/haproxy/www.pem
        content: "{{ vault_www }}"
        mode: "0600"
        sensitive: true
        action: runtime
        runtime:
          unix: /run/haproxy/admin.sock
          ask: show ssl cert /etc/haproxy/www.pem
          expect: "^SHA1 FingerPrint: {{ www_sha1 }}$"
          tell:
            - send: "set ssl cert /etc/haproxy/www.pem <<\n@HITLESS_CONTENT@\n"
              expect: Transaction (created|updated)
            - send: commit ssl cert /etc/haproxy/www.pem
              expect: Success
          give_up: [abort ssl cert /etc/haproxy/www.pem]

- name: Give everything back
  hitless.lb.service_config:
    name: nginx_web
    unit: nginx
    state: absent
"""

RETURN = r"""
changed_files:
  description: Paths whose file changed (in check mode, would change), in the order of the changes.
  returned: always
  type: list
  elements: str
  sample: [/etc/haproxy/haproxy.cfg]
action:
  description:
    - What was asked of the service (in check mode, would be) - V(none), V(runtime), V(reload), V(restart), V(start) or
      V(stop).
    - A reload becomes V(restart) where the unit knows no reload.
  returned: always
  type: str
  sample: reload
reason:
  description: Why the service needed it; empty with V(none).
  returned: always
  type: str
  sample: its files change
validated:
  description: Whether the checkers saw these files in this run and were content. An unchanged run doesn't ask them.
  returned: always
  type: bool
rolled_back:
  description: Whether something had been changed and was put back. True only together with an error.
  returned: always
  type: bool
recovered:
  description: Whether an earlier run had been killed half way and was undone first.
  returned: always
  type: bool
digest:
  description: Names the paths and contents that the service reads; 32 hexadecimal digits.
  returned: always
  type: str
  sample: 5f0c9d5b0f6f5e0c3b1d2a4e6f708192
"""

import dataclasses
import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.hitless.lb.plugins.module_utils._apply import Applier, ApplyError, Request, Result
from ansible_collections.hitless.lb.plugins.module_utils._files import FilesError
from ansible_collections.hitless.lb.plugins.module_utils._fileset import RUNTIME, TAKEN_OUT, FileSpec, problems_of
from ansible_collections.hitless.lb.plugins.module_utils._probe import KINDS, Probe
from ansible_collections.hitless.lb.plugins.module_utils._runtime import Runtime, to_runtime
from ansible_collections.hitless.lb.plugins.module_utils._sandbox import Check
from ansible_collections.hitless.lb.plugins.module_utils._store import Store
from ansible_collections.hitless.lb.plugins.module_utils._systemd import Systemd

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "unit": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "enabled": {"type": "bool", "default": True},
    # no_log keeps the contents out of the system's log, into which Ansible writes every parameter.
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "no_log": True,
        "options": {
            "path": {"type": "str", "required": True},
            "content": {"type": "str"},
            "link": {"type": "str"},
            "original": {"type": "str"},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str", "default": "0644"},
            "sensitive": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "taken_out"], "default": "present"},
            "action": {"type": "str", "choices": ["none", "runtime", "reload", "restart"], "default": "reload"},
            "keep_original": {"type": "str", "choices": ["beside", "state"], "default": "beside"},
            "runtime": {
                "type": "dict",
                "options": {
                    "unix": {"type": "path", "required": True},
                    "ask": {"type": "str", "required": True},
                    "expect": {"type": "str", "required": True},
                    "unused": {"type": "str"},
                    "tell": {
                        "type": "list",
                        "elements": "dict",
                        "required": True,
                        "options": {"send": {"type": "str", "required": True}, "expect": {"type": "str", "required": True}},
                    },
                    "give_up": {"type": "list", "elements": "str", "default": []},
                },
            },
        },
        "required_if": [("state", "present", ["content", "link"], True)],
        "mutually_exclusive": [("content", "link")],
    },
    "validate": {"type": "list", "elements": "raw", "default": []},
    "probe": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "tcp": {"type": "str"},
            "http": {"type": "str"},
            "unix": {"type": "path"},
            "udp_bound": {"type": "str"},
            "command": {"type": "list", "elements": "str"},
            "host": {"type": "str"},
            "status": {"type": "list", "elements": "int", "default": [200]},
            "send": {"type": "str"},
            "expect": {"type": "str"},
            "running": {"type": "bool", "default": False},
        },
        "mutually_exclusive": [KINDS],
        "required_one_of": [KINDS],
    },
    "probe_timeout": {"type": "float", "default": 15.0},
    "new_process": {"type": "bool", "default": False},
    "variables": {"type": "list", "elements": "str", "default": []},
    "secrets": {"type": "list", "elements": "str", "default": [], "no_log": True},
}


class BadParameter(Exception):
    """A parameter has a value that can't be meant."""


def to_spec(raw: t.Mapping[str, t.Any]) -> FileSpec:
    """One entry of files."""
    if not re.fullmatch(r"[0-7]{3,4}", raw["mode"]):
        raise BadParameter(f"files: mode {raw['mode']!r} of {raw['path']} isn't octal; write it in quotes, such as '0644'")
    if raw["state"] == TAKEN_OUT and raw["content"] is not None:
        raise BadParameter(f"files: {raw['path']} is taken out and has a content; only one of them can be meant")
    for key in ("link", "original"):
        place = raw.get(key)
        if place is not None and raw["state"] == TAKEN_OUT:
            raise BadParameter(f"files: {raw['path']} is taken out and has {key}; only one of them can be meant")
        if place is not None and (not place.startswith("/") or os.path.normpath(place) != place or place == raw["path"]):
            raise BadParameter(
                f"files: {key} {place!r} of {raw['path']} isn't another absolute path without '..', double or trailing slashes"
            )
    runtime: Runtime | None = None
    if raw["action"] == RUNTIME and not raw.get("runtime"):
        raise BadParameter(f"files: {raw['path']} has action runtime, but nothing says how the service is told; write runtime")
    if raw.get("runtime"):
        if raw["action"] != RUNTIME:
            raise BadParameter(f"files: runtime of {raw['path']} means nothing to action {raw['action']}; write action runtime")
        if raw.get("link"):
            raise BadParameter(f"files: {raw['path']} is a link and has runtime; only a content can be told")
        runtime = to_runtime(raw["runtime"])
        if runtime.problem():
            raise BadParameter(f"files: runtime of {raw['path']}: {runtime.problem()}")
    return FileSpec(
        path=raw["path"],
        content=(raw["content"] or "").encode("utf-8"),
        owner=raw["owner"],
        group=raw["group"],
        mode=int(raw["mode"], 8),
        sensitive=raw["sensitive"],
        state=raw["state"],
        action=raw["action"],
        keep_original=raw["keep_original"],
        link=raw.get("link") or "",
        original=raw.get("original") or "",
        runtime=runtime,
    )


def to_check(raw: t.Any) -> Check:
    """One entry of validate: a list of words, or a dictionary around it."""
    if isinstance(raw, list):
        raw = {"argv": raw}
    if not isinstance(raw, dict) or set(raw) - {"argv", "ok_rc", "reject_output"}:
        raise BadParameter(f"validate: {raw!r} is neither a list of words nor a dictionary of argv, ok_rc and reject_output")
    argv, ok_rc, reject = raw.get("argv"), raw.get("ok_rc", [0]), raw.get("reject_output")
    if not isinstance(argv, list) or not argv:
        raise BadParameter(f"validate: argv {argv!r} isn't a list of words")
    if not isinstance(ok_rc, list) or not ok_rc or not all(isinstance(code, int) for code in ok_rc):
        raise BadParameter(f"validate: ok_rc {ok_rc!r} isn't a list of numbers")
    if reject is not None:
        try:
            re.compile(reject)
        except (re.error, TypeError) as error:
            raise BadParameter(f"validate: reject_output {reject!r} isn't a regular expression: {error}") from error
    return Check(tuple(str(word) for word in argv), tuple(ok_rc), reject)


def to_probe(raw: t.Mapping[str, t.Any]) -> Probe:
    """One entry of probe."""
    kind = next(name for name in KINDS if raw[name] is not None)
    for option, owner in (("host", "http"), ("send", "unix")):
        if raw[option] is not None and kind != owner:
            raise BadParameter(f"probe: {option} belongs to {owner} and means nothing to {kind}")
    if raw["expect"] is not None and (kind in ("tcp", "udp_bound") or (kind == "unix" and raw["send"] is None)):
        raise BadParameter(f"probe: {kind} reads no answer, so expect means nothing to it")
    if not raw[kind]:
        raise BadParameter(f"probe: {kind} is empty")
    probe = Probe.from_dict(raw)
    problem = probe.problem()
    if problem:
        raise BadParameter(problem)
    return probe


def to_request(params: t.Mapping[str, t.Any]) -> Request:
    """The parameters as the caller meant them; BadParameter where they can't be meant."""
    if not 0.1 <= params["probe_timeout"] <= 600:
        raise BadParameter(f"probe_timeout: {params['probe_timeout']:g} isn't between 0.1 and 600 seconds")
    request = Request(
        unit=params["unit"],
        files=tuple(to_spec(raw) for raw in params["files"]),
        checks=tuple(to_check(raw) for raw in params["validate"]),
        probes=tuple(to_probe(raw) for raw in params["probe"]),
        probe_timeout=params["probe_timeout"],
        new_process=params["new_process"],
        enabled=params["enabled"],
        variables=tuple(params["variables"]),
        secrets=tuple(params["secrets"]),
    )
    problems = problems_of(request.files)
    if problems:
        raise BadParameter("; ".join(problems))
    return request


def hide_contents(module: AnsibleModule) -> None:
    """Take the contents out of what Ansible reports of the call, and let it report the rest as it is.

    The parameter is no_log as a whole, which would blot out each of its words ("root", "reload") wherever they occur.
    """
    hidden = set(module.params["secrets"])
    for raw in module.params["files"]:
        if raw["sensitive"] and raw["content"]:
            hidden.add(raw["content"])
    module.no_log_values.clear()
    module.no_log_values.update(value for value in hidden if value)
    module.params["files"] = [
        {**raw, "content": None if raw["content"] is None else f"({len(raw['content'])} characters)"} for raw in module.params["files"]
    ]


def report(result: Result) -> dict[str, t.Any]:
    """What the module returns."""
    raw = dataclasses.asdict(result)
    del raw["warnings"]
    return raw


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = dict(module.params)
    hide_contents(module)
    if os.geteuid() != 0:
        module.fail_json(msg="this needs root: run the task with become: true", rolled_back=False)
    try:
        request = to_request(params)
        applier = Applier(Store(params["name"]), Systemd(), request, check_mode=module.check_mode)
    except (BadParameter, FilesError) as error:
        module.fail_json(msg=str(error), rolled_back=False)
    try:
        result = applier.absent() if params["state"] == "absent" else applier.present()
    except (ApplyError, FilesError, OSError, RuntimeError) as error:
        for warning in applier.result.warnings:
            module.warn(warning)
        module.fail_json(
            msg=applier.explain(str(error)),
            rolled_back=getattr(error, "rolled_back", False),
            recovered=applier.result.recovered,
            digest=applier.digest,
        )
    for warning in result.warnings:
        module.warn(warning)
    module.exit_json(**report(result))


if __name__ == "__main__":
    main()
