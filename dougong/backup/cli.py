"""`dougong backup`: make one, list them, open one to see that it is whole."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from dougong import ansible, console, environment, runs
from dougong.backup import sidecar
from dougong.backup.sidecar import Backup
from dougong.cli import Environment, Verbose

app = typer.Typer(
    invoke_without_command=True, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]}
)


@app.callback()
def _backup(context: typer.Context, environment: Environment = "lab", verbose: Verbose = False) -> None:
    """Back the control plane up: etcd, certificates, keys.

    Encrypted on the host, sent to the target of platform.yml or fetched into the state folder, and read back there.
    """
    if context.invoked_subcommand is None:
        make(environment)


@app.command("list")
def listing(
    environment: Environment = "lab", as_json: Annotated[bool, typer.Option("--json", help="As data.")] = False
) -> None:
    """Show which backups there are, oldest first."""
    backups = look(environment)
    if as_json:
        typer.echo(json.dumps([backup.model_dump(mode="json") for backup in backups], indent=2))
        return
    shown = Table(box=None, pad_edge=False)
    for heading in ("id", "made on", "Kubernetes", "etcd", "revision", "keys", "size"):
        shown.add_column(heading, justify="right" if heading in ("revision", "keys", "size") else "left", no_wrap=True)
    for backup in backups:
        shown.add_row(
            *(backup.id, backup.host, backup.kubernetes, backup.etcd),
            *(str(backup.snapshot.revision), str(backup.snapshot.keys), f"{backup.size / 2**20:.1f} MiB"),
        )
    console.out().print(shown if backups else "there is none: dougong backup")


@app.command()
def verify(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="As in the list, or: latest.")] = "latest",
    environment: Environment = "lab",
    verbose: Verbose = False,
) -> None:
    """Read a backup back, decrypt it, and check everything in it."""
    with runs.start("backup-verify", environment, phases=("verify",)) as run, run.phase("verify"):
        ansible.run(environment, "playbooks/backup-verify.yml", extra_vars={"backup_id": identifier})
        run.summary("it is whole, and the key in the state folder opens it")


def make(name: str) -> Backup:
    """Make a backup.

    Args:
        name: the environment.

    Raises:
        DougongError: it could not be made, did not arrive, or reads back as something else.
    """
    platform = environment.platform(name)
    with runs.start("backup", name, phases=("backup",)) as run, run.phase("backup"):
        ansible.run(name, "playbooks/backup.yml")
        made = sidecar.last(name)
        run.summary(f"{made.id}: {made.snapshot.keys} keys, {made.size / 2**20:.1f} MiB")
    target = platform.backup.target
    where = f"{target.type}:{target.path}" if target else str(sidecar.folder(name) / "kept")
    console.out().print(
        f"\n{made.id} is in {where}\nWhat opens it: {sidecar.folder(name) / 'identity.txt'}. Keep a copy."
    )
    return made


def look(name: str) -> list[Backup]:
    """The backups of an installation, oldest first.

    Args:
        name: the environment.

    Raises:
        DougongError: the target cannot be asked.
    """
    lists = ansible.facts(name, "playbooks/backup-list.yml", "backup_list")
    return [Backup.model_validate(each) for each in (lists[-1] if lists else [])]
