"""Lookup `platform_images`: the container images that a platform.yml needs."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from dougong import artifacts, environment
from dougong.artifacts import catalogue
from dougong.errors import DougongError

DOCUMENTATION = """
name: platform_images
author: Dougong
short_description: Images that an environment's platform.yml needs
description:
  - Names in the artifact catalogue, as C(name@version), for the lookup C(artifact).
options:
  _terms:
    description: The environment, a folder below inventories/.
    required: true
  version:
    description: Version of Kubernetes, instead of the one in platform.yml; an upgrade goes through others.
    type: str
"""

EXAMPLES = """
- ansible.builtin.debug:
    msg: "{{ query('platform_images', 'lab') }}"
- ansible.builtin.debug:
    msg: "{{ query('platform_images', 'lab', version='1.36.3') }}"
"""

RETURN = """
_raw:
  description: Names with versions.
  type: list
  elements: str
"""


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core has no type information
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        version = self.get_option("version")
        known = catalogue.default()
        try:
            needed = [
                known.get(spec)
                for name in terms
                for spec in artifacts.for_platform(environment.platform(name), kubernetes=version)
            ]
        except DougongError as error:
            raise AnsibleLookupError(str(error)) from error
        return [artifact.key for artifact in needed if artifact.kind == "image"]
