# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""haproxy.cfg as the role writes it: rendered from fixtures with the role's own defaults, vars and template.

Where HAProxy is installed, it reads each of them and may not even warn.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.hitless.lb.plugins.filter.haproxy_certificate_files import haproxy_certificate_files
from ansible_collections.hitless.lb.plugins.filter.haproxy_files import haproxy_files
from ansible_collections.hitless.lb.plugins.filter.haproxy_validate import haproxy_validate
from ansible_collections.hitless.lb.plugins.plugin_utils._haproxy_model import version_tuple
from haproxy_role import NODE, evaluate, render, write
from products import Checker, checkers

HERE = Path(__file__).parent
FIXTURES = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((HERE / "fixtures").glob("*.yml"))}
CHECKERS = checkers("haproxy")
OLDER = {"installed": "2.6.12-1+deb12u4", "candidate": None}


@functools.cache
def rendered(name: str) -> str:
    """The file of one fixture."""
    return render(FIXTURES[name], "haproxy.cfg.j2")


def sections(text: str) -> dict[str, list[str]]:
    """The lines of a configuration by section."""
    result: dict[str, list[str]] = {"": []}
    current = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if not line.startswith(" "):
            current = line
            result[current] = []
        else:
            result[current].append(line.strip())
    return result


@pytest.mark.parametrize("name", FIXTURES)
def test_the_expected_lines_are_there_in_order(name: str) -> None:
    fixture = FIXTURES[name]
    found = sections(rendered(name))
    for section, lines in fixture["expect"].items():
        assert section in found
        rest = iter(found[section])
        for line in lines:
            assert line in rest, f"{line!r} isn't in {section!r} (or not in this order): {found[section]}"
    for section in fixture.get("absent", []):
        assert section not in found
    for word in fixture.get("never", []):
        assert not re.search(rf"^ +{re.escape(word)}\b", rendered(name).replace("http-request disable", "disable"), re.MULTILINE)


@pytest.mark.parametrize("name", FIXTURES)
def test_the_file_is_well_formed(name: str) -> None:
    text = rendered(name)
    assert text.startswith("#\n# Ansible managed\n#\n")
    assert text.endswith("\n") and not text.endswith("\n\n")
    assert "\n\n\n" not in text
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert "{{" not in text and "None" not in text


@pytest.mark.parametrize("name", [name for name, fixture in FIXTURES.items() if "files" in fixture])
def test_the_files_beside_it(name: str) -> None:
    found = {file["path"]: file for file in haproxy_files(evaluate(FIXTURES[name], "{{ __haproxy_model }}"))}
    for path, content in FIXTURES[name]["files"].items():
        assert found[path]["content"].replace("\r\n", "\n") == content
        assert (found[path]["owner"], found[path]["group"], found[path]["mode"]) == ("root", "haproxy", "0640")


@pytest.mark.parametrize("name", [name for name, fixture in FIXTURES.items() if "since" in fixture])
def test_an_older_release_is_refused_by_name(name: str) -> None:
    fixture = FIXTURES[name]
    with pytest.raises(AnsibleFilterError) as error:
        haproxy_validate(evaluate(fixture, "{{ __haproxy_model }}"), NODE | {"packages": {"haproxy": OLDER}})
    haproxy = f"HAProxy {OLDER['installed']}, which is installed on this node,"
    late = "{}: {} doesn't know {!r}, which came with {}; leave it out, or install {} or later"
    assert sorted(str(error.value).split("\n- ")[1:]) == sorted(
        entry.format(haproxy=haproxy) if isinstance(entry, str) else late.format(entry[0], haproxy, *entry[1:], entry[2])
        for entry in fixture["refused"]
    )


def too_new(name: str, haproxy: Checker) -> bool:
    """Tell whether a fixture asks for more than a HAProxy knows."""
    return (version_tuple(haproxy.version) or ()) < (version_tuple(str(FIXTURES[name].get("since", "2.4"))) or ())


