"""All that stacks/cluster holds: the hosts of an installation and its load balancers."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from dougong.components.data_volumes import DataVolume
from dougong.components.key_pair import KeyPair, KeyPairArgs
from dougong.components.load_balancer import Listener, LoadBalancer, LoadBalancerArgs
from dougong.components.node_pool import NodePool, NodePoolArgs
from dougong.components.security_groups import API_PORT
from dougong.components.virtual_address import SHARED_API_PORT, VirtualAddress, VirtualAddressArgs, shared
from dougong.components.wire import pods_on_the_wire
from dougong.platform import Platform, Pool


@dataclass(frozen=True, kw_only=True)
class NetworkOutputs:
    """What stacks/network says of itself; see components.network and components.security_groups."""

    network_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    external_network_id: pulumi.Input[str]
    mtu: pulumi.Input[int]
    node: pulumi.Input[str]
    control_plane: pulumi.Input[str]
    worker: pulumi.Input[str]
    services: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """What the cluster is made from.

    Args:
        platform: the installation.
        network: where it goes.
        image_id: what its hosts boot first.
        public_key: OpenSSH key for their first login.
    """

    platform: Platform
    network: NetworkOutputs
    image_id: pulumi.Input[str]
    public_key: str


class Cluster(pulumi.ComponentResource):
    """The hosts of an installation and the ways to them.

    Outputs:
        hosts: see NodePool.hosts, of all pools.
        api: {address, public_address, port} of the Kubernetes API.
        apps: {address, public_address, listeners: [{name, port, node_port}]}; addresses are None without listeners.
        mtu: bytes that a host's interface carries.
    """

    hosts: pulumi.Output[list[dict[str, object]]]
    api: pulumi.Output[dict[str, object]]
    apps: pulumi.Output[dict[str, object]]
    mtu: pulumi.Output[int]

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dougong:cluster:Cluster", name, None, opts)
        self._args = args
        key = KeyPair(name, KeyPairArgs(public_key=args.public_key), opts=self._child())
        wanted = args.platform.pools
        self._shared = self._shared_address(f"{name}-shared") if shared(args.platform) else None
        pools = {pool: self._pool(f"{name}-{pool}", pool, wanted[pool], key) for pool in wanted}

        def addresses(role: str) -> pulumi.Output[list[str]]:
            of_role = [pools[pool].addresses for pool in wanted if wanted[pool].role == role]
            return pulumi.Output.all(*of_role).apply(lambda lists: [address for found in lists for address in found])

        self.hosts = pulumi.Output.all(*[pool.hosts for pool in pools.values()]).apply(
            lambda lists: [host for found in lists for host in found]
        )
        self.api = self._api(f"{name}-api", addresses("control-plane"))
        self.apps = self._apps(f"{name}-apps", addresses("worker"))
        self.mtu = pulumi.Output.from_input(args.network.mtu)
        self.register_outputs({"hosts": self.hosts, "api": self.api, "apps": self.apps, "mtu": self.mtu})

    def _child(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self)

    def _pool(self, name: str, pool: str, wanted: Pool, key: KeyPair) -> NodePool:
        platform, network = self._args.platform, self._args.network
        pods = pods_on_the_wire(platform)
        allowed: list[pulumi.Input[str]] = [pods] if pods else []
        if self._shared and wanted.role == "control-plane":
            allowed.append(self._shared.address)
        groups = {
            "control-plane": [network.control_plane],
            "worker": [network.worker],
            "services": [network.services],
            "bastion": [],
        }
        return NodePool(
            name,
            pool,
            NodePoolArgs(
                role=wanted.role,
                count=wanted.count,
                image_id=self._args.image_id,
                flavor=wanted.flavor,
                key_name=key.key_name,
                network_id=network.network_id,
                subnet_id=network.subnet_id,
                security_group_ids=[network.node, *groups[wanted.role]],
                external_network=platform.cloud.external_network if wanted.floating_ip else None,
                anti_affinity=wanted.anti_affinity,
                availability_zones=platform.cloud.availability_zones,
                allowed_addresses=allowed,
                volumes=[
                    DataVolume(
                        name=volume.name,
                        size=volume.size,
                        type=volume.type,
                        mount=volume.mount,
                        filesystem=volume.filesystem,
                    )
                    for volume in wanted.volumes
                ],
                # The embedded cloud is for trying things out: there, `down` is expected to take everything.
                protect_volumes=not platform.cloud.embedded,
                tags={"dougong_installation": platform.name},
            ),
            opts=self._child(),
        )

    def _shared_address(self, name: str) -> VirtualAddress:
        network = self._args.network
        return VirtualAddress(
            name,
            VirtualAddressArgs(
                network_id=network.network_id,
                subnet_id=network.subnet_id,
                security_group_ids=[network.node, network.control_plane],
                external_network=self._args.platform.cloud.external_network,
            ),
            opts=self._child(),
        )

    def _api(self, name: str, members: pulumi.Output[list[str]]) -> pulumi.Output[dict[str, object]]:
        if self._shared:
            return pulumi.Output.all(
                address=self._shared.address, public_address=self._shared.public_address, port=SHARED_API_PORT
            ).apply(dict)
        balancer = self._balancer(
            name,
            [Listener(name="kubernetes", port=API_PORT, member_port=API_PORT)],
            members,
            # The hosts themselves use the VIP, too.
            access=[str(self._args.platform.network.cidr), *map(str, self._args.platform.network.access)],
        )
        return pulumi.Output.all(address=balancer.address, public_address=balancer.public_address, port=API_PORT).apply(
            dict
        )

    def _apps(self, name: str, members: pulumi.Output[list[str]]) -> pulumi.Output[dict[str, object]]:
        apps = self._args.platform.load_balancers.apps
        listeners = [{"name": app.name, "port": app.port, "node_port": app.node_port} for app in apps]
        if not apps:
            return pulumi.Output.from_input({"address": None, "public_address": None, "listeners": listeners})
        if self._shared:
            return pulumi.Output.all(
                address=self._shared.address, public_address=self._shared.public_address, listeners=listeners
            ).apply(dict)
        balancer = self._balancer(
            name, [Listener(name=app.name, port=app.port, member_port=app.node_port) for app in apps], members
        )
        return pulumi.Output.all(
            address=balancer.address, public_address=balancer.public_address, listeners=listeners
        ).apply(dict)

    def _balancer(
        self, name: str, listeners: list[Listener], members: pulumi.Output[list[str]], access: list[str] | None = None
    ) -> LoadBalancer:
        platform = self._args.platform
        provider = platform.load_balancers.provider
        assert provider != "keepalived", "Octavia has no part in it"  # noqa: S101  for the type checker
        return LoadBalancer(
            name,
            LoadBalancerArgs(
                provider=provider,
                subnet_id=self._args.network.subnet_id,
                listeners=listeners,
                members=members,
                external_network=platform.cloud.external_network,
                access=access or [],
            ),
            opts=self._child(),
        )
