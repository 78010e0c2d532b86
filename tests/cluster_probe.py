"""A probe on every node of a cluster: pods that serve their node's name, and a shell in each to ask the others from."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMESPACE = "probe"
IMAGE = "dougong.local/test-tools:1.0.0"
LABELS = {"app": "probe"}


def _pods() -> dict[str, Any]:
    serve = 'mkdir -p /tmp/www && echo "$NODE" >/tmp/www/index.html && exec busybox httpd -f -p 8080 -h /tmp/www'
    container = {
        "name": "probe",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["busybox", "sh", "-c", serve.replace("mkdir", "busybox mkdir")],
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "probe", "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    "tolerations": [{"operator": "Exists"}],
                    "terminationGracePeriodSeconds": 0,
                    "containers": [container],
                },
            },
        },
    }


def restricted_pod(name: str, namespace: str, container: dict[str, Any], **security: Any) -> dict[str, Any]:
    """A pod as the `restricted` standard wants it, unless told otherwise.

    Args:
        name: of the pod.
        namespace: where.
        container: its only one, without a name.
        security: what its securityContext has beside, or instead.
    """
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "probe", **container, "securityContext": restricted | security}],
        },
    }


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "probe", "namespace": NAMESPACE},
        "spec": {"selector": LABELS, "ports": [{"port": 80, "targetPort": 8080}]},
    }


def allow_only(caller: dict[str, str]) -> dict[str, Any]:
    """A NetworkPolicy: the probes take connections from pods with these labels and from no others."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "allow-only", "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": LABELS},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": caller}}], "ports": [{"port": 8080}]}],
        },
    }


class Cluster:
    """A cluster as its administrator sees it from the controller.

    Args:
        kubeconfig: the administrator's kubeconfig.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl and return what it prints."""
        command = ["kubectl", f"--kubeconfig={self._kubeconfig}", "--request-timeout=20s", *arguments]
        run = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert not check or run.returncode == 0, f"{' '.join(command)}: {run.stderr}"
        return run.stdout

    def get(self, *what: str) -> Any:
        """Read resources: `get("nodes")`, `get("pods", "--namespace=demo")`."""
        return json.loads(self.kubectl("get", *what, "--output=json"))

    def apply(self, *resources: dict[str, Any]) -> None:
        self.kubectl(
            "apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": resources})
        )

    def ready_nodes(self) -> set[str]:
        return {
            node["metadata"]["name"]
            for node in self.get("nodes")["items"]
            if any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])
        }

    def start_probes(self) -> None:
        """Start the probes and wait until there is a ready one on every node."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.apply(namespace, _pods(), _service())
        self.kubectl(
            "rollout", "status", "daemonset/probe", f"--namespace={NAMESPACE}", "--timeout=120s", "--request-timeout=0"
        )

    def stop_probes(self) -> None:
        self.kubectl("delete", "namespace", NAMESPACE, "--wait=true", "--request-timeout=0", "--timeout=120s")

    def probes(self) -> dict[str, dict[str, Any]]:
        """The probe of each node, by the node's name."""
        pods = self.get("pods", f"--namespace={NAMESPACE}", "--selector=app=probe")["items"]
        return {pod["spec"]["nodeName"]: pod for pod in pods}

    def ask(self, pod: dict[str, Any], url: str) -> str | None:
        """Get a page from within a pod; None when nobody answers within 3 seconds."""
        name = pod["metadata"]["name"]
        command = ["busybox", "wget", "-T", "3", "-q", "-O", "-", url]
        answer = self.kubectl("exec", f"--namespace={NAMESPACE}", name, "--", *command, check=False)
        return answer.strip() or None


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether something comes true within that time; asked every half second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.5)
    return condition()
