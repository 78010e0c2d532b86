"""What must hold between the parts of a platform.yml.

A rule is a function whose parameters name the top-level parts that it reads; it runs as soon as these are valid, even
when others are not. It yields a `Problem` for everything it finds.
"""

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any, Literal

import yaml

from dougong import paths
from dougong.platform.findings import Location
from dougong.platform.model import Backup, Cloud, Kubernetes, LoadBalancers, Network, Pool, Services, Tenant

Pools = dict[str, Pool]
Tenants = dict[str, Tenant]


@dataclass(frozen=True)
class Problem:
    """A finding before it knows its line.

    Attributes:
        location: keys and indices from the root.
        message: what is wrong.
        remedy: what to write instead.
        severity: as in `Finding`.
        key: it is the key that is wrong, not its value.
    """

    location: Location
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"
    key: bool = False


Rule = Callable[..., Iterator[Problem]]
_RULES: list[Rule] = []

LAB_VARIABLES = paths.ROOT / "playbooks/vars/lab.yml"
"""The embedded cloud's own settings."""
SPECIAL_NETWORKS = {
    "loopback (RFC 1122)": IPv4Network("127.0.0.0/8"),
    "link-local, where the metadata service is (RFC 3927)": IPv4Network("169.254.0.0/16"),
    "multicast and reserved (RFC 1112, RFC 5771)": IPv4Network("224.0.0.0/3"),
}
CALICO_BLOCK = 26
"""Prefix length of the blocks that Calico's IPAM hands to nodes (IPPool.spec.blockSize)."""
KUBEADM_NODE_MASK = 24
"""Prefix length per node of kube-controller-manager's IPAM; kubeadm refuses a pod network that is smaller."""
SERVICE_PREFIXES = range(12, 29)
"""kube-apiserver refuses a larger range than /12; kubeadm takes the tenth address for DNS."""
NEUTRON_OVERHEAD = 10
"""Addresses of the subnet that are not for hosts: network, broadcast, gateway, DHCP ports, two load balancers."""
CONTROL_PLANE_PORTS = {
    22: "SSH",
    2379: "etcd",
    2380: "etcd",
    2381: "etcd's metrics",
    6443: "kube-apiserver",
    8404: "HAProxy's health",
    8443: "the Kubernetes API at the virtual address",
    9099: "Calico's health",
    10248: "the kubelet's health",
    10249: "kube-proxy's metrics",
    10250: "the kubelet",
    10256: "kube-proxy's health",
    10257: "kube-controller-manager",
    10259: "kube-scheduler",
}
"""Where HAProxy cannot listen beside them (kubernetes.io/docs, "Ports and Protocols", and this installation's own)."""
LARGEST_QUORUM = 7
"""etcd.io/docs: "an etcd cluster probably should have no more than seven nodes"."""
NODE_ROLES = ("control-plane", "worker")
"""Roles of the hosts that are nodes of the cluster."""
REGISTRY_PLATFORM = "platform"
"""Project and user of the registry for the platform's own images."""
RCLONE_SECRETS = {"secret_access_key", "session_token", "key", "auth_token", "application_credential_secret"}
"""rclone.org, s3 and swift: the options that authenticate."""


def rule(function: Rule) -> Rule:
    """Register a rule."""
    _RULES.append(function)
    return function


def problems(parts: Mapping[str, Any]) -> Iterator[Problem]:
    """Run every rule whose parts are there.

    Args:
        parts: the valid top-level parts of a platform.yml, by name.
    """
    for function in _RULES:
        wanted = inspect.signature(function).parameters
        if parts.keys() >= wanted.keys():
            yield from function(**{name: parts[name] for name in wanted})


# --- addresses --------------------------------------------------------------------------------------------------------


@rule
def hosts_are_told_apart(network: Network, orchestrator: Kubernetes) -> Iterator[Problem]:
    for location, cidr in _cluster_networks(orchestrator).items():
        if cidr.overlaps(network.cidr):
            yield _overlap(location, cidr, f"network.cidr {network.cidr}")


@rule
def pods_and_services_are_told_apart(orchestrator: Kubernetes) -> Iterator[Problem]:
    if orchestrator.service_cidr.overlaps(orchestrator.pod_cidr):
        other = f"orchestrator.pod_cidr {orchestrator.pod_cidr}"
        yield _overlap(("orchestrator", "service_cidr"), orchestrator.service_cidr, other)


