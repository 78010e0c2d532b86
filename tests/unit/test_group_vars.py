"""What playbooks/group_vars make of platform.yml, for hosts of installations with and without services.

A variable is evaluated when a role needs it. So one that names a host of a service that nobody wants is an error late
in a run, and only on installations of that kind.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from installation import outputs

from dougong import ansible, inventory, paths
from dougong.platform import Platform, Services, load

FOLDER = paths.ROOT / "playbooks" / "group_vars"
CLOUD = {
    "auth_url": "https://cloud.example/v3",
    "region": "one",
    "certificate_authority": "",
    "insecure": False,
    "credential_id": "credential",
    "subnet_id": "subnet",
    "external_network_id": "external",
}
# Whose value is asked of Pulumi.
SECRETS = ("cloud_controller_credential_secret", "zabbix_configuration_openstack")
SERVICES = yaml.safe_load((FOLDER / "all.yml").read_text())["services_here"]


def without_services(platform: Platform) -> Platform:
    """The same without the services' hosts, and with nothing but the application."""
    pools = {name: pool for name, pool in platform.pools.items() if pool.role != "services"}
    return platform.model_copy(update={"pools": pools, "services": Services(demo=platform.services.demo)})


def used(name: str) -> str:
    """When a variable is used, as a condition: by its role, which may have no business on a host."""
    role = next((role for role in SERVICES if name.startswith(f"{role}_")), "")
    # It speaks to the server from the same host.
    role = "zabbix_server" if name.startswith("zabbix_configuration_") else role
    return f"services_here.{role}" if role else "true"


def task(file: Path) -> dict[str, Any]:
    """A task that evaluates all variables of a file of group_vars, on the hosts of that group."""
    names = [name for name in yaml.safe_load(file.read_text()) if name not in SECRETS]
    values = "".join(f"{{% if {used(name)} %}}{{{{ {name} | to_json }}}}{{% endif %}}" for name in names)
    return {
        "name": file.name,
        "ansible.builtin.assert": {"that": "values is string"},
        "vars": {"values": values},
        "when": f"'{file.stem}' in group_names + ['all']",
    }


def run(platform: Platform, environment: str, folder: Path, tasks: list[dict[str, Any]]) -> None:
    """Run tasks on all hosts of an installation, with its group_vars and perhaps some beside its inventory."""
    built = inventory.build(platform, environment, outputs(platform) | {"cloud_access": CLOUD})
    groups = {name: {"hosts": dict.fromkeys(members)} for name, members in built.groups.items()}
    groups |= {name: {"children": dict.fromkeys(children)} for name, children in built.children.items()}
    hosts, playbook = folder / "inventory" / "hosts.yml", folder / "play.yml"
    hosts.parent.mkdir(exist_ok=True)
    hosts.write_text(json.dumps({"all": {"vars": built.variables, "hosts": built.hosts, "children": groups}}))
    playbook.write_text(json.dumps([{"hosts": "all", "connection": "local", "gather_facts": False, "tasks": tasks}]))
    (folder / "group_vars").symlink_to(FOLDER)
    ansible.run(environment, str(playbook), inventory=hosts)


@pytest.mark.parametrize(
    ("environment", "services"), [("lab", True), ("lab", False), ("lab-ha", True), ("production", True)]
)
def test_everything_that_a_host_needs_has_a_value(
    environment: str, services: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    platform = load(paths.platform_file(environment))
    platform = platform if services else without_services(platform)
    run(platform, environment, tmp_path, [task(file) for file in sorted(FOLDER.glob("*.yml"))])


def test_what_an_inventory_adds_does_not_replace_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    own = tmp_path / "inventory" / "group_vars"
    own.mkdir(parents=True)
    added = {"registry_further_names": ["DNS:images.example"], "admission_further_keys": ["another key"]}
    (own / "all.yml").write_text(json.dumps(added))
    names = [f"{name} in registry_alternative_names" for name in ("'DNS:images.example'", "'DNS:' ~ registry_hostname")]
    keys = ["admission_keys | length == 2", "admission_keys[1] == 'another key'"]
    check = {"name": "Both", "ansible.builtin.assert": {"that": names + keys}}
    run(load(paths.platform_file("lab")), "lab", tmp_path, [check])
