"""`dougong images`: what is in images, what is known against them, who has signed them."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from dougong import artifacts, console, paths
from dougong import environment as environments
from dougong.artifacts import Event, catalogue
from dougong.cli import DIFFERS, Environment
from dougong.errors import DougongError
from dougong.images import reach
from dougong.images.signatures import CREDENTIAL, Signer
from dougong.images.vulnerabilities import Severity, named, scanner

app = typer.Typer(no_args_is_help=True, help="What is in images, what is known against them, who has signed them.")

Images = Annotated[list[str], typer.Argument(metavar="IMAGE", help="In the registry: PROJECT/NAME:TAG, or @DIGEST.")]


@app.command()
def sbom(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="In the registry: PROJECT/NAME:TAG, or @DIGEST.")],
    environment: Environment = "lab",
    output: Annotated[
        str, typer.Option("--format", help="One of syft's: cyclonedx-json, spdx-json, syft-table, …")
    ] = "cyclonedx-json",
) -> None:
    """Print the bill of materials of an image.

    Read from its layers by syft: packages of distributions and languages, modules of Go programs.
    """
    syft = _tool("syft")
    with reach.of_environment(environment) as registry:
        command = [str(syft), "scan", f"registry:{registry.digest(image)}", "--output", output, "--quiet"]
        variables = {**registry.variables(), "SYFT_CHECK_FOR_APP_UPDATE": "false"}
        done = subprocess.run(command, env=variables, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise DougongError(f"{image}: {done.stderr.strip()}", "see syft's message above")


@app.command()
def scan(
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE",
            help="In the registry: PROJECT/NAME:TAG, or @DIGEST. Left out: the platform's own, out of the cache.",
            show_default=False,
        ),
    ] = None,
    environment: Environment = "lab",
    database: Annotated[
        str, typer.Option("--database", help="Archive of grype's database, or a mirror; default: as in platform.yml.")
    ] = "",
    fail_on: Annotated[Severity, typer.Option("--fail-on", help="From which severity on it counts.")] = Severity.HIGH,
    output: Annotated[str, typer.Option("--format", help="One of grype's: table, json, sarif, …")] = "table",
) -> None:
    """Look vulnerabilities of images up.

    By grype, in a database that is named here or in platform.yml: nothing is asked of the internet unless that is the
    address of a mirror there. Exit code 3 if something is as severe as --fail-on.
    """
    registered = environments.platform(environment).services.registry
    source = named(database, registered.vulnerability_database)
    wanted = scanner(_tool("grype"), source)
    good = True
    if not images:
        for name, archive in _own(environment):
            console.err().print(f"[bold]{name}[/]")
            good &= wanted.scan(f"oci-archive:{archive}", fail_on=fail_on, output=output)
    else:
        with reach.of_environment(environment) as registry:
            for image in images:
                console.err().print(f"[bold]{image}[/]")
                layers = f"registry:{registry.digest(image)}"
                good &= wanted.scan(layers, fail_on=fail_on, output=output, variables=registry.variables())
    if not good:
        raise typer.Exit(DIFFERS)


@app.command()
def sign(images: Images, environment: Environment = "lab") -> None:
    """Sign images with the platform's key.

    What a tag leads to at this moment: pushed again, it has to be signed again.
    """
    signer = _signer(environment)
    with reach.of_environment(environment) as registry:
        references = {registry.digest(image): image for image in images}
        _by_hand(signer)
        signer.sign(registry, list(signer.unsigned(registry, list(references))))
    for reference, image in references.items():
        console.out().print(f"{console.MARKS['ok']} {image} is signed: {reference.partition('@')[2]}")


@app.command()
def verify(images: Images, environment: Environment = "lab") -> None:
    """Say whether images are signed with the platform's key.

    Exit code 3 if one is not.
    """
    signer = _signer(environment)
    with reach.of_environment(environment) as registry:
        references = {registry.digest(image): image for image in images}
        unsigned = signer.unsigned(registry, list(references))
    for reference, image in references.items():
        reason = unsigned.get(reference)
        mark, said = ("failed", f"is not signed: {reason}") if reason else ("ok", "is signed")
        console.out().print(f"{console.MARKS[mark]} {image} {said}", markup=True, highlight=False)
    if unsigned:
        raise typer.Exit(DIFFERS)


@app.command()
def key(environment: Environment = "lab") -> None:
    """Print the public key that signatures are verified with."""
    signer = _signer(environment)
    signer.ensure_keys()
    typer.echo(signer.public_key.read_text(), nl=False)


def _signer(name: str) -> Signer:
    environments.platform(name)  # there is one of that name
    return Signer(_tool("cosign"), paths.state(name))


def _own(name: str) -> list[tuple[str, Path]]:
    """Reference and archive of each image that platform.yml needs."""
    known = catalogue.default()
    needed = [known.get(spec) for spec in artifacts.for_platform(environments.platform(name))]
    images = artifacts.ensure([artifact.key for artifact in needed if artifact.kind == "image"], _say)
    return [(image.reference or image.name, image.path) for image in images]


def _tool(name: str) -> Path:
    return artifacts.ensure([name], _say)[0].path


def _say(event: Event) -> None:
    """A tool that is not in the cache yet takes a while; nothing of it belongs into the output."""
    if event.phase == "note" or not event.done:
        console.err().print(f"[dim]{event.subject}: {event.detail or event.phase}[/]", highlight=False)


def _by_hand(signer: Signer) -> None:
    words = ["cosign", "sign", "--use-signing-config=false", "--tlog-upload=false", f"--key={signer.private_key}"]
    password = f"COSIGN_PASSWORD=$(dougong credentials {CREDENTIAL})"
    console.err().print(f"[dim]$ {password} {shlex.join(words)} …[/]", highlight=False)