@rule
def networks_are_usable(network: Network, orchestrator: Kubernetes) -> Iterator[Problem]:
    for location, cidr in _networks(network, orchestrator).items():
        for what, reserved in SPECIAL_NETWORKS.items():
            if cidr.overlaps(reserved):
                yield Problem(location, f"{cidr} overlaps with {what}, {reserved}", "Choose another range (RFC 1918).")


@rule
def packets_stay_on_the_machine(cloud: Cloud, network: Network, orchestrator: Kubernetes) -> Iterator[Problem]:
    if not cloud.embedded:
        return
    known = yaml.safe_load(LAB_VARIABLES.read_text())["lab_guarded_ranges"]
    for location, cidr in _networks(network, orchestrator).items():
        if not any(cidr.subnet_of(IPv4Network(guarded)) for guarded in known):
            yield Problem(
                location,
                f"{cidr} is not guarded: what nobody in the embedded cloud takes would leave this machine",
                f"Use a part of {', '.join(known)}, or add it to lab_guarded_ranges in playbooks/vars/lab.yml.",
            )


@rule
def name_servers_are_outside_the_cluster(network: Network, orchestrator: Kubernetes) -> Iterator[Problem]:
    for index, server in enumerate(network.dns_servers):
        for key in ("pod_cidr", "service_cidr"):
            if server in getattr(orchestrator, key):
                yield Problem(
                    ("network", "dns_servers", index),
                    f"{server} is inside orchestrator.{key}, which exists only once the cluster runs",
                    "Name servers must answer before there is a cluster: use some outside of it.",
                )


@rule
def network_is_large_enough(network: Network, pools: Pools) -> Iterator[Problem]:
    hosts = sum(pool.count for pool in pools.values())
    needed = hosts + NEUTRON_OVERHEAD
    if network.cidr.num_addresses < needed:
        yield Problem(
            ("network", "cidr"),
            f"{network.cidr} has {network.cidr.num_addresses} addresses; {hosts} hosts need {needed}",
            f"Use /{32 - (needed - 1).bit_length()} or larger, with room to grow: a subnet cannot be enlarged later.",
        )


@rule
def pod_network_is_large_enough(pools: Pools, orchestrator: Kubernetes) -> Iterator[Problem]:
    cidr = orchestrator.pod_cidr
    nodes = sum(pool.count for pool in pools.values() if pool.role in NODE_ROLES)
    if cidr.prefixlen > KUBEADM_NODE_MASK or cidr.prefixlen < KUBEADM_NODE_MASK - 16:
        yield Problem(
            ("orchestrator", "pod_cidr"),
            f"/{cidr.prefixlen} is refused by kubeadm: it takes /8 to /24",
            "Use a /16, such as 10.244.0.0/16.",
        )
    elif 2 ** (CALICO_BLOCK - cidr.prefixlen) < nodes:
        yield Problem(
            ("orchestrator", "pod_cidr"),
            f"{cidr} has {2 ** (CALICO_BLOCK - cidr.prefixlen)} blocks of /26; {nodes} nodes need one each",
            f"Use /{CALICO_BLOCK - (nodes - 1).bit_length()} or larger, with room to grow.",
        )


@rule
def service_network_is_sensible(orchestrator: Kubernetes) -> Iterator[Problem]:
    prefix = orchestrator.service_cidr.prefixlen
    if prefix not in SERVICE_PREFIXES:
        limits = f"/{SERVICE_PREFIXES.start} to /{SERVICE_PREFIXES.stop - 1}"
        yield Problem(
            ("orchestrator", "service_cidr"),
            f"/{prefix} is refused by Kubernetes: it takes {limits}",
            "Use a /16, such as 10.96.0.0/16.",
        )


@rule
def access_is_limited(cloud: Cloud, network: Network) -> Iterator[Problem]:
    for index, allowed in enumerate(network.access):
        if allowed.prefixlen == 0 and not cloud.embedded:
            yield Problem(
                ("network", "access", index),
                "the whole internet may reach SSH and the Kubernetes API",
                "Name the networks of the people and systems that need it.",
                severity="warning",
            )


# --- pools ------------------------------------------------------------------------------------------------------------


@rule
def there_is_a_quorum(pools: Pools) -> Iterator[Problem]:
    controllers = {name: pool for name, pool in pools.items() if pool.role == "control-plane"}
    total = sum(pool.count for pool in controllers.values())
    if not controllers:
        yield Problem(("pools",), "no pool has the role control-plane", "Add a pool of 1 or 3 such hosts.")
    elif total % 2 == 0:
        yield Problem(
            ("pools", list(controllers)[-1], "count"),
            f"{total} control-plane hosts: an even number survives no more failures than one host less would",
            f"Use {total - 1} or {total + 1} in all: etcd needs a majority.",
        )
    elif total > LARGEST_QUORUM:
        yield Problem(
            ("pools", list(controllers)[-1], "count"),
            f"{total} control-plane hosts: each write waits for more than half of them",
            f"Use 3 or 5; more than {LARGEST_QUORUM} only slow etcd down.",
            severity="warning",
        )


