"""Inventory plugin: platform.yml and the outputs of stacks/cluster become hosts, groups and variables."""

import traceback
from pathlib import Path
from typing import Any

from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin

from dougong.inventory import Inventory, NoStackError, build, read_outputs
from dougong.platform import Platform, load

DOCUMENTATION = """
name: dougong
short_description: Hosts of a Dougong installation
description:
  - Reads C(inventories/<environment>/platform.yml) and C(pulumi stack output --json) of C(stacks/cluster).
  - The environment, and so the name of the stack, is the name of the folder that holds the file.
  - Before the first C(dougong up) there are no hosts, and a warning says so.
options: {}
"""

EXAMPLES = """
# ansible-inventory -i inventories/lab/platform.yml --graph
"""

PARSER_ERROR = 4  # the exit code of ansible's own command line for an input it cannot parse


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]  # ansible-core has no type information
    """Adapter between `dougong.inventory` and Ansible."""

    NAME = "dougong"

    def verify_file(self, path: str) -> bool:
        """Accept any file named platform.yml."""
        return super().verify_file(path) and Path(path).name == "platform.yml"

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        """Fill Ansible's inventory.

        Raises:
            SystemExit: platform.yml has errors, or Pulumi could not be asked. Ansible turns any other exception into a
                warning and goes on to read the file as a plain YAML inventory, with groups such as "cloud".
        """
        super().parse(inventory, loader, path, cache)
        try:
            self._fill(inventory, self._wanted(Path(path).resolve()))
        except Exception as error:  # whatever it is, the run must not go on without hosts
            self.display.error(str(error) or repr(error), wrap_text=False)
            self.display.vvv(traceback.format_exc())
            raise SystemExit(PARSER_ERROR) from error

    def _wanted(self, file: Path) -> Inventory:
        environment = file.parent.name
        platform = load(file)
        return build(platform, environment, self._outputs(environment, platform))

    def _outputs(self, environment: str, platform: Platform) -> dict[str, Any]:
        try:
            outputs = read_outputs(environment, platform)
        except NoStackError as missing:
            self.display.warning(str(missing))
            return {}
        if not outputs.get("hosts"):
            self.display.warning(f"The stack {environment!r} has no hosts: run `dougong up -e {environment}`.")
        return outputs

    @staticmethod
    def _fill(inventory: InventoryData, wanted: Inventory) -> None:
        for name, value in wanted.variables.items():
            inventory.set_variable("all", name, value)
        for group in wanted.groups:
            inventory.add_group(group)
        for parent, children in wanted.children.items():
            inventory.add_group(parent)
            for child in children:
                inventory.add_child(parent, child)
        for host, variables in wanted.hosts.items():
            inventory.add_host(host)
            for name, value in variables.items():
                inventory.set_variable(host, name, value)
        for group, hosts in wanted.groups.items():
            for host in hosts:
                inventory.add_child(group, host)
