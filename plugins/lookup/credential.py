"""Lookup `credential`: a password of the environment's vault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from dougong import credentials
from dougong.errors import DougongError

DOCUMENTATION = """
name: credential
author: Dougong
short_description: A password of the environment's vault
description:
  - The password of a service's user. It is made at first use and kept in the state folder, encrypted by ansible-vault.
  - C(dougong credentials) shows them. A task that uses it should have C(no_log).
options:
  _terms:
    description: Names, as service and user.
    required: true
  state_dir:
    description: The environment's state folder; default is the variable of the inventory with this name.
    type: path
"""

EXAMPLES = """
- community.zabbix.zabbix_user:
    username: Admin
    passwd: "{{ lookup('credential', 'zabbix/Admin') }}"
  no_log: true
"""

RETURN = """
_raw:
  description: The passwords, in clear text.
  type: list
  elements: str
"""


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core has no type information
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        folder = self.get_option("state_dir") or (variables or {}).get("state_dir")
        if folder is None:
            raise AnsibleLookupError("credential: the inventory has no variable state_dir, and none was given")
        try:
            return [credentials.get(Path(self._templar.template(folder)), name) for name in terms]
        except DougongError as error:
            raise AnsibleLookupError(str(error)) from error
