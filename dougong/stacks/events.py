"""What happens to each resource while Pulumi works."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pulumi.automation import EngineEvent

from dougong.runs import Recorder
from dougong.runs.recorder import StepRecorder
from dougong.stacks.urn import kind_of, name_of

Status = Literal["started", "done", "failed"]

# Operations that leave a resource as it is.
_UNCHANGED = {"same", "read", "refresh"}


@dataclass(frozen=True, kw_only=True)
class ResourceEvent:
    """One step with one resource.

    Args:
        op: Pulumi's name of the operation: create, update, delete, replace, same, …
        urn: Pulumi's name of the resource, unique in the stack.
        type: its token, e.g. openstack:compute/instance:Instance.
        name: its name in the program.
        status: whether the step begins or has ended.
        seconds: since it began.
        planning: this is a preview: nothing happens to the resource.
        diagnostics: what the provider complained about; of failed steps only.
    """

    op: str
    urn: str
    type: str
    name: str
    status: Status
    seconds: float = 0.0
    planning: bool = False
    diagnostics: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether the resource is (or would be) something else than before."""
        return self.op not in _UNCHANGED


OnEvent = Callable[[ResourceEvent], None]


@dataclass
class Translator:
    """From the engine's events to ours. Components and providers, which are not in the cloud, are left out.

    Args:
        on_event: told of each step; None if nobody wants to know.
    """

    on_event: OnEvent | None = None
    complaints: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What went wrong, by URN; "" for what concerns no resource."""
    violations: list[str] = field(default_factory=list)
    """What the policy pack refuses."""
    _begun: dict[tuple[str, str], float] = field(default_factory=dict)

    def __call__(self, event: EngineEvent) -> None:
        """Take an event of the engine."""
        if found := event.diagnostic_event:
            if found.severity == "error" and not found.ephemeral:
                self.complaints[found.urn or ""].append(found.message.strip())
        elif policy := event.policy_event:
            if policy.enforcement_level == "mandatory":
                where = f"{name_of(policy.resource_urn)}: " if policy.resource_urn else ""
                self.violations.append(f"{where}{policy.message.strip()} [{policy.policy_name}]")
        elif begin := event.resource_pre_event:
            self._tell(begin.metadata.op, begin.metadata.urn, begin.metadata.type, "started", begin.planning or False)
        elif end := event.res_outputs_event:
            self._tell(end.metadata.op, end.metadata.urn, end.metadata.type, "done", end.planning or False)
        elif failure := event.res_op_failed_event:
            self._tell(failure.metadata.op, failure.metadata.urn, failure.metadata.type, "failed", planning=False)

    def _tell(self, op: str, urn: str, kind: str, status: Status, planning: bool) -> None:
        if not self.on_event or not kind.startswith("openstack:"):
            return
        op = getattr(op, "value", op)
        now = time.monotonic()
        begun = self._begun.setdefault((urn, op), now)
        self.on_event(
            ResourceEvent(
                op=op,
                urn=urn,
                type=kind,
                name=name_of(urn),
                status=status,
                seconds=round(now - begun, 3),
                planning=planning,
                diagnostics=tuple(self.complaints[urn]) if status == "failed" else (),
            )
        )


def reporter(run: Recorder) -> OnEvent:
    """Records each change of a resource as a step of a run.

    Args:
        run: the run at work.
    """
    steps: dict[tuple[str, str], StepRecorder] = {}
    done = total = 0

    def report(event: ResourceEvent) -> None:
        nonlocal done, total
        key = (event.urn, event.op)
        if event.status == "started":
            total += 1
            if event.changes:
                steps[key] = run.step(f"{kind_of(event.urn)} {event.name}")
                steps[key].begin()
        else:
            done += 1
            if step := steps.pop(key, None):
                step.end("failed" if event.status == "failed" else "changed", detail=event.op)
                step.finish()
        run.progress(done, total)

    return report
