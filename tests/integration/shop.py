"""An application that uses the cloud: its files are on a volume, and a load balancer of its own leads to it."""

from __future__ import annotations

from typing import Any

from tests.cluster_probe import IMAGE, Cluster

NAMESPACE = "shop"
LABELS = {"app": "shop"}


def _claim(name: str, size: str = "1Gi", source: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            **({"dataSource": source} if source else {}),
        },
    }


def _pod(claim: str, node: str | None, command: str) -> dict[str, Any]:
    return {
        "terminationGracePeriodSeconds": 0,
        **({"nodeSelector": {"kubernetes.io/hostname": node}} if node else {}),
        "containers": [
            {
                "name": "shop",
                "image": IMAGE,
                "imagePullPolicy": "Never",
                "command": ["sh", "-c", command],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
    }


def _deployment(node: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": _pod("data", node, "exec busybox httpd -f -p 8080 -h /data"),
            },
        },
    }


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shop", "namespace": NAMESPACE},
        "spec": {"type": "LoadBalancer", "selector": LABELS, "ports": [{"port": 80, "targetPort": 8080}]},
    }


class Shop:
    """The application on a cluster.

    Args:
        cluster: its nodes must have the image of the tests' pods.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def run_on(self, node: str) -> None:
        """Have it run on a node, and wait until it does."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self._cluster.apply(namespace, _claim("data"), _service(), _deployment(node))
        # A volume is let go by one server and taken by another: up to a minute in the lab.
        self._kubectl("rollout", "status", "deployment/shop", "--timeout=240s", "--request-timeout=0")

    def address(self) -> str | None:
        """Where its load balancer is, once there is one."""
        service = self._cluster.get("service/shop", f"--namespace={NAMESPACE}")
        return next((entry["ip"] for entry in service["status"]["loadBalancer"].get("ingress", [])), None)

    def execute(self, command: str, pod: str = "deployment/shop") -> str:
        """What a command prints in the application's pod, or another of the namespace."""
        return self._kubectl("exec", pod, "--", "sh", "-c", command)

    def grow(self, size: str) -> None:
        """Ask for a larger volume."""
        patch = f'{{"spec": {{"resources": {{"requests": {{"storage": "{size}"}}}}}}}}'
        self._kubectl("patch", "persistentvolumeclaim/data", f"--patch={patch}")

    def snapshot(self, name: str) -> None:
        """Take a snapshot of the volume, and wait until it can be used."""
        self._cluster.apply(
            {
                "apiVersion": "snapshot.storage.k8s.io/v1",
                "kind": "VolumeSnapshot",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"source": {"persistentVolumeClaimName": "data"}},
            }
        )
        self._wait(f"volumesnapshot/{name}", "jsonpath={.status.readyToUse}=true")

    def restore(self, snapshot: str) -> None:
        """Make a volume of a snapshot, in a pod of its own that is called like it."""
        source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": snapshot}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": snapshot, "namespace": NAMESPACE},
            "spec": _pod(snapshot, None, "exec sleep infinity"),
        }
        taken = self._cluster.get(f"volumesnapshot/{snapshot}", f"--namespace={NAMESPACE}")
        self._cluster.apply(_claim(snapshot, taken["status"]["restoreSize"], source), pod)
        self._wait(f"pod/{snapshot}", "condition=Ready")

    def _wait(self, what: str, condition: str) -> None:
        self._kubectl("wait", what, f"--for={condition}", "--timeout=180s", "--request-timeout=0")

    def _kubectl(self, *arguments: str) -> str:
        return self._cluster.kubectl(arguments[0], f"--namespace={NAMESPACE}", *arguments[1:])
