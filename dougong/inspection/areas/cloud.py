"""The cloud: what was declared is there and as declared, nothing of it is in an error state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dougong.inspection.finding import Finding, critical, warning

# Operations of Pulumi's preview, the gravest first: of one resource the gravest counts.
_MISSING, _REPLACED, _CHANGED, _LEFT = "create", "replace", "update", "delete"
_GRAVITY = (_REPLACED, _MISSING, _CHANGED, _LEFT)


@dataclass(frozen=True)
class Drift:
    """A resource that `up` would touch: its stack, Pulumi's operation, what it is and its name."""

    stack: str
    operation: str
    kind: str
    name: str


@dataclass(frozen=True)
class Thing:
    """A server, volume or load balancer with its state in the cloud's own words; `operating` of load balancers only."""

    kind: str
    name: str
    status: str
    operating: str = ""


@dataclass
class CloudEvidence:
    """What Pulumi and the cloud say.

    Attributes:
        drift: what differs from platform.yml.
        unchanged: how many resources do not.
        things: what has a state that can be an error.
        errors: (where, what, remedy) of questions that were not answered.
    """

    drift: list[Drift] = field(default_factory=list)
    unchanged: int = 0
    things: list[Thing] = field(default_factory=list)
    errors: list[tuple[str, str, str]] = field(default_factory=list)


def judge(evidence: CloudEvidence) -> Iterator[Finding]:
    for where, what, remedy in evidence.errors:
        yield critical(where, what, remedy)
    for drift in _gravest(evidence.drift):
        where = f"{drift.kind} {drift.name}"
        look = f"pulumi -C stacks/{drift.stack} preview --refresh --diff; dougong up puts it right"
        if drift.operation == _MISSING:
            yield critical(
                where, "is declared, and not in the cloud: somebody has deleted it, or it was never made", look
            )
        elif drift.operation == _REPLACED:
            yield warning(where, "cannot be made right as it is: `dougong up` would replace it", look)
        elif drift.operation == _LEFT:
            yield warning(where, "is in the cloud, and not declared any more", look)
        else:
            yield warning(where, "differs from what is declared", look)
    for thing in evidence.things:
        where, show = f"{thing.kind} {thing.name}", f"openstack {thing.kind.replace(' ', '')} show {thing.name}"
        if "ERROR" in thing.status.upper():
            yield critical(where, f"is {thing.status} in the cloud", show)
        elif thing.kind == "server" and thing.status not in ("ACTIVE", "REBOOT"):
            yield critical(where, f"is {thing.status} in the cloud", f"openstack server start {thing.name}")
        elif thing.operating in ("ERROR", "OFFLINE"):
            yield critical(
                where, f"is {thing.operating}: no member answers", f"openstack loadbalancer status show {thing.name}"
            )
        elif thing.operating == "DEGRADED":
            yield warning(
                where, "is DEGRADED: some members do not answer", f"openstack loadbalancer status show {thing.name}"
            )


def _gravest(drift: list[Drift]) -> Iterator[Drift]:
    """Each resource once. A replacement comes as several operations, a part of it as "create-replacement"."""
    found: dict[tuple[str, str, str], Drift] = {}
    for item in drift:
        operation = _REPLACED if "replace" in item.operation else item.operation
        if operation not in _GRAVITY:
            continue
        key = (item.stack, item.kind, item.name)
        if key not in found or _GRAVITY.index(operation) < _GRAVITY.index(found[key].operation):
            found[key] = Drift(item.stack, operation, item.kind, item.name)
    return iter(found.values())


def seen(evidence: CloudEvidence) -> str:
    kinds = [thing.kind for thing in evidence.things]
    counted = [f"{kinds.count(kind)} {kind}s" for kind in dict.fromkeys(kinds)]
    return f"{evidence.unchanged} resources as declared; " + (", ".join(counted) or "nothing else")
