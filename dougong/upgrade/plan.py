"""The plan of an upgrade: what changes, in which steps, what is in the way, how long it takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table

from dougong import console
from dougong.artifacts import catalogue
from dougong.artifacts.catalogue import Catalogue
from dougong.runs import Run
from dougong.upgrade import estimate, prechecks
from dougong.upgrade.hops import hops
from dougong.upgrade.installed import Installed, Node
from dougong.upgrade.prechecks import Aim, Finding

_SET = "kubernetes@"


@dataclass(frozen=True)
class Component:
    """A part of the platform, from what it is now (several versions, where nodes differ) to what it will be."""

    name: str
    present: tuple[str, ...]
    wanted: str

    @property
    def changes(self) -> bool:
        """Whether it is not what it will be."""
        return self.present != (self.wanted,)


@dataclass(frozen=True)
class Plan:
    """What an upgrade would do.

    Attributes:
        hops: versions of Kubernetes to go through; empty when nothing is to be done.
        components: present and wanted versions.
        control_planes, workers: the nodes that are due, in the order in which they are upgraded.
        findings: what was found beforehand, errors first.
        seconds: estimated time, and `source` of the estimate.
    """

    hops: tuple[str, ...]
    components: tuple[Component, ...]
    control_planes: tuple[str, ...]
    workers: tuple[str, ...]
    batch: int
    findings: tuple[Finding, ...]
    seconds: float
    source: str

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps the upgrade from beginning."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def make(
    installed: Installed, target: str, batch: int = 1, past: Iterable[Run] = (), known: Catalogue | None = None
) -> Plan:
    """Plan an upgrade; nothing is touched.

    Args:
        installed: what there is.
        target: the version of Kubernetes that is wanted.
        batch: how many workers at the same time.
        past: earlier runs, the latest first.
        known: the catalogue; the repository's own if not given.

    Raises:
        DougongError: there is no way to that version.
    """
    known = known or catalogue.default()
    way = hops(installed, target, available(known))
    aim = Aim(
        hops=way,
        etcd={hop: known.member(_SET + hop, "etcd-image").version for hop in way},
        containerd=known.get("containerd").version,
        calico=known.get("calico-node-image").version,
    )
    due = [node for node in installed.nodes if _due(node, aim)]
    control_planes = tuple(node.name for node in due if node.control_plane)
    workers = tuple(node.name for node in due if not node.control_plane)
    components = tuple(_components(installed, aim, known.member(_SET + target, "coredns-image").version))
    nothing = not due and not any(component.changes for component in components)
    took, source = estimate.seconds(len(control_planes), estimate.batches(len(workers), batch), len(way), past)
    return Plan(
        hops=() if nothing else way,
        components=components,
        control_planes=control_planes,
        workers=workers,
        batch=batch,
        findings=() if nothing else prechecks.findings(installed, aim),
        seconds=0 if nothing else took,
        source=source,
    )


def available(known: Catalogue) -> list[str]:
    """The versions of Kubernetes that a catalogue has whole."""
    return [name.removeprefix(_SET) for name in known.sets if name.startswith(_SET)]


def _due(node: Node, aim: Aim) -> bool:
    target = aim.hops[-1]
    static = {name: aim.etcd[target] if name == "etcd" else target for name in node.static}
    return node.set_aside or node.kubelet != target or node.containerd != aim.containerd or node.static != static


def _components(installed: Installed, aim: Aim, coredns: str) -> Iterable[Component]:
    def several(versions: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(set(versions)))

    planes, target = installed.control_planes, aim.hops[-1]
    yield Component("Kubernetes", several(node.api_server for node in planes), target)
    yield Component("kubelets", several(node.kubelet for node in installed.nodes), target)
    yield Component("etcd", several(node.static["etcd"] for node in planes if "etcd" in node.static), aim.etcd[target])
    yield Component("CoreDNS", (installed.coredns,), coredns)
    yield Component("containerd", several(node.containerd for node in installed.nodes), aim.containerd)
    yield Component("Calico", (installed.calico,), aim.calico)


def show(plan: Plan) -> None:
    """Print it for a person."""
    out = console.out()
    if not plan.hops:
        out.print("Nothing to do: everything is in the version that is asked for.")
        return
    table = Table("component", "now", "then", box=None, header_style="bold")
    for component in plan.components:
        table.add_row(component.name, ", ".join(component.present), component.wanted if component.changes else "stays")
    out.print(table)
    out.print()
    out.print("[bold]steps[/]")
    for number, line in enumerate(_steps(plan), start=1):
        out.print(f" {number}. {line}", highlight=False)
    out.print()
    if plan.findings:
        out.print("[bold]found beforehand[/]")
        marks = {"error": "failed", "warning": "warning"}
        console.findings([(marks[f.severity], f.severity, f.what, f.remedy) for f in plan.findings])
        out.print()
    out.print(f"estimated time: {console.duration(plan.seconds)}, {plan.source}")


def _steps(plan: Plan) -> Iterable[str]:
    for hop in plan.hops:
        yield f"{hop}: images onto all hosts, a snapshot of etcd"
        if plan.control_planes:
            yield f"{hop}: control planes one by one: {', '.join(plan.control_planes)}"
        if plan.workers:
            size = "one by one" if plan.batch == 1 else f"{plan.batch} at a time"
            yield f"{hop}: workers {size}: {', '.join(plan.workers)}"
    yield "Calico, host by host as its DaemonSet rolls"
