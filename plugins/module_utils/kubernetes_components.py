"""The processes of a Kubernetes host that hold certificates: which files each of them loads, and since when it runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

PKI = Path("/etc/kubernetes/pki")
MANIFESTS = Path("/etc/kubernetes/manifests")

# In the order in which they are restarted: a component comes after the one that it depends on. What is named here is
# read when the process starts and, but for serving certificates, by hardly any of them again.
LOADS: dict[str, tuple[str, ...]] = {
    "etcd": ("etcd/ca.crt", "etcd/server.crt", "etcd/peer.crt"),
    "kube-apiserver": (
        "ca.crt",
        "front-proxy-ca.crt",
        "etcd/ca.crt",
        "apiserver.crt",
        "apiserver-kubelet-client.crt",
        "apiserver-etcd-client.crt",
        "front-proxy-client.crt",
    ),
    "kube-controller-manager": ("ca.crt", "ca.key", "front-proxy-ca.crt", "../controller-manager.conf"),
    "kube-scheduler": ("../scheduler.conf",),
    # Its own certificates and its kubeconfig are not named: it writes them itself, after it has started.
    "kubelet": ("ca.crt",),
}


def files(component: str) -> list[Path]:
    """What a component loads, of the files that this host has."""
    return [path for name in LOADS[component] if (path := Path(os.path.normpath(PKI / name))).exists()]


def written(component: str) -> float:
    """When the newest of these files was written, in seconds since the epoch."""
    return max((path.stat().st_mtime for path in files(component)), default=0.0)


def started(component: str) -> float | None:
    """When the component's process was started, in seconds since the epoch; None when it does not run."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    newest = None
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            state = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        # A pod may well run an etcd of its own; only the cluster's reads from this folder.
        if Path(arguments[0]).name == component and any("/etc/kubernetes/" in argument for argument in arguments):
            # proc_pid_stat(5): the 22nd field; the second one, in parentheses, may hold spaces.
            ticks = int(state.rpartition(")")[2].split()[19])
            newest = max(newest or 0.0, booted + ticks / os.sysconf("SC_CLK_TCK"))
    return newest


def outdated(component: str) -> bool:
    """Whether the component runs, but since before one of its files was written."""
    since = started(component)
    return since is not None and since < written(component)
