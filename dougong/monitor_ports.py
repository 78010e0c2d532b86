"""Ports from which OVN asks the members of load balancers whether they are well.

Octavia's OVN provider makes one for each subnet with a health monitor and removes it with the last of them. When
monitors are deleted at the same time, each may take the other for still there: the port stays, and holds the subnet.
"""

from __future__ import annotations

from openstack.connection import Connection

# What the provider writes: LB_HM_PORT_PREFIX and OVN_LB_HM_PORT_DISTRIBUTED of ovn_octavia_provider 8.0.
_OWNER = "ovn-lb-hm:distributed"


def remove_orphans(connection: Connection, network: str) -> int:
    """Remove those of a network in which no load balancer is left.

    Args:
        connection: to the project.
        network: name of its network; that there is none is no error.

    Returns:
        How many there were.
    """
    if not connection.has_service("load-balancer"):
        return 0
    project = connection.current_project_id
    found = connection.network.find_network(network, project_id=project)
    if found is None or any(
        balancer.vip_network_id == found.id for balancer in connection.load_balancer.load_balancers()
    ):
        return 0
    orphans = list(connection.network.ports(network_id=found.id, device_owner=_OWNER))
    for port in orphans:
        connection.network.delete_port(port)
    return len(orphans)
