"""What is installed: read from the cluster itself, never remembered, so that a broken-off upgrade is seen as it is."""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes.client
import yaml
from cryptography import x509

from dougong import cluster_api
from dougong.errors import DougongError

SET_ASIDE = "dougong.local/set-aside"
"""The annotation by which roles/kubernetes marks a node that an upgrade has cordoned."""

# Long enough for a loaded API server, short enough for somebody who waits for a plan.
_TIMEOUT_SECONDS = 15
_SILENT = (
    "after an upgrade that was broken off it may be starting again: try once more in two minutes; what keeps it from "
    "that: dougong status"
)
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
# kubeadm's labels of static pods.
_STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_DEPRECATED = re.compile(r"^apiserver_requested_deprecated_apis\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        kubelet, containerd: versions.
        control_plane: whether it is one.
        static: version of each static pod of a control plane, by component.
        trouble: why it is not Ready; empty when it is.
        set_aside: an upgrade has cordoned it.
        free: bytes of disk that are free on the file system of the kubelet; None where it did not say.
    """

    name: str
    kubelet: str
    containerd: str
    control_plane: bool = False
    static: dict[str, str] = field(default_factory=dict)
    trouble: str = ""
    set_aside: bool = False
    free: int | None = None

    @property
    def api_server(self) -> str:
        """Version of its API server; of one that is not there at the moment, the kubelet's."""
        return self.static.get("kube-apiserver", self.kubelet)


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget with pods.

    Attributes:
        allowed: how many of its pods may be evicted now.
        healthy, desired: how many are healthy, and must be.
        pods: how many it is about.
    """

    name: str
    allowed: int
    healthy: int
    desired: int
    pods: int


@dataclass(frozen=True)
class DeprecatedApi:
    """An API that somebody has asked for since its API server started, and that is to go.

    Attributes:
        removed: the minor version that does not have it any more, "1.36".
    """

    name: str
    removed: str


@dataclass(frozen=True)
class Installed:
    """A cluster.

    Attributes:
        calico, coredns: versions.
        bare_pods: pods that nothing would start anew elsewhere, as namespace/name.
        certificates: until when each is valid.
        backup: when the last backup was made; None without one.
    """

    nodes: tuple[Node, ...]
    calico: str = ""
    coredns: str = ""
    budgets: tuple[Budget, ...] = ()
    bare_pods: tuple[str, ...] = ()
    deprecated: tuple[DeprecatedApi, ...] = ()
    certificates: dict[str, datetime] = field(default_factory=dict)
    backup: datetime | None = None

    @property
    def control_planes(self) -> tuple[Node, ...]:
        """Nodes with a control plane."""
        return tuple(node for node in self.nodes if node.control_plane)

    @property
    def workers(self) -> tuple[Node, ...]:
        """The other nodes."""
        return tuple(node for node in self.nodes if not node.control_plane)


def read(kubeconfig: Path, backup: datetime | None = None) -> Installed:
    """Ask a cluster; changes nothing.

    Args:
        kubeconfig: the administrator's.
        backup: when the last backup was made, which the cluster itself does not know.

    Raises:
        DougongError: there is no cluster, or its API does not answer.
    """
    if not kubeconfig.exists():
        raise DougongError(f"there is no cluster to upgrade: {kubeconfig} does not exist", "dougong up")
    try:
        return _read(cluster_api.connect(kubeconfig), _certificates(kubeconfig), backup)
    except (*cluster_api.REFUSALS, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise DougongError(f"the API server does not answer: {reason}", _SILENT) from error


def _read(client: Any, certificates: dict[str, datetime], backup: datetime | None) -> Installed:
    core = kubernetes.client.CoreV1Api(client)
    apps = kubernetes.client.AppsV1Api(client)
    pods = core.list_pod_for_all_namespaces(_request_timeout=_TIMEOUT_SECONDS).items
    budgets = kubernetes.client.PolicyV1Api(client).list_pod_disruption_budget_for_all_namespaces(
        _request_timeout=_TIMEOUT_SECONDS
    )
    return Installed(
        nodes=tuple(_node(client, node, pods) for node in core.list_node(_request_timeout=_TIMEOUT_SECONDS).items),
        calico=_image_of(apps.list_namespaced_daemon_set("kube-system").items, "calico-node"),
        coredns=_image_of(apps.list_namespaced_deployment("kube-system").items, "coredns"),
        budgets=tuple(_budgets(budgets.items)),
        bare_pods=tuple(sorted(_bare(pods))),
        deprecated=deprecated(_get(client, "/metrics")),
        certificates=certificates,
        backup=backup,
    )


def _get(client: Any, path: str) -> str:
    """The answer to a plain request, which the typed client has no method for."""
    request = client.param_serialize("GET", path, auth_settings=["BearerToken"])
    answer = client.call_api(*request, _request_timeout=_TIMEOUT_SECONDS)
    content: bytes = answer.read()
    if answer.status != 200:
        raise kubernetes.client.ApiException(status=answer.status, reason=answer.reason)
    return content.decode()


def _version(image: str) -> str:
    """The version in an image's tag: registry.k8s.io/etcd:3.6.8-0 → 3.6.8."""
    tag = image.partition("@")[0].rpartition(":")[2]
    return re.sub(r"^v|-\d+$", "", tag)


def _node(client: Any, node: Any, pods: list[Any]) -> Node:
    name, about = node.metadata.name, node.status.node_info
    ready = next((condition for condition in node.status.conditions if condition.type == "Ready"), None)
    return Node(
        name=name,
        kubelet=about.kubelet_version.removeprefix("v"),
        containerd=about.container_runtime_version.removeprefix("containerd://").removeprefix("v"),
        control_plane=_CONTROL_PLANE in (node.metadata.labels or {}),
        static={
            pod.metadata.labels["component"]: _version(pod.spec.containers[0].image)
            for pod in pods
            if pod.spec.node_name == name and (pod.metadata.labels or {}).get("component") in _STATIC
        },
        trouble="" if ready and ready.status == "True" else (ready.message if ready else "its kubelet never reported"),
        set_aside=SET_ASIDE in (node.metadata.annotations or {}),
        free=_free(client, name),
    )


def _free(client: Any, node: str) -> int | None:
    try:
        summary = json.loads(_get(client, f"/api/v1/nodes/{node}/proxy/stats/summary"))
    except kubernetes.client.ApiException:
        return None  # a node that is not Ready is told of as such
    return int(summary["node"]["fs"]["availableBytes"])


def _image_of(sets: list[Any], name: str) -> str:
    """The version of a workload's first container; empty where there is no such workload."""
    return next((_version(s.spec.template.spec.containers[0].image) for s in sets if s.metadata.name == name), "")


def _budgets(budgets: list[Any]) -> Iterator[Budget]:
    for budget in budgets:
        status = budget.status
        if status.expected_pods:
            yield Budget(
                f"{budget.metadata.namespace}/{budget.metadata.name}",
                status.disruptions_allowed,
                status.current_healthy,
                status.desired_healthy,
                status.expected_pods,
            )


def _bare(pods: list[Any]) -> Iterator[str]:
    for pod in pods:
        owned = any(owner.controller for owner in pod.metadata.owner_references or [])
        if not owned and pod.status.phase in ("Pending", "Running"):
            yield f"{pod.metadata.namespace}/{pod.metadata.name}"


def deprecated(metrics: str) -> tuple[DeprecatedApi, ...]:
    """APIs in use that are to go, out of an API server's metrics.

    Args:
        metrics: what /metrics answers.
    """
    found = set()
    for match in _DEPRECATED.finditer(metrics):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', match["labels"]))
        if labels.get("removed_release") and float(match["value"]):
            name = "/".join(filter(None, (labels["group"], labels["version"], labels["resource"])))
            found.add(DeprecatedApi(name, labels["removed_release"]))
    return tuple(sorted(found, key=lambda api: (api.removed, api.name)))


def _certificates(kubeconfig: Path) -> dict[str, datetime]:
    """Until when the cluster's CA, the administrator's and the API server's own certificate are valid."""
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    served = urlsplit(cluster["server"])
    try:
        answered = ssl.get_server_certificate((served.hostname or "", served.port or 443), timeout=_TIMEOUT_SECONDS)
    except OSError as error:
        raise DougongError(f"{cluster['server']} does not answer: {error}", _SILENT) from error
    found = {
        "the cluster's CA": base64.b64decode(cluster["certificate-authority-data"]),
        "the API server's certificate": answered.encode(),
    }
    if "client-certificate-data" in user:
        found["the administrator's certificate"] = base64.b64decode(user["client-certificate-data"])
    return {
        name: x509.load_pem_x509_certificate(pem).not_valid_after_utc.astimezone(UTC) for name, pem in found.items()
    }