@pytest.mark.parametrize("name", FIXTURES)
def test_good_values_are_found_good(name: str) -> None:
    model = evaluate(FIXTURES[name], "{{ __haproxy_model }}")
    assert haproxy_validate(model, NODE | FIXTURES[name].get("node", {})) is True


if CHECKERS:

    @pytest.mark.checker
    @pytest.mark.parametrize("haproxy", CHECKERS, ids=str)
    @pytest.mark.parametrize("name", FIXTURES)
    def test_haproxy_reads_it_without_a_warning(name: str, haproxy: Checker, tmp_path: Path) -> None:
        text = rendered(name)
        config = write(evaluate(FIXTURES[name], "{{ __haproxy_model }}"), text, tmp_path)
        result = haproxy.run(tmp_path, "-c", "-dW", "-f", str(config))
        if too_new(name, haproxy):
            # The fixture is no reason to refuse it if the real one doesn't.
            assert result.returncode != 0, f"{haproxy} reads it, so since: in the fixture is wrong"
            return
        assert result.returncode == 0, f"{result.stdout}{result.stderr}\n{text}"
        assert "WARNING" not in result.stderr


def test_every_secret_is_kept_out_of_messages() -> None:
    variables = {
        "lb_stats_password": "one",
        "haproxy_global": {"cluster_secret": "two"},
        "haproxy_userlists": [
            {"name": "a", "user": [{"name": "x", "password": "three"}, {"name": "y", "insecure_password": "four"}]},
            {"name": "b", "raw": ["user z password five"]},
        ],
    }
    assert sorted(evaluate({"variables": variables}, "{{ __haproxy_secrets }}")) == ["four", "one", "three", "two"]
    assert evaluate({"variables": {}}, "{{ __haproxy_secrets }}") == []


def test_a_certificate_keeps_its_place() -> None:
    (file,) = haproxy_certificate_files(evaluate(FIXTURES["tls_certificate"], "{{ __haproxy_model }}"))
    assert file["mode"] == "0600" and file["sensitive"] is True and file["action"] == "runtime"
    assert f"bind *:443 ssl crt {file['path']} alpn h2,http/1.1 ssl-min-ver TLSv1.2 strict-sni" in rendered("tls_certificate")


def test_the_drop_in_for_more_files() -> None:
    text = render({"variables": {"haproxy_limit_nofile": 1000000}}, "hitless.conf.j2")
    assert sections(text)["[Service]"] == [] and "LimitNOFILE=1000000" in text


@pytest.mark.parametrize(
    ("monitor", "url"),
    [
        ({}, "http://127.0.0.1:8404/healthz"),
        ({"port": 9000, "uri": "/alive"}, "http://127.0.0.1:9000/alive"),
        ({"address": "*"}, "http://127.0.0.1:8404/healthz"),
        ({"address": "::1"}, "http://[::1]:8404/healthz"),
    ],
)
def test_the_probe_asks_the_monitor(monitor: dict[str, Any], url: str) -> None:
    assert evaluate({"variables": {"haproxy_monitor": monitor}}, "{{ __haproxy_monitor_url }}") == url


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({}, False),
        ({"lb_stats_user": "admin"}, False),
        ({"lb_stats_password": "x"}, False),
        ({"lb_stats_user": "admin", "lb_stats_password": ""}, False),
        ({"lb_stats_user": "admin", "lb_stats_password": "x"}, True),
        ({"haproxy_stats_user": "admin", "haproxy_stats_password": "x"}, True),
    ],
)
def test_statistics_are_on_only_with_a_login(variables: dict[str, Any], on: bool) -> None:
    assert evaluate({"variables": variables}, "{{ haproxy_stats_enabled }}") is on
    assert evaluate({"variables": variables}, "{{ haproxy_metrics_enabled }}") is on
    assert ("listen stats from http" in sections(render({"variables": variables}))) is on
