"""The rules of the policy pack, as functions over what a program declares."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

SSH_PORT = 22

INSTANCE = "openstack:compute/instance:Instance"
LOAD_BALANCER_POOL = "openstack:loadbalancer/pool:Pool"
MONITOR = "openstack:loadbalancer/monitor:Monitor"
RULE = "openstack:networking/secGroupRule:SecGroupRule"
VOLUME = "openstack:blockstorage/volume:Volume"

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Declared:
    """One resource that a rule looks at.

    Args:
        type: its token.
        name: its name in the program.
        properties: its inputs, by Pulumi's names; what is not known yet is absent.
        protected: Pulumi refuses to delete it.
        depends_on: names of the resources that each property comes from.
    """

    type: str
    name: str
    properties: Properties
    protected: bool = False
    depends_on: Mapping[str, Sequence[str]] = field(default_factory=dict)


def ssh_from_everywhere(rule: Declared) -> Iterator[str]:
    """SSH that the whole internet may try is the commonest way in."""
    inputs = rule.properties
    low, high = inputs.get("portRangeMin"), inputs.get("portRangeMax")
    covers_ssh = low is None or high is None or low <= SSH_PORT <= high
    if (
        inputs.get("direction") == "ingress"
        and inputs.get("protocol") in (None, "", "tcp", "6")
        and covers_ssh
        and not inputs.get("remoteGroupId")
        and _everywhere(inputs.get("remoteIpPrefix"))
    ):
        yield "lets everybody reach SSH; name the networks of your administrators in network.access"


def _everywhere(prefix: str | None) -> bool:
    return not prefix or ip_network(prefix, strict=False).prefixlen == 0


def network_instead_of_port(instance: Declared) -> Iterator[str]:
    """A server given a network gets a port of Nova's, whose security groups nothing here controls."""
    for network in instance.properties.get("networks") or []:
        if "port" not in set(network):  # only the key: while the port is but planned, its value must not be asked for
            yield "is attached to a network, not to a port: its security groups are not those declared"


def unprotected_data(volume: Declared) -> Iterator[str]:
    """A mistake in platform.yml must not delete data."""
    if not volume.protected:
        yield "is not protected: removing it from the program deletes the data"


def untyped_volume(volume: Declared) -> Iterator[str]:
    """In Cinder the type decides about encryption and redundancy."""
    if not volume.properties.get("volumeType"):
        yield "names no volume type: whether it is encrypted is left to the cloud's default"


def quorum_on_one_hypervisor(resources: Sequence[Declared]) -> Iterator[str]:
    """Members of a quorum that share a hypervisor die together."""
    members = [
        found
        for found in resources
        if found.type == INSTANCE and (found.properties.get("metadata") or {}).get("dougong_role") == "control-plane"
    ]
    for member in members if len(members) > 1 else []:
        if not member.properties.get("schedulerHints"):
            yield (
                f"{member.name} is one of {len(members)} control-plane hosts and may share a hypervisor with the "
                "others; set anti_affinity to required or preferred"
            )


def unwatched_pool(resources: Sequence[Declared]) -> Iterator[str]:
    """Without a monitor a load balancer goes on sending traffic to dead members."""
    watched = {name for found in resources if found.type == MONITOR for name in found.depends_on.get("poolId", [])}
    for pool in resources:
        if pool.type == LOAD_BALANCER_POOL and pool.name not in watched:
            yield f"{pool.name} has no health monitor: dead members keep their traffic"


@dataclass(frozen=True)
class Guard:
    """One rule.

    Args:
        name: as Pulumi reports it.
        check: the rule; its documentation is the reason.
        type: of the resources that it looks at one by one; None if it looks at the whole stack.
        mandatory: stops the operation; otherwise it is a warning.
        embedded: also holds in the embedded cloud, which only this machine can reach and which `down` empties.
    """

    name: str
    check: Callable[[Any], Iterable[str]]
    type: str | None = None
    mandatory: bool = True
    embedded: bool = True

    @property
    def reason(self) -> str:
        """Why there is such a rule."""
        return self.check.__doc__ or ""


GUARDS = (
    Guard("ssh-from-everywhere", ssh_from_everywhere, RULE, embedded=False),
    Guard("network-instead-of-port", network_instead_of_port, INSTANCE),
    Guard("unprotected-data", unprotected_data, VOLUME, embedded=False),
    Guard("untyped-volume", untyped_volume, VOLUME, mandatory=False),
    Guard("quorum-on-one-hypervisor", quorum_on_one_hypervisor),
    Guard("unwatched-pool", unwatched_pool),
)
