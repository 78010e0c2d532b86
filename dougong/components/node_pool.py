"""Hosts of one kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
import pulumi_openstack as openstack

from dougong.components.cloud_init import user_data
from dougong.components.data_volumes import DataVolume, DataVolumes, DataVolumesArgs
from dougong.components.floating_ip import floating_ip

AntiAffinity = Literal["required", "preferred", "none"]
SERVER_GROUP_POLICY = {"required": "anti-affinity", "preferred": "soft-anti-affinity"}

# A host that Nova has to boot from a large image over a slow network takes minutes; half an hour means broken.
TIMEOUTS = pulumi.CustomTimeouts(create="30m", update="30m", delete="30m")


@dataclass(frozen=True, kw_only=True)
class NodePoolArgs:
    """What the hosts of a pool have in common.

    Args:
        role: control-plane, worker, services or bastion.
        count: how many; taking some away removes those with the highest index.
        image_id: first boot only; a newer image does not rebuild a host that exists.
        flavor: name of the flavor.
        key_name: SSH key for the first login.
        network_id, subnet_id: where the hosts' one port is.
        security_group_ids: for every port.
        external_network: name of the network to take floating IPs from; None for no floating IPs.
        anti_affinity: required: the scheduler refuses to put two on one hypervisor; preferred: it tries not to.
        availability_zones: hosts are spread over them in turn; empty leaves it to the scheduler.
        allowed_addresses: what a host's port may send from and receive beside its own address: addresses or CIDRs (pods
            without an overlay, an address that hosts share).
        volumes: for every host.
        protect_volumes: see DataVolumesArgs.protect.
        tags: put on the servers, e.g. to find them in a shared project.
    """

    role: str
    count: int
    image_id: pulumi.Input[str]
    flavor: str
    key_name: pulumi.Input[str]
    network_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    security_group_ids: Sequence[pulumi.Input[str]]
    external_network: str | None = None
    anti_affinity: AntiAffinity = "preferred"
    availability_zones: Sequence[str] = field(default_factory=tuple)
    allowed_addresses: Sequence[pulumi.Input[str]] = field(default_factory=tuple)
    volumes: Sequence[DataVolume] = field(default_factory=tuple)
    protect_volumes: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)


class NodePool(pulumi.ComponentResource):
    """Server group, ports, servers, volumes and floating IPs of one pool.

    A server gets a port, never a network: Nova would make a port of its own, which a change of security groups
    does not reach, and the provider would see a difference for ever.

    Outputs:
        hosts: a list of {name, pool, role, index, address, public_address, zone, server_id, volumes}.
        addresses: the hosts' addresses in the subnet.
    """

    hosts: pulumi.Output[list[dict[str, object]]]
    addresses: pulumi.Output[list[str]]

    def __init__(self, name: str, pool: str, args: NodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the pool.

        Args:
            name: of the pool in the cloud and in the state; hosts are called <name>-<index>.
            pool: its name in platform.yml.
            args: what the hosts have in common.
            opts: parent, provider and the like.
        """
        super().__init__("dougong:compute:NodePool", name, None, opts)
        self._pool = pool
        self._args = args
        group = self._server_group(name)
        names = [f"{name}-{index}" for index in range(args.count)]
        ports = [self._port(host) for host in names]
        hosts = [self._host(host, index, ports[index], group) for index, host in enumerate(names)]
        self.hosts = pulumi.Output.all(*hosts).apply(list)
        # From the ports: a load balancer need not wait for the servers to boot.
        self.addresses = pulumi.Output.all(*[_address(port) for port in ports]).apply(list)
        self.register_outputs({"hosts": self.hosts, "addresses": self.addresses})

    def _child(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self)

    def _server_group(self, name: str) -> openstack.compute.ServerGroup | None:
        policy = SERVER_GROUP_POLICY.get(self._args.anti_affinity)
        return openstack.compute.ServerGroup(name, name=name, policies=policy, opts=self._child()) if policy else None

    def _port(self, name: str) -> openstack.networking.Port:
        args = self._args
        return openstack.networking.Port(
            name,
            name=name,
            network_id=args.network_id,
            fixed_ips=[openstack.networking.PortFixedIpArgs(subnet_id=args.subnet_id)],
            security_group_ids=list(args.security_group_ids),
            allowed_address_pairs=[
                openstack.networking.PortAllowedAddressPairArgs(ip_address=address)
                for address in args.allowed_addresses
            ],
            opts=self._child(),
        )

    def _host(
        self,
        name: str,
        index: int,
        port: openstack.networking.Port,
        group: openstack.compute.ServerGroup | None,
    ) -> pulumi.Output[dict[str, object]]:
        args = self._args
        zones = args.availability_zones
        server = openstack.compute.Instance(
            name,
            name=name,
            image_id=args.image_id,
            flavor_name=args.flavor,
            key_pair=args.key_name,
            user_data=user_data(name),
            networks=[openstack.compute.InstanceNetworkArgs(port=port.id)],
            scheduler_hints=[openstack.compute.InstanceSchedulerHintArgs(group=group.id)] if group else None,
            availability_zone=zones[index % len(zones)] if zones else None,
            metadata={**args.tags, "dougong_pool": self._pool, "dougong_role": args.role},
            opts=pulumi.ResourceOptions(
                parent=self,
                # These matter at the first boot only; each change would otherwise replace the host and what is on it.
                ignore_changes=["imageId", "userData", "keyPair", "schedulerHints"],
                # The port can be in one server at a time.
                delete_before_replace=True,
                custom_timeouts=TIMEOUTS,
            ),
        )
        volumes = DataVolumes(
            name,
            DataVolumesArgs(instance_id=server.id, volumes=args.volumes, protect=args.protect_volumes),
            opts=self._child(),
        )
        return pulumi.Output.all(
            name=name,
            pool=self._pool,
            role=args.role,
            index=index,
            address=_address(port),
            public_address=floating_ip(name, args.external_network, port.id, self),
            zone=server.availability_zone,
            server_id=server.id,
            volumes=volumes.attached,
        ).apply(dict)


def _address(port: openstack.networking.Port) -> pulumi.Output[str]:
    return port.all_fixed_ips.apply(lambda addresses: addresses[0])
