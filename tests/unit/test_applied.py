"""Which hosts are worked on, which are left alone, which are drained."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest

from dougong import applied, environment, inventory, paths
from dougong.applied import Node
from dougong.errors import DougongError
from dougong.platform import Platform, Pool


def host(pool: str, index: int, role: str = "worker", server: str = "") -> dict[str, Any]:
    name = f"lab-{pool}-{index}"
    return {
        "name": name,
        "pool": pool,
        "role": role,
        "index": index,
        "address": f"10.1.0.{len(pool)}{index}",
        "public_address": None,
        "zone": "nova",
        "volumes": [],
        "server_id": server or f"server-of-{name}",
    }


def outputs(workers: int = 2) -> dict[str, Any]:
    return {
        "hosts": [host("control-plane", 0, "control-plane"), *(host("worker", index) for index in range(workers))],
        "api": {"address": "10.1.0.9", "public_address": None, "port": 6443},
        "mtu": 1442,
    }


def fingerprints(platform: Platform, found: dict[str, Any]) -> dict[str, str]:
    known = inventory.build(platform, "lab", found)
    servers = {each["name"]: each["server_id"] for each in found["hosts"]}
    return applied.fingerprints("lab", platform, known, servers)


@pytest.fixture
def platform() -> Platform:
    return environment.platform("lab")


def with_workers(platform: Platform, count: int) -> Platform:
    pools = {**platform.pools, "worker": platform.pools["worker"].model_copy(update={"count": count})}
    return platform.model_copy(update={"pools": pools})


def work(platform: Platform, found: dict[str, Any], present: dict[str, Node] | None, **options: bool) -> applied.Work:
    known = inventory.build(platform, "lab", found)
    return applied.work(known, fingerprints(platform, found), present, **options)


def present(prints: dict[str, str], **dead: bool) -> dict[str, Node]:
    return {name: Node(ready=name.replace("-", "_") not in dead, applied=print_) for name, print_ in prints.items()}


def test_without_a_cluster_every_host_is_due(platform: Platform) -> None:
    assert work(platform, outputs(), None).due == ["lab-control-plane-0", "lab-worker-0", "lab-worker-1"]


def test_nobody_is_due_when_nothing_new_is_to_be_applied(platform: Platform) -> None:
    found = work(platform, outputs(), present(fingerprints(platform, outputs())))
    assert (found.due, len(found.same)) == ([], 3)


def test_a_new_worker_is_due_and_nobody_else(platform: Platform) -> None:
    before = present(fingerprints(platform, outputs(workers=2)))
    found = work(with_workers(platform, 3), outputs(workers=3), before)
    assert found.due == ["lab-worker-2"]


def test_hosts_beside_the_cluster_go_along_and_are_no_reason(platform: Platform) -> None:
    def with_services(workers: int) -> dict[str, Any]:
        found = outputs(workers)
        return found | {"hosts": [*found["hosts"], host("services", 0, "services")]}

    before = present(fingerprints(platform, with_services(2)))
    same = work(platform, with_services(2), before)
    assert (same.due, len(same.same)) == ([], 4)
    assert work(platform, with_services(3), before).due == ["lab-worker-2", "lab-services-0"]


def test_where_hosts_balance_by_themselves_a_new_worker_concerns_the_control_plane(platform: Platform) -> None:
    shared = platform.load_balancers.model_copy(update={"provider": "keepalived"})
    platform = platform.model_copy(update={"load_balancers": shared})
    before = present(fingerprints(platform, outputs(workers=2)))
    found = work(with_workers(platform, 3), outputs(workers=3), before)
    assert found.due == ["lab-control-plane-0", "lab-worker-2"]


def test_a_join_that_was_broken_off_is_due_again(platform: Platform) -> None:
    before = present(fingerprints(platform, outputs()))
    before["lab-worker-1"] = Node(ready=True, applied="")
    assert work(platform, outputs(), before).due == ["lab-worker-1"]


def test_another_setting_concerns_every_host(platform: Platform) -> None:
    before = present(fingerprints(platform, outputs()))
    plugin = platform.network_plugin.model_copy(update={"encapsulation": "None"})
    assert len(work(platform.model_copy(update={"network_plugin": plugin}), outputs(), before).due) == 3


def test_another_role_concerns_every_host(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    before = present(fingerprints(platform, outputs()))
    monkeypatch.setattr(applied, "sources", lambda environment: "other files")
    assert len(work(platform, outputs(), before).due) == 3


def test_another_server_of_the_same_name_is_another_host(platform: Platform) -> None:
    before = present(fingerprints(platform, outputs()), lab_worker_1=True)
    found = outputs()
    found["hosts"][2]["server_id"] = "made anew"
    assert work(platform, found, before).due == ["lab-worker-1"]


def test_a_dead_member_is_left_alone_whatever_is_new(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    before = present(fingerprints(platform, outputs()), lab_worker_1=True)
    monkeypatch.setattr(applied, "sources", lambda environment: "other files")
    found = work(platform, outputs(), before)
    assert (found.due, found.absent) == (["lab-control-plane-0", "lab-worker-0"], ["lab-worker-1"])


def test_everything_means_everything_that_lives(platform: Platform) -> None:
    before = present(fingerprints(platform, outputs()), lab_worker_1=True)
    found = work(platform, outputs(), before, everything=True)
    assert (found.due, found.same) == (["lab-control-plane-0", "lab-worker-0"], [])


def test_where_it_is_run_from_changes_nothing(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    here = fingerprints(platform, outputs())
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    assert fingerprints(platform, outputs()) == here


def test_files_count_by_their_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in ("roles/host/tasks/main.yml", "roles/lab_base/tasks/main.yml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("one")
    seen = [applied.sources.__wrapped__("lab")]
    (tmp_path / "roles/lab_base/tasks/main.yml").write_text("two")
    seen.append(applied.sources.__wrapped__("lab"))
    (tmp_path / "roles/host/tasks/main.yml").write_text("two")
    seen.append(applied.sources.__wrapped__("lab"))
    assert seen[0] == seen[1] != seen[2]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Node]:
    """A cluster of three nodes, and one node that somebody else has made."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    paths.kubeconfig("lab").parent.mkdir(parents=True)
    paths.kubeconfig("lab").touch()
    found = {each["name"]: Node(ready=True, applied="some") for each in outputs()["hosts"]}
    found["a-stranger"] = Node(ready=True, applied="")
    monkeypatch.setattr(applied, "nodes", lambda environment: found)
    monkeypatch.setattr(inventory, "read_outputs", lambda environment, platform: outputs())
    return found