@rule
def there_is_a_worker(pools: Pools) -> Iterator[Problem]:
    if not any(pool.role == "worker" for pool in pools.values()):
        yield Problem(("pools",), "no pool has the role worker", "Add a pool of workers: applications run there.")


@rule
def host_names_fit(name: str, pools: Pools) -> Iterator[Problem]:
    for pool_name, pool in pools.items():
        longest = f"{name}-{pool_name}-{pool.count - 1}"
        if len(longest) > 63:
            yield Problem(
                ("pools", pool_name),
                f"host name {longest!r} has {len(longest)} characters; 63 are allowed (RFC 1123)",
                "Shorten the name of the installation or of the pool.",
                key=True,
            )


@rule
def anti_affinity_is_possible(cloud: Cloud, pools: Pools) -> Iterator[Problem]:
    for name, pool in pools.items():
        where = ("pools", name, "anti_affinity")
        if cloud.embedded and pool.anti_affinity == "required" and pool.count > 1:
            yield Problem(
                where, f"the embedded cloud has one hypervisor for {pool.count} hosts", "Use preferred or none there."
            )
        if not cloud.embedded and pool.anti_affinity == "none" and pool.role == "control-plane" and pool.count > 1:
            yield Problem(
                where,
                "control-plane hosts may share a hypervisor, whose failure then takes the majority away",
                "Use required, or preferred where hypervisors are few.",
                severity="warning",
            )


@rule
def hosts_can_be_reached(network: Network, pools: Pools) -> Iterator[Problem]:
    if network.bastion is None:
        for name, pool in pools.items():
            if not pool.floating_ip:
                yield Problem(
                    ("pools", name, "floating_ip"),
                    "its hosts have no floating IP, and there is no network.bastion to reach them through",
                    "Set floating_ip: true, or name a pool with floating IPs as network.bastion.",
                )
    elif network.bastion not in pools:
        yield Problem(("network", "bastion"), f"there is no pool {network.bastion!r}", f"Use one of {_names(pools)}.")
    elif not pools[network.bastion].floating_ip:
        yield Problem(
            ("network", "bastion"),
            f"the hosts of pool {network.bastion!r} cannot be reached from outside",
            f"Set pools.{network.bastion}.floating_ip: true.",
        )


@rule
def bastions_are_only_bastions(network: Network, pools: Pools) -> Iterator[Problem]:
    for name, pool in pools.items():
        if pool.role != "bastion":
            continue
        if network.bastion != name:
            yield Problem(
                ("pools", name, "role"),
                f"a bastion that nothing is reached through: network.bastion is {network.bastion or 'not set'}",
                f"Set network.bastion: {name}, or remove the pool.",
            )
        if pool.volumes:
            yield Problem(
                ("pools", name, "volumes"),
                "a bastion keeps nothing and has no volumes",
                "Remove volumes, or give the pool another role.",
            )


@rule
def only_nodes_have_labels(pools: Pools) -> Iterator[Problem]:
    for name, pool in pools.items():
        for field in ("labels", "taints"):
            if pool.role not in NODE_ROLES and getattr(pool, field):
                yield Problem(
                    ("pools", name, field),
                    f"the role {pool.role} runs no Kubernetes and has no {field}",
                    f"Remove {field}, or make the pool one of workers.",
                )


@rule
def volumes_do_not_collide(pools: Pools) -> Iterator[Problem]:
    for name, pool in pools.items():
        for field in ("name", "mount"):
            values = [getattr(volume, field) for volume in pool.volumes]
            for index in _repeated(values):
                yield Problem(
                    ("pools", name, "volumes", index, field),
                    f"another volume of this pool has the {field} {values[index]!r}",
                    f"Give each volume a {field} of its own.",
                )


@rule
def etcd_volumes_are_where_etcd_is(pools: Pools) -> Iterator[Problem]:
    for name, pool in pools.items():
        for index, volume in enumerate(pool.volumes):
            if pool.role != "control-plane" and volume.mount.startswith("/var/lib/etcd"):
                yield Problem(
                    ("pools", name, "volumes", index, "mount"),
                    f"hosts with the role {pool.role} have no etcd",
                    "Move the volume to the control-plane pool, or mount it elsewhere, such as /srv/data.",
                )


