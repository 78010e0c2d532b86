"""Lookup `artifact`: files of the catalogue that are in the controller's cache."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from dougong import artifacts
from dougong.errors import DougongError

DOCUMENTATION = """
name: artifact
author: Dougong
short_description: An artifact of the catalogue
description:
  - Finds an artifact in the controller's cache. C(dougong artifacts fetch) puts it there.
options:
  _terms:
    description: Names, or C(name@version).
    required: true
  version:
    description: The version, where a term does not carry one. Without any, the catalogue's newest.
    type: str
  set:
    description:
      - A set of the catalogue, such as C(kubernetes@1.36.3). Each term has the version that the set names.
    type: str
"""

EXAMPLES = """
- ansible.builtin.debug:
    msg: "{{ lookup('artifact', 'etcd-image', set='kubernetes@1.36.3').reference }}"
- ansible.builtin.copy:
    src: "{{ lookup('artifact', 'kubelet', version='1.36.3').path }}"
    dest: /usr/local/bin/kubelet
    mode: "0755"
"""

RETURN = """
_raw:
  description:
    - One dictionary per term with C(name), C(version), C(key) (C(name@version)), C(kind), C(path) on the controller,
      C(sha256), and for images C(reference), C(digest) and both as C(pinned).
  type: list
  elements: dict
"""


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core has no type information
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        version = self.get_option("version")
        found = []
        for term in terms:
            name, _, own = term.partition("@")
            try:
                artifact = artifacts.resolve(name, own or version, self.get_option("set"))
            except DougongError as error:
                raise AnsibleLookupError(str(error)) from error
            pinned = f"{artifact.reference}@{artifact.digest}" if artifact.digest else None
            key = f"{artifact.name}@{artifact.version}"
            found.append({**asdict(artifact), "key": key, "path": str(artifact.path), "pinned": pinned})
        return found
