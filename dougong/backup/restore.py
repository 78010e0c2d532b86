"""Brings an installation back to a backup."""

from __future__ import annotations

from pathlib import Path

from dougong import ansible, environment, runs
from dougong.console import duration, out


def restore(name: str, wanted: str) -> None:
    """Restore the control plane, then let everything else follow it.

    Args:
        name: the environment.
        wanted: id of a backup, `latest`, or the path of a file.

    Raises:
        DougongError: the backup cannot be used, and nothing was touched; or a step failed, and it may be started again.
    """
    archive = Path(wanted).resolve()
    chosen = {"backup_archive": str(archive)} if archive.is_file() else {"backup_id": wanted}
    platform = environment.platform(name)
    with runs.start("restore", name, phases=("control plane", "hosts")) as run:
        with run.phase("control plane"):
            result = ansible.run(name, "playbooks/restore.yml", extra_vars=chosen)
            run.summary(f"{result.tasks} tasks on {len(result.stats)} hosts")
        # New hosts join; what runs on the cluster gets its images.
        with run.phase("hosts"):
            result = ansible.run(name, "playbooks/site.yml")
            run.summary(f"{result.tasks} tasks, {len(result.changed)} changed")
    out().print(f"\n{platform.name} is back after {duration(run.run.seconds)}; is it healthy? dougong status")
