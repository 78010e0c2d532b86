"""The address of something in the network, seen from outside."""

from __future__ import annotations

import pulumi
import pulumi_openstack as openstack


def floating_ip(
    name: str, pool: str | None, port_id: pulumi.Input[str], parent: pulumi.Resource
) -> pulumi.Output[str | None]:
    """Give a port a floating IP.

    Args:
        name: of the floating IP, and its description.
        pool: the external network, by name; None gives none.
        port_id: what it leads to.
        parent: the component that it belongs to.

    Returns:
        The address; None without a pool.
    """
    if not pool:
        return pulumi.Output.from_input(None)
    return openstack.networking.FloatingIp(
        name, description=name, pool=pool, port_id=port_id, opts=pulumi.ResourceOptions(parent=parent)
    ).address