def test_a_host_that_is_not_wanted_any_more_leaves(platform: Platform, cluster: dict[str, Node]) -> None:
    assert applied.leaving("lab", with_workers(platform, 1)) == ["lab-worker-1"]


def test_nobody_leaves_who_is_wanted_nor_strangers(platform: Platform, cluster: dict[str, Node]) -> None:
    assert applied.leaving("lab", platform) == []


def test_servers_do_not_go_while_nobody_can_be_drained(
    platform: Platform, cluster: dict[str, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applied, "nodes", lambda environment: None)
    assert applied.leaving("lab", platform) == []
    with pytest.raises(DougongError, match="lab-worker-1"):
        applied.leaving("lab", with_workers(platform, 1))


def test_hosts_beside_the_cluster_have_nothing_to_drain(
    platform: Platform, cluster: dict[str, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [*outputs()["hosts"], host("services", 0, "services"), host("door", 0, "bastion")]
    monkeypatch.setattr(inventory, "read_outputs", lambda environment, platform: {**outputs(), "hosts": held})
    monkeypatch.setattr(applied, "nodes", lambda environment: None)
    assert applied.leaving("lab", platform) == []


def test_before_the_first_up_there_is_nobody(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert applied.leaving("lab", platform) == []
    assert applied.nodes("lab") is None


@pytest.mark.parametrize("role", ["services", "bastion"])
def test_another_host_beside_the_cluster_concerns_all(platform: Platform, role: Literal["services", "bastion"]) -> None:
    pools = platform.pools | {role: Pool(role=role, count=1, flavor="small", floating_ip=True)}
    platform = platform.model_copy(update={"pools": pools})

    def found(server: str) -> dict[str, Any]:
        return {**outputs(), "hosts": [*outputs()["hosts"], host(role, 0, role, server)]}

    first, same, other = (fingerprints(platform, found(server)) for server in ("a", "a", "b"))
    assert first == same
    assert all(first[name] != other[name] for name in first)
    larger = found("a")
    larger["hosts"][-1]["volumes"] = [{"name": "registry", "size": 20, "mount": "/srv/registry"}]
    assert all(first[name] != new for name, new in fingerprints(platform, larger).items())
