"""Before anything is made: does the cloud have all that platform.yml names, and room for it?

`dougong.platform` checks what a file alone can tell; this asks the cloud, and points at the same lines.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from openstack.connection import Connection

from dougong import inventory
from dougong.platform import Finding, Platform, PlatformError, Pool
from dougong.platform.findings import Location
from dougong.platform.rules import Problem

# kubeadm's own preflight refuses less on a control plane (cmd/kubeadm/app/constants: ControlPlaneNumCPU, …Mem).
CONTROL_PLANE_CPUS = 2
CONTROL_PLANE_MEMORY = 1700
"""MiB."""


def preflight(platform: Platform, cloud: Connection) -> list[Finding]:
    """Compare a platform with its cloud.

    Args:
        platform: as `dougong.platform.load` returned it.
        cloud: a connection to the project.

    Returns:
        Warnings.

    Raises:
        PlatformError: with everything that the cloud lacks, each with the line that asks for it and what there is.
    """
    flavors = {flavor.name: flavor for flavor in cloud.compute.flavors()}
    problems = [
        *_flavors(platform, flavors),
        *_image(platform, cloud, flavors),
        *_external_network(platform, cloud),
        *_volume_types(platform, cloud),
        *_provider(platform, cloud),
        *_zones(platform, cloud),
        *_quotas(platform, cloud, flavors),
    ]
    findings = [platform.source.finding(p.location, p.message, p.remedy, severity=p.severity) for p in problems]
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise PlatformError(sorted(errors, key=lambda finding: (finding.line, finding.column)))
    return findings


def _flavors(platform: Platform, flavors: Mapping[str, Any]) -> Iterator[Problem]:
    for name, pool in platform.pools.items():
        location = ("pools", name, "flavor")
        flavor = flavors.get(pool.flavor)
        if flavor is None:
            described = (f"{f.name} ({f.vcpus} vCPU, {f.ram} MiB, {f.disk} GB)" for f in flavors.values())
            yield _unknown(location, "flavor", pool.flavor, described)
        elif pool.role == "control-plane" and (flavor.vcpus < CONTROL_PLANE_CPUS or flavor.ram < CONTROL_PLANE_MEMORY):
            yield Problem(
                location,
                f"{pool.flavor} has {flavor.vcpus} vCPU and {flavor.ram} MiB, too little for a control plane",
                f"Use at least {CONTROL_PLANE_CPUS} vCPU and {CONTROL_PLANE_MEMORY} MiB: kubeadm refuses less.",
            )


def _image(platform: Platform, cloud: Connection, flavors: Mapping[str, Any]) -> Iterator[Problem]:
    location = ("cloud", "image")
    images = {image.name: image for image in cloud.image.images()}
    image = images.get(platform.cloud.image)
    if image is None:
        yield _unknown(location, "image", platform.cloud.image, images)
        return
    if image.status != "active":
        yield Problem(location, f"the image is {image.status}, not active", "Upload it again, or wait for it.")
    for name, pool in platform.pools.items():
        flavor = flavors.get(pool.flavor)
        if flavor and (flavor.disk < (image.min_disk or 0) or flavor.ram < (image.min_ram or 0)):
            yield Problem(
                ("pools", name, "flavor"),
                f"{pool.flavor} is too small for the image, which wants {image.min_disk} GB and {image.min_ram} MiB",
                "Use a larger flavor.",
            )


def _external_network(platform: Platform, cloud: Connection) -> Iterator[Problem]:
    networks = {network.name: network for network in cloud.network.networks(is_router_external=True)}
    external = networks.get(platform.cloud.external_network)
    if external is None:
        yield _unknown(("cloud", "external_network"), "external network", platform.cloud.external_network, networks)
        return
    # Neutron shows the subnets of an external network to its owner only, unless it is shared.
    for subnet in cloud.network.subnets(network_id=external.id, ip_version=4):
        if IPv4Network(subnet.cidr).overlaps(platform.network.cidr):
            yield Problem(
                ("network", "cidr"),
                f"{platform.network.cidr} overlaps with the floating IPs of {external.name}, {subnet.cidr}",
                "Choose a range of its own: the router cannot tell them apart.",
            )


def _volume_types(platform: Platform, cloud: Connection) -> Iterator[Problem]:
    integration = platform.orchestrator.cloud_integration
    classes = integration.storage_classes if integration.enabled else []
    if not classes and not any(pool.volumes for pool in platform.pools.values()):
        return
    types = [kind.name for kind in cloud.block_storage.types()]
    for index, storage_class in enumerate(classes):
        if storage_class.type and storage_class.type not in types:
            location = ("orchestrator", "cloud_integration", "storage_classes", index, "type")
            yield _unknown(location, "volume type", storage_class.type, types)
    for name, pool in platform.pools.items():
        for index, volume in enumerate(pool.volumes):
            if volume.type and volume.type not in types:
                yield _unknown(("pools", name, "volumes", index, "type"), "volume type", volume.type, types)


def _provider(platform: Platform, cloud: Connection) -> Iterator[Problem]:
    wanted, location = platform.load_balancers.provider, ("load_balancers", "provider")
    if wanted == "keepalived":
        return
    if not cloud.has_service("load-balancer"):
        yield Problem(location, "the cloud has no load balancers (Octavia)", "Use keepalived, or ask for it.")
        return
    providers = [provider.name for provider in cloud.load_balancer.providers()]
    if wanted not in providers:
        yield _unknown(location, "load balancer provider", wanted, providers)


def _zones(platform: Platform, cloud: Connection) -> Iterator[Problem]:
    if not platform.cloud.availability_zones:
        return
    zones = [zone.name for zone in cloud.compute.availability_zones() if zone.state["available"]]
    for index, zone in enumerate(platform.cloud.availability_zones):
        if zone not in zones:
            yield _unknown(("cloud", "availability_zones", index), "available zone", zone, zones)


@dataclass(frozen=True)
class _Quota:
    """How much of something is needed and how much the project may have (None or negative: any amount)."""

    what: str
    needed: int
    limit: int | None
    used: int

    @property
    def free(self) -> int:
        return (self.limit or 0) - self.used

    @property
    def exceeded(self) -> bool:
        return self.limit is not None and self.limit >= 0 and self.needed > max(self.free, 0)


def _quotas(platform: Platform, cloud: Connection, flavors: Mapping[str, Any]) -> Iterator[Problem]:
    """What is there already, by name, needs no room."""
    servers = {server.name for server in cloud.compute.servers(details=False)}
    hosts = inventory.wanted(platform)
    missing = {name: pool for name, pool in hosts.items() if name not in servers}
    quotas = [
        *_compute_quotas(cloud, missing, flavors),
        *_network_quotas(platform, cloud, missing, fresh=len(missing) == len(hosts)),
        *_storage_quotas(cloud, hosts),
    ]
    for quota in quotas:
        if quota.exceeded:
            yield Problem(
                ("pools",),
                f"{quota.needed} more {quota.what} are needed; {max(quota.free, 0)} of {quota.limit} are free",
                "Ask the cloud's operator for a higher quota, remove what is not used, or ask for less here.",
            )


def _compute_quotas(cloud: Connection, missing: Mapping[str, Pool], flavors: Mapping[str, Any]) -> Iterator[_Quota]:
    limits = cloud.compute.get_limits().absolute
    wanted = [flavors[pool.flavor] for pool in missing.values() if pool.flavor in flavors]
    yield _Quota("servers", len(missing), limits.instances, limits.instances_used)
    yield _Quota("vCPUs", sum(flavor.vcpus for flavor in wanted), limits.total_cores, limits.total_cores_used)
    yield _Quota("MiB of memory", sum(flavor.ram for flavor in wanted), limits.total_ram, limits.total_ram_used)


def _network_quotas(
    platform: Platform, cloud: Connection, missing: Mapping[str, Pool], *, fresh: bool
) -> Iterator[_Quota]:
    # keepalived has one address for everything.
    separate = platform.load_balancers.apps and platform.load_balancers.provider != "keepalived"
    load_balancers = (2 if separate else 1) if fresh else 0
    quota = cloud.network.get_quota(cloud.session.get_project_id() or "", details=True)
    addresses = sum(pool.floating_ip for pool in missing.values())
    for what, needed, detail in (
        ("floating IPs", addresses + load_balancers, quota.floating_ips),
        ("ports", len(missing) + load_balancers, quota.ports),
        ("networks", int(fresh), quota.networks),
        ("routers", int(fresh), quota.routers),
    ):
        yield _Quota(what, needed, detail["limit"], detail["used"] + detail["reserved"])


def _storage_quotas(cloud: Connection, hosts: Mapping[str, Pool]) -> Iterator[_Quota]:
    if not any(pool.volumes for pool in hosts.values()):
        return
    present = {volume.name for volume in cloud.block_storage.volumes(details=False)}
    missing = [
        volume for host, pool in hosts.items() for volume in pool.volumes if f"{host}-{volume.name}" not in present
    ]
    limits = cloud.block_storage.get_limits().absolute
    gibibytes = sum(volume.size for volume in missing)
    yield _Quota("volumes", len(missing), limits.max_total_volumes, limits.total_volumes_used)
    yield _Quota("GiB of volumes", gibibytes, limits.max_total_volume_gigabytes, limits.total_gigabytes_used)


def _unknown(location: Location, what: str, name: str, there_are: Iterable[str]) -> Problem:
    known = ", ".join(sorted(filter(None, there_are)))
    return Problem(
        location, f"the cloud has no {what} {name!r}", f"It has: {known}." if known else f"It has no {what}."
    )
