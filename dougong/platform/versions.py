"""The Kubernetes minor versions that an installation may ask for."""

KUBERNETES = ("1.35", "1.36")
"""What artifacts/catalogue.yml has and the tests install; a minor is added here when they do, never before."""

DEFAULT = "1.36.3"
"""What inventories/lab installs; which patch versions there are says artifacts/catalogue.yml."""
