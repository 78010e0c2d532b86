"""What the Pulumi programs below stacks/ begin with."""

from typing import Any

import pulumi
import pulumi_openstack as openstack

from dougong import paths
from dougong.components.cluster import NetworkOutputs
from dougong.errors import DougongError
from dougong.platform import Platform, load


def wanted() -> Platform:
    """The platform.yml of the stack that runs: the stack is called like the environment.

    Raises:
        pulumi.RunError: there is none, or it has errors; Pulumi shows the message without a traceback.
    """
    file = paths.platform_file(pulumi.get_stack())
    if not file.exists():
        raise pulumi.RunError(f"{file} does not exist: call the stack like a folder below inventories/")
    try:
        return load(file)
    except DougongError as error:
        raise pulumi.RunError(str(error)) from error


def cloud(platform: Platform) -> openstack.Provider:
    """The OpenStack that platform.yml names, with the credentials of that entry in clouds.yaml."""
    return openstack.Provider("openstack", cloud=platform.cloud.name)


def network_outputs() -> NetworkOutputs:
    """What the network stack of the same environment has made.

    While previewing, an empty network stack gives unknown values, so that a whole installation can be planned before
    anything of it exists.

    Raises:
        pulumi.RunError: there is no network yet, and this is not a preview.
    """
    environment = pulumi.get_stack()
    reference = pulumi.StackReference(f"organization/dougong-network/{environment}")

    def check(outputs: dict[str, Any]) -> dict[str, Any]:
        if "network_id" not in outputs and not pulumi.runtime.is_dry_run():
            raise pulumi.RunError(
                f"the network of {environment!r} does not exist yet: "
                f"run `pulumi up --stack {environment}` in stacks/network first, or `dougong up`"
            )
        return outputs

    outputs = reference.outputs.apply(check)

    def output(*keys: str) -> pulumi.Output[Any]:
        def pick(found: Any) -> Any:
            for key in keys:
                found = found.get(key, pulumi.output.UNKNOWN)
                if found is pulumi.output.UNKNOWN:
                    break
            return found

        return outputs.apply(pick)

    return NetworkOutputs(
        network_id=output("network_id"),
        subnet_id=output("subnet_id"),
        external_network_id=output("external_network_id"),
        mtu=output("mtu"),
        node=output("security_groups", "node"),
        control_plane=output("security_groups", "control_plane"),
        worker=output("security_groups", "worker"),
        services=output("security_groups", "services"),
    )
