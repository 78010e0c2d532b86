"""The Kubernetes minor versions that an installation may ask for."""

KUBERNETES = ("1.34", "1.35", "1.36")
"""Minors that upstream maintains at a time are three (kubernetes.io/releases/version-skew-policy); these three were
installed with the roles of this repository: kubeadm API v1beta4, containerd 2.4 (1.36 needs containerd 2)."""

DEFAULT = "1.36.3"
"""What inventories/lab installs; which patch versions there are says artifacts/catalogue.yml."""
