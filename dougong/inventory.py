"""From stack outputs and platform.yml to Ansible's hosts, groups and variables."""

import json
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from dougong import environment, paths
from dougong.errors import DougongError
from dougong.platform import Platform, Pool

ROLE_GROUPS = {"control-plane": "control_plane", "worker": "workers", "services": "services", "bastion": "bastions"}
SERVICE_GROUPS = {
    "registry": ("registry",),
    "logging": ("elasticsearch", "kibana", "logstash"),
    "monitoring": ("zabbix",),
}
"""Service of platform.yml → groups of the hosts that carry it."""
SINGLE_GROUPS = ("registry", "zabbix")
"""Groups with the first host of the pool alone: a second registry would have other images and know nothing of pushes to
the first, a second server would be another monitoring."""
CLUSTER_GROUPS = ("control_plane", "workers")


class NoStackError(DougongError):
    """The cluster's stack does not exist yet: nothing has been built."""


@dataclass(frozen=True)
class Inventory:
    """What Ansible is told: the variables of `all`, the hosts of each group, the variables of each host.

    Attributes:
        children: parent group → child groups.
        groups: group → names of its hosts.
        hosts: host → its variables.
        variables: variables of all hosts.
    """

    children: dict[str, list[str]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)


def read_outputs(name: str, platform: Platform, *, secrets: bool = False) -> dict[str, Any]:
    """Outputs of stacks/cluster, by the same command that a person would type there.

    Args:
        name: the environment, which is the name of the stack.
        platform: its platform, for the backend.
        secrets: in clear text; else they are masked.

    Raises:
        NoStackError: nothing has been built yet or it was removed, or Pulumi itself has not been fetched yet.
        DougongError: Pulumi failed in another way.
    """
    folder = paths.ROOT / "stacks" / "cluster"
    shown = f"--show-secrets={str(secrets).lower()}"
    command = ["pulumi", "stack", "output", "--json", shown, "--stack", name, "--non-interactive"]
    variables = environment.variables(name, platform)
    by_hand = f'eval "$(dougong env {name})" && cd {folder} && {shlex.join(command)}'
    if not shutil.which(command[0], path=variables["PATH"]):
        raise NoStackError(
            f"pulumi is not there yet, so nothing is known of the hosts of {name!r}.",
            "Run `dougong artifacts fetch --tools`, or `dougong up`, which does it.",
        )
    done = subprocess.run(
        command, cwd=folder, env=environment.overlay(variables), capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        outputs: dict[str, Any] = json.loads(done.stdout)
        # A stack is there from the first `pulumi up` to its removal; what it holds is said at the end of each update.
        if not outputs:
            raise NoStackError(
                f"The stack {name!r} of stacks/cluster holds nothing: it was removed, or its first update did not end.",
                f"Run `dougong up -e {name}`, or `dougong down -e {name}` to remove the rest.",
            )
        return outputs
    # Pulumi has no documented exit code for this; the words are those of its CLI since 1.0.
    if "no stack named" in done.stderr:
        raise NoStackError(
            f"The stack {name!r} of stacks/cluster does not exist yet.", f"Run `dougong up -e {name}` first."
        )
    raise DougongError(f"`{shlex.join(command)}` failed: {done.stderr.strip()}", f"Try it by hand: {by_hand}")


def build(platform: Platform, name: str, outputs: dict[str, Any]) -> Inventory:
    """Hosts, groups and variables of one installation.

    Args:
        platform: what is wanted.
        name: the environment.
        outputs: outputs of stacks/cluster; empty before the first `up`, which gives no hosts.
    """
    inventory = Inventory(
        children={"cluster": list(CLUSTER_GROUPS)},
        groups={
            group: []
            for group in (
                *ROLE_GROUPS.values(),
                *chain.from_iterable(SERVICE_GROUPS.values()),
                *(_pool_group(pool) for pool in platform.pools),
            )
        },
        variables=_variables(platform, name, outputs),
    )
    jump = _jump(platform, name, outputs)
    for host in outputs.get("hosts", []):
        inventory.hosts[host["name"]] = _host_variables(platform, host) | (
            {} if host["public_address"] or not jump else {"ansible_ssh_common_args": f"{_ssh_options(name)} {jump}"}
        )
        inventory.groups[ROLE_GROUPS[host["role"]]].append(host["name"])
        # A pool that was taken out of platform.yml still has its hosts until the next `up`.
        inventory.groups.setdefault(_pool_group(host["pool"]), []).append(host["name"])
        for service, wanted in platform.services.beside().items():
            if wanted.pool == host["pool"]:
                for group in SERVICE_GROUPS[service]:
                    # A part that may be left out has its own switch in platform.yml, under the group's name.
                    asked_for = getattr(wanted, group, True)
                    if asked_for and (group not in SINGLE_GROUPS or not inventory.groups[group]):
                        inventory.groups[group].append(host["name"])
    return inventory


def wanted(platform: Platform) -> dict[str, Pool]:
    """The hosts that platform.yml asks for, whether they are there or not: name → its pool."""
    return {
        f"{platform.name}-{name}-{index}": pool for name, pool in platform.pools.items() for index in range(pool.count)
    }


def _pool_group(pool: str) -> str:
    return "pool_" + pool.replace("-", "_")


def _variables(platform: Platform, name: str, outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "platform": platform.model_dump(mode="json"),
        "platform_environment": name,
        "api_endpoint": outputs.get("api"),
        "apps_endpoint": outputs.get("apps"),
        "network_mtu": outputs.get("mtu"),
        "cloud_access": outputs.get("cloud_access"),
        "state_dir": str(paths.state(name)),
        "ansible_ssh_private_key_file": str(paths.ssh_key(name)),
        "ansible_ssh_common_args": _ssh_options(name),
    }


def _host_variables(platform: Platform, host: dict[str, Any]) -> dict[str, Any]:
    pool = platform.pools.get(host["pool"])
    return {
        "ansible_host": host["public_address"] or host["address"],
        "ansible_user": platform.cloud.user,
        "node_address": host["address"],
        "node_pool": host["pool"],
        "node_role": host["role"],
        "node_zone": host["zone"],
        "node_volumes": host["volumes"],
        "node_labels": dict(pool.labels) if pool else {},
        "node_taints": list(pool.taints) if pool else [],
    }


def _ssh_options(name: str) -> str:
    """Host keys are learnt at first contact and enforced ever after, apart from the person's own known_hosts."""
    return f"-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={paths.known_hosts(name)}"


def _jump(platform: Platform, name: str, outputs: dict[str, Any]) -> str:
    """How to reach hosts without a public address: through the first host of the bastion pool.

    ProxyCommand and not ProxyJump, because ssh does not hand -i and -o of its command line on to the jump.
    """
    for host in outputs.get("hosts", []):
        if host["pool"] == platform.network.bastion and host["public_address"]:
            target = f"{platform.cloud.user}@{host['public_address']}"
            command = f"ssh -i {paths.ssh_key(name)} {_ssh_options(name)} -W [%h]:%p {target}"
            return f"-o ProxyCommand={shlex.quote(command)}"
    return ""