@rule
def labels_may_be_set(pools: Pools) -> Iterator[Problem]:
    """NodeRestriction (kubernetes.io/docs, admission controllers): a kubelet may not give itself these labels."""
    for name, pool in pools.items():
        for key in pool.labels:
            prefix = key.rpartition("/")[0]
            reserved = any(prefix == domain or prefix.endswith(f".{domain}") for domain in ("kubernetes.io", "k8s.io"))
            if reserved and not prefix.endswith(("node.kubernetes.io", "kubelet.kubernetes.io")):
                yield Problem(
                    ("pools", name, "labels", key),
                    f"the prefix {prefix} is Kubernetes' own; the API server refuses such a label from a node",
                    "Use a prefix of your own, or node.kubernetes.io/.",
                    key=True,
                )


@rule
def zones_are_named_once(cloud: Cloud) -> Iterator[Problem]:
    for index in _repeated(cloud.availability_zones):
        yield Problem(("cloud", "availability_zones", index), "this zone is there twice", "Name each zone once.")


# --- load balancers and services --------------------------------------------------------------------------------------


@rule
def listeners_do_not_collide(load_balancers: LoadBalancers) -> Iterator[Problem]:
    for field in ("name", "port", "node_port"):
        values = [getattr(listener, field) for listener in load_balancers.apps]
        for index in _repeated(values):
            yield Problem(
                ("load_balancers", "apps", index, field),
                f"another listener has the {field} {values[index]!r}",
                f"Give each listener a {field} of its own.",
            )


@rule
def provider_exists(cloud: Cloud, load_balancers: LoadBalancers) -> Iterator[Problem]:
    if cloud.embedded and load_balancers.provider == "amphora":
        yield Problem(
            ("load_balancers", "provider"), "the embedded cloud has no amphora provider", "Use ovn, or keepalived."
        )


@rule
def listeners_leave_the_hosts_their_ports(load_balancers: LoadBalancers) -> Iterator[Problem]:
    """HAProxy listens on the control-plane hosts themselves."""
    for index, listener in enumerate(load_balancers.apps):
        if load_balancers.provider == "keepalived" and listener.port in CONTROL_PLANE_PORTS:
            yield Problem(
                ("load_balancers", "apps", index, "port"),
                f"{listener.port} is taken on the control-plane hosts: {CONTROL_PLANE_PORTS[listener.port]}",
                "Use another port, such as 80, 443 or 8080.",
            )


@rule
def storage_classes_are_told_apart(orchestrator: Kubernetes) -> Iterator[Problem]:
    names = [storage_class.name for storage_class in orchestrator.cloud_integration.storage_classes]
    for index in _repeated(names):
        yield Problem(
            ("orchestrator", "cloud_integration", "storage_classes", index, "name"),
            f"another storage class has the name {names[index]!r}",
            "Give each storage class a name of its own.",
        )


@rule
def demo_has_a_listener(load_balancers: LoadBalancers, services: Services) -> Iterator[Problem]:
    known = [listener.name for listener in load_balancers.apps]
    if services.demo.enabled and services.demo.listener not in known:
        yield Problem(
            ("services", "demo", "listener"),
            f"there is no listener {services.demo.listener!r} in load_balancers.apps",
            f"Use one of {', '.join(known)}." if known else "Add it there, with port and node_port.",
        )


@rule
def services_have_hosts(pools: Pools, services: Services) -> Iterator[Problem]:
    candidates = ", ".join(name for name, pool in pools.items() if pool.role == "services")
    for name, service in services.beside().items():
        if service.pool not in pools:
            message = f"there is no pool {service.pool!r}"
        elif pools[service.pool].role != "services":
            message = f"the pool {service.pool!r} has the role {pools[service.pool].role}"
        else:
            continue
        yield Problem(
            ("services", name, "pool"),
            f"{name} needs hosts of its own, and {message}",
            f"Use {candidates}." if candidates else "Add a pool with the role services.",
        )


@rule
def logs_outlive_a_host(pools: Pools, services: Services) -> Iterator[Problem]:
    pool = pools.get(services.logging.pool)
    if services.logging.enabled and pool and pool.role == "services" and pool.count % 2 == 0:
        yield Problem(
            ("services", "logging", "pool"),
            f"{pool.count} hosts of Elasticsearch outlive the loss of no more of them than {pool.count - 1} do",
            f"Give the pool {services.logging.pool} an odd number of hosts, or logging a pool of its own.",
        )


