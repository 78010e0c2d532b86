#!/usr/bin/python
"""Ansible module: the hosts of Zabbix follow the inventory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.zabbix.plugins.module_utils.base import ZabbixBase

DOCUMENTATION = """
module: zabbix_hosts
short_description: The hosts of Zabbix follow the inventory
description:
  - Hosts come by registration. This removes those that the inventory has no more, and puts right host groups and
    templates of the others, all of them by one question and a request for each host that differs. The collection's
    C(zabbix_host) asks for every host by itself.
  - Groups and templates that nobody names here were given by somebody else, and stay.
  - What is secret in Zabbix cannot be read again, so I(key) is written whenever it is given.
options:
  hosts:
    description: Host to its I(groups) and I(templates).
    type: dict
    required: true
  group:
    description: The group that all of them are in; a host of Zabbix that is not in it is none of ours.
    type: str
    required: true
  templates:
    description: Every template that is ours to link; one of them that a host should not have is taken away.
    type: list
    elements: str
    required: true
  key:
    description: I(identity) and I(value) of the pre-shared key with which the agents of all hosts come from now on.
    type: dict
"""
RETURN = """
removed:
  description: Hosts that were removed.
  type: list
corrected:
  description: Hosts whose groups or templates were put right.
  type: list
"""

# Of encryption, in the API's numbers.
_BY_KEY = 2


@dataclass(frozen=True)
class Difference:
    """What one host has too little or too much, by name."""

    groups: set[str] = field(default_factory=set)
    templates: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.groups or self.templates)


def differences(
    present: Mapping[str, Any], wanted: Mapping[str, Any], parent: str, known: set[str]
) -> tuple[Difference, Difference]:
    """What a host lacks, and what it has that it should not have.

    Args:
        present: `groups` and `templates` that it has.
        wanted: those that it should have.
        parent: the group whose children are ours.
        known: every template that is ours to link.
    """
    groups, templates = set(present["groups"]), set(present["templates"])
    ours = {group for group in groups if group == parent or group.startswith(f"{parent}/")}
    lacks = Difference(set(wanted["groups"]) - groups, set(wanted["templates"]) - templates)
    excess = Difference(ours - set(wanted["groups"]), templates & known - set(wanted["templates"]))
    return lacks, excess


class Hosts(ZabbixBase):  # type: ignore[misc]  # the collection has no type information
    """What is asked of the API."""

    def present(self, group: str) -> dict[str, dict[str, Any]]:
        found = self._zapi.hostgroup.get({"output": ["groupid"], "filter": {"name": [group]}})
        if not found:
            return {}
        hosts = self._zapi.host.get(
            {
                "output": ["hostid", "host"],
                "groupids": [found[0]["groupid"]],
                "selectHostGroups": ["name"],
                "selectParentTemplates": ["host"],
            }
        )
        return {
            host["host"]: {
                "id": host["hostid"],
                "groups": [group["name"] for group in host["hostgroups"]],
                "templates": [template["host"] for template in host["parentTemplates"]],
            }
            for host in hosts
        }

    def groups(self, names: Iterable[str]) -> list[str]:
        found = self._zapi.hostgroup.get({"output": ["groupid"], "filter": {"name": list(names)}})
        return [group["groupid"] for group in found]

    def templates(self, names: Iterable[str]) -> list[str]:
        found = self._zapi.template.get({"output": ["templateid"], "filter": {"host": list(names)}})
        return [template["templateid"] for template in found]

    def correct(self, host: str, lacks: Difference, excess: Difference) -> None:
        # First what goes: two templates with the same item cannot both be linked.
        if excess:
            parts: dict[str, Any] = {"hostids": [host]}
            if excess.groups:
                parts["groupids"] = self.groups(excess.groups)
            if excess.templates:
                # What they have measured goes with them.
                parts["templateids_clear"] = self.templates(excess.templates)
            self._zapi.host.massremove(parts)
        if lacks:
            parts = {"hosts": [{"hostid": host}]}
            if lacks.groups:
                parts["groups"] = [{"groupid": group} for group in self.groups(lacks.groups)]
            if lacks.templates:
                parts["templates"] = [{"templateid": template} for template in self.templates(lacks.templates)]
            self._zapi.host.massadd(parts)

    def share(self, hosts: list[str], key: Mapping[str, str]) -> None:
        self._zapi.host.massupdate(
            {
                "hosts": [{"hostid": host} for host in hosts],
                **{"tls_connect": _BY_KEY, "tls_accept": _BY_KEY},
                **{"tls_psk_identity": key["identity"], "tls_psk": key["value"]},
            }
        )

    def remove(self, hosts: list[str]) -> None:
        self._zapi.host.delete(hosts)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "hosts": {"type": "dict", "required": True},
            "group": {"type": "str", "required": True},
            "templates": {"type": "list", "elements": "str", "required": True},
            "key": {"type": "dict", "no_log": True},
        },
        supports_check_mode=True,
    )
    wanted, group, key = (module.params[name] for name in ("hosts", "group", "key"))
    hosts = Hosts(module)
    present = hosts.present(group)
    removed = sorted(set(present) - set(wanted))
    registered = sorted(set(present) & set(wanted))
    corrected = []
    for name in registered:
        lacks, excess = differences(present[name], wanted[name], group, set(module.params["templates"]))
        if lacks or excess:
            corrected.append(name)
            if not module.check_mode:
                hosts.correct(present[name]["id"], lacks, excess)
    if removed and not module.check_mode:
        hosts.remove([present[name]["id"] for name in removed])
    if key and registered and not module.check_mode:
        hosts.share([present[name]["id"] for name in registered], key)
    module.exit_json(changed=bool(removed or corrected or (key and registered)), removed=removed, corrected=corrected)


if __name__ == "__main__":
    main()
