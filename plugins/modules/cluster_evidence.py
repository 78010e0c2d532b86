#!/usr/bin/python
"""Ansible module: everything an inspection wants to know of a cluster, from its API; it changes nothing."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import kubernetes.client
import kubernetes.config
import urllib3
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: cluster_evidence
short_description: What an inspection wants to know of a cluster
description:
  - Reads nodes and their heartbeats, pods that are not at work, the addresses of DNS, volumes and claims.
  - An API that does not answer is evidence, too, and no failure of the module. C(dougong.inspection) judges.
options:
  kubeconfig:
    description: The administrator's kubeconfig.
    type: path
    required: true
"""
RETURN = """
evidence:
  description: What was seen; its fields are those of C(dougong.inspection.evidence.Cluster).
  type: dict
"""

_SECONDS = 20
_TUNNEL = "projectcalico.org/IPv4VXLANTunnelAddr"
_DNS = {"namespace": "kube-system", "label_selector": "k8s-app=kube-dns"}


class Reader:
    """Reads from the API; times come out as seconds before the API server's own present."""

    def __init__(self, kubeconfig: str) -> None:
        client = kubernetes.config.new_client_from_config(kubeconfig)  # type: ignore[no-untyped-call]  # upstream's
        # One try: an API that is away is what we want to hear of, soon.
        client.configuration.retries = False
        self._api = kubernetes.client.ApiClient(client.configuration)
        self.core = kubernetes.client.CoreV1Api(self._api)
        self.storage = kubernetes.client.StorageV1Api(self._api)
        _, _, headers = kubernetes.client.VersionApi(self._api).get_code_with_http_info(_request_timeout=_SECONDS)
        self._now = parsedate_to_datetime(headers["Date"])

    def age(self, moment: datetime | None) -> float | None:
        return round((self._now - moment).total_seconds(), 1) if moment else None

    def _items(self, method: Any, **options: Any) -> list[Any]:
        return list(method(_request_timeout=_SECONDS, **options).items)

    def nodes(self) -> list[dict[str, Any]]:
        leases = kubernetes.client.CoordinationV1Api(self._api).list_namespaced_lease
        beats = {
            lease.metadata.name: self.age(lease.spec.renew_time)
            for lease in self._items(leases, namespace="kube-node-lease")
        }
        return [
            {
                "name": node.metadata.name,
                "conditions": {
                    c.type: {"status": c.status, "message": c.message} for c in node.status.conditions or []
                },
                "unschedulable": bool(node.spec.unschedulable),
                "heartbeat_seconds": beats.get(node.metadata.name),
                "kubelet": node.status.node_info.kubelet_version,
                "runtime": node.status.node_info.container_runtime_version,
                "tunnel": (node.metadata.annotations or {}).get(_TUNNEL),
            }
            for node in self._items(self.core.list_node)
        ]

    def pods(self) -> list[dict[str, Any]]:
        """Pods that ought to be at work and are not, or that came back from a crash not long ago."""
        found = []
        for pod in self._items(self.core.list_pod_for_all_namespaces):
            if pod.status.phase == "Succeeded":
                continue
            containers = pod.status.container_statuses or []
            waiting = [c.state.waiting.reason for c in containers if c.state and c.state.waiting]
            crashes = [c.last_state.terminated for c in containers if c.last_state and c.last_state.terminated]
            ages = [self.age(crash.finished_at) for crash in crashes]
            reason = pod.status.reason or next(iter(waiting), "") or _condition(pod)
            found.append(
                {
                    "name": f"{pod.metadata.namespace}/{pod.metadata.name}",
                    "node": pod.spec.node_name,
                    "phase": pod.status.phase,
                    "ready": bool(containers) and all(c.ready for c in containers),
                    "reason": reason,
                    "age": self.age(pod.metadata.creation_timestamp),
                    "restarts": sum(c.restart_count for c in containers),
                    "restarted_seconds_ago": min((age for age in ages if age is not None), default=None),
                }
            )
        return found

    def components(self) -> list[dict[str, Any]]:
        """Version of each program of the cluster's own, as the tag of its image says it."""
        return [
            {
                "component": pod.metadata.labels.get("component") or pod.metadata.labels.get("k8s-app"),
                "node": pod.spec.node_name,
                "version": pod.spec.containers[0].image.rsplit(":", 1)[-1],
            }
            for selector in ("tier=control-plane", "k8s-app=kube-proxy")
            for pod in self._items(self.core.list_namespaced_pod, namespace="kube-system", label_selector=selector)
        ]

    def name_servers(self) -> list[dict[str, str]]:
        services = self._items(self.core.list_namespaced_service, **_DNS)
        pods = self._items(self.core.list_namespaced_pod, **_DNS)
        return [
            *({"name": f"service {s.metadata.name}", "address": s.spec.cluster_ip} for s in services),
            *({"name": f"pod {p.metadata.name}", "address": p.status.pod_ip} for p in pods if p.status.pod_ip),
        ]

    def claims(self) -> list[dict[str, Any]]:
        return [
            {
                "name": f"{claim.metadata.namespace}/{claim.metadata.name}",
                "phase": claim.status.phase,
                "storage_class": claim.spec.storage_class_name,
                "age": self.age(claim.metadata.creation_timestamp),
            }
            for claim in self._items(self.core.list_persistent_volume_claim_for_all_namespaces)
        ]

    def volumes(self) -> list[dict[str, Any]]:
        return [
            {"name": v.metadata.name, "phase": v.status.phase, "message": v.status.message or ""}
            for v in self._items(self.core.list_persistent_volume)
        ]

    def attachments(self) -> list[dict[str, Any]]:
        """Attempts to attach or detach a volume that have failed."""
        attachments = self._items(self.storage.list_volume_attachment)
        return [
            {"volume": a.spec.source.persistent_volume_name, "node": a.spec.node_name, "message": error.message or ""}
            for a in attachments
            if a.status and (error := a.status.attach_error or a.status.detach_error)
        ]

    def waiting_classes(self) -> list[str]:
        """Storage classes whose claims stay pending, rightly, until a pod wants them."""
        classes = self._items(self.storage.list_storage_class)
        return [c.metadata.name for c in classes if c.volume_binding_mode == "WaitForFirstConsumer"]

    def evidence(self) -> dict[str, Any]:
        parts = ("nodes", "pods", "components", "name_servers", "claims", "volumes", "attachments", "waiting_classes")
        return {"error": "", **{part: getattr(self, part)() for part in parts}}


def _condition(pod: Any) -> str:
    """Why a pod that has no container yet has none."""
    wrong = [c for c in pod.status.conditions or [] if c.status == "False" and c.message]
    return str(wrong[0].message) if wrong else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={"kubeconfig": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    try:
        evidence = Reader(module.params["kubeconfig"]).evidence()
    except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError, kubernetes.config.ConfigException) as error:
        evidence = {"error": str(getattr(error, "reason", None) or error)[:400]}
    module.exit_json(changed=False, evidence=evidence)


if __name__ == "__main__":
    main()
