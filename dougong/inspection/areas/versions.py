"""Versions: within Kubernetes' version skew policy, and the one that was asked for."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import InvalidVersion, Version

from dougong.inspection.evidence import Evidence
from dougong.inspection.finding import Finding, critical, info, warning

# kubernetes.io/releases/version-skew-policy: kubelet and kube-proxy may be three minors older than the API server.
_NODE_SKEW = 3
# Scheduler and controller-manager one, the API servers one among themselves.
_CONTROL_SKEW = 1
_API = "kube-apiserver"


def judge(evidence: Evidence) -> Iterator[Finding]:
    running = [(part.component, part.node, _version(part.version)) for part in evidence.cluster.components]
    running += [("kubelet", node.name, _version(node.kubelet)) for node in evidence.cluster.nodes]
    apis = [version for component, _, version in running if component == _API and version]
    if not apis:
        return
    oldest, newest = min(apis), max(apis)
    if _minors(oldest, newest) > _CONTROL_SKEW:
        yield critical(
            "API", f"its servers are {_minors(oldest, newest)} minors apart: {oldest} to {newest}", "dougong upgrade"
        )
    for component, node, version in running:
        if component in (_API, "etcd") or version is None:
            continue
        allowed = _NODE_SKEW if component in ("kubelet", "kube-proxy") else _CONTROL_SKEW
        where = f"{component} on {node}"
        if _minors(oldest, version) > 0:
            yield critical(where, f"{version} is newer than the API server's {oldest}", "dougong upgrade goes on")
        elif _minors(version, newest) > allowed:
            yield critical(
                where, f"{version} is more than {allowed} minors older than the API's {newest}", "dougong upgrade"
            )
    wanted = _version(evidence.declared.version)
    versions = {version for component, _, version in running if version and component != "etcd"}
    if len(versions) > 1:
        found = ", ".join(map(str, sorted(versions)))
        yield warning(
            "cluster", f"runs several versions of Kubernetes: {found}", "an upgrade was not finished: dougong upgrade"
        )
    elif wanted and versions and wanted not in versions:
        yield info("cluster", f"runs {versions.pop()}, platform.yml says {wanted}", f"dougong upgrade --to {wanted}")


def _version(text: str) -> Version | None:
    """v1.36.3 and the like; None for a tag that says no version, as of a mirror's digest."""
    try:
        return Version(text.removeprefix("v").split("-")[0])
    except InvalidVersion:
        return None


def _minors(older: Version, newer: Version) -> int:
    return newer.minor - older.minor + 100 * (newer.major - older.major)


def seen(evidence: Evidence) -> str:
    parts = [part.version for part in evidence.cluster.components if part.component == _API]
    kubelets = {node.kubelet for node in evidence.cluster.nodes}
    return f"API {', '.join(sorted(set(parts))) or 'unknown'}, kubelets {', '.join(sorted(kubelets)) or 'unknown'}"
