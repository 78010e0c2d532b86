"""`dougong bench`: the command line of the measurements."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import Annotated, Any

import typer
from rich.table import Table

from dougong import console, runs
from dougong.bench import network
from dougong.bench.network import Measurement
from dougong.console import out

app = typer.Typer(no_args_is_help=True, help="Measurements.")


@app.callback()
def _group() -> None: ...


@app.command("network")
def network_command(
    environment: Annotated[
        str, typer.Option("--environment", "-e", envvar="DOUGONG_ENVIRONMENT", help="Folder below inventories/.")
    ] = "lab",
    as_json: Annotated[bool, typer.Option("--json", help="The numbers as JSON, and nothing else.")] = False,
) -> None:
    """Measure latency and throughput of the pod network against the hosts' own.

    Takes about a minute and a half and some of the cluster's network. Everything is removed afterwards.
    """
    with runs.silent() if as_json else nullcontext():
        measured = network.measure(environment)
    if as_json:
        out().print_json(json.dumps(as_data(measured)))
    else:
        _show(measured)


def as_data(measured: Measurement) -> dict[str, Any]:
    """The measurement as plain data: medians, spreads, ratios to the hosts' own network and every single run."""
    base_trip, base_flow = network.samples(measured.results[0])
    paths = []
    for result in measured.results:
        trip, flow = network.samples(result)
        paths.append(
            {
                "path": result.path.name,
                "round_trip_us": round(trip.median, 2),
                "round_trip_spread": round(trip.spread, 3),
                "round_trip_ratio": round(trip.against(base_trip), 3),
                "bits_per_second": round(flow.median),
                "throughput_spread": round(flow.spread, 3),
                "throughput_ratio": round(flow.against(base_flow), 3),
                "runs": {"round_trip_us": result.round_trips, "bits_per_second": result.throughputs},
            }
        )
    return {"base": network.BASE, "paths": paths, "left_out": measured.left_out}


def _show(measured: Measurement) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("path", "round trip", "±", "ratio", "throughput", "±", "ratio"):
        table.add_column(title, justify="left" if title == "path" else "right", no_wrap=True)
    for row in as_data(measured)["paths"]:
        table.add_row(
            row["path"],
            f"{row['round_trip_us']:.0f} µs",
            f"{row['round_trip_spread']:.0%}",
            f"[bold]{row['round_trip_ratio']:.2f}[/]",
            f"{row['bits_per_second'] / 1e9:.2f} Gbit/s",
            f"{row['throughput_spread']:.0%}",
            f"[bold]{row['throughput_ratio']:.2f}[/]",
        )
    out().print()
    out().print(table)
    for path, reason in measured.left_out.items():
        out().print(f"{console.MARKS['skipped']} {path}: {reason}")
    out().print()
    out().print(f"Medians of {network.RUNS} runs; ± is how far they lie apart. Only ratios compare between machines.")
