# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup hitless.lb.controller_texts: the files on the controller that data names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: controller_texts
author: hitless.lb contributors (!UNKNOWN)
version_added: 1.0.0
short_description: Read the files on the controller that data names
description:
  - Looks through data for keys named C(src), or with a name that ends in C(_src), and reads the files on the controller that they name.
  - A relative path is looked for where Ansible looks for files (C(files) beside the playbook, then beside the playbook). What a vault has
    encrypted is decrypted.
  - A file that can't be read is no error here. It comes back as a problem, so that everything that is wrong can be reported at once.
options:
  _terms:
    description: Lists or dictionaries of any depth.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: Show which files can't be read
  ansible.builtin.debug:
    msg: "{{ lookup('hitless.lb.controller_texts', certificates) | dict2items | selectattr('value.problem') | map(attribute='key') }}"
  vars:
    certificates:
      - {name: www, certificate_src: www.crt, key_src: www.key}
"""

RETURN = r"""
_raw:
  description: One dictionary. Its keys are the paths as they were given; each has C(text) and C(problem), of which one is empty.
  type: list
  elements: dict
"""


from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase


def sources(data: Any) -> Iterator[str]:
    """Every path that the data names, in its order."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            if (key == "src" or str(key).endswith("_src")) and isinstance(value, str):
                yield value
            else:
                yield from sources(value)
    elif isinstance(data, (list, tuple)):
        for item in data:
            yield from sources(item)


class LookupModule(LookupBase):
    """Ansible's entry point."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, dict[str, str]]]:
        """Read the files.

        :param terms: the data.
        :param variables: what is known of the host.
        :param kwargs: options, of which there are none.
        :return: a list with one dictionary.
        :raises AnsibleError: an option.
        """
        if kwargs:
            raise AnsibleError(f"controller_texts has no option {', '.join(kwargs)}")
        return [{path: self.read(path, variables or {}) for path in dict.fromkeys(sources(terms)) if path}]

    def read(self, path: str, variables: dict[str, Any]) -> dict[str, str]:
        """Read one file."""
        find: Any = self.find_file_in_search_path
        loader: Any = self._loader
        try:
            place: str = find(variables, "files", path, ignore_missing=True)
            if not place:
                return {"text": "", "problem": "there is no such file on the controller"}
            # Ansible would go on with a text that isn't one.
            Path(place).read_bytes().decode("utf-8")
            return {"text": str(loader.get_text_file_contents(place)), "problem": ""}
        except (AnsibleError, OSError, UnicodeError) as error:
            return {"text": "", "problem": f"it can't be read: {error}"}
