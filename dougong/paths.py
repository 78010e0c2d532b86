"""Where things are: the repository, the cache (may be deleted at any time) and the state (must not be lost)."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _xdg(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "dougong"


def cache() -> Path:
    """Artifacts, base images, build caches: everything here can be fetched or built again."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def state(environment: str | None = None) -> Path:
    """Pulumi state, passphrase, SSH key, kubeconfig and run records, per environment; never inside the repository.

    Args:
        environment: the folder name below inventories/; None for what all environments share.
    """
    root = _xdg("XDG_STATE_HOME", ".local/state")
    return root / environment if environment else root


def inventory(environment: str) -> Path:
    """The folder of an environment: platform.yml, group_vars/."""
    return ROOT / "inventories" / environment


def platform_file(environment: str) -> Path:
    """The one typed file that describes an installation; it is the Ansible inventory source, too."""
    return inventory(environment) / "platform.yml"


def pulumi_backend(environment: str) -> Path:
    """Folder of the Pulumi file backend."""
    return state(environment) / "pulumi"


def passphrase_file(environment: str) -> Path:
    """Passphrase of the secrets provider of the environment's stacks (0600)."""
    return state(environment) / "passphrase"


def ssh_key(environment: str) -> Path:
    """Private key for the hosts of an environment; the public one lies beside it."""
    return state(environment) / "ssh" / "id_ed25519"


def known_hosts(environment: str) -> Path:
    """Host keys seen at first contact."""
    return state(environment) / "ssh" / "known_hosts"


def kubeconfig(environment: str) -> Path:
    """The cluster administrator's kubeconfig (0600)."""
    return state(environment) / "kubeconfig"


def runs(environment: str) -> Path:
    """One JSON record per run."""
    return state(environment) / "runs"
