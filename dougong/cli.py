"""The command line."""

# Modules are imported where they are used: `dougong --help` must not wait for Pulumi, Ansible and OpenStack.
# ruff: noqa: PLC0415

from __future__ import annotations

import os
import traceback
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from dougong import console, paths
from dougong.errors import DougongError

OK, FAILED, INVALID, DIFFERS, INTERRUPTED = 0, 1, 2, 3, 130

# Typer folds paragraphs itself.
_HELP = "\n\n".join(
    (
        "From an empty OpenStack project to a complete enterprise PaaS.",
        "One typed file, inventories/ENVIRONMENT/platform.yml, describes an installation; `dougong up` builds it, and "
        "after a change of the file the same command changes it. Every step prints the plain pulumi or "
        "ansible-playbook command that it stands for.",
        "Exit codes: 0 done, 1 failed, 2 wrong usage or invalid platform.yml, 3 something differs or is not healthy, "
        "130 interrupted.",
    )
)

# Command groups of their own modules: name → (module, what stands in --help).
_GROUPS = {
    "lab": ("dougong.lab", "The embedded OpenStack on this machine."),
    "bench": ("dougong.bench.cli", "Measurements: the pod network against the hosts' own."),
    "artifacts": ("dougong.artifacts.cli", "The catalogue of third-party files."),
    "backup": ("dougong.backup.cli", "Back the control plane up: etcd, certificates, keys."),
    "images": ("dougong.images.cli", "Images in the registry: contents, vulnerabilities, signatures."),
    "certificates": ("dougong.certificates.cli", "Certificates: status, renewal, rotation of the authorities."),
}


class _LazyGroup(TyperGroup):
    """A command group that is imported when it is called, not when it is listed."""

    def __init__(self, name: str, module: str, summary: str) -> None:
        super().__init__(name=name, help=summary)
        self._module = module

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        group = get_command(import_module(self._module).app)
        return group.make_context(info_name, args, parent, **extra)


