"""The network of one installation: `pulumi up --stack <environment>`."""

import pulumi
import pulumi_openstack as openstack

from dougong.components import program
from dougong.components.network import Network, NetworkArgs
from dougong.components.security_groups import SERVICE_PORTS, SecurityGroups, SecurityGroupsArgs
from dougong.components.virtual_address import balanced_ports
from dougong.components.wire import pods_on_the_wire

platform = program.wanted()
provider = program.cloud(platform)
external = openstack.networking.get_network_output(
    name=platform.cloud.external_network, external=True, opts=pulumi.InvokeOutputOptions(provider=provider)
)

network = Network(
    platform.name,
    NetworkArgs(
        cidr=str(platform.network.cidr),
        external_network_id=external.id,
        dns_servers=[str(server) for server in platform.network.dns_servers],
        mtu=platform.network.mtu,
    ),
    opts=pulumi.ResourceOptions(providers=[provider]),
)
security_groups = SecurityGroups(
    platform.name,
    SecurityGroupsArgs(
        cidr=str(platform.network.cidr),
        access=[str(source) for source in platform.network.access],
        pod_cidr=pods_on_the_wire(platform),
        service_ports={service: SERVICE_PORTS[service] for service in platform.services.beside()},
        **balanced_ports(platform),
    ),
    opts=pulumi.ResourceOptions(providers=[provider]),
)

pulumi.export("network_id", network.network_id)
pulumi.export("subnet_id", network.subnet_id)
pulumi.export("external_network_id", external.id)
pulumi.export("router_id", network.router_id)
pulumi.export("cidr", network.cidr)
pulumi.export("mtu", network.mtu)
pulumi.export(
    "security_groups",
    {
        "node": security_groups.node,
        "control_plane": security_groups.control_plane,
        "worker": security_groups.worker,
        "services": security_groups.services,
    },
)
