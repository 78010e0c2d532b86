"""The way to the API of an installation's cluster, as its administrator."""

from __future__ import annotations

from pathlib import Path

import kubernetes.config
from kubernetes.client import ApiClient, ApiException, Configuration
from urllib3.exceptions import HTTPError

REFUSALS = (ApiException, HTTPError)
"""What a request raises when the API does not answer, or answers no."""


def connect(kubeconfig: Path) -> ApiClient:
    """A client; the cluster is not asked yet.

    Args:
        kubeconfig: the administrator's.
    """
    configuration = Configuration()
    kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]  # the library has no types
    # One more try: a load balancer that has just lost a member leads the next connection elsewhere.
    configuration.retries = 1
    return ApiClient(configuration)