class _Commands(TyperGroup):
    """The top level: says errors in words, and ends with an exit code that means something."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (module, summary) in _GROUPS.items():
            self.add_command(_LazyGroup(name, module, summary))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except DougongError as error:
            console.error(error)
            if console.verbose:
                traceback.print_exc()
            raise typer.Exit(INVALID if _about_the_file(error) else FAILED) from error
        except KeyboardInterrupt:
            console.error(DougongError("interrupted", "start the same command again: it goes on where it stopped"))
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort):
            raise
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise  # the reader has seen enough (`| head`); typer ends quietly
            raise typer.Exit(_unexpected(error)) from error
        except Exception as error:
            if type(error).__module__.startswith("typer."):
                raise  # wrong usage: typer explains it
            raise typer.Exit(_unexpected(error)) from error


def _about_the_file(error: DougongError) -> bool:
    from dougong.platform.findings import PlatformError

    return isinstance(error, PlatformError)


def _unexpected(error: Exception) -> int:
    """A defect of ours: one line for the person, the traceback in a file for whoever mends it."""
    folder = paths.state()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "last-error.log"
    log.write_text("".join(traceback.format_exception(error)))
    console.error(DougongError(f"unexpected {type(error).__name__}: {error}", f"the traceback is in {log}"))
    if console.verbose:
        traceback.print_exception(error)
    return FAILED


app = typer.Typer(
    cls=_Commands,
    help=_HELP,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _set_verbose(value: bool) -> bool:
    console.verbose = console.verbose or value
    return value


Environment = Annotated[
    str,
    typer.Option(
        "--environment", "-e", envvar="DOUGONG_ENVIRONMENT", help="Folder below inventories/.", show_default=True
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_set_verbose, help="Show the raw output of every tool, and tracebacks."),
]


def _version(value: bool) -> None:
    if value:
        from dougong import __version__

        typer.echo(f"dougong {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    verbose: Verbose = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None: ...


@app.command()
def doctor(environment: Environment = "lab") -> None:
    """Say what this machine has and lacks.

    And what will be fetched or built, and how long that takes. Exit code 3 if something needed is missing.
    """
    from dougong import doctor

    raise typer.Exit(OK if doctor.examine(environment) else DIFFERS)


@app.command()
def validate(environment: Environment = "lab") -> None:
    """Check platform.yml.

    All findings at once, with line and remedy. Exit code 2 if there are any.
    """
    from dougong.environment import platform
    from dougong.platform import validate

    described = platform(environment)
    for warning in validate(described.source.file).warnings:
        console.err().print(str(warning), markup=False, highlight=False)
    hosts = sum(pool.count for pool in described.pools.values())
    console.out().print(f"{console.MARKS['ok']} {_short(paths.platform_file(environment))} is valid: {hosts} hosts")


@app.command()
def plan(
    environment: Environment = "lab",
    everything: Annotated[bool, typer.Option("--all", help="Look at every host, not only at what is new.")] = False,
    verbose: Verbose = False,
) -> None:
    """Show what `up` would change.

    Pulumi's preview of the cloud, Ansible's check mode on the hosts. Touches nothing. Exit code 3 if anything would
    change.
    """
    from dougong import plan

    raise typer.Exit(DIFFERS if plan.plan(environment, everything=everything) else OK)


@app.command()
def up(
    environment: Environment = "lab",
    everything: Annotated[bool, typer.Option("--all", help="Work on every host, not only on what is new.")] = False,
    verbose: Verbose = False,
) -> None:
    """Build or change the installation.

    Makes it what platform.yml says. May be stopped anywhere and started again. Exit code 3 if a member of the cluster
    is dead: the rest is done.
    """
    from dougong import up

    raise typer.Exit(OK if up.up(environment, everything=everything) else DIFFERS)


@app.command()
def replace(
    host: Annotated[str, typer.Argument(help="As in `dougong inventory`; its end is enough if no other host has it.")],
    environment: Environment = "lab",
    verbose: Verbose = False,
) -> None:
    """Make a lost host anew.

    Takes it out of the cluster, gives it another server, joins it again. May be stopped anywhere and started again.
    """
    from dougong import replace

    replace.replace(environment, host)


@app.command()
def upgrade(
    to: Annotated[str, typer.Option("--to", metavar="VERSION", help="Version of Kubernetes, such as 1.36.3.")],
    environment: Environment = "lab",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done, and what is in the way.")] = False,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Workers at the same time.")] = 1,
    verbose: Verbose = False,
) -> None:
    """Upgrade Kubernetes, and what belongs to it.

    One minor version after another, node by node. May be stopped anywhere and started again. With --plan nothing is
    touched: exit code 3 if something would be done, 1 if something is in the way.
    """
    from dougong.upgrade import command

    if not plan:
        command.upgrade(environment, to, batch)
        return
    made = command.show(environment, to, batch)
    raise typer.Exit(FAILED if made.errors else DIFFERS if made.hops else OK)


@app.command()
def status(environment: Environment = "lab") -> None:
    """Say whether the installation is healthy.

    From the cloud up to the application's answer: what is wrong, and what to do. Exit code 3 if something is.
    """
    from dougong import status

    raise typer.Exit(OK if status.status(environment) else DIFFERS)


@app.command()
def check(
    environment: Environment = "lab",
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON, and nothing else.")] = False,
    verbose: Verbose = False,
) -> None:
    """Inspect the installation: cloud, hosts, cluster.

    Every finding with its severity, what was seen and what to do. Touches nothing. Exit code 3 if somebody has to look.
    """
    from dougong.inspection import command

    raise typer.Exit(OK if command.check(environment, as_json=as_json) else DIFFERS)


@app.command()
def logs(
    environment: Environment = "lab",
    *,
    app_name: Annotated[
        str, typer.Option("--app", help="Application: its name label, or a host's unit; * matches.")
    ] = "",
    instance: Annotated[str, typer.Option("--instance", help="Pod, or host; * matches.")] = "",
    host: Annotated[str, typer.Option("--host", help="As in `dougong inventory`; * matches.")] = "",
    since: Annotated[str, typer.Option("--since", help="30s, 10m, 2h, 3d; or a time: 2026-11-21T10:00.")] = "10m",
    grep: Annotated[str, typer.Option("--grep", help="Words of the message, the last one may be a begin.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The records themselves, one in a line.")] = False,
) -> None:
    """Show the logs of hosts and containers.

    From Elasticsearch, oldest first. For example: dougong logs --app demo --since 1h --grep "not found"
    """
    from dougong.logs import Question
    from dougong.logs import logs as show

    show(environment, Question(app_name, instance, host, since, grep), follow=follow, as_json=as_json)


secrets_app = typer.Typer(no_args_is_help=True, help="The encryption of Kubernetes' secrets in etcd.")
app.add_typer(secrets_app, name="secrets")


@secrets_app.command("rotate-key")
def rotate_key(environment: Environment = "lab", verbose: Verbose = False) -> None:
    """Encrypt every secret with a new key.

    No API server stands still for it. May be stopped anywhere and started again.
    """
    from dougong import encryption

    encryption.rotate_key(environment)


@app.command()
def credentials(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Service and user, such as zabbix/Admin.")] = "",
    environment: Environment = "lab",
) -> None:
    """Print passwords of the installation's services.

    That of NAME and nothing else, or all of them. They are kept in the state folder, encrypted by ansible-vault.
    """
    from dougong import credentials

    credentials.show(environment, name)


@app.command()
def kubeconfig(
    tenant: Annotated[str, typer.Argument(help="One of `tenants` in platform.yml.")],
    user: Annotated[str, typer.Option("--user", "-u", help="Whose it is, for the audit log.")],
    environment: Environment = "lab",
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How long it is good for.")] = 7,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Where to; default: TENANT.kubeconfig.")] = None,
) -> None:
    """Write a kubeconfig for somebody of a tenant.

    With the rights of the tenant in its namespace, and no others. It cannot be revoked; it ends by itself.
    """
    from dougong import tenants

    tenants.kubeconfig(environment, tenant, user, days, file or Path(f"{tenant}.kubeconfig"))


@app.command()
def inventory(
    environment: Environment = "lab",
    as_list: Annotated[bool, typer.Option("--list", help="All variables, as JSON.")] = False,
    host: Annotated[str | None, typer.Option("--host", help="The variables of one host, as JSON.")] = None,
) -> None:
    """Show the hosts and groups that Ansible sees."""
    from dougong import hands

    hands.inventory(environment, ["--list"] if as_list else ["--host", host] if host else ["--graph"])


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def ssh(
    context: typer.Context,
    host: Annotated[str, typer.Argument(help="As in `dougong inventory`; its end is enough if no other host has it.")],
    environment: Environment = "lab",
) -> None:
    """Log in to a host, or run a command there.

    For example: dougong ssh worker-0 -- uptime
    """
    from dougong import hands

    hands.ssh(environment, host, context.args)


@app.command()
def env(
    name: Annotated[str, typer.Argument(metavar="[ENVIRONMENT]", envvar="DOUGONG_ENVIRONMENT")] = "lab",
) -> None:
    """Print shell exports for the plain tools.

    For pulumi, ansible-playbook, kubectl and openstack by hand: eval "$(dougong env lab)"
    """
    from dougong.environment import exports

    typer.echo(exports(name))


@app.command()
def down(
    environment: Environment = "lab",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    destroy_data: Annotated[bool, typer.Option("--destroy-data", help="Protected data volumes go, too.")] = False,
    keep_lab: Annotated[bool, typer.Option("--keep-lab", help="Leave the embedded OpenStack running.")] = False,
    verbose: Verbose = False,
) -> None:
    """Remove the installation.

    In the right order; then list what is left in the project (nothing).
    """
    if not yes:
        _confirm(environment, "removes it with all its data")
    from dougong import down

    raise typer.Exit(OK if down.down(environment, keep_lab=keep_lab, destroy_data=destroy_data) else DIFFERS)


@app.command()
def restore(
    environment: Environment = "lab",
    wanted: Annotated[
        str, typer.Option("--from", metavar="ID|FILE", help="As in `dougong backup list`, or a file; or: latest.")
    ] = "latest",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    verbose: Verbose = False,
) -> None:
    """Bring the cluster back to a backup.

    In place, or on new hosts after `up`. A backup that is damaged or for another key is refused before anything is
    touched. May be stopped anywhere and started again.
    """
    if not yes:
        _confirm(environment, f"brings it back to the backup {wanted}, and what the cluster knew since then is lost")
    from dougong.backup import restore

    restore.restore(environment, wanted)


def _confirm(environment: str, consequence: str) -> None:
    if not console.interactive():
        raise DougongError(f"{environment!r}: this {consequence}, and nobody is there to ask", "add --yes")
    console.out().print(f"[bold]{environment}[/]: this {consequence}.")
    if typer.prompt("Type its name to go on") != environment:
        raise DougongError("that is not its name: nothing was touched")


runs_app = typer.Typer(invoke_without_command=True)
app.add_typer(runs_app, name="runs")


@runs_app.callback()
def runs_list(
    context: typer.Context,
    environment: Environment = "lab",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 10,
) -> None:
    """Show what the latest runs did, and how long it took."""
    if context.invoked_subcommand is None:
        from dougong.runs import timeline

        timeline.overview(environment, limit)


@runs_app.command("show")
def runs_show(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The begin of its id, or: last.")] = "last",
    environment: Environment = "lab",
    as_json: Annotated[bool, typer.Option("--json", help="The record itself.")] = False,
) -> None:
    """Show the timeline of one run."""
    from dougong.runs import find, timeline

    run = find(environment, identifier)
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        timeline.show(run)


@app.command()
def topology(
    environment: Environment = "lab",
    svg: Annotated[Path | None, typer.Option("--svg", help="Write a drawing to this file.")] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Mermaid on standard output; the default.")] = False,
) -> None:
    """Draw the installation.

    Mermaid on standard output, or an SVG file.
    """
    from dougong import environment as environments
    from dougong import inventory, topology

    platform = environments.platform(environment)
    try:
        outputs = inventory.read_outputs(environment, platform)
    except inventory.NoStackError:
        outputs = {}  # the drawing shows what is wanted, without addresses
    if svg:
        svg.write_text(topology.svg(platform, outputs))
    else:
        typer.echo(topology.mermaid(platform, outputs))


@app.command()
def schema() -> None:
    """Print the JSON Schema of platform.yml, for editors."""
    from dougong.platform.schema import schema_text

    typer.echo(schema_text(), nl=False)


def _short(path: Path) -> str:
    """A path as one would type it in the present folder."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def main() -> None:
    """Entry point of the `dougong` script."""
    app(prog_name="dougong")
