"""Shows recorded runs."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dougong.console import MARKS, duration, out
from dougong.runs.record import Phase, Run, history

_BAR = 32
_SLOWEST = 5


def overview(environment: str, limit: int) -> None:
    """The latest runs, one line each."""
    runs = history(environment, limit)
    if not runs:
        out().print(f"no runs of {environment!r} yet")
        return
    table = Table.grid(padding=(0, 2))
    for column in ("", "id", "command", "", "changes", "slowest phase"):
        table.add_column(justify="right" if column in ("", "changes") and column else "left")
    table.add_row(*(f"[dim]{title}[/]" for title in ("", "run", "command", "time", "changes", "slowest phase")))
    for run in runs:
        slowest = max(run.phases, key=lambda phase: phase.seconds, default=None)
        table.add_row(
            MARKS[run.state],
            run.id,
            run.command,
            Text(duration(run.seconds), justify="right"),
            str(run.changes),
            f"{slowest.name} {duration(slowest.seconds)}" if slowest else "",
        )
    out().print(table)
    out().print("[dim]dougong runs show ID[/]")


def show(run: Run) -> None:
    """One run: its phases along the time axis, their slowest steps, what changed."""
    revision = f" at {run.revision}" if run.revision else ""
    out().print(f"[bold]dougong {run.command}[/] · {run.environment} · {run.started:%Y-%m-%d %H:%M:%S} UTC{revision}")
    out().print(f"[dim]{', '.join(f'{name} {version}' for name, version in run.versions.items())}[/]")
    out().print()
    table = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "right", "left", "left"):
        table.add_column(justify="right" if justify == "right" else "left", no_wrap=True)
    for phase in run.phases:
        table.add_row(
            MARKS[phase.state],
            f"[bold]{phase.name}[/]",
            duration(phase.seconds),
            f"[cyan]{_bar(run, phase)}[/]",
            escape(phase.summary or (f"{phase.changes} changed" if phase.changes else "")),
        )
        for step in sorted(phase.steps, key=lambda step: step.seconds, reverse=True)[:_SLOWEST]:
            if step.seconds >= 1:
                table.add_row("", "", f"[dim]{duration(step.seconds)}[/]", "", f"[dim]{escape(step.name)}[/]")
    out().print(table)
    out().print()
    out().print(f"{MARKS[run.state]} {run.state} after {duration(run.seconds)}, {run.changes} changes")
    if run.error:
        out().print(escape(run.error))


def _bar(run: Run, phase: Phase) -> str:
    whole = run.seconds or 1.0
    begin = round((phase.started - run.started).total_seconds() / whole * _BAR)
    length = max(1, round(phase.seconds / whole * _BAR))
    begin = min(begin, _BAR - 1)
    return (" " * begin + "━" * length)[:_BAR].ljust(_BAR)
