"""`dougong certificates`: what there is, renewal, and rotation of the authorities."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from dougong import ansible, console, runs
from dougong.certificates import table
from dougong.certificates.model import WARNING_DAYS, Certificate
from dougong.cli import DIFFERS, OK, Environment, Verbose

app = typer.Typer(
    invoke_without_command=True, add_completion=False, context_settings={"help_option_names": ["-h", "--help"]}
)

_FOUND = "kubernetes_certificates_found"


class Workloads(StrEnum):
    """What a rotation does about users' pods that know the old authority alone."""

    WAIT = "wait"
    RESTART = "restart"
    IGNORE = "ignore"


@app.callback()
def _status(
    context: typer.Context,
    environment: Environment = "lab",
    as_json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
) -> None:
    """Certificates: what there is, renewal, rotation of the authorities."""
    if context.invoked_subcommand is None:
        status(environment, as_json)


@app.command()
def status(
    environment: Environment = "lab",
    as_json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
) -> None:
    """Show every certificate, the most urgent first.

    Exit code 3 if one ends in less than 30 days, or was renewed but not loaded.
    """
    certificates = look(environment)
    if as_json:
        typer.echo(json.dumps([vars(certificate) for certificate in certificates], indent=2))
    else:
        _show(certificates)
    raise typer.Exit(DIFFERS if any(certificate.trouble for certificate in certificates) else OK)


@app.command()
def renew(
    environment: Environment = "lab",
    if_less_than: Annotated[
        int, typer.Option("--if-less-than", metavar="DAYS", min=0, help="What has fewer days left is renewed.")
    ] = 90,
    verbose: Verbose = False,
) -> None:
    """Renew what ends soon and have it loaded, one host after another.

    A second run changes nothing. Authorities stay as they are.
    """
    _run(
        "renew", environment, "playbooks/certificates-renew.yml", kubernetes_certificates_if_less_than_days=if_less_than
    )


@app.command("rotate-ca")
def rotate_ca(
    environment: Environment = "lab",
    if_older_than: Annotated[
        float, typer.Option("--if-older-than", metavar="DAYS", min=0, help="Begin only when the authorities are older.")
    ] = 1,
    workloads: Annotated[
        Workloads, typer.Option(help="About pods of users that know the old authority alone: wait for you, or go on.")
    ] = Workloads.WAIT,
    verbose: Verbose = False,
) -> None:
    """Give the cluster new certificate authorities, while it works.

    The old ones are trusted until nothing uses them any more. May be stopped anywhere and started again.
    """
    _run(
        "rotation",
        environment,
        "playbooks/certificates-rotate-ca.yml",
        kubernetes_certificates_if_older_than_days=if_older_than,
        kubernetes_certificates_workloads=workloads.value,
    )


def look(environment: str) -> list[Certificate]:
    """Every certificate of an installation, the most urgent first.

    Args:
        environment: its name.

    Raises:
        DougongError: a host cannot be reached.
    """
    hosts = ansible.facts(environment, "playbooks/certificates.yml", _FOUND)
    return table.urgent_first([found for host in hosts for found in host])


def _run(phase: str, environment: str, playbook: str, **variables: Any) -> None:
    with runs.start("certificates", environment, phases=(phase,)) as run, run.phase(phase):
        result = ansible.run(environment, playbook, extra_vars=variables)
        run.summary(f"{result.tasks} tasks, {len(result.changed)} changed")


def _show(certificates: list[Certificate]) -> None:
    shown = Table(box=None, pad_edge=False)
    for heading in table.HEADINGS:
        shown.add_column(heading, justify="right" if heading == "days" else "left", no_wrap=True)
    for certificate, row in zip(certificates, table.rows(certificates), strict=True):
        shown.add_row(*row, style="red" if certificate.trouble else None)
    console.out().print(shown)
    troubled = [certificate for certificate in certificates if certificate.trouble]
    for certificate in troubled:
        console.findings(
            [("failed", f"{certificate.host} {certificate.name}", certificate.trouble, _remedy(certificate))]
        )
    if not troubled:
        console.out().print(f"all are loaded, and none ends within {WARNING_DAYS} days")


def _remedy(certificate: Certificate) -> str:
    if certificate.renewed_by == "kubelet":
        return (
            f"it should have renewed it: dougong ssh {certificate.host} -- journalctl -u kubelet | grep -i certificate"
        )
    return f"dougong certificates {certificate.renewed_by}"
