"""Lookup `apt_mirror`: where this machine gets its Debian packages, told for another suite."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from dougong import debian
from dougong.errors import DougongError

DOCUMENTATION = """
name: apt_mirror
author: Dougong
short_description: This machine's Debian mirror, for another suite
description:
  - Reads the machine's apt sources and configuration, so that root file systems built here come from the same mirror
    and through the same proxy, without naming either in any file of this repository.
options:
  _terms:
    description: Suites, such as trixie; each with -updates and -security where the machine uses its own.
    required: true
"""
RETURN = """
_list:
  description: One dictionary per suite with I(sources) (lines of sources.list) and I(options) (apt settings).
  type: list
"""


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible's plugin base classes carry no types
    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[dict[str, list[str]]]:
        try:
            return [asdict(debian.mirror(suite)) for suite in terms]
        except DougongError as error:
            raise AnsibleLookupError(str(error)) from error
