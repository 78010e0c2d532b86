"""platform.yml: the one typed file that describes an installation."""

from dougong.platform.findings import Finding, PlatformError
from dougong.platform.model import (
    Backup,
    BackupTarget,
    Calico,
    Cloud,
    Demo,
    Kubernetes,
    Listener,
    LoadBalancers,
    Network,
    Platform,
    Pool,
    Quota,
    Services,
    State,
    Tenant,
    Volume,
)
from dougong.platform.schema import json_schema
from dougong.platform.validation import Validation, load, validate

__all__ = [
    "Backup",
    "BackupTarget",
    "Calico",
    "Cloud",
    "Demo",
    "Finding",
    "Kubernetes",
    "Listener",
    "LoadBalancers",
    "Network",
    "Platform",
    "PlatformError",
    "Pool",
    "Quota",
    "Services",
    "State",
    "Tenant",
    "Validation",
    "Volume",
    "json_schema",
    "load",
    "validate",
]
