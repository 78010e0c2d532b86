"""What `up` would change, in the cloud and on the hosts; touches nothing."""

from __future__ import annotations

from rich.text import Text

from dougong import ansible, environment, inventory, lab, runs, stacks
from dougong.console import out
from dougong.platform import Platform
from dougong.runs import Recorder, Run

# A diff longer than this is one file made anew; the raw log has it whole.
_DIFF_LINES = 40


def plan(name: str) -> bool:
    """Pulumi's preview of every stack, then Ansible's check mode on the hosts there are.

    Args:
        name: the environment.

    Returns:
        Whether anything would change.

    Raises:
        DougongError: platform.yml is invalid, or a preview or the check failed.
    """
    tasks: list[ansible.Change] = []
    cloud_differs = False
    with runs.start("plan", name, phases=("validate", *stacks.ORDER, "hosts")) as run:
        run.tell_steps = False  # they are the result, and shown at the end
        with run.phase("validate"):
            platform = environment.platform(name)
            run.command(f"dougong validate -e {name}")
            run.summary("valid")
        if platform.cloud.embedded and not lab.running():
            run.note("the embedded OpenStack is not up: `dougong up` would start it and create everything in it")
            return True
        for stack in stacks.ORDER:
            with run.phase(stack):
                summary = stacks.preview(name, stack, on_event=stacks.reporter(run))
                run.summary(_planned(summary))
                cloud_differs = cloud_differs or stacks.differs(summary)
        with run.phase("hosts"):
            tasks = _hosts(run, name, platform)
    out().print()
    if not (cloud_differs or tasks):
        out().print("No change: what is there is what platform.yml says.")
        return False
    _show(run.run, tasks)
    return True


def _planned(changes: stacks.Changes) -> str:
    words = [f"{count} to {operation}" for operation, count in changes.items() if count and operation != "same"]
    return ", ".join(words) or "no change"


def _hosts(run: Recorder, name: str, platform: Platform) -> list[ansible.Change]:
    try:
        known = inventory.build(platform, name, inventory.read_outputs(name, platform)).hosts
    except inventory.NoStackError:
        known = {}
    if not known:
        run.summary("skipped: there are no hosts yet that could be asked")
        return []
    result = ansible.run(name, "playbooks/site.yml", check=True, diff=True)
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
