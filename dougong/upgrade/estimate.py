"""How long an upgrade takes: by what the last ones took here, or else by a guess that is called one."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dougong.runs import Run

CONTROL_PLANE_SECONDS = 180.0
"""One control plane. A guess: nothing was measured yet, tests/drills/test_upgrade.py prints what it takes."""

WORKER_SECONDS = 60.0
"""One worker with little on it to drain; ditto."""

FIXED_SECONDS = 60.0
"""A hop's look at all hosts, the images, the snapshot and the pod network; ditto."""

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
    return hops * once, "a guess: no upgrade was completed here yet"


def batches(workers: int, batch: int) -> int:
    """How many batches workers make."""
    return math.ceil(workers / batch)


def _per_node(run: Run) -> float | None:
    if run.command != "upgrade" or run.state != "ok":
        return None
    phases = [phase for phase in run.phases if phase.name.startswith("to ")]
    nodes = sum(len(step.changed) for phase in phases for step in phase.steps if step.name.endswith(_ONCE_A_NODE))
    return sum(phase.seconds for phase in phases) / nodes if nodes else None
