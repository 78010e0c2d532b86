"""Builds an installation, or changes it into what its platform.yml says."""

from __future__ import annotations

from typing import Any

from rich.panel import Panel

from dougong import (
    ansible,
    application,
    applied,
    artifacts,
    cloud,
    contacts,
    environment,
    inventory,
    lab,
    paths,
    preflight,
    progress,
    runs,
    stacks,
)
from dougong.artifacts import catalogue, tools
from dougong.console import duration, interactive, out
from dougong.platform import Platform
from dougong.runs import Recorder, Run

PHASES = ("validate", "artifacts", "lab", "cloud", "network", "cluster", "hosts", "application")


def up(name: str, *, everything: bool = False) -> bool:
    """Every phase in turn; each finds out for itself what is there already, so a killed run is simply started again.

    Args:
        name: the environment.
        everything: work on every host, also on those to which nothing else would be applied than last time.

    Returns:
        Whether all of it is as platform.yml says: not, while a member is dead.

    Raises:
        DougongError: a phase failed; what it did so far stays.
    """
    with runs.start("up", name, phases=PHASES) as run:
        with run.phase("validate"):
            platform = environment.platform(name)
            run.run.versions[platform.orchestrator.type] = platform.orchestrator.version
            run.command(f"dougong validate -e {name}")
            run.summary(f"{sum(pool.count for pool in platform.pools.values())} hosts in {len(platform.pools)} pools")
        with run.phase("artifacts"):
            _artifacts(run, platform)
        if platform.cloud.embedded:
            with run.phase("lab"):
                run.command("dougong lab up")
                lab.up()
        with run.phase("cloud"):
            for warning in preflight.preflight(platform, cloud.connect(platform)):
                run.note(str(warning))
            run.summary("it has what platform.yml names, and room for it")
        if leaving := applied.leaving(name, platform):
            with run.phase("nodes"):
                ansible.run(name, "playbooks/remove-node.yml", extra_vars={"remove_nodes": leaving})
                run.summary(f"{', '.join(leaving)} drained, and out of the cluster")
        for stack in stacks.ORDER:
            with run.phase(stack):
                run.summary(stacks.summary(stacks.up(name, stack, on_event=stacks.reporter(run))))
        outputs = inventory.read_outputs(name, platform)
        with run.phase("hosts"):
            for address in contacts.forget_replaced(name, outputs["hosts"]):
                run.note(f"{address} is another server than last time: its host key is learnt anew")
            work = _hosts(run, name, platform, outputs, everything=everything)
        with run.phase("application"):
            url = application.url(platform, outputs)
            if url:
                run.summary(application.wait(url))
            else:
                run.summary("platform.yml asks for none")
    _closing(run.run, name, platform, url)
    return not work.absent


def _hosts(run: Recorder, name: str, platform: Platform, outputs: dict[str, Any], *, everything: bool) -> applied.Work:
    """Work on the hosts that something new is to be applied to; the others are not even asked."""
    known = inventory.build(platform, name, outputs)
    servers = {host["name"]: host["server_id"] for host in outputs["hosts"]}
    wanted = applied.fingerprints(name, platform, known, servers)
    work = applied.work(known, wanted, applied.nodes(name), everything=everything)
    for host in work.absent:
        run.note(f"{host} is a member and not Ready: it is left alone. dougong replace {host} makes it anew")
    if not work.due:
        run.summary(f"nothing new for {len(work.same)} hosts")
        return work
    limit = ",".join(work.due) if work.same or work.absent else None
    result = ansible.run(name, "playbooks/site.yml", limit=limit)
    applied.record(name, {host: wanted[host] for host in work.due if host in wanted})
    left = f"; nothing new for {len(work.same)}" if work.same else ""
    run.summary(f"{result.tasks} tasks on {len(result.stats)} hosts, {_changed(len(result.changed))}{left}")
    return work


def _changed(count: int) -> str:
    return f"{count} changed" if count else "no change"


def _artifacts(run: Recorder, platform: Platform) -> None:
    run.command("dougong artifacts fetch --tools")
    wanted = artifacts.for_platform(platform)
    artifacts.ensure(wanted, progress.of_artifacts(run))
    tools.link(artifacts.ensure(catalogue.default().members("tools")))
    run.summary(f"all {len(wanted)} are in the cache")


def _closing(run: Run, name: str, platform: Platform, url: str | None) -> None:
    """What a person needs now: where it is, how long it took, what to do next."""
    option = "" if name == "lab" else f" -e {name}"
    rows = [
        *([("application", f"[bold]{url}[/]")] if url else []),
        ("kubeconfig", str(paths.kubeconfig(name))),
        ("this run", f"{duration(run.seconds)}, {_changed(run.changes)} · dougong runs show {run.id}{option}"),
        ("next", f'eval "$(dougong env {name})"; kubectl get nodes'),
        ("", " · ".join(f"dougong {word}{option}" for word in ("status", "plan", "inventory", "down"))),
    ]
    text = "\n".join(f"{title:<11}  {value}" for title, value in rows)
    heading = f"[bold green]{platform.name} is up[/]"
    out().print()
    if interactive():
        out().print(Panel(text, title=heading, title_align="left", expand=False, border_style="green"))
    else:
        out().print(f"{heading}\n{text}")
