"""An address that hosts share among themselves (VRRP), for clouds without load balancers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_openstack as openstack

from dougong.components.floating_ip import floating_ip
from dougong.components.security_groups import API_PORT
from dougong.platform import Platform

SHARED_API_PORT = 8443
"""Of the Kubernetes API at the shared address. kube-apiserver listens on port 6443 of every address of its host, so
HAProxy, which lives on the same hosts, takes another port there instead of an exotic kind of bind."""


def shared(platform: Platform) -> bool:
    """Whether the control-plane hosts balance by themselves.

    Args:
        platform: the installation.
    """
    return platform.load_balancers.provider == "keepalived"


def balanced_ports(platform: Platform) -> dict[str, Any]:
    """Which ports the hosts' security groups open for load balancing: arguments of SecurityGroupsArgs.

    VRRP itself needs no rule: everything between the hosts is allowed.

    Args:
        platform: the installation.
    """
    apps = platform.load_balancers.apps
    if not shared(platform):
        return {"node_ports": {app.name: app.node_port for app in apps}}
    # The workers' node ports are reached from the control-plane hosts only.
    return {"api_ports": [API_PORT, SHARED_API_PORT], "listeners": {app.name: app.port for app in apps}}


@dataclass(frozen=True, kw_only=True)
class VirtualAddressArgs:
    """One shared address.

    Args:
        network_id, subnet_id: where it is.
        security_group_ids: of the port that reserves it.
        external_network: name of the network to take its floating IP from; None for none.
    """

    network_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    security_group_ids: Sequence[pulumi.Input[str]]
    external_network: str | None = None


class VirtualAddress(pulumi.ComponentResource):
    """A port that no server has, so that nobody else is given its address. The hosts' own ports must allow it.

    Outputs:
        address: in the subnet.
        public_address: its floating IP; None without one.
    """

    address: pulumi.Output[str]
    public_address: pulumi.Output[str | None]

    def __init__(self, name: str, args: VirtualAddressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dougong:network:VirtualAddress", name, None, opts)
        port = openstack.networking.Port(
            name,
            name=name,
            network_id=args.network_id,
            fixed_ips=[openstack.networking.PortFixedIpArgs(subnet_id=args.subnet_id)],
            security_group_ids=list(args.security_group_ids),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.address = port.all_fixed_ips.apply(lambda addresses: addresses[0])
        self.public_address = floating_ip(name, args.external_network, port.id, self)
        self.register_outputs({"address": self.address, "public_address": self.public_address})
