"""The report: docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence

from dougong.console import duration
from dougong.runs import Phase, Run
from tests.bench.scale import Addition

# The tasks of roles/kubernetes in which kubeadm itself is at work.
_KUBEADM = ("Control plane is started", "Control planes join one after another", "Workers join")


def render(
    installation: Mapping[str, Run], inventory: Mapping[str, float], preview: float, additions: Sequence[Addition]
) -> str:
    """The report as Markdown.

    Args:
        installation: the measured runs by their titles.
        inventory: seconds, see tests.bench.inventory.
        preview: seconds.
        additions: see tests.bench.scale.
    """
    built = installation["up, from nothing"]
    hosts = built.phase("hosts")
    kubeadm = sum(step.seconds for step in hosts.steps if step.name.endswith(_KUBEADM))
    return "\n".join(
        [
            "# Benchmarks",
            "",
            f"Written by `make bench` on {built.started:%Y-%m-%d} at {built.revision}: {_machine()}. The lab's default",
            "installation (one control plane, two workers, a host of services), artifacts in the cache.",
            "",
            *_phases(installation),
            "",
            "## The slowest steps of a first run",
            "",
            "| phase | step | time |",
            "| --- | --- | ---: |",
            *_slowest(built),
            "",
            "## Kubernetes",
            "",
            f"kubeadm itself (init and both joins) takes {duration(kubeadm)} of the {duration(hosts.seconds)} that the",
            "hosts phase takes: the rest is packages, images, Calico, the application and all checks.",
            "",
            "## One node more",
            "",
            "A worker of the lab leaves its cluster and joins it again, its software on the disk; the hosts beyond the",
            "lab's own are entries of the inventory with addresses that nobody has.",
            "",
            "| hosts in the inventory | `up` knows what is due | `playbooks/site.yml` on the new host |",
            "| ---: | ---: | ---: |",
            *(f"| {one.hosts} | {one.deciding * 1000:.0f} ms | {duration(one.adding)} |" for one in additions),
            "",
            "## Scale, without a cloud",
            "",
            "| what | time |",
            "| --- | ---: |",
            f"| the program of stacks/cluster with 1,000 servers, against Pulumi's mocks | {duration(preview)} |",
            f"| inventory of 1,000 hosts, the model alone | {inventory['model'] * 1000:.0f} ms |",
            f"| `ansible-inventory --list` of 1,000 hosts, all of it | {duration(inventory['ansible-inventory'])} |",
            "",
        ]
    )


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


def _phases(installation: Mapping[str, Run]) -> Iterator[str]:
    names = list(dict.fromkeys(phase.name for run in installation.values() for phase in run.phases))
    yield f"| phase | {' | '.join(installation)} |"
    yield f"| --- |{' ---: |' * len(installation)}"
    for name in names:
        yield f"| {name} | {' | '.join(_seconds(run, name) for run in installation.values())} |"
    yield f"| **all** | {' | '.join(f'**{duration(run.seconds)}**' for run in installation.values())} |"
    yield f"| changes | {' | '.join(str(run.changes) for run in installation.values())} |"


def _seconds(run: Run, name: str) -> str:
    found: list[Phase] = [phase for phase in run.phases if phase.name == name]
    return duration(found[0].seconds) if found else ""


def _slowest(run: Run) -> Iterator[str]:
    steps = [(phase.name, step) for phase in run.phases for step in phase.steps]
    for name, step in sorted(steps, key=lambda pair: pair[1].seconds, reverse=True)[:10]:
        yield f"| {name} | {step.name} | {duration(step.seconds)} |"
