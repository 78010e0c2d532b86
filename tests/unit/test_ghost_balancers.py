"""Only load balancers that are this installation's and have nothing left of them are deleted once more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from openstack.connection import Connection
from openstack.exceptions import ConflictException

from dougong import ghost_balancers
from dougong.errors import DougongError


class Cloud:
    """A project with load balancers; of those that `ports` lacks nothing is left."""

    def __init__(self, names: list[str], ports: list[str], status: str = "ACTIVE", refusals: float = 0) -> None:
        self.left = [SimpleNamespace(name=name, vip_port_id=name, provisioning_status=status) for name in names]
        self._ports = ports
        self._refusals = refusals

    def _delete(self, balancer: SimpleNamespace, cascade: bool) -> None:
        if self._refusals > 0:
            self._refusals -= 1
            raise ConflictException("immutable")
        self.left.remove(balancer)

    def connection(self) -> Connection:
        fake: Any = SimpleNamespace(
            has_service=lambda name: True,
            network=SimpleNamespace(find_port=lambda port, ignore_missing: port if port in self._ports else None),
            load_balancer=SimpleNamespace(
                load_balancers=lambda: list(self.left),
                delete_load_balancer=self._delete,
            ),
        )
        return cast(Connection, fake)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ghost_balancers, "_POLL_SECONDS", 0)


def test_ghosts_go() -> None:
    cloud = Cloud(["kube_service_lab_shop_shop", "lab-api"], ports=[])
    assert ghost_balancers.remove(cloud.connection(), "lab") == ["kube_service_lab_shop_shop", "lab-api"]
    assert cloud.left == []


def test_what_is_being_deleted_is_waited_for() -> None:
    cloud = Cloud(["lab-api"], ports=[], status="PENDING_DELETE", refusals=3)
    assert ghost_balancers.remove(cloud.connection(), "lab") == ["lab-api"]
    assert cloud.left == []


@pytest.mark.parametrize(
    "cloud",
    [
        Cloud(["lab-api"], ports=["lab-api"]),
        Cloud(["lab-api"], ports=[], status="PENDING_CREATE"),
        Cloud(["other-api", "kube_service_other_shop_shop", "laboratory"], ports=[]),
    ],
    ids=["alive", "not yet there", "somebody else's"],
)
def test_others_stay(cloud: Cloud) -> None:
    before = list(cloud.left)
    assert ghost_balancers.remove(cloud.connection(), "lab") == []
    assert cloud.left == before


def test_one_that_does_not_go_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ghost_balancers, "TIMEOUT_SECONDS", 0.01)
    with pytest.raises(DougongError, match="do not go: lab-api"):
        ghost_balancers.remove(Cloud(["lab-api"], ports=[], refusals=float("inf")).connection(), "lab")
