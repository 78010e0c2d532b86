"""What a Kubernetes cluster has made in the cloud by itself: load balancers of Services, volumes of claims.

No stack knows of it, and it holds the network. It is removed when the hosts are gone and nothing can make it anew;
names and metadata, which the cloud controller and Cinder's CSI driver write, tell it from all else in the project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any

import openstack.exceptions
from openstack.connection import Connection

from dougong import cloud
from dougong.errors import DougongError

# Amphorae are virtual machines: the last of many takes minutes to go.
TIMEOUT_SECONDS = 600
_POLL_SECONDS = 1.0

_CLUSTER_KEY = "cinder.csi.openstack.org/cluster"
_CLAIM_KEYS = ("csi.storage.k8s.io/pvc/namespace", "csi.storage.k8s.io/pvc/name")


@dataclass(frozen=True)
class Made:
    """What one cluster has made, as openstacksdk describes it."""

    load_balancers: list[Any]
    floating_ips: list[Any]
    security_groups: list[Any]
    snapshots: list[Any]
    volumes: list[Any]

    def __len__(self) -> int:
        return sum(len(found) for found in vars(self).values())

    @property
    def data(self) -> list[str]:
        """Volumes and snapshots, in words."""
        volumes = [f"{_claim(volume) or volume.name} ({volume.size} GiB)" for volume in self.volumes]
        return [*volumes, *(f"snapshot {snapshot.name}" for snapshot in self.snapshots)]


def _claim(volume: Any) -> str:
    return "/".join(filter(None, (volume.metadata.get(key) for key in _CLAIM_KEYS)))


def find(connection: Connection, cluster: str) -> Made:
    """Look for what a cluster has made.

    Args:
        connection: to its project.
        cluster: its name.
    """
    project = connection.current_project_id  # an administrator sees those of all
    return Made(
        load_balancers=_where(
            cloud.load_balancers(connection), lambda item: item.name.startswith(f"kube_service_{cluster}_")
        ),
        floating_ips=_where(
            connection.network.ips(project_id=project),
            lambda item: _described(item, "Floating IP for Kubernetes external service ", f" from cluster {cluster}"),
        ),
        security_groups=_where(
            connection.network.security_groups(project_id=project),
            lambda item: (
                item.name.startswith("lb-sg-") and _described(item, "Security Group for ", f" in cluster {cluster}")
            ),
        ),
        snapshots=_where(connection.block_storage.snapshots(), lambda item: _of(item, cluster)),
        volumes=_where(connection.block_storage.volumes(), lambda item: _of(item, cluster)),
    )


def _where(items: Iterable[Any], wanted: Callable[[Any], bool]) -> list[Any]:
    return [item for item in items if wanted(item)]


def _described(item: Any, start: str, end: str) -> bool:
    text = item.description or ""
    return text.startswith(start) and text.endswith(end)


def _of(item: Any, cluster: str) -> bool:
    return bool((item.metadata or {}).get(_CLUSTER_KEY) == cluster)


def remove(connection: Connection, cluster: str) -> Made:
    """Remove all that a cluster has made, its volumes and snapshots included, and wait until it is gone.

    Args:
        connection: to its project.
        cluster: its name.

    Returns:
        What was there.

    Raises:
        DougongError: something refuses to go.
    """
    made = find(connection, cluster)
    end = monotonic() + TIMEOUT_SECONDS
    left, last = made, "nothing was refused, but it is still there"
    while len(left):
        for delete, items in _deletions(connection, left):
            for item in items:
                try:
                    delete(item)
                except (openstack.exceptions.ConflictException, openstack.exceptions.BadRequestException) as error:
                    # Octavia refuses while it works on a load balancer; Cinder a volume that has snapshots or is being
                    # detached; Neutron a group that a port still has.
                    last = str(error)
        left = find(connection, cluster)
        if len(left) and monotonic() > end:
            names = ", ".join(item.name or item.id for found in vars(left).values() for item in found)
            raise DougongError(
                f"what the cluster {cluster} has made does not go: {names}: {last}",
                "see `openstack loadbalancer list`, `openstack volume list`, then dougong down again",
            )
        if len(left):
            sleep(_POLL_SECONDS)
    return made


def _deletions(connection: Connection, made: Made) -> list[tuple[Callable[[Any], Any], list[Any]]]:
    """How each kind is deleted, in the order in which they let go of each other."""
    return [
        (lambda item: connection.load_balancer.delete_load_balancer(item, cascade=True), made.load_balancers),
        (connection.network.delete_ip, made.floating_ips),
        (connection.network.delete_security_group, made.security_groups),
        (connection.block_storage.delete_snapshot, made.snapshots),
        (connection.block_storage.delete_volume, made.volumes),
    ]
