"""Only ports that nothing needs any more are removed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from openstack.connection import Connection

from dougong import monitor_ports


class Cloud:
    """A project with one network and a health monitor's port in it."""

    def __init__(self, balancers: list[str]) -> None:
        self.asked: dict[str, str] = {}
        self.left = [SimpleNamespace(id="port-1")]
        self._balancers = [SimpleNamespace(vip_network_id=network) for network in balancers]

    def _ports(self, **query: str) -> list[SimpleNamespace]:
        self.asked = query
        return list(self.left)

    def connection(self) -> Connection:
        fake: Any = SimpleNamespace(
            current_project_id="project",
            has_service=lambda name: name == "load-balancer",
            network=SimpleNamespace(
                find_network=lambda name, project_id: SimpleNamespace(id="net-1") if name == "lab" else None,
                ports=self._ports,
                delete_port=self.left.remove,
            ),
            load_balancer=SimpleNamespace(load_balancers=lambda: self._balancers),
        )
        return cast(Connection, fake)


def test_a_port_without_load_balancers_is_removed() -> None:
    cloud = Cloud(balancers=["somebody-else's"])
    assert monitor_ports.remove_orphans(cloud.connection(), "lab") == 1
    assert cloud.asked == {"network_id": "net-1", "device_owner": "ovn-lb-hm:distributed"}
    assert cloud.left == []


@pytest.mark.parametrize(("balancers", "network"), [(["net-1"], "lab"), ([], "gone")])
def test_what_may_be_in_use_stays(balancers: list[str], network: str) -> None:
    cloud = Cloud(balancers)
    assert monitor_ports.remove_orphans(cloud.connection(), network) == 0
    assert cloud.left
