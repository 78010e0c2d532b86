#!/usr/bin/python
"""Ansible module: a dashboard of Zabbix that everybody may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.zabbix.plugins.module_utils.base import ZabbixBase

DOCUMENTATION = """
module: zabbix_dashboard
short_description: A dashboard of Zabbix
description:
  - The collection has no module for dashboards, and they are no part of an export.
options:
  name:
    description: Name of the dashboard, by which it is found.
    type: str
    required: true
  pages:
    description:
      - Pages with their I(widgets) as in the API, except that I(fields) is a dictionary, in which a number, a text, or
        C(group) with the name of a host group is written as what it is.
    type: list
    elements: dict
    required: true
"""

# Types of a widget's field (API reference, dashboard widget field).
INTEGER, TEXT, GROUP = 0, 1, 2
# Of what the API tells of a widget, this is what can be wanted.
PLACE = ("type", "name", "x", "y", "width", "height", "view_mode")


def native(pages: list[dict[str, Any]], group_id: Callable[[str], str]) -> list[dict[str, Any]]:
    """The pages in the words of the API; what is left out has its default.

    Args:
        pages: as they are wanted.
        group_id: from a host group's name to its identifier.
    """

    def named(name: str, value: Any) -> dict[str, str]:
        if isinstance(value, dict):
            return {"type": str(GROUP), "name": name, "value": group_id(value["group"])}
        return {"type": str(INTEGER if isinstance(value, int) else TEXT), "name": name, "value": str(value)}

    return [
        {
            "name": page.get("name", ""),
            "widgets": [
                {
                    **{"name": "", "view_mode": "0"},
                    **{key: str(value) for key, value in widget.items() if key != "fields"},
                    "fields": [named(name, value) for name, value in widget.get("fields", {}).items()],
                }
                for widget in page["widgets"]
            ],
        }
        for page in pages
    ]


def comparable(pages: list[dict[str, Any]]) -> list[Any]:
    """Pages without the identifiers that the API adds, and in an order that does not matter to it."""
    return [
        (
            page["name"],
            sorted(
                (
                    [widget[key] for key in PLACE],
                    sorted((field["name"], field["type"], field["value"]) for field in widget["fields"]),
                )
                for widget in page["widgets"]
            ),
        )
        for page in pages
    ]


class Dashboard(ZabbixBase):  # type: ignore[misc]  # the collection has no type information
    """What is asked of the API."""

    def group_id(self, name: str) -> str:
        found = self._zapi.hostgroup.get({"output": ["groupid"], "filter": {"name": [name]}})
        if not found:
            self._module.fail_json(msg=f"there is no host group {name!r}")
        identifier: str = found[0]["groupid"]
        return identifier

    def find(self, name: str) -> dict[str, Any] | None:
        found = self._zapi.dashboard.get({"output": "extend", "filter": {"name": [name]}, "selectPages": "extend"})
        return found[0] if found else None

    def create(self, name: str, pages: list[dict[str, Any]]) -> None:
        self._zapi.dashboard.create({"name": name, "pages": pages, "private": 0, "auto_start": 0})

    def update(self, identifier: str, pages: list[dict[str, Any]]) -> None:
        self._zapi.dashboard.update({"dashboardid": identifier, "pages": pages, "private": 0})


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "pages": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    name = module.params["name"]
    dashboard = Dashboard(module)
    pages = native(module.params["pages"], dashboard.group_id)
    present = dashboard.find(name)
    if present and present["private"] == "0" and comparable(present["pages"]) == comparable(pages):
        module.exit_json(changed=False)
    if not module.check_mode:
        if present:
            dashboard.update(present["dashboardid"], pages)
        else:
            dashboard.create(name, pages)
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
