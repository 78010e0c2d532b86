"""Lookup `stack_secret`: a secret output of stacks/cluster."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from dougong import environment, inventory
from dougong.errors import DougongError

DOCUMENTATION = """
name: stack_secret
author: Dougong
short_description: A secret output of stacks/cluster
description:
  - The inventory masks secrets. This asks Pulumi for them, so a task that uses it should have C(no_log).
options:
  _terms:
    description: Names of outputs.
    required: true
  environment:
    description: The environment, which is the name of the stack.
    type: str
    required: true
"""

EXAMPLES = """
- ansible.builtin.copy:
    content: "{{ lookup('stack_secret', 'cloud_secret', environment='lab') }}"
    dest: /etc/secret
    mode: "0600"
  no_log: true
"""

RETURN = """
_raw:
  description: The secrets, in clear text.
  type: list
  elements: str
"""


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core has no type information
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        name = self.get_option("environment")
        try:
            outputs = inventory.read_outputs(name, environment.platform(name), secrets=True)
        except DougongError as error:
            raise AnsibleLookupError(str(error)) from error
        for term in terms:
            if term not in outputs:
                raise AnsibleLookupError(f"stacks/cluster of {name!r} has no output {term!r}: dougong up -e {name}")
        return [outputs[term] for term in terms]
