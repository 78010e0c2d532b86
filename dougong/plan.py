"""What `up` would change, in the cloud and on the hosts; touches nothing."""

from __future__ import annotations

from rich.text import Text

from dougong import ansible, applied, environment, inventory, lab, runs, stacks
from dougong.console import out
from dougong.platform import Platform
from dougong.runs import Recorder, Run

# A diff longer than this is one file made anew; the raw log has it whole.
_DIFF_LINES = 40


def plan(name: str, *, everything: bool = False) -> bool:
    """Pulumi's preview of every stack, then Ansible's check mode on the hosts that `up` would work on.

    Args:
        name: the environment.
        everything: look at every host: what somebody has changed there by hand is seen, too.

    Returns:
        Whether anything would change.

    Raises:
        DougongError: platform.yml is invalid, or a preview or the check failed.
    """
    tasks: list[ansible.Change] = []
    cloud_differs = False
    leaving: list[str] = []
    with runs.start("plan", name, phases=("validate", *stacks.ORDER, "hosts")) as run:
        run.tell_steps = False  # they are the result, and shown at the end
        with run.phase("validate"):
            platform = environment.platform(name)
            run.command(f"dougong validate -e {name}")
            run.summary("valid")
        if platform.cloud.embedded and not lab.running():
            run.note("the embedded OpenStack is not up: `dougong up` would start it and create everything in it")
            return True
        if leaving := applied.leaving(name, platform):
            run.note(f"these nodes would be drained and taken out of the cluster: {', '.join(leaving)}")
        for stack in stacks.ORDER:
            with run.phase(stack):
                summary = stacks.preview(name, stack, on_event=stacks.reporter(run))
                run.summary(_planned(summary))
                cloud_differs = cloud_differs or stacks.differs(summary)
        with run.phase("hosts"):
            tasks = _hosts(run, name, platform, set(leaving), everything=everything)
    out().print()
    if not (cloud_differs or tasks or leaving):
        out().print("No change: what is there is what platform.yml says.")
        return False
    _show(run.run, tasks)
    return True


def _planned(changes: stacks.Changes) -> str:
    words = [f"{count} to {operation}" for operation, count in changes.items() if count and operation != "same"]
    return ", ".join(words) or "no change"


def _hosts(
    run: Recorder, name: str, platform: Platform, leaving: set[str], *, everything: bool
) -> list[ansible.Change]:
    try:
        outputs = inventory.read_outputs(name, platform)
    except inventory.NoStackError:
        outputs = {}
    known = inventory.build(platform, name, outputs)
    if not known.hosts:
        run.summary("skipped: there are no hosts yet that could be asked")
        return []
    servers = {host["name"]: host["server_id"] for host in outputs["hosts"]}
    wanted = applied.fingerprints(name, platform, known, servers)
    work = applied.work(known, wanted, applied.nodes(name), everything=everything)
    for host in work.absent:
        run.note(f"{host} is a member and not Ready: `dougong up` would leave it alone")
    due = [host for host in work.due if host not in leaving]
    if not due:
        run.summary(f"nothing new for {len(work.same)} hosts; dougong plan --all looks at them all the same")
        return []
    limit = ",".join(due) if len(due) < len(known.hosts) else None
    result = ansible.run(name, "playbooks/site.yml", check=True, diff=True, limit=limit)
    run.summary(f"{len(result.changed)} tasks would change something" if result.changed else "no change")
    return result.changed


def _show(run: Run, tasks: list[ansible.Change]) -> None:
    for phase in run.phases:
        if phase.name in stacks.ORDER and phase.changes:
            out().print(f"[bold]{phase.name}[/]")
            for step in phase.steps:
                if step.changed:
                    out().print(Text(f"  {step.changed[0]:<8} {step.name}"))
    if tasks:
        out().print("[bold]hosts[/]")
    for change in tasks:
        out().print(Text(f"  {change.host}: {change.task}"))
        lines = change.diff.splitlines()
        for line in lines[:_DIFF_LINES]:
            out().print(Text(f"    {line}", style=_STYLES.get(line[:1], "dim")))
        if len(lines) > _DIFF_LINES:
            out().print(Text(f"    … {len(lines) - _DIFF_LINES} lines more", style="dim"))


_STYLES = {"+": "green", "-": "red", "@": "cyan"}
