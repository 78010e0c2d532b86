"""What a cluster has made in the cloud is told from all else in the project, and removed in an order that works."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import openstack.exceptions
import pytest
from openstack.connection import Connection

from dougong import cluster_made
from dougong.errors import DougongError


def thing(name: str = "", description: str = "", cluster: str = "", claim: str = "") -> SimpleNamespace:
    metadata = {"cinder.csi.openstack.org/cluster": cluster} if cluster else {}
    if claim:
        metadata["csi.storage.k8s.io/pvc/namespace"], _, metadata["csi.storage.k8s.io/pvc/name"] = claim.partition("/")
    return SimpleNamespace(id=f"id-{name}", name=name, description=description, metadata=metadata, size=2)


class Cloud:
    """A project that two clusters and a person share. As in Cinder, a volume with a snapshot refuses to go."""

    def __init__(self) -> None:
        self.balancers = [
            thing("kube_service_lab_default_web"),
            thing("kube_service_labor_default_web"),
            thing("kube_service_other_lab_web"),
            thing("lab-api"),
        ]
        self.addresses = [
            thing("1", "Floating IP for Kubernetes external service default/web from cluster lab"),
            thing("2", "Floating IP for Kubernetes external service default/web from cluster my-lab"),
            thing("3", "lab-worker-0"),
            SimpleNamespace(id="4", name="4", description=None),
        ]
        self.groups = [
            thing("lb-sg-1-default-web", "Security Group for default/web Service LoadBalancer in cluster lab"),
            thing("lb-sg-2-default-web", "Security Group for default/web Service LoadBalancer in cluster other"),
            thing("lab-node", "every host: SSH in cluster lab"),
        ]
        self.snapshots = [thing("snapshot-1", cluster="lab"), thing("snapshot-2", cluster="other")]
        self.volumes = [
            thing("pvc-1", cluster="lab", claim="shop/orders"),
            thing("pvc-2", cluster="other"),
            thing("lab-worker-0-data"),
        ]
        self.busy = 0  # how many requests Octavia still refuses

    def delete_load_balancer(self, item: Any, *, cascade: bool) -> None:
        assert cascade
        if self.busy:
            self.busy -= 1
            raise openstack.exceptions.ConflictException("Load Balancer is immutable")
        self.balancers.remove(item)

    def delete_volume(self, item: Any) -> None:
        if any(snapshot.metadata == {"cinder.csi.openstack.org/cluster": "lab"} for snapshot in self.snapshots):
            raise openstack.exceptions.BadRequestException("Volume must not have snapshots")
        self.volumes.remove(item)

    def connection(self) -> Connection:
        fake: Any = SimpleNamespace(
            current_project_id="project",
            has_service=lambda name: name == "load-balancer",
            load_balancer=SimpleNamespace(
                load_balancers=lambda: list(self.balancers), delete_load_balancer=self.delete_load_balancer
            ),
            network=SimpleNamespace(
                ips=lambda project_id: list(self.addresses),
                delete_ip=self.addresses.remove,
                security_groups=lambda project_id: list(self.groups),
                delete_security_group=self.groups.remove,
            ),
            block_storage=SimpleNamespace(
                snapshots=lambda: list(self.snapshots),
                delete_snapshot=self.snapshots.remove,
                volumes=lambda: list(self.volumes),
                delete_volume=self.delete_volume,
            ),
        )
        return cast(Connection, fake)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_made, "_POLL_SECONDS", 0.0)


def names(items: list[Any]) -> list[str]:
    return [item.name for item in items]


def test_only_what_this_cluster_has_made_is_found() -> None:
    made = cluster_made.find(Cloud().connection(), "lab")
    assert names(made.load_balancers) == ["kube_service_lab_default_web"]
    assert names(made.floating_ips) == ["1"]
    assert names(made.security_groups) == ["lb-sg-1-default-web"]
    assert names(made.snapshots) == ["snapshot-1"]
    assert names(made.volumes) == ["pvc-1"]


def test_data_is_told_by_the_names_that_people_gave_it() -> None:
    assert cluster_made.find(Cloud().connection(), "lab").data == ["shop/orders (2 GiB)", "snapshot snapshot-1"]


def test_all_of_it_is_removed_and_nothing_else() -> None:
    cloud = Cloud()
    cloud.busy = 2
    assert len(cluster_made.remove(cloud.connection(), "lab")) == 5
    assert len(cluster_made.find(cloud.connection(), "lab")) == 0
    assert names(cloud.balancers) == ["kube_service_labor_default_web", "kube_service_other_lab_web", "lab-api"]
    assert names(cloud.volumes) == ["pvc-2", "lab-worker-0-data"]
    assert names(cloud.groups) == ["lb-sg-2-default-web", "lab-node"]


def test_what_does_not_go_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_made, "TIMEOUT_SECONDS", 0)
    cloud = Cloud()
    cloud.busy = 1000
    with pytest.raises(DougongError, match=r"kube_service_lab_default_web: .*Load Balancer is immutable"):
        cluster_made.remove(cloud.connection(), "lab")


def test_project_without_octavia_has_no_load_balancers() -> None:
    connection: Any = Cloud().connection()
    connection.has_service = lambda name: False
    assert cluster_made.find(connection, "lab").load_balancers == []
