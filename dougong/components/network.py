"""The tenant network of one installation, with its way out."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_openstack as openstack


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """What the network looks like.

    Args:
        cidr: addresses of the subnet, e.g. 10.1.0.0/24.
        external_network_id: where the router's gateway and the floating IPs live.
        dns_servers: what DHCP tells the hosts; empty for the cloud's own resolver.
        mtu: bytes; None for what the cloud offers (1442 for Geneve over Ethernet, 1450 for VXLAN).
    """

    cidr: str
    external_network_id: pulumi.Input[str]
    dns_servers: Sequence[str] = field(default_factory=tuple)
    mtu: int | None = None


class Network(pulumi.ComponentResource):
    """Network, subnet and router.

    Outputs:
        network_id, subnet_id, router_id: identifiers in the cloud.
        cidr: addresses of the subnet.
        mtu: bytes that a host's interface carries; an overlay inside must stay below it.
    """

    network_id: pulumi.Output[str]
    subnet_id: pulumi.Output[str]
    router_id: pulumi.Output[str]
    cidr: pulumi.Output[str]
    mtu: pulumi.Output[int]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dougong:network:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        network = openstack.networking.Network(name, name=name, mtu=args.mtu, opts=child)
        subnet = openstack.networking.Subnet(
            name,
            name=name,
            network_id=network.id,
            cidr=args.cidr,
            ip_version=4,
            dns_nameservers=list(args.dns_servers),
            opts=child,
        )
        router = openstack.networking.Router(name, name=name, external_network_id=args.external_network_id, opts=child)
        interface = openstack.networking.RouterInterface(name, router_id=router.id, subnet_id=subnet.id, opts=child)

        self.network_id = network.id
        self.subnet_id = subnet.id
        # Known only when the router serves the subnet: floating IPs of what is built on it need that.
        self.router_id = pulumi.Output.all(router.id, interface.id).apply(lambda ids: str(ids[0]))
        self.cidr = subnet.cidr
        self.mtu = network.mtu
        self.register_outputs(
            {
                "network_id": self.network_id,
                "subnet_id": self.subnet_id,
                "router_id": self.router_id,
                "cidr": self.cidr,
                "mtu": self.mtu,
            }
        )
