"""The way from one version of Kubernetes to another: one minor version at a time."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.version import Version

from dougong.errors import DougongError
from dougong.upgrade.installed import Installed
from dougong.upgrade.matrix import minor


def hops(installed: Installed, target: str, available: Iterable[str]) -> tuple[str, ...]:
    """The versions to go through, the target last; the target alone where only a part of the cluster is behind.

    Args:
        installed: what there is.
        target: the version that is wanted.
        available: the versions of the catalogue.

    Raises:
        DougongError: there is no way: backwards, to a version that cannot be had, or past one that cannot.
    """
    known = sorted(set(available), key=Version)
    if target not in known:
        raise DougongError(
            f"Kubernetes {target} is not in the catalogue", f"it has {', '.join(known)}; or add it: docs/artifacts.md"
        )
    newest = max(Version(version) for node in installed.nodes for version in (node.api_server, node.kubelet))
    if newest > Version(target):
        raise DougongError(
            f"the cluster runs {newest} already, {target} is older",
            "kubeadm takes no version back; the way back is a backup: docs/operations/upgrade.md",
        )
    # Kubelets may jump to the version of the control plane; the control plane itself takes each step.
    begin = min(Version(node.api_server) for node in installed.control_planes)
    way = []
    for number in range(begin.minor + 1, Version(target).minor):
        between = f"{begin.major}.{number}"
        patches = [version for version in known if minor(version) == between]
        if not patches:
            raise DougongError(
                f"there is no way from {begin} to {target}: the catalogue has no {between}",
                f"kubeadm takes one minor version at a time; add a {between} to the catalogue (docs/artifacts.md), or "
                "choose an earlier target",
            )
        way.append(patches[-1])
    return (*way, target)
