# Copyright: hitless.lb contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards over the tree itself: what no linter looks at.

A guard takes the root of a tree and returns what is wrong with it. Each runs over the checkout; each is also shown a small good tree, in
which it finds nothing, and at least one way to break it, which it has to find.
"""

from __future__ import annotations

import ast
import fnmatch
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import specs
from common import ROOT, private_key, tree_files

# What can be called by name in an installed collection, and so may need nothing else
CALLABLE = ("meta", "playbooks", "plugins", "roles")
PHASES = ("main", "set_vars", "validate", "install", "configure", "remove", "preflight")
TEXT = {".cfg", ".j2", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}

Guard = Callable[[Path], list[str]]


# --- Reading a tree -------------------------------------------------------------------------------------------------------------


def files(root: Path, *patterns: str) -> list[Path]:
    """The tree's files, relative to its root; of the checkout those that git knows or would add."""
    found = tree_files() if root == ROOT else sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return [path for path in found if not patterns or any(fnmatch.fnmatch(str(path), pattern) for pattern in patterns)]


def read(root: Path, path: Path | str) -> str:
    return (root / path).read_text(encoding="utf-8")


def texts(root: Path, *patterns: str) -> Iterator[tuple[Path, str]]:
    for path in files(root, *patterns):
        if path.suffix in TEXT:
            yield path, read(root, path)


def load(root: Path, path: Path | str) -> Any:
    return yaml.safe_load(read(root, path))


def lines(text: str, pattern: str) -> Iterator[tuple[int, str]]:
    """The numbered lines in which a pattern is found."""
    for number, line in enumerate(text.splitlines(), start=1):
        if re.search(pattern, line):
            yield number, line.strip()


def without_comments(text: str) -> str:
    """YAML and Jinja without their comments; the lines keep their numbers."""
    text = re.sub(r"\{#.*?#\}", lambda found: "\n" * found[0].count("\n"), text, flags=re.DOTALL)
    return re.sub(r"(?m)^\s*#.*$", "", text)


def roles(root: Path) -> list[Path]:
    return sorted(path for path in (root / "roles").iterdir() if path.is_dir())


