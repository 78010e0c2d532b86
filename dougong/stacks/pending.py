"""Operations that a killed run has begun and not recorded.

Pulumi notes an operation before it calls the cloud, and its result afterwards. A run killed in between leaves the
note; whether the resource exists, only the cloud knows. It is looked up by what it was to be, and either taken into
the state or forgotten; otherwise the next run would make it a second time.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from openstack.connection import Connection
from openstack.exceptions import ResourceFailure, ResourceTimeout

from dougong import cloud
from dougong.errors import DougongError

Inputs = dict[str, Any]

# Seconds; the timeout of the components themselves.
_PATIENCE = 1800


def creates(deployment: dict[str, Any]) -> list[tuple[str, str, Inputs]]:
    """(URN, type, inputs) of what was being created.

    Args:
        deployment: the state of a stack, as `pulumi stack export` gives it.
    """
    return [
        (operation["resource"]["urn"], operation["resource"]["type"], operation["resource"].get("inputs", {}))
        for operation in deployment.get("pending_operations") or []
        if operation["type"] == "creating"
    ]


def settle(deployment: dict[str, Any], found: Mapping[str, str]) -> dict[str, Any]:
    """A state without pending operations.

    Args:
        deployment: the state of a stack, as `pulumi stack export` gives it.
        found: identifiers of what was being created and exists, by URN. These become resources, which a refresh
            has yet to complete; the rest is forgotten. What was being updated or deleted is among the resources anyhow.

    Returns:
        The new state; the given one stays as it is.
    """
    operations = deployment.get("pending_operations") or []
    taken_over = [
        _as_made(operation["resource"], found[operation["resource"]["urn"]])
        for operation in operations
        if operation["type"] == "creating" and operation["resource"]["urn"] in found
    ]
    # At the end, after all that they depend on; nothing depends on them yet.
    return {**deployment, "resources": [*deployment["resources"], *taken_over], "pending_operations": []}


def _as_made(resource: dict[str, Any], identifier: str) -> dict[str, Any]:
    """A resource as it is just after its creation.

    What was asked for stands for what came of it: the provider compares both when it reads the resource, and Nova does
    not say by which port a server was asked for.
    """
    asked = {key: value for key, value in resource.get("inputs", {}).items() if key != "__defaults"}
    return {**resource, "id": identifier, "outputs": {**asked, "id": identifier}}


def find(connection: Connection, kind: str, inputs: Inputs) -> str | None:
    """The identifier that Pulumi's provider would give to a resource.

    Args:
        connection: to the project that it would be in.
        kind: its token, e.g. openstack:compute/instance:Instance.
        inputs: what it was to be.

    Returns:
        None if the cloud has none, or several, that could be it.
    """
    if look := _BY_CONTENT.get(kind):
        found = list(look(connection, inputs))
    elif listing := _BY_NAME.get(kind):
        found = [item.id for item in listing(connection) if item.name == inputs.get("name")]
    else:
        return None
    return found[0] if len(found) == 1 else None


def discard(connection: Connection, kind: str, inputs: Inputs) -> bool:
    """Remove what cannot be taken over: the secret of an application credential was told to the killed run alone.

    Args:
        connection: to the project that it would be in.
        kind: its token.
        inputs: what it was to be.

    Returns:
        Whether there was anything of that kind.
    """
    if kind != "openstack:identity/applicationCredential:ApplicationCredential":
        return False
    found = [item for item in cloud.application_credentials(connection) if item.name == inputs.get("name")]
    for credential in found:
        identity: Any = connection.identity  # version 3: see dougong.cloud
        identity.delete_application_credential(connection.current_user_id, credential)
    return bool(found)


def wait(connection: Connection, kind: str, identifier: str) -> None:
    """Wait until the cloud has finished what the killed run had asked for.

    Args:
        connection: to the project.
        kind: token of the resource.
        identifier: see find.

    Raises:
        DougongError: it ended in an error, or not within half an hour.
    """
    try:
        match kind:
            case "openstack:compute/instance:Instance":
                connection.compute.wait_for_server(connection.compute.get_server(identifier), wait=_PATIENCE)
            case "openstack:blockstorage/volume:Volume":
                volume = connection.block_storage.get_volume(identifier)
                connection.block_storage.wait_for_status(volume, "available", ["error"], 1, _PATIENCE)
            case "openstack:loadbalancer/loadBalancer:LoadBalancer":
                connection.load_balancer.wait_for_load_balancer(identifier, wait=_PATIENCE)
    except (ResourceFailure, ResourceTimeout) as error:
        raise DougongError(
            f"what the last run was making when it was killed has come to nothing: {error}",
            f"delete {identifier} by the openstack command and start the same command again",
        ) from error


_BY_NAME: dict[str, Callable[[Connection], Iterable[Any]]] = {
    "openstack:blockstorage/volume:Volume": lambda cloud: cloud.block_storage.volumes(),
    "openstack:compute/instance:Instance": lambda cloud: cloud.compute.servers(),
    "openstack:compute/serverGroup:ServerGroup": lambda cloud: cloud.compute.server_groups(),
    "openstack:compute/keypair:Keypair": lambda cloud: cloud.compute.keypairs(),
    "openstack:loadbalancer/listener:Listener": lambda cloud: cloud.load_balancer.listeners(),
    "openstack:loadbalancer/loadBalancer:LoadBalancer": lambda cloud: cloud.load_balancer.load_balancers(),
    "openstack:loadbalancer/monitor:Monitor": lambda cloud: cloud.load_balancer.health_monitors(),
    "openstack:loadbalancer/pool:Pool": lambda cloud: cloud.load_balancer.pools(),
    "openstack:networking/network:Network": lambda cloud: cloud.network.networks(project_id=cloud.current_project_id),
    "openstack:networking/port:Port": lambda cloud: cloud.network.ports(project_id=cloud.current_project_id),
    "openstack:networking/router:Router": lambda cloud: cloud.network.routers(project_id=cloud.current_project_id),
    "openstack:networking/secGroup:SecGroup": lambda cloud: cloud.network.security_groups(
        project_id=cloud.current_project_id
    ),
    "openstack:networking/subnet:Subnet": lambda cloud: cloud.network.subnets(project_id=cloud.current_project_id),
}


def _floating_ip(cloud: Connection, inputs: Inputs) -> Iterable[str]:
    # Floating IPs have no names: components.node_pool and components.load_balancer describe them instead.
    return [item.id for item in cloud.network.ips(description=inputs.get("description"))]


def _rule(cloud: Connection, inputs: Inputs) -> Iterable[str]:
    wanted = [inputs.get(key) for key in ("protocol", "portRangeMin", "portRangeMax", "remoteIpPrefix", "direction")]
    for rule in cloud.network.security_group_rules(security_group_id=inputs["securityGroupId"]):
        if wanted == [rule.protocol, rule.port_range_min, rule.port_range_max, rule.remote_ip_prefix, rule.direction]:
            yield rule.id


def _router_interface(cloud: Connection, inputs: Inputs) -> Iterable[str]:
    for port in cloud.network.ports(device_id=inputs["routerId"]):
        if inputs["subnetId"] in [address["subnet_id"] for address in port.fixed_ips]:
            yield port.id


def _attachment(cloud: Connection, inputs: Inputs) -> Iterable[str]:
    for attachment in cloud.compute.volume_attachments(inputs["instanceId"]):
        if attachment.volume_id == inputs["volumeId"]:
            yield f"{inputs['instanceId']}/{inputs['volumeId']}"


def _members(cloud: Connection, inputs: Inputs) -> Iterable[str]:
    # The set of members has the pool's identifier.
    return [inputs["poolId"]] if any(True for _ in cloud.load_balancer.members(inputs["poolId"])) else []


_BY_CONTENT: dict[str, Callable[[Connection, Inputs], Iterable[str]]] = {
    "openstack:compute/volumeAttach:VolumeAttach": _attachment,
    "openstack:loadbalancer/members:Members": _members,
    "openstack:networking/floatingIp:FloatingIp": _floating_ip,
    "openstack:networking/routerInterface:RouterInterface": _router_interface,
    "openstack:networking/secGroupRule:SecGroupRule": _rule,
}
