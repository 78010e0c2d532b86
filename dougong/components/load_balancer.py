"""Octavia load balancer with everything below it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
import pulumi_openstack as openstack

from dougong.components.floating_ip import floating_ip

# Amphorae boot as virtual machines: minutes on a busy cloud. Each child waits until the tree is ACTIVE again.
TIMEOUTS = pulumi.CustomTimeouts(create="30m", update="30m", delete="30m")

# The OVN provider spreads connections by a hash of addresses and ports and knows nothing else.
METHOD = {"ovn": "SOURCE_IP_PORT", "amphora": "ROUND_ROBIN"}

# Seconds between probes, seconds until one counts as failed, probes until a member changes sides: a dead member is
# out after 15 s, while one slow answer takes nobody out.
PROBE_INTERVAL, PROBE_TIMEOUT, PROBES = 5, 3, 3


@dataclass(frozen=True, kw_only=True)
class Listener:
    """One port of the VIP and where it goes.

    Args:
        name: unique in the load balancer.
        port: on the VIP.
        member_port: on every member.
    """

    name: str
    port: int
    member_port: int


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """One load balancer.

    Args:
        provider: amphora or ovn.
        subnet_id: of the VIP and the members.
        listeners: ports, in the order in which they are made.
        members: addresses behind every listener.
        external_network: name of the network to take the VIP's floating IP from; None for none.
        access: CIDRs that may use the listeners; empty for everybody. Amphorae enforce it. OVN cannot, and need not:
            the source address stays that of the client, so the hosts' security groups decide.
    """

    provider: Literal["amphora", "ovn"]
    subnet_id: pulumi.Input[str]
    listeners: Sequence[Listener]
    members: pulumi.Input[Sequence[str]]
    external_network: str | None = None
    access: Sequence[str] = field(default_factory=tuple)


class LoadBalancer(pulumi.ComponentResource):
    """VIP, listeners, pools, members and health monitors.

    Octavia locks the whole tree while one part of it changes and answers 409 to the next request, so the children are
    made one after another, each depending on the one before it, and removed in the opposite order.

    Outputs:
        address: the VIP, in the subnet.
        public_address: its floating IP; None without one.
    """

    address: pulumi.Output[str]
    public_address: pulumi.Output[str | None]

    def __init__(self, name: str, args: LoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dougong:network:LoadBalancer", name, None, opts)
        self._args = args
        self._balancer = openstack.loadbalancer.LoadBalancer(
            name,
            name=name,
            loadbalancer_provider=args.provider,
            vip_subnet_id=args.subnet_id,
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=TIMEOUTS),
        )
        self._latest: pulumi.Resource = self._balancer
        for listener in args.listeners:
            self._listener(f"{name}-{listener.name}", listener)

        self.address = self._balancer.vip_address
        self.public_address = floating_ip(name, args.external_network, self._balancer.vip_port_id, self)
        self.register_outputs({"address": self.address, "public_address": self.public_address})

    def _next(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=[self._latest],
            custom_timeouts=TIMEOUTS,
            # A port of the VIP is taken until its listener is gone.
            delete_before_replace=True,
        )

    def _listener(self, name: str, wanted: Listener) -> None:
        args = self._args
        listener = openstack.loadbalancer.Listener(
            name,
            name=name,
            loadbalancer_id=self._balancer.id,
            protocol="TCP",
            protocol_port=wanted.port,
            allowed_cidrs=list(args.access) if args.access and args.provider == "amphora" else None,
            opts=self._next(),
        )
        self._latest = listener
        pool = openstack.loadbalancer.Pool(
            name,
            name=name,
            listener_id=listener.id,
            protocol="TCP",
            lb_method=METHOD[args.provider],
            opts=self._next(),
        )
        self._latest = pool
        # One request for all members, instead of one lock of the tree for each.
        self._latest = openstack.loadbalancer.Members(
            name,
            pool_id=pool.id,
            members=pulumi.Output.all(args.members, args.subnet_id).apply(
                lambda found: [
                    openstack.loadbalancer.MembersMemberArgs(
                        address=address, protocol_port=wanted.member_port, subnet_id=found[1]
                    )
                    for address in found[0]
                ]
            ),
            opts=self._next(),
        )
        self._latest = openstack.loadbalancer.Monitor(
            name,
            name=name,
            pool_id=pool.id,
            type="TCP",
            delay=PROBE_INTERVAL,
            timeout=PROBE_TIMEOUT,
            max_retries=PROBES,
            max_retries_down=PROBES,
            opts=self._next(),
        )
