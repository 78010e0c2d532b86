"""`dougong artifacts`: the catalogue on the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dougong import artifacts, console
from dougong.artifacts import bundle as bundles
from dougong.artifacts import catalogue, tools
from dougong.artifacts.cache import Cache, Entry
from dougong.artifacts.fetch import Fetcher, Settings
from dougong.artifacts.lock import Lock
from dougong.artifacts.progress import Event, Listener
from dougong.artifacts.verify import verify as check_cache
from dougong.errors import DougongError
from dougong.platform import load

DIFFERS = 3  # exit code: something is not as it should be

app = typer.Typer(no_args_is_help=True, help="The catalogue of third-party files and images.")

Names = Annotated[list[str] | None, typer.Argument(help="Names, or name@version.", show_default=False)]
PlatformFile = Annotated[
    Path | None,
    typer.Option("--platform", exists=True, dir_okay=False, help="All that this platform.yml needs."),
]
Tools = Annotated[bool, typer.Option("--tools", help="The tools of this machine; they are linked onto PATH.")]
Everything = Annotated[bool, typer.Option("--all", help="The whole catalogue.")]


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"


def _plain(event: Event) -> None:
    """One line for each piece of work and each result."""
    match event.phase:
        case "download" if event.done:
            pass
        case "build" if event.done:
            pass
        case "done":
            console.out().print(f"{event.subject}: {event.detail}, {_size(event.done)}")
        case _:
            console.out().print(f"{event.subject}: {event.detail}")


class _Bar(BarColumn):
    """A bar for what has a known end; nothing for a build, whose end nobody knows."""

    def render(self, task: Task) -> ProgressBar | Text:  # type: ignore[override]  # a column may render anything
        return Text() if task.total is None else super().render(task)


def _amount(event: Event) -> str:
    if event.total:
        return f"{_size(event.done)} of {_size(event.total)}"
    return f"{event.done} packages" if event.phase == "build" and event.done else ""


@contextmanager
def _progress() -> Iterator[Listener]:
    """A listener that draws bars for a person, and writes lines into a pipe."""
    if not console.interactive():
        yield _plain
        return
    lines: dict[int, tuple[str, TaskID]] = {}  # by thread: each does one thing at a time
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        _Bar(bar_width=24),
        TextColumn("{task.fields[amount]}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=console.out(), transient=True) as progress:

        def finish(here: int) -> None:
            if here in lines:
                _, line = lines.pop(here)
                progress.remove_task(line)

        def listen(event: Event) -> None:
            here, detail = threading.get_ident(), escape(event.detail)
            match event.phase:
                case "note":
                    progress.console.print(f"{event.subject}: [dim]{detail}[/]")
                case "done":
                    progress.console.print(f"{event.subject}: [dim]{detail}, {_size(event.done)}[/]")
                    finish(here)
                case _:
                    if here in lines and lines[here][0] != event.subject:
                        finish(here)
                    if here not in lines:
                        lines[here] = event.subject, progress.add_task(event.subject, total=None, amount="")
                    progress.update(
                        lines[here][1],
                        description=f"{event.subject} [dim]{detail if len(detail) < 60 else f'…{detail[-59:]}'}[/]",
                        completed=event.done,
                        total=event.total,
                        amount=_amount(event),
                    )

        yield listen


def _wanted(names: list[str] | None, platform: Path | None, the_tools: bool, everything: bool) -> list[str]:
    known = catalogue.default()
    specs = list(names or [])
    if platform:
        specs += artifacts.for_platform(load(platform))
    if the_tools:
        specs += known.members("tools")
    if everything:
        specs += [artifact.key for artifact in known]
    if not specs:
        raise DougongError("nothing is named", "give names, --platform FILE, --tools or --all")
    return specs


def _keys(specs: list[str]) -> frozenset[str]:
    return frozenset(catalogue.default().get(spec).key for spec in specs)


def _fetcher(listener: Listener, settings: Settings | None = None) -> Fetcher:
    return Fetcher(catalogue.default(), Cache(), Lock(), settings or Settings.from_environment(), listener)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Show the catalogue, and what of it is in the cache."""
    known, cache = catalogue.default(), Cache()
    have = {a.key: cache.get(a, catalogue.target(), known.definition(a)) for a in known}
    if as_json:
        rows = [{**catalogue.as_json(a), "cached": asdict(e) if (e := have[a.key]) else None} for a in known]
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("name", "version", "kind", "license", "in the cache", box=None, header_style="bold")
    for artifact in known:
        entry = have[artifact.key]
        state = f"{_size(entry.size)}, {entry.origin}" if entry else ""
        table.add_row(artifact.name, artifact.version, artifact.kind, artifact.license, state)
    console.out().print(table)


