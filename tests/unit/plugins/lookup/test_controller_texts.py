# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller that data names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.hitless.lb.plugins.lookup.controller_texts import LookupModule, sources

SECRET = [("default", VaultSecret(b"open sesame"))]


def look(base: Path, *terms: Any) -> dict[str, dict[str, str]]:
    loader = DataLoader()
    loader.set_basedir(str(base))
    loader.set_vault_secrets(SECRET)
    (found,) = LookupModule(loader=loader).run(list(terms))
    return found


def test_paths_are_found_wherever_they_stand() -> None:
    data = [{"name": "a", "pem_src": "a.pem", "deep": [{"src": "b"}, {"src": None}]}, {"crc": "no", "resource": "no", "key_src": "a.key"}]
    assert list(sources(data)) == ["a.pem", "b", "a.key"]


def test_files_are_read_beside_the_playbook_and_by_their_path(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "one.pem").write_text("one\n")
    (tmp_path / "two.pem").write_text("two\n")
    found = look(tmp_path, [{"pem_src": "one.pem"}, {"src": "two.pem"}], {"src": str(tmp_path / "two.pem")})
    assert {path: entry["text"] for path, entry in found.items()} == {
        "one.pem": "one\n",
        "two.pem": "two\n",
        str(tmp_path / "two.pem"): "two\n",
    }
    assert not any(entry["problem"] for entry in found.values())


def test_what_a_vault_has_encrypted_is_decrypted(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(VaultLib(SECRET).encrypt("the key\n"))
    assert look(tmp_path, [{"key_src": "key"}]) == {"key": {"text": "the key\n", "problem": ""}}


def test_there_are_no_options(tmp_path: Path) -> None:
    with pytest.raises(AnsibleError, match="has no option wantlist_of"):
        LookupModule(loader=DataLoader()).run([], wantlist_of="x")


def test_what_cannot_be_read_is_told_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder").mkdir()
    found = look(tmp_path, [{"src": "nowhere"}, {"src": "binary"}, {"src": "folder"}])
    assert found["nowhere"] == {"text": "", "problem": "there is no such file on the controller"}
    assert found["binary"]["problem"].startswith("it can't be read: ")
    assert found["folder"]["problem"].startswith("it can't be read: ")
