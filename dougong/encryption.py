"""The encryption of Kubernetes' secrets in etcd."""

from dougong import ansible, runs
from dougong.console import duration, out


def rotate_key(name: str) -> None:
    """Encrypt every secret with a new key; a run that was broken off is taken up where it stopped.

    Args:
        name: the environment.

    Raises:
        DougongError: a control plane cannot be reached, or a step failed; old and new key are in force then.
    """
    with runs.start("secrets rotate-key", name, phases=("key",)) as run, run.phase("key"):
        result = ansible.run(name, "playbooks/rotate-encryption-key.yml")
        run.summary(f"every secret is encrypted with a new key, on {len(result.stats)} control planes")
    out().print(f"done in {duration(run.run.seconds)}; a backup of before needs the key file that is in it")
