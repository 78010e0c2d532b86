"""The rules of the policy pack, against what the components declare and against what they would never."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from dougong import guards, paths
from dougong.guards import GUARDS, Declared, Guard

WORLD = {"direction": "ingress", "protocol": "tcp", "portRangeMin": 22, "portRangeMax": 22}


def rule(**changes: Any) -> Declared:
    return Declared(guards.RULE, "rule", {**WORLD, "remoteIpPrefix": "0.0.0.0/0", **changes})


def control_plane(name: str, **properties: Any) -> Declared:
    return Declared(guards.INSTANCE, name, {"metadata": {"dougong_role": "control-plane"}, **properties})


def found(messages: Iterable[str]) -> list[str]:
    return list(messages)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"remoteIpPrefix": "::/0"},
        {"remoteIpPrefix": None},
        {"protocol": None, "portRangeMin": None, "portRangeMax": None},
        {"portRangeMin": 1, "portRangeMax": 65535},
    ],
)
def test_ssh_from_everywhere_is_refused(changes: Mapping[str, Any]) -> None:
    assert found(guards.ssh_from_everywhere(rule(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"remoteIpPrefix": "192.0.2.0/24"},
        {"remoteIpPrefix": None, "remoteGroupId": "group"},
        {"portRangeMin": 6443, "portRangeMax": 6443},
        {"protocol": "udp"},
        {"protocol": "icmp", "portRangeMin": None, "portRangeMax": None},
        {"direction": "egress"},
    ],
)
def test_other_rules_pass(changes: Mapping[str, Any]) -> None:
    assert not found(guards.ssh_from_everywhere(rule(**changes)))


@pytest.mark.parametrize(("network", "refused"), [({"uuid": "n"}, True), ({"name": "n"}, True), ({"port": "p"}, False)])
def test_servers_have_ports(network: Mapping[str, str], refused: bool) -> None:
    instance = Declared(guards.INSTANCE, "host", {"networks": [network]})
    assert bool(found(guards.network_instead_of_port(instance))) is refused


@pytest.mark.parametrize("protected", [True, False])
def test_data_is_protected(protected: bool) -> None:
    volume = Declared(guards.VOLUME, "data", {"size": 1}, protected=protected)
    assert bool(found(guards.unprotected_data(volume))) is not protected


def test_volumes_name_a_type() -> None:
    assert found(guards.untyped_volume(Declared(guards.VOLUME, "data", {"size": 1})))
    assert not found(guards.untyped_volume(Declared(guards.VOLUME, "data", {"size": 1, "volumeType": "encrypted"})))


def test_quorum_is_spread() -> None:
    spread = control_plane("b", schedulerHints=[{"group": "g"}])
    worker = Declared(guards.INSTANCE, "worker", {"metadata": {"dougong_role": "worker"}})
    assert not found(guards.quorum_on_one_hypervisor([control_plane("a"), worker])), "one is no quorum"
    [message] = found(guards.quorum_on_one_hypervisor([control_plane("a"), spread, worker]))
    assert message.startswith("a is one of 2 control-plane hosts")


def test_pools_are_watched() -> None:
    pools = [Declared(guards.LOAD_BALANCER_POOL, name, {}) for name in ("api", "apps")]
    monitor = Declared(guards.MONITOR, "monitor", {}, depends_on={"poolId": ["api"]})
    [message] = found(guards.unwatched_pool([*pools, monitor]))
    assert message.startswith("apps has no health monitor")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_readme_says_why(guard: Guard) -> None:
    readme = (paths.ROOT / "policy" / "README.md").read_text()
    level = "mandatory" if guard.mandatory else "advisory"
    assert re.search(rf"\| `{guard.name}` +\| {level} +\|", readme)
    assert guard.reason
