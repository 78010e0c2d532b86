"""How long an upgrade takes: by what the last one took here, or else by what the drill's cluster took.

The numbers below are those of tests/drills/test_upgrade.py, 1.35.8 to 1.36.3: one control plane and two workers in
containers, all on two busy cores (load average 10 to 14), with 200 requests a second meanwhile. The nodes were looked
at every 5 s; hosts of their own are quicker.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from dougong.runs import Run

CONTROL_PLANE_SECONDS = 200.0
"""One control plane: `kubeadm upgrade apply`, drain, kubelet, and its static pods' second start."""

WORKER_SECONDS = 70.0
"""One worker with little on it to drain: 72 s from its cordon until it was given back."""

FIXED_SECONDS = 150.0
"""A hop's look at all hosts, the images for three of them, the snapshot (130 s), and the pod network (20 s)."""

# The step that each upgraded node has once (roles/kubernetes/tasks/upgrade.yml).
_ONCE_A_NODE = "The kubelet runs with its new binary"


def seconds(control_planes: int, batches: int, hops: int, past: Iterable[Run]) -> tuple[float, str]:
    """An estimate, and where it is from.

    Args:
        control_planes: how many are to be upgraded.
        batches: how many batches of workers.
        hops: how many versions to go through.
        past: earlier runs, the latest first.
    """
    for run in past:
        per_node = _per_node(run)
        if per_node:
            return hops * (control_planes + batches) * per_node, f"by what {run.id} took for a node"
    once = FIXED_SECONDS + control_planes * CONTROL_PLANE_SECONDS + batches * WORKER_SECONDS
    return hops * once, "by what the drill took (docs/operations/upgrade.md): no upgrade was completed here yet"


def batches(workers: int, batch: int) -> int:
    """How many batches workers make."""
    return math.ceil(workers / batch)


def _per_node(run: Run) -> float | None:
    if run.command != "upgrade" or run.state != "ok":
        return None
    phases = [phase for phase in run.phases if phase.name.startswith("to ")]
    nodes = sum(len(step.changed) for phase in phases for step in phase.steps if step.name.endswith(_ONCE_A_NODE))
    return sum(phase.seconds for phase in phases) / nodes if nodes else None
