"""Whether the cluster looks at signatures before it lets pods in."""

from __future__ import annotations

from kubernetes.client import AdmissionregistrationV1Api

from dougong import cluster_api, paths
from dougong.check import Check

CONFIGURATION = "kyverno-resource-validating-webhook-cfg"
WEBHOOK = "ivpol.validate.kyverno.svc-fail"
"""What Kyverno registers while it is well, as long as there is a policy for images (roles/admission)."""
_REMEDY = "kubectl -n kyverno get pods; dougong up"


def check(name: str, tenants: list[str]) -> Check:
    """Ask the API whether Kyverno has registered itself.

    Args:
        name: the environment.
        tenants: whose images have to be signed.
    """
    api = AdmissionregistrationV1Api(cluster_api.connect(paths.kubeconfig(name)))
    try:
        found = api.read_validating_webhook_configuration(CONFIGURATION, _request_timeout=10)
    except cluster_api.REFUSALS as error:
        said = f"nothing is let into {', '.join(tenants)}: {getattr(error, 'reason', error)}"
        return Check("signed images", False, said, _REMEDY)
    if not any(webhook.name.startswith(WEBHOOK) for webhook in found.webhooks or []):
        said = f"nothing is let into {', '.join(tenants)}: Kyverno verifies no signatures"
        return Check("signed images", False, said, _REMEDY)
    return Check("signed images", True, f"wanted by {', '.join(tenants)}; verified by Kyverno")