@rule
def registry_projects_have_users(services: Services, tenants: Tenants) -> Iterator[Problem]:
    registry = services.registry
    known = [*registry.users, *tenants]
    for name, project in registry.projects.items():
        for field in ("push", "pull"):
            for index, user in enumerate(getattr(project, field)):
                if user not in known:
                    yield Problem(
                        ("services", "registry", "projects", name, field, index),
                        f"there is no user {user!r} in services.registry.users",
                        f"Use one of {', '.join(known)}." if known else "Add it there.",
                    )


@rule
def registry_names_are_free(services: Services, tenants: Tenants) -> Iterator[Problem]:
    taken = dict.fromkeys(tenants, "that of a tenant") | {REGISTRY_PLATFORM: "the platform's own"}
    where: Location = ("services", "registry")
    for index, user in enumerate(services.registry.users):
        if owner := taken.get(user):
            yield Problem((*where, "users", index), f"{user} is {owner}", "Choose another name.")
    for name in services.registry.projects:
        if owner := taken.get(name):
            yield Problem((*where, "projects", name), f"{name} is {owner}", "Choose another name.", key=True)
    if services.registry.enabled and REGISTRY_PLATFORM in tenants:
        message = f"{REGISTRY_PLATFORM} is the platform's own project in the registry"
        yield Problem(("tenants", REGISTRY_PLATFORM), message, "Choose another name.", key=True)


@rule
def signed_images_have_a_registry(services: Services, tenants: Tenants) -> Iterator[Problem]:
    for name, tenant in tenants.items():
        if tenant.signed_images and not services.registry.enabled:
            yield Problem(
                ("tenants", name, "signed_images"),
                "signatures are looked for in the platform's registry, and services.registry is not enabled",
                "Enable the registry, or leave signed_images out.",
            )


# --- backups ----------------------------------------------------------------------------------------------------------


@rule
def a_schedule_has_a_target(backup: Backup) -> Iterator[Problem]:
    if backup.schedule and not backup.target:
        yield Problem(
            ("backup", "schedule"),
            "the hosts would make backups by themselves, and there is no backup.target that they could send them to",
            "Name a target: a directory that the hosts share, s3 or swift.",
        )


@rule
def a_target_has_a_fitting_path(backup: Backup) -> Iterator[Problem]:
    if not backup.target:
        return
    path, where = backup.target.path, ("backup", "target", "path")
    if backup.target.type == "directory" and not path.startswith("/"):
        yield Problem(where, f"{path} is not an absolute path", "Write a path such as /mnt/backup.")
    if backup.target.type != "directory" and (path.startswith("/") or "//" in path or path.endswith("/")):
        yield Problem(where, f"{path} is not a bucket or container", "Write bucket, or bucket/prefix.")


@rule
def secrets_are_not_in_this_file(backup: Backup) -> Iterator[Problem]:
    for option in backup.target.options if backup.target else {}:
        if option in RCLONE_SECRETS:
            yield Problem(
                ("backup", "target", "options", option),
                f"{option} is a secret, and this file is none",
                "Put it into backup_target_secrets in group_vars/, encrypted by ansible-vault.",
                key=True,
            )


@rule
def tenants_have_namespaces_of_their_own(services: Services, tenants: Tenants) -> Iterator[Problem]:
    taken = {"default": "Kubernetes' own", "kyverno": "that of what verifies signatures"}
    taken |= {"demo": "the demo application's"} if services.demo.enabled else {}
    for name in tenants:
        owner = "Kubernetes' own" if name.startswith("kube-") else taken.get(name)
        if owner:
            yield Problem(("tenants", name), f"the namespace {name} is {owner}", "Choose another name.", key=True)


def _networks(network: Network, orchestrator: Kubernetes) -> dict[Location, IPv4Network]:
    return {("network", "cidr"): network.cidr, **_cluster_networks(orchestrator)}


def _cluster_networks(orchestrator: Kubernetes) -> dict[Location, IPv4Network]:
    return {
        ("orchestrator", "pod_cidr"): orchestrator.pod_cidr,
        ("orchestrator", "service_cidr"): orchestrator.service_cidr,
    }


def _overlap(location: Location, cidr: IPv4Network, other: str) -> Problem:
    remedy = "Choose a range of its own: hosts, pods and services must be told apart by their addresses."
    return Problem(location, f"{cidr} overlaps with {other}", remedy)


def _repeated(values: list[Any]) -> Iterator[int]:
    """Indices of values that are there before."""
    seen: Counter[Any] = Counter()
    for index, value in enumerate(values):
        if seen[value]:
            yield index
        seen[value] += 1


def _names(pools: Pools) -> str:
    return ", ".join(pools)
