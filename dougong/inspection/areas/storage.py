"""Storage: declared volumes are mounted, claims are bound, volumes get attached."""

from __future__ import annotations

from collections.abc import Iterator

from dougong.inspection.evidence import Evidence
from dougong.inspection.finding import Finding, critical, warning

# Cinder makes and attaches a volume within a minute.
_BINDING_SECONDS = 300.0


def judge(evidence: Evidence) -> Iterator[Finding]:
    for name, host in evidence.seen():
        for mount, there in host.mounts.items():
            if not there:
                yield critical(
                    name,
                    f"nothing is mounted at {mount}: what is written there goes to the root disk",
                    f"lsblk; grep {mount} /etc/fstab; mount {mount}; openstack volume list",
                )
    for claim in evidence.cluster.claims:
        namespace, _, name = claim.name.partition("/")
        describe = f"kubectl -n {namespace} describe pvc {name}"
        if claim.phase == "Lost":
            yield critical(f"claim {claim.name}", "its volume is gone", describe)
        # One that waits for its first pod is as it should be.
        elif (
            claim.phase == "Pending"
            and claim.age > _BINDING_SECONDS
            and claim.storage_class not in evidence.cluster.waiting_classes
        ):
            yield warning(f"claim {claim.name}", f"has no volume after {claim.age / 60:.0f} min", describe)
    for volume in evidence.cluster.volumes:
        if volume.phase == "Failed":
            yield warning(f"volume {volume.name}", volume.message or "failed", f"kubectl describe pv {volume.name}")
    for attachment in evidence.cluster.attachments:
        yield warning(
            f"volume {attachment.volume}",
            f"cannot be attached to or detached from {attachment.node}: {attachment.message[:200]}",
            "openstack volume show, openstack server show: who still holds it?",
        )


def seen(evidence: Evidence) -> str:
    mounts = [there for _, host in evidence.seen() for there in host.mounts.values()]
    claims = evidence.cluster.claims
    bound = sum(claim.phase == "Bound" for claim in claims)
    volumes = f"{sum(mounts)} of {len(mounts)} declared volumes mounted" if mounts else "no volume declared"
    return f"{volumes}; " + (f"{bound} of {len(claims)} claims bound" if claims else "no claims")
