"""The planner of upgrades: the hops, what is found beforehand, the estimate, the line in platform.yml."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from dougong import paths
from dougong.artifacts import catalogue
from dougong.console import out
from dougong.errors import DougongError
from dougong.platform import load
from dougong.runs import Phase, Run, Step
from dougong.upgrade import command, estimate, matrix, plan
from dougong.upgrade.hops import hops
from dougong.upgrade.installed import SET_ASIDE, Budget, DeprecatedApi, Installed, Node, deprecated
from dougong.upgrade.prechecks import FREE_BYTES

OLD, NEW = "1.35.8", "1.36.3"
AVAILABLE = ["1.34.10", "1.35.6", "1.35.8", "1.36.1", "1.36.3", "1.38.0"]
CONTAINERD = catalogue.default().get("containerd").version
NOW = datetime.now(UTC)


def control_plane(version: str = OLD, number: int = 0, etcd: str = "3.6.6", **more: object) -> Node:
    parts = dict.fromkeys(("kube-apiserver", "kube-controller-manager", "kube-scheduler"), version)
    node = Node(f"control-plane-{number}", version, CONTAINERD, control_plane=True, static={"etcd": etcd, **parts})
    return replace(node, **more)  # type: ignore[arg-type]  # attributes of Node, by name


def worker(version: str = OLD, number: int = 0, **more: object) -> Node:
    return replace(Node(f"worker-{number}", version, CONTAINERD), **more)  # type: ignore[arg-type]  # ditto


def cluster(*nodes: Node, **more: object) -> Installed:
    well = {"calico": "3.28.5", "coredns": "1.13.1", "backup": NOW}
    return Installed(nodes or (control_plane(), worker()), **{**well, **more})  # type: ignore[arg-type]  # ditto


def done() -> Installed:
    return cluster(control_plane(NEW, etcd="3.6.8"), worker(NEW), coredns="1.14.2")


# The hops


@pytest.mark.parametrize(
    ("nodes", "target", "way"),
    [
        ((control_plane("1.35.6"), worker("1.35.6")), "1.35.8", ("1.35.8",)),
        ((control_plane(OLD), worker(OLD)), "1.36.3", ("1.36.3",)),
        ((control_plane("1.34.10"), worker("1.34.10")), "1.36.1", ("1.35.8", "1.36.1")),
        # Broken off: one control plane, or no worker, has arrived.
        ((control_plane(NEW), control_plane(OLD, 1), worker(OLD)), NEW, (NEW,)),
        ((control_plane(NEW), worker(OLD)), NEW, (NEW,)),
        # A worker that was left behind jumps.
        ((control_plane(NEW), worker("1.34.10")), NEW, (NEW,)),
        ((control_plane(NEW), worker(NEW)), NEW, (NEW,)),
    ],
)
def test_one_minor_version_at_a_time(nodes: tuple[Node, ...], target: str, way: tuple[str, ...]) -> None:
    assert hops(cluster(*nodes), target, AVAILABLE) == way


@pytest.mark.parametrize(
    ("version", "target", "message"),
    [
        (OLD, "1.36.2", "1.36.2 is not in the catalogue"),
        (NEW, "1.35.8", "the cluster runs 1.36.3 already, 1.35.8 is older"),
        (NEW, "1.38.0", "the catalogue has no 1.37"),
    ],
)
def test_where_there_is_no_way_it_is_said(version: str, target: str, message: str) -> None:
    with pytest.raises(DougongError, match=message) as error:
        hops(cluster(control_plane(version), worker(version)), target, AVAILABLE)
    assert error.value.remedy


# The plan


def test_healthy_cluster_is_upgraded_as_a_whole() -> None:
    made = plan.make(cluster(control_plane(), worker(), worker(number=1)), NEW)
    assert made.hops == (NEW,)
    assert (made.control_planes, made.workers) == (("control-plane-0",), ("worker-0", "worker-1"))
    changes = {component.name: component.wanted for component in made.components if component.changes}
    assert changes == {"Kubernetes": NEW, "kubelets": NEW, "etcd": "3.6.8", "CoreDNS": "1.14.2"}
    assert made.errors == ()


def test_nothing_is_planned_where_all_is_done() -> None:
    made = plan.make(done(), NEW)
    assert (made.hops, made.findings, made.seconds) == ((), (), 0)
    with out().capture() as captured:
        plan.show(made)
    assert captured.get().startswith("Nothing to do")


@pytest.mark.parametrize(
    "node",
    [
        worker(NEW, containerd="2.0.0"),
        worker(NEW, set_aside=True),
        control_plane(NEW, 1, etcd="3.6.6"),
        worker(OLD),
    ],
)
def test_only_nodes_that_are_due_are_in_it(node: Node) -> None:
    others = control_plane(NEW, etcd="3.6.8"), worker(NEW, 7)
    made = plan.make(cluster(*others, node, coredns="1.14.2"), NEW)
    assert (*made.control_planes, *made.workers) == (node.name,)


def test_other_calico_alone_is_a_reason() -> None:
    made = plan.make(replace(done(), calico="3.27.0"), NEW)
    assert made.hops == (NEW,)
    assert made.control_planes + made.workers == ()


# What is found beforehand


@pytest.mark.parametrize(
    ("installed", "severity", "message"),
    [
        (
            cluster(control_plane(), worker(trouble="kubelet stopped")),
            "error",
            "worker-0 is not Ready: kubelet stopped",
        ),
        (cluster(budgets=(Budget("db/mysql", 0, 3, 3, 3),)), "error", "db/mysql allows no eviction: 3 of 3"),
        (cluster(bare_pods=("default/shell",)), "error", "nothing would start anew elsewhere: default/shell"),
        (cluster(deprecated=(DeprecatedApi("a/v1beta1/b", "1.36"),)), "error", "a/v1beta1/b, which Kubernetes 1.36"),
        (cluster(deprecated=(DeprecatedApi("a/v1beta1/b", "1.37"),)), "warning", "a/v1beta1/b, which Kubernetes 1.37"),
        (cluster(certificates={"the cluster's CA": NOW + timedelta(days=2.5)}), "error", "CA ends in 2 days"),
        (cluster(certificates={"x": NOW - timedelta(days=2.5)}), "error", "x ended"),
        (cluster(control_plane(), worker(free=2**30)), "error", "worker-0 has 1.0 GiB of free disk, 3 are needed"),
        (cluster(control_plane("1.34.10", etcd="3.5.21"), worker()), "error", "etcd of control-plane-0 is 3.5.21"),
        (cluster(control_plane(), worker("1.32.1")), "error", "the kubelet of worker-0 is 1.32.1"),
        (cluster(backup=None), "warning", "no backup outside"),
        (cluster(backup=NOW - timedelta(hours=50)), "warning", "last backup is 50 hours old"),
        (cluster(), "warning", "Tigera tests Calico 3.28.5 with Kubernetes 1.27 to 1.30"),
    ],
)
def test_what_is_in_the_way_is_found(installed: Installed, severity: str, message: str) -> None:
    target = OLD if installed.control_planes[0].kubelet == "1.34.10" else NEW
    found = [finding for finding in plan.make(installed, target).findings if message in finding.what]
    assert [finding.severity for finding in found] == [severity]
    assert all(finding.remedy for finding in found)


@pytest.mark.parametrize(
    ("installed", "message"),
    [
        (cluster(control_plane(), worker(trouble="restarting", set_aside=True)), "not Ready"),
        (cluster(budgets=(Budget("db/mysql", 1, 3, 2, 3),)), "no eviction"),
        (cluster(control_plane(), worker(free=FREE_BYTES)), "free disk"),
        (cluster(control_plane("1.34.10", etcd=str(matrix.ETCD_BEFORE_36)), worker()), "etcd of"),
        (cluster(certificates={"x": NOW + timedelta(days=30)}), "ends in"),
    ],
)
def test_what_is_well_is_not_complained_about(installed: Installed, message: str) -> None:
    target = OLD if installed.control_planes[0].kubelet == "1.34.10" else NEW
    assert not [finding for finding in plan.make(installed, target).findings if message in finding.what]


def test_everything_is_said_at_once_errors_first() -> None:
    ill = cluster(
        control_plane(),
        worker(trouble="gone", free=1),
        budgets=(Budget("db/mysql", 0, 3, 3, 3),),
        bare_pods=("default/shell",),
        backup=None,
    )
    made = plan.make(ill, NEW)
    assert len(made.errors) == 4
    assert [finding.severity for finding in made.findings] == ["error"] * 4 + ["warning"] * 2
    with out().capture() as captured:
        plan.show(made)
    assert all(finding.what[:40] in captured.get() for finding in made.findings)


def test_deprecated_apis_are_read_out_of_metrics() -> None:
    name = "apiserver_requested_deprecated_apis"
    metrics = "\n".join(
        (
            f"# TYPE {name} gauge",
            f'{name}{{group="",removed_release="",resource="endpoints",subresource="",version="v1"}} 1',
            f'{name}{{group="policy",removed_release="1.36",resource="x",subresource="",version="v1beta1"}} 1',
            'apiserver_request_total{code="200"} 7',
        )
    )
    assert deprecated(metrics) == (DeprecatedApi("policy/v1beta1/x", "1.36"),)


# The estimate


def test_estimate_is_by_the_last_upgrade_that_succeeded() -> None:
    step = Step(name="kubernetes : The kubelet runs with its new binary", started=NOW, changed=["a", "b"])
    phases = [
        Phase(name="plan", started=NOW, seconds=5),
        Phase(name="to 1.36.1", started=NOW, seconds=200, steps=[step]),
    ]
    ran = Run(
        id="r", command="upgrade", environment="e", pid=1, process_started=1, started=NOW, state="ok", phases=phases
    )
    failed = ran.model_copy(update={"state": "failed"})
    assert estimate.seconds(1, 2, 1, [failed, ran]) == (300.0, "by what r took for a node")
    took, source = estimate.seconds(1, 2, 1, [failed])
    assert took == estimate.FIXED_SECONDS + estimate.CONTROL_PLANE_SECONDS + 2 * estimate.WORKER_SECONDS
    assert "by what the drill took" in source


@pytest.mark.parametrize(("workers", "batch", "count"), [(0, 1, 0), (3, 1, 3), (3, 2, 2), (3, 5, 1)])
def test_batches(workers: int, batch: int, count: int) -> None:
    assert estimate.batches(workers, batch) == count


# The line in platform.yml


def test_only_the_version_is_written(tmp_path: Path) -> None:
    file = tmp_path / "platform.yml"
    text = (
        paths.platform_file("lab").read_text().replace("version: 1.36.3", "version: 1.35.8    # as the bank wants it")
    )
    file.write_text(text)
    diff = command.write_version(load(file), NEW)
    changed = [line for line in diff.splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ["-  version: 1.35.8    # as the bank wants it", "+  version: 1.36.3    # as the bank wants it"]
    assert file.read_text() == text.replace("1.35.8", "1.36.3")
    assert load(file).orchestrator.version == NEW
    assert command.write_version(load(file), NEW) == ""
    assert list(tmp_path.iterdir()) == [file]


# The playbook


def test_playbook_marks_nodes_as_the_planner_reads_them() -> None:
    variables = yaml.safe_load((paths.ROOT / "roles" / "kubernetes" / "vars" / "main" / "upgrade.yml").read_text())
    assert variables["_kubernetes_mark"] == SET_ASIDE
