"""What people of a tenant get."""

from pathlib import Path

from dougong import ansible, environment, runs
from dougong.console import out
from dougong.errors import DougongError


def kubeconfig(name: str, tenant: str, user: str, days: int, file: Path) -> None:
    """Write a kubeconfig with the rights of a tenant.

    Args:
        name: the environment.
        tenant: its name in platform.yml.
        user: whose it is; the audit log shows it.
        days: how long it is good for.
        file: where to; readable for its owner only.

    Raises:
        DougongError: there is no such tenant, or the cluster could not be asked.
    """
    known = environment.platform(name).tenants
    if tenant not in known:
        raise DougongError(
            f"there is no tenant {tenant!r} in platform.yml",
            f"use one of {', '.join(known)}" if known else "add it to `tenants`, and run `dougong up`",
        )
    wanted = {
        "tenants_tenant": tenant,
        "tenants_user": user,
        "tenants_days": days,
        "tenants_file": str(file.resolve()),
    }
    with runs.start("kubeconfig", name, phases=("kubeconfig",)) as run, run.phase("kubeconfig"):
        ansible.run(name, "playbooks/tenant-kubeconfig.yml", extra_vars=wanted)
        run.summary(f"{file} is good for {days} days")
    out().print(f"KUBECONFIG={file} kubectl get pods")