def tasks(data: Any) -> Iterator[dict[str, Any]]:
    """Every task of a task list or a playbook, blocks opened."""
    for item in data or []:
        if not isinstance(item, dict):
            continue
        nested = [key for key in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers") if key in item]
        for key in nested:
            yield from tasks(item[key])
        if "hosts" not in item and "block" not in item and "ansible.builtin.import_playbook" not in item:
            yield item


def all_tasks(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in files(root, "roles/*/tasks/*.yml", "playbooks/*.yml"):
        for task in tasks(load(root, path)):
            yield path, task


KEYWORDS = {
    "any_errors_fatal", "args", "become", "become_user", "changed_when", "check_mode", "delegate_facts", "delegate_to", "diff", "environment",
    "failed_when", "ignore_unreachable", "ignore_errors", "listen", "loop", "loop_control", "module_defaults", "name", "no_log", "notify",
    "register", "retries", "delay", "run_once", "tags", "throttle", "timeout", "until", "vars", "when",
}  # fmt: skip


def action(task: dict[str, Any]) -> str:
    """The name of the module that a task calls."""
    return next((key for key in task if key not in KEYWORDS and not key.startswith("with_")), "")


# --- Molecule: it is green when it finds nothing to run ---------------------------------------------------------------------------

DEFAULT_SEQUENCE = (
    "dependency", "cleanup", "destroy", "syntax", "create", "prepare", "converge", "idempotence", "side_effect", "verify", "cleanup", "destroy",
)  # fmt: skip
# Steps that the driver or Molecule itself does without a file of the scenario
WITHOUT_FILE = {"check", "create", "dependency", "destroy", "idempotence", "lint", "syntax"}


def merged(base: Any, over: Any) -> Any:
    """The scenario's settings over the shared ones, as Molecule does it: mappings are merged, all else is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: merged(base.get(key), over[key]) if key in over else base[key] for key in base | over}
    return base if over is None else over


def substituted(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: substituted(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [substituted(item, variables) for item in value]
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda found: variables.get(found[1], found[2] or ""), value)
    return value


def scenario_settings(root: Path, scenario: Path) -> dict[str, Any]:
    shared = root / ".config" / "molecule" / "config.yml"
    base = yaml.safe_load(shared.read_text(encoding="utf-8")) if shared.is_file() else {}
    settings = merged(base or {}, yaml.safe_load(scenario.read_text(encoding="utf-8")) or {})
    variables = {"MOLECULE_PROJECT_DIRECTORY": str(root), "MOLECULE_SCENARIO_DIRECTORY": str(scenario.parent)}
    return dict(substituted(settings, variables))


def asserting_tests(path: Path) -> int:
    """How many tests pytest would collect from a file, by its naming rules; those that assert nothing don't count."""
    if not fnmatch.fnmatch(path.name, "test_*.py") and not fnmatch.fnmatch(path.name, "*_test.py"):
        return 0
    found = 0
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            found += any(
                isinstance(inner, ast.Assert)
                or (isinstance(inner, ast.Call) and re.search(r"raises|wait_for|assert|exactly_one|wait_at_home", ast.unparse(inner.func)))
                for inner in ast.walk(node)
            )
    return found


def guard_molecule_steps(root: Path) -> list[str]:
    """Every step of every scenario's sequence finds its file, and the verification at least one test."""
    findings = []
    scenarios = sorted((root / "molecule").glob("*/molecule.yml"))
    if not scenarios:
        findings.append("molecule: no scenario")
    for path in scenarios:
        name = path.parent.name
        settings = scenario_settings(root, path)
        sequence = settings.get("scenario", {}).get("test_sequence") or DEFAULT_SEQUENCE
        playbooks = settings.get("provisioner", {}).get("playbooks") or {}
        verifier = settings.get("verifier") or {}
        if not any(step.split()[0] == "verify" for step in sequence):
            findings.append(f"molecule/{name}: its sequence has no verify, so it proves nothing")
        for step in sequence:
            kind, *arguments = step.split()
            if kind in WITHOUT_FILE:
                continue
            if kind == "verify" and verifier.get("name") == "testinfra":
                for folder in arguments or [verifier.get("directory", "tests")]:
                    place = path.parent / folder
                    if not place.is_dir():
                        findings.append(f"molecule/{name}: {folder} is no folder; Molecule walks folders only")
                    elif sum(asserting_tests(found) for found in place.rglob("*.py")) == 0:
                        findings.append(f"molecule/{name}: no test in {folder} asserts anything")
                continue
            for file in arguments or [playbooks.get(kind, f"{kind}.yml")]:
                if not (path.parent / file).is_file():
                    findings.append(f"molecule/{name}: the step {kind} has no file {file}; Molecule would pass over it")
    return findings


def guard_molecule_runs_all(root: Path) -> list[str]:
    """`make test` runs every scenario, and nobody skips a test in one."""
    runner = read(root, "tools/test.py")
    findings = [
        f"tools/test.py doesn't run the scenario {path.parent.name}"
        for path in sorted((root / "molecule").glob("*/molecule.yml"))
        if f"SCENARIO={path.parent.name}" not in runner
    ]
    for path, text in texts(root, "molecule/*.py"):
        findings += [
            f"{path}:{number}: a skipped test proves nothing: {line}" for number, line in lines(text, r"\b(skip|skipif|xfail)\b\(")
        ]
    return findings


# --- Roles: one source for their options ------------------------------------------------------------------------------------------


def guard_defaults(root: Path) -> list[str]:
    """defaults/main.yml and the spec have the same keys and the same values."""
    return [finding for role in roles(root) for finding in specs.compare_defaults(role)]


def guard_options(root: Path) -> list[str]:
    """Every option is described and typed; secrets are strings that are never logged and have no default."""
    return [finding for role in roles(root) for finding in specs.faults(role)]


def guard_option_names(root: Path) -> list[str]:
    """A role's variables begin with its name, and every one is used: an option that is accepted and ignored is a lie."""
    findings = []
    for role in roles(root):
        own = [f"roles/{role.name}/{folder}/*" for folder in ("tasks", "templates", "vars")]
        used = "\n".join(without_comments(text) for path, text in texts(root, *own))
        # What the role hands over to its filters may lose the prefix there.
        shaped = "\n".join(text for path, text in texts(root, f"plugins/filter/{role.name}_*.py", f"plugins/plugin_utils/_{role.name}*.py"))
        for dotted, _option in specs.walk(specs.options(role)):
            parts = dotted.split(".")
            if len(parts) == 1:
                bare = re.escape(dotted.removeprefix(f"{role.name}_"))
                if not dotted.startswith(f"{role.name}_"):
                    findings.append(f"roles/{role.name}: {dotted} doesn't begin with {role.name}_")
                if not re.search(rf"\b{re.escape(dotted)}\b", used) and not re.search(rf"\b{role.name}_{bare}\b|['\"]{bare}['\"]", shaped):
                    findings.append(f"roles/{role.name}: nothing reads {dotted}")
            elif not re.search(rf"\b{re.escape(parts[-1])}\b", used + shaped):
                findings.append(f"roles/{role.name}: nothing reads the key {dotted}")
    return findings


def guard_role_files(root: Path) -> list[str]:
    """Every role has its README, metadata and phases, and no handlers: a handler lost in a failed run would be lost for good."""
    findings = []
    for role in roles(root):
        where = f"roles/{role.name}"
        wanted = ["README.md", "meta/main.yml", "meta/argument_specs.yml", "defaults/main.yml", *(f"tasks/{phase}.yml" for phase in PHASES)]
        missing = [name for name in wanted if not (role / name).is_file()]
        findings += [f"{where}: no {name}" for name in missing]
        if (role / "handlers").exists():
            findings.append(f"{where}: has handlers; service_config applies a configuration")
        if missing:
            continue
        readme = read(root, f"{where}/README.md")
        for marker in ("<!-- BEGIN_ANSIBLE_DOCS -->", "<!-- END_ANSIBLE_DOCS -->"):
            if readme.count(marker) != 1:
                findings.append(f"{where}/README.md: needs {marker} once")
        if f"role: hitless.lb.{role.name}" not in readme:
            findings.append(f"{where}/README.md: doesn't show the smallest use (- role: hitless.lb.{role.name})")
        metadata = load(root, f"{where}/meta/main.yml")
        if metadata.get("dependencies") != []:
            findings.append(f"{where}/meta/main.yml: a role stands alone: dependencies: []")
        for key in ("author", "description", "license", "min_ansible_version", "platforms"):
            if not metadata.get("galaxy_info", {}).get(key):
                findings.append(f"{where}/meta/main.yml: galaxy_info has no {key}")
    return findings


def guard_tags(root: Path) -> list[str]:
    """Every entry in tasks/main.yml can be chosen by the role's name; always is for looking and validating only."""
    findings = []
    for role in roles(root):
        path = f"roles/{role.name}/tasks/main.yml"
        seen: set[str] = set()
        for item in load(root, path) or []:
            tags = item.get("tags") or []
            tags = {tags} if isinstance(tags, str) else set(tags)
            seen |= tags
            included = re.findall(r"(\w+)\.yml", str(item.get(action(item)) or item.get("block")))
            if "always" in tags:
                if included and not set(included) <= {"set_vars", "validate"}:
                    findings.append(
                        f"{path}: {item.get('name')}: the tag always is for set_vars and validate, not for {', '.join(included)}"
                    )
            elif role.name not in tags:
                findings.append(f"{path}: {item.get('name')}: has no tag {role.name}")
        findings += [
            f"{path}: nothing has the tag {role.name}_{phase}" for phase in ("install", "configure") if f"{role.name}_{phase}" not in seen
        ]
    return findings


def guard_templates(root: Path) -> list[str]:
    """Every template says that it is managed, is used, and reaches the host through a validation."""
    findings = []
    for role in roles(root):
        templates = files(root, f"roles/{role.name}/templates/*")
        own = {
            path: text for path, text in texts(root, f"roles/{role.name}/*") if path.parts[2] in ("tasks", "templates", "vars", "defaults")
        }
        for path in templates:
            head = [line for line in read(root, path).splitlines() if not line.startswith(("#!", "#jinja2:"))][:1]
            partial = path.name.startswith("_")
            if not partial and head != ["{{ ansible_managed | comment }}"]:
                findings.append(f"{path}: doesn't begin with {{{{ ansible_managed | comment }}}}")
            if path.suffix != ".j2":
                findings.append(f"{path}: a template's name ends in .j2")
            name = str(path.relative_to(f"roles/{role.name}/templates"))
            if not any(re.search(rf"['\"]{re.escape(name)}['\"]", text) for other, text in own.items() if other != path):
                findings.append(f"{path}: nothing uses it")
        applied = [
            task["hitless.lb.service_config"]
            for path in files(root, f"roles/{role.name}/tasks/*.yml")
            for task in tasks(load(root, path))
            if isinstance(task.get("hitless.lb.service_config"), dict) and task["hitless.lb.service_config"].get("state") != "absent"
        ]
        if not applied:
            findings.append(f"roles/{role.name}: nothing calls hitless.lb.service_config")
        for arguments in applied:
            findings += [
                f"roles/{role.name}: service_config without {key}" for key in ("validate", "probe", "variables") if not arguments.get(key)
            ]
    return findings


# --- Tasks ------------------------------------------------------------------------------------------------------------------------

# Modules that would write a service's file past its checker
PAST_THE_CHECKER = ("template", "lineinfile", "blockinfile", "replace", "assemble", "copy")


def guard_tasks(root: Path) -> list[str]:
    """Full names; no failure hidden, no waiting by the clock, no file written past the checker, no notification."""
    findings = []
    for path, task in all_tasks(root):
        where = f"{path}: {task.get('name', task)}"
        name = action(task)
        if name.count(".") < 2:
            findings.append(f"{where}: {name or 'no module'} isn't a full name (ansible.builtin.…)")
        if "name" not in task:
            findings.append(f"{where}: has no name")
        if "ignore_errors" in task:
            findings.append(f"{where}: ignore_errors hides a failure")
        if task.get("failed_when") in (False, "false", "False"):
            findings.append(f"{where}: failed_when: false hides a failure")
        if "notify" in task or "listen" in task:
            findings.append(f"{where}: a handler lost in a failed run is lost for good")
        if name == "ansible.builtin.pause" or re.search(r"\bsleep \d", str(task.get(name))):
            findings.append(f"{where}: waits by the clock; wait for what it waits for")
        arguments = task.get(name) if isinstance(task.get(name), dict) else {}
        # What no service reads: a secret's own file, and a tarball on its way to the compiler.
        key_material = name == "ansible.builtin.copy" and (task.get("no_log") is True or arguments.get("dest") == "{{ __haproxy_tarball }}")
        if path.parts[0] == "roles" and name in {f"ansible.builtin.{module}" for module in PAST_THE_CHECKER} and not key_material:
            findings.append(f"{where}: {name} writes past the checker; use hitless.lb.service_config")
    return findings


FACTS = (
    "all_ipv4_addresses|all_ipv6_addresses|apparmor|architecture|bios_\\w+|cmdline|date_time|default_ipv4|default_ipv6|devices|distribution\\w*|dns|"
    "domain|env|eth\\d|fqdn|hostname|interfaces|kernel\\w*|local|lsb|machine\\w*|memtotal_mb|mounts|nodename|os_family|pkg_mgr|processor\\w*|"
    "python_version|selinux|service_mgr|system|uptime_seconds|user_id|virtualization_\\w+"
)


def guard_other_hosts(root: Path) -> list[str]:
    """Roles look at no group, at no other host and at no injected fact."""
    findings = []
    for path, text in texts(root, "roles/*"):
        if path.suffix == ".md":
            continue
        for number, line in lines(without_comments(text), r"\bgroups\s*(\[|\.)|\bhostvars\b|\bplay_hosts\b|\bansible_play_(?:hosts|batch)"):
            findings.append(f"{path}:{number}: looks at other hosts: {line}")
    for path, text in texts(root, "roles/*", "playbooks/*"):
        if path.suffix == ".md":
            continue
        for number, line in lines(without_comments(text), rf"(?<!['\"\w.])ansible_(?:{FACTS})\b"):
            findings.append(f"{path}:{number}: an injected fact; write ansible_facts['…']: {line}")
    return findings


def guard_playbooks(root: Path) -> list[str]:
    """Playbooks can be called by their name, and say for which hosts by a variable."""
    findings = []
    for path in files(root, "playbooks/*.yml"):
        if len(path.parts) > 2:
            continue
        if not re.fullmatch(r"[a-z0-9_]+\.yml", path.name):
            findings.append(f"{path}: hitless.lb.{path.stem} couldn't be found: names are [a-z0-9_]")
        for play in load(root, path) or []:
            hosts = str(play.get("hosts", ""))
            if hosts and "{{" not in hosts and not hosts.startswith("hitless_lb_") and hosts != "localhost":
                findings.append(f"{path}: {play.get('name')}: hosts is {hosts}, not a variable")
    return findings


# --- Plugins ----------------------------------------------------------------------------------------------------------------------


def constants(tree: ast.Module) -> dict[str, str]:
    return {
        node.targets[0].id: str(node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant)
    }


def filter_names(tree: ast.Module) -> list[str]:
    """What FilterModule.filters returns, where it is written down plainly."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "filters":
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Dict):
                    return [str(key.value) for key in inner.value.keys if isinstance(key, ast.Constant)]
    return []


def guard_plugins(root: Path) -> list[str]:
    """Each public plugin is one file, documented and unit-tested; what is shared is private."""
    findings = []
    for path in files(root, "plugins/filter/*.py", "plugins/lookup/*.py", "plugins/modules/*.py"):
        tree = ast.parse(read(root, path))
        said = constants(tree)
        for name in ("DOCUMENTATION", "EXAMPLES", "RETURN"):
            if not isinstance(yaml.safe_load(said.get(name, "")), dict | list):
                findings.append(f"{path}: no {name}")
        documented = yaml.safe_load(said.get("DOCUMENTATION", "")) or {}
        if (documented.get("name") or documented.get("module")) != path.stem:
            findings.append(f"{path}: documents {documented.get('name') or documented.get('module')}")
        kind = path.parts[1]
        if kind == "filter" and filter_names(tree) != [path.stem]:
            findings.append(f"{path}: holds {filter_names(tree)}; one public filter a file, with the file's name")
        imported = rf"plugins\.{kind}\.{path.stem}\b|plugins\.{kind} import [^\n]*\b{path.stem}\b"
        unit = [
            root / found
            for found, text in texts(root, "tests/unit/*.py")
            if fnmatch.fnmatch(found.name, f"test_{path.stem}*.py") or re.search(imported, text)
        ]
        if sum(asserting_tests(found) for found in unit) == 0:
            findings.append(f"{path}: no unit test in tests/unit/plugins/{kind}/test_{path.stem}.py")
    for path in files(root, "plugins/*"):
        folder = path.parts[1]
        if folder not in ("doc_fragments", "filter", "lookup", "modules", "module_utils", "plugin_utils"):
            findings.append(f"{path}: plugins/{folder} isn't one of the folders")
        if folder in ("module_utils", "plugin_utils") and not path.name.startswith("_"):
            findings.append(f"{path}: shared code is private: its name begins with _")
    return findings


def guard_templates_tested(root: Path) -> list[str]:
    """Every role's templates are rendered in a unit test."""
    findings = []
    for role in roles(root):
        unit = [root / path for path in files(root, f"tests/unit/roles/{role.name}/*.py", f"tests/unit/roles/test_{role.name}*.py")]
        if sum(asserting_tests(path) for path in unit) == 0:
            findings.append(f"roles/{role.name}: no unit test renders its templates (tests/unit/roles/{role.name}/)")
            continue
        text = "\n".join(path.read_text(encoding="utf-8") for path in unit)
        for path in files(root, f"roles/{role.name}/templates/*"):
            if not path.name.startswith("_") and path.name not in text and "*.j2" not in text:
                findings.append(f"{path}: no unit test names it")
    return findings


# --- The whole tree ---------------------------------------------------------------------------------------------------------------


def guard_self_contained(root: Path) -> list[str]:
    """What can be called by name mentions no folder that an installed collection may lack, and nobody's workshop."""
    findings = []
    outside = r"(?<![\w/.-])(?:\.\./)*(?:molecule|inventories|docs|tests)/|\bmolecule\b"
    for path, text in texts(root, *(f"{folder}/*" for folder in CALLABLE)):
        if path.suffix != ".md":
            findings += [f"{path}:{number}: another folder: {line}" for number, line in lines(text, outside)]
    # In two parts, so that this file isn't a finding
    places = "|".join(("/" + r"work/(?:main|shared)\b", r"\.\./" + "shared/(?:design|hitless|reference)"))
    numbers = "|".join((r"\bissue" + r" #?\d+\b", r"(?<![\w&/])#\d{1,4}\b(?!\w|;)"))
    for path, text in texts(root):
        if path.name in ("LICENSE", "CHANGELOG.md"):
            continue
        # Tests try odd values; a number sign is one.
        workshop = places if path.parts[0] == "tests" else f"{places}|{numbers}"
        findings += [f"{path}:{number}: the product doesn't know its workshop: {line}" for number, line in lines(text, workshop)]
    return findings


def guard_no_excuses(root: Path) -> list[str]:
    """No linter is told to look away, and nothing is left for later."""
    # In two parts, so that this file isn't a finding
    words = ("no" + "qa", r"pylint:\s*" + "disable", r"yamllint\s+" + "disable", r"shellcheck\s+" + "disable")
    excuses = "|".join((*words, r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b"))
    findings = []
    for path, text in texts(root):
        if path.name in ("LICENSE", ".ansible-lint"):
            continue
        # A test may hand over a wrong type on purpose.
        pattern = excuses if path.parts[0] == "tests" else f"{excuses}|type:" + r"\s*ignore"
        findings += [f"{path}:{number}: {line}" for number, line in lines(text, pattern)]
    findings += [f"{path}: a list of what sanity overlooks" for path in files(root, "tests/sanity/ignore*", ".ansible-lint-ignore")]
    for key in ("skip_list", "warn_list"):
        if load(root, ".ansible-lint").get(key):
            findings.append(f".ansible-lint: {key} isn't empty")
    return findings


def guard_headers(root: Path) -> list[str]:
    """Every Python file says its licence, and every one on the controller or a host its future."""
    findings = []
    for path, text in texts(root, "*.py"):
        if not text.strip():
            continue
        head = "\n".join(text.splitlines()[:6])
        # In two parts, so that tools that look for such lines read only the one above
        if "SPDX-License-" + "Identifier: GPL-3.0-or-later" not in head:
            findings.append(f"{path}: no SPDX header (GPL-3.0-or-later)")
        if "from __future__ import annotations" not in text:
            findings.append(f"{path}: no from __future__ import annotations")
    return findings


def guard_files(root: Path) -> list[str]:
    """Nothing big, no private key and nothing of the lab in git."""
    findings = []
    for path in files(root):
        content = (root / path).read_bytes()
        if len(content) > 500_000:
            findings.append(f"{path}: {len(content) // 1000} kB; more than 500 don't belong into git")
        if private_key(content):
            findings.append(f"{path}: holds a private key")
        if path.parts[0] in (".lab", ".cache", ".venv", ".collections", ".ansible"):
            findings.append(f"{path}: is made, not written")
    return findings


def guard_galaxy(root: Path) -> list[str]:
    """Each dependency has a lower bound of at least 1.0.0 and no more; the three files for execution environments are there."""
    galaxy = load(root, "galaxy.yml")
    findings = []
    for name, bound in (galaxy.get("dependencies") or {}).items():
        if not re.fullmatch(r">=[1-9]\d*\.\d+\.\d+", str(bound)):
            findings.append(f"galaxy.yml: {name}: {bound} isn't a lower bound like >=1.2.0")
    used = {
        name.rsplit(".", maxsplit=1)[0]
        for path, task in all_tasks(root)
        if (name := action(task)).count(".") == 2 and not name.startswith(("ansible.builtin.", "hitless.lb."))
    }
    findings += [f"galaxy.yml: {name} is used and no dependency" for name in sorted(used - set(galaxy.get("dependencies") or {}))]
    findings += [f"galaxy.yml: {name} is a dependency and not used" for name in sorted(set(galaxy.get("dependencies") or {}) - used)]
    environment = load(root, "meta/execution-environment.yml")["dependencies"]
    findings += [f"meta/execution-environment.yml: no {name}" for name in environment.values() if not (root / name).is_file()]
    if load(root, "meta/runtime.yml").get("requires_ansible") != ">=2.19.0":
        findings.append("meta/runtime.yml: requires_ansible isn't >=2.19.0")
    return findings


def guard_changelog(root: Path) -> list[str]:
    """Every fragment parses, has known sections, and says something."""
    config = load(root, "changelogs/config.yaml")
    sections = {section for section, title in config["sections"]} | {config["trivial_section_name"]}
    findings = []
    for path in files(root, "changelogs/fragments/*"):
        if path.suffix not in (".yml", ".yaml"):
            findings.append(f"{path}: isn't read: its name has to end in .yml")
            continue
        try:
            fragment = load(root, path)
        except yaml.YAMLError as error:
            findings.append(f"{path}: {error}")
            continue
        if not isinstance(fragment, dict) or not fragment:
            findings.append(f"{path}: isn't a mapping of sections")
            continue
        for section, entries in fragment.items():
            if section == config["prelude_section_name"]:
                good = isinstance(entries, str) and bool(entries.strip())
            else:
                good = (
                    section in sections and isinstance(entries, list) and bool(entries) and all(isinstance(entry, str) for entry in entries)
                )
            if not good:
                findings.append(f"{path}: {section} isn't a section with a list of texts")
    return findings


def guard_links(root: Path) -> list[str]:
    """Links between the documents lead somewhere."""
    findings = []
    for path in files(root, "*.md"):
        if path.name == "CHANGELOG.md":
            continue
        text = re.sub(r"```.*?```", "", read(root, path), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            file, anchor = (target.split("#", maxsplit=1) + [""])[:2]
            if re.match(r"[a-z]+:", target):
                continue
            place = (root / path.parent / file) if file else root / path
            if not place.exists():
                findings.append(f"{path}: the link {target} leads nowhere")
            elif anchor and place.suffix == ".md" and anchor not in anchors(place.read_text(encoding="utf-8")):
                findings.append(f"{path}: the link {target}: no such heading")
    return findings


def anchors(text: str) -> set[str]:
    """The headings of a document as links name them."""
    found = set()
    for title in re.findall(r"(?m)^#+ (.+)$", text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


GUARDS: dict[str, Guard] = {name: value for name, value in globals().items() if name.startswith("guard_")}


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_the_tree(name: str) -> None:
    findings = GUARDS[name](ROOT)
    assert not findings, "\n".join(["", *findings])


# --- The guards themselves ----------------------------------------------------------------------------------------------------------

HEADER = "# SPDX-License-Identifier: GPL-3.0-or-later\nfrom __future__ import annotations\n"
SPEC = """
argument_specs:
  main:
    short_description: A service
    description: A service
    options:
      web_port:
        type: int
        default: 80
        description: The port
      web_sites:
        type: list
        elements: dict
        default: []
        description: The sites
        options:
          title: {type: str, description: The title}
      web_password: {type: str, no_log: true, description: A secret}
"""
CONFIGURE = """
- name: Configure
  hitless.lb.service_config:
    name: web
    files:
      - path: /etc/web.conf
        content: "{{ lookup('ansible.builtin.template', 'web.conf.j2') }}"
    validate: [[web, -t]]
    probe: [{tcp: "127.0.0.1:{{ web_port }}"}]
    variables: [web_port, web_sites, web_password]
- name: A key
  community.crypto.openssl_privatekey:
    path: /etc/web.key
"""
MAIN = """
- name: Look
  ansible.builtin.import_tasks: set_vars.yml
  tags: [always]
- name: Install
  ansible.builtin.import_tasks: install.yml
  tags: [web, web_install]
- name: Configure
  ansible.builtin.import_tasks: configure.yml
  tags: [web, web_configure]
"""
GOOD = {
    ".ansible-lint": "skip_list: []\nwarn_list: []\n",
    ".config/molecule/config.yml": (
        "provisioner:\n  playbooks:\n    converge: ${MOLECULE_PROJECT_DIRECTORY}/site.yml\nverifier:\n  name: testinfra\n"
    ),
    "README.md": "# Title\n\n[the role](roles/web/README.md#keys-of-web_sites)\n",
    "changelogs/config.yaml": "sections: [[bugfixes, Bugfixes]]\ntrivial_section_name: trivial\nprelude_section_name: release_summary\n",
    "changelogs/fragments/a.yml": "release_summary: First.\nbugfixes: [Mended.]\n",
    "galaxy.yml": "dependencies: {community.crypto: '>=2.0.0'}\n",
    "meta/ee-bindep.txt": "",
    "meta/ee-requirements.txt": "",
    "meta/execution-environment.yml": "dependencies: {python: meta/ee-requirements.txt, system: meta/ee-bindep.txt}\n",
    "meta/runtime.yml": 'requires_ansible: ">=2.19.0"\n',
    "molecule/default/molecule.yml": "scenario: {test_sequence: [create, converge, verify, destroy]}\n",
    "molecule/default/tests/test_it.py": HEADER + "def test_it():\n    assert 1 + 1 == 2\n",
    "playbooks/site.yml": "- name: Site\n  hosts: \"{{ lb_hosts | default('loadbalancers') }}\"\n  roles: [hitless.lb.web]\n",
    "plugins/filter/web_shape.py": HEADER
    + '''
DOCUMENTATION = """
name: web_shape
"""
EXAMPLES = """
- a: b
"""
RETURN = """
_value: {}
"""
class FilterModule:
    def filters(self):
        return {"web_shape": lambda item: item["title"]}
''',
    "plugins/plugin_utils/_shared.py": HEADER,
    "roles/web/README.md": (
        "# web\n\n    - role: hitless.lb.web\n\n<!-- BEGIN_ANSIBLE_DOCS -->\n### Keys of `web_sites`\n<!-- END_ANSIBLE_DOCS -->\n"
    ),
    "roles/web/defaults/main.yml": "web_port: 80\nweb_sites: []\n",
    "roles/web/meta/argument_specs.yml": SPEC,
    "roles/web/meta/main.yml": (
        "galaxy_info: {author: a, description: d, license: l, min_ansible_version: '2.19', platforms: [{name: Debian}]}\ndependencies: []\n"
    ),
    "roles/web/tasks/configure.yml": CONFIGURE,
    "roles/web/tasks/install.yml": "",
    "roles/web/tasks/main.yml": MAIN,
    "roles/web/tasks/preflight.yml": "",
    "roles/web/tasks/remove.yml": "- name: Remove\n  hitless.lb.service_config: {name: web, state: absent}\n",
    "roles/web/tasks/set_vars.yml": "",
    "roles/web/tasks/validate.yml": "",
    "roles/web/templates/web.conf.j2": "{{ ansible_managed | comment }}\nport {{ web_port }}\n",
    "site.yml": "",
    "tests/unit/plugins/filter/test_web_shape.py": HEADER + "def test_shape():\n    assert True\n",
    "tests/unit/roles/web/test_templates.py": HEADER + 'def test_rendered():\n    assert "web.conf.j2"\n',
    "tools/test.py": HEADER + 'STEPS = ["SCENARIO=default"]\n',
}

# A guard, the file to change, its new content (None: the file is removed), and what the finding says
BROKEN: list[tuple[str, str, str | None, str]] = [
    ("guard_molecule_steps", "site.yml", None, "the step converge has no file"),
    ("guard_molecule_steps", "molecule/default/tests/test_it.py", None, "tests is no folder"),
    ("guard_molecule_steps", "molecule/default/tests/test_it.py", "def test_it():\n    pass\n", "no test in tests asserts"),
    ("guard_molecule_steps", "molecule/default/tests/test_it.py", "def look():\n    assert True\n", "no test in tests asserts"),
    ("guard_molecule_steps", "molecule/default/molecule.yml", "scenario: {test_sequence: [create, converge]}\n", "has no verify"),
    (
        "guard_molecule_steps",
        "molecule/default/molecule.yml",
        "scenario: {test_sequence: [side_effect, verify]}\n",
        "side_effect has no file",
    ),
    ("guard_molecule_steps", "molecule/default/molecule.yml", "scenario: {test_sequence: [cleanup, verify]}\n", "cleanup has no file"),
    ("guard_molecule_steps", "molecule/default/molecule.yml", "verifier: {name: ansible}\n", "the step verify has no file verify.yml"),
    ("guard_molecule_steps", "molecule/default/molecule.yml", "scenario: {test_sequence: [verify tests/test_it.py]}\n", "is no folder"),
    ("guard_molecule_steps", "molecule/default/molecule.yml", None, "no scenario"),
    ("guard_molecule_runs_all", "molecule/failover/molecule.yml", "", "doesn't run the scenario failover"),
    ("guard_molecule_runs_all", "molecule/default/tests/test_it.py", 'def test_it():\n    pytest.skip("later")\n', "proves nothing"),
    ("guard_defaults", "roles/web/defaults/main.yml", "web_port: '80'\nweb_sites: []\n", "web_port is '80'"),
    ("guard_defaults", "roles/web/defaults/main.yml", "web_port: true\nweb_sites: []\n", "web_port is True"),
    ("guard_defaults", "roles/web/defaults/main.yml", "web_port: 80\n", "web_sites has a default in the spec and none"),
    ("guard_defaults", "roles/web/defaults/main.yml", "web_port: 80\nweb_sites: []\nweb_x: 1\n", "web_x is in defaults"),
    ("guard_defaults", "roles/web/defaults/main.yml", None, "can't be read"),
    (
        "guard_options",
        "roles/web/meta/argument_specs.yml",
        SPEC.replace(", description: The title", ""),
        "web_sites.title has no description",
    ),
    (
        "guard_options",
        "roles/web/meta/argument_specs.yml",
        SPEC.replace("no_log: true, ", ""),
        "web_password is a secret and has no no_log",
    ),
    ("guard_options", "roles/web/meta/argument_specs.yml", SPEC.replace("no_log: true", "no_log: true, default: x"), "has a default"),
    ("guard_options", "roles/web/meta/argument_specs.yml", SPEC.replace("{type: str, no_log", "{type: int, no_log"), "must be str"),
    ("guard_options", "roles/web/meta/argument_specs.yml", SPEC.replace("        elements: dict\n", ""), "doesn't say of what"),
    ("guard_option_names", "roles/web/meta/argument_specs.yml", SPEC.replace("web_port", "port"), "port doesn't begin with web_"),
    ("guard_option_names", "roles/web/meta/argument_specs.yml", SPEC.replace("web_port", "web_ports"), "nothing reads web_ports"),
    ("guard_option_names", "plugins/filter/web_shape.py", HEADER, "nothing reads the key web_sites.title"),
    ("guard_role_files", "roles/web/README.md", None, "no README.md"),
    ("guard_role_files", "roles/web/README.md", "# web\n", "needs <!-- BEGIN_ANSIBLE_DOCS -->"),
    ("guard_role_files", "roles/web/README.md", "# web\n", "the smallest use"),
    ("guard_role_files", "roles/web/tasks/preflight.yml", None, "no tasks/preflight.yml"),
    ("guard_role_files", "roles/web/handlers/main.yml", "", "has handlers"),
    ("guard_role_files", "roles/web/meta/main.yml", "dependencies: [other]\n", "dependencies: []"),
    ("guard_tags", "roles/web/tasks/main.yml", MAIN.replace("tags: [web, web_install]", "tags: [web_install]"), "has no tag web"),
    ("guard_tags", "roles/web/tasks/main.yml", MAIN.replace("[web, web_configure]", "[always]"), "not for configure"),
    ("guard_tags", "roles/web/tasks/main.yml", MAIN.replace(", web_install", ""), "nothing has the tag web_install"),
    ("guard_templates", "roles/web/templates/web.conf.j2", "port 80\n", "doesn't begin with"),
    ("guard_templates", "roles/web/templates/more.conf.j2", "{{ ansible_managed | comment }}\n", "nothing uses it"),
    ("guard_templates", "roles/web/tasks/configure.yml", CONFIGURE.replace("validate: [[web, -t]]", "validate: []"), "without validate"),
    ("guard_templates", "roles/web/tasks/configure.yml", "", "nothing calls hitless.lb.service_config"),
    ("guard_tasks", "roles/web/tasks/install.yml", "- name: A\n  apt: {name: web}\n", "apt isn't a full name"),
    ("guard_tasks", "roles/web/tasks/install.yml", "- ansible.builtin.debug: {msg: A}\n", "has no name"),
    ("guard_tasks", "roles/web/tasks/install.yml", "- name: A\n  ansible.builtin.apt: {}\n  ignore_errors: true\n", "hides a failure"),
    ("guard_tasks", "roles/web/tasks/install.yml", "- name: A\n  ansible.builtin.apt: {}\n  failed_when: false\n", "hides a failure"),
    (
        "guard_tasks",
        "roles/web/tasks/install.yml",
        "- name: A\n  block:\n    - name: B\n      ansible.builtin.pause: {seconds: 1}\n",
        "by the clock",
    ),
    ("guard_tasks", "playbooks/site.yml", "- hosts: a\n  tasks:\n    - name: B\n      ansible.builtin.shell: sleep 5\n", "by the clock"),
    ("guard_tasks", "roles/web/tasks/install.yml", "- name: A\n  ansible.builtin.apt: {}\n  notify: Reload\n", "lost for good"),
    ("guard_tasks", "roles/web/tasks/install.yml", "- name: A\n  ansible.builtin.template: {src: a}\n", "past the checker"),
    ("guard_other_hosts", "roles/web/vars/main.yml", "__web_peers: \"{{ groups['web'] }}\"\n", "looks at other hosts"),
    ("guard_other_hosts", "roles/web/templates/web.conf.j2", "{{ hostvars[item].address }}\n", "looks at other hosts"),
    ("guard_other_hosts", "roles/web/templates/web.conf.j2", "{{ ansible_hostname }}\n", "an injected fact"),
    ("guard_playbooks", "playbooks/rolling-update.yml", "", "names are [a-z0-9_]"),
    ("guard_playbooks", "playbooks/site.yml", "- name: Site\n  hosts: all\n", "hosts is all"),
    ("guard_plugins", "plugins/filter/web_shape.py", GOOD["plugins/filter/web_shape.py"].replace("EXAMPLES", "EXAMPLE"), "no EXAMPLES"),
    (
        "guard_plugins",
        "plugins/filter/web_shape.py",
        GOOD["plugins/filter/web_shape.py"].replace("name: web_shape", "name: form"),
        "documents form",
    ),
    (
        "guard_plugins",
        "plugins/filter/web_shape.py",
        GOOD["plugins/filter/web_shape.py"].replace('{"web_shape":', '{"other": 1, "web_shape":'),
        "one public filter",
    ),
    ("guard_plugins", "tests/unit/plugins/filter/test_web_shape.py", None, "no unit test"),
    ("guard_plugins", "plugins/plugin_utils/shared.py", "", "its name begins with _"),
    ("guard_plugins", "plugins/inventory/a.py", "", "isn't one of the folders"),
    ("guard_templates_tested", "tests/unit/roles/web/test_templates.py", None, "no unit test renders"),
    ("guard_templates_tested", "roles/web/templates/other.conf.j2", "", "no unit test names it"),
    ("guard_self_contained", "roles/web/vars/main.yml", "__web_dir: ../../inventories/lab\n", "another folder"),
    ("guard_self_contained", "playbooks/site.yml", "# used by molecule\n", "another folder"),
    ("guard_self_contained", "docs/a.md", "See /" + "work/main.\n", "doesn't know its workshop"),
    ("guard_self_contained", "roles/web/vars/main.yml", "# fixes issue" + " 7\n", "doesn't know its workshop"),
    ("guard_no_excuses", "roles/web/vars/main.yml", "a: 1  # no" + "qa\n", "roles/web/vars/main.yml:1"),
    ("guard_no_excuses", "plugins/plugin_utils/_shared.py", "a = 1  # TO" + "DO\n", "_shared.py:1"),
    ("guard_no_excuses", "plugins/plugin_utils/_shared.py", "a = 1  # type: " + "ignore\n", "_shared.py:1"),
    ("guard_no_excuses", "tests/sanity/ignore-2.19.txt", "x\n", "what sanity overlooks"),
    ("guard_no_excuses", ".ansible-lint", "skip_list: [yaml]\n", "skip_list isn't empty"),
    ("guard_headers", "plugins/plugin_utils/_shared.py", "a = 1\n", "no SPDX header"),
    ("guard_files", "docs/big.txt", "x" * 500_001, "500 kB"),
    ("guard_files", "docs/key.txt", "-----BEGIN RSA PRIVATE KEY-----\n" + "A" * 64 + "\n", "holds a private key"),
    ("guard_files", ".lab/a", "", "is made, not written"),
    ("guard_galaxy", "galaxy.yml", "dependencies: {community.crypto: '*'}\n", "isn't a lower bound"),
    ("guard_galaxy", "galaxy.yml", "dependencies: {}\n", "community.crypto is used and no dependency"),
    ("guard_galaxy", "galaxy.yml", "dependencies: {community.crypto: '>=2.0.0', a.b: '>=1.0.0'}\n", "a.b is a dependency and not used"),
    ("guard_galaxy", "meta/ee-bindep.txt", None, "no meta/ee-bindep.txt"),
    ("guard_galaxy", "meta/runtime.yml", 'requires_ansible: ">=2.9"\n', "requires_ansible"),
    ("guard_changelog", "changelogs/fragments/a.yml", "bugfixes: Mended.\n", "isn't a section"),
    ("guard_changelog", "changelogs/fragments/a.yml", "fixes: [Mended.]\n", "isn't a section"),
    ("guard_changelog", "changelogs/fragments/a.yml", "a: b: c\n", "mapping values are not allowed"),
    ("guard_changelog", "changelogs/fragments/a.txt", "", "isn't read"),
    ("guard_links", "README.md", "[a](docs/none.md)\n", "leads nowhere"),
    ("guard_links", "README.md", "[a](roles/web/README.md#no)\n", "no such heading"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree in which everything is as it should be."""
    for name, content in GOOD.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_a_guard_is_content_with_a_good_tree(name: str, tree: Path) -> None:
    assert GUARDS[name](tree) == []


@pytest.mark.parametrize(("name", "file", "content", "finding"), BROKEN)
def test_a_guard_finds_what_is_broken(name: str, file: str, content: str | None, finding: str, tree: Path) -> None:
    path = tree / file
    if content is None:
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert [found for found in GUARDS[name](tree) if finding in found]


def test_every_guard_was_shown_something_broken() -> None:
    assert {name for name, file, content, finding in BROKEN} == set(GUARDS)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("haproxy_stats_password", True),
        ("lb_stats_password", True),
        ("x.auth_pass_passphrase", True),
        ("x.certificates.private_key", True),
        ("x.pem", True),
        ("x.certificates.private_key_path", False),
        ("x.password_file", False),
        ("x.compressed", False),
        ("x.token_bits", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    assert specs.is_secret(name) is secret


def test_a_default_is_compared_with_its_type() -> None:
    assert specs.same({"a": [1, "2"]}, {"a": [1, "2"]})
    for left, right in ((1, "1"), (1, True), (1, 1.0), ([], {}), ({"a": 1}, {"a": 1, "b": 2}), ([1], [1, 2]), ("", None)):
        assert not specs.same(left, right)


def test_a_heading_alone_is_no_private_key() -> None:
    assert not private_key(b"the file begins with -----BEGIN PRIVATE KEY-----\nand ends so")
    assert private_key(b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 64 + b"\n")