@app.command()
def fetch(
    names: Names = None,
    platform: PlatformFile = None,
    the_tools: Tools = False,
    everything: Everything = False,
    relock: Annotated[
        bool, typer.Option(help="Fetch anew and record the sums anew, after you looked at what changed.")
    ] = False,
) -> None:
    """Have artifacts in the cache: from the mirror, from upstream, or built; in this order."""
    if not (names or platform or everything):
        the_tools = True
    specs = _wanted(names, platform, the_tools, everything)
    with _progress() as listener:
        fetcher = _fetcher(listener)
        if relock:
            fetcher.again, fetcher.relock = _keys(specs), True
        entries = fetcher.ensure(specs)
    console.out().print(f"{len(entries)} artifacts are in {fetcher.cache.root}")
    if the_tools:
        links = tools.link(artifacts.resolve(name) for name in catalogue.default().members("tools"))
        console.out().print(f"{', '.join(link.name for link in links)} are in {links[0].parent}")


@app.command()
def build(
    names: Names = None,
    platform: PlatformFile = None,
    everything: Everything = False,
    again: Annotated[bool, typer.Option(help="Also what is built already: proves that it can be reproduced.")] = False,
) -> None:
    """Build artifacts from source, also where upstream's file is in the cache."""
    specs = _wanted(names, platform, False, everything)
    with _progress() as listener:
        fetcher = _fetcher(listener, Settings(sources=("cache", "build")))
        fetcher.from_source = True
        if again:
            fetcher.again = _keys(specs)
        entries = fetcher.ensure(specs)
    console.out().print(f"{len(entries)} artifacts are built as {fetcher.lock.path.name} says")


@app.command()
def bundle(
    destination: Annotated[Path, typer.Argument(help="A new folder, or a file that ends in .tar.")],
    names: Names = None,
    platform: PlatformFile = None,
    everything: Everything = False,
) -> None:
    """Write the set that one platform.yml needs, with an SBOM, for a site without internet."""
    specs = _wanted(names, platform, False, everything)
    known, cache = catalogue.default(), Cache()
    with _progress() as listener:
        entries = _fetcher(listener).ensure(specs)
        listener(Event("assemble", destination.name, "copies files, reads them for the SBOM"))
        items = [(known.get(f"{entry.name}@{entry.version}"), entry) for entry in entries]
        bundles.write(destination, load(platform).name if platform else destination.stem, items, cache)
    size = _size(sum(entry.size for entry in entries))
    console.out().print(f"{destination}: {len(entries)} artifacts, {size}, {bundles.SBOM}")
    console.out().print(f"a site reads it with DOUGONG_ARTIFACT_MIRROR={destination}")


@app.command()
def verify() -> None:
    """Read the whole cache and compare it with the lock."""
    bad: list[Entry] = []
    good = 0
    for finding in check_cache(Cache(), Lock()):
        if finding.problem:
            bad.append(finding.entry)
            console.out().print(f"{finding.entry.name} {finding.entry.version}: {finding.problem}")
        else:
            good += 1
    console.out().print(f"{good} artifacts are intact" + (f", {len(bad)} are not" if bad else ""))
    if bad:
        console.out().print(f"→ dougong artifacts fetch {' '.join(dict.fromkeys(entry.name for entry in bad))}")
        raise typer.Exit(DIFFERS)


@app.command()
def prune() -> None:
    """Remove from the cache what no artifact points to any more."""
    console.out().print(f"{_size(Cache().prune())} freed")
