"""Removes an installation: first what runs in it, then the cluster's stack, then the network's, then the lab."""

from __future__ import annotations

from dougong import cloud, contacts, environment, lab, runs, stacks
from dougong.console import MARKS, duration, out
from dougong.errors import DougongError
from dougong.platform import Platform
from dougong.runs import Recorder


def down(name: str, *, keep_lab: bool = False, destroy_data: bool = False) -> bool:
    """Remove all of it; what a killed run left undone is done by the next one.

    Args:
        name: the environment.
        keep_lab: leave the embedded OpenStack running.
        destroy_data: protected data volumes go, too; those of the embedded OpenStack are not protected.

    Returns:
        Whether nothing is left.

    Raises:
        DougongError: something refused to go.
    """
    platform = environment.platform(name)
    left: list[tuple[str, str, str]] = []
    with runs.start("down", name, phases=("cluster", "network", "project", "lab")) as run:
        lab_goes = platform.cloud.embedded and not keep_lab
        if lab_goes and not _answers(platform):
            run.note("the embedded OpenStack does not answer; what is in it goes with it")
        else:
            left = _remove(run, name, platform, destroy_data)
        contacts.forget_all(name)
        if lab_goes:
            with run.phase("lab"):
                run.command("dougong lab down")
                lab.down()
                # The state describes what was in that cloud; with the cloud it is gone, and whatever else was there.
                stacks.forget(name)
                left = []
    _closing(name, left, duration(run.run.seconds))
    return not left


def _answers(platform: Platform) -> bool:
    """Whether there is a cloud to remove things from: a lab may be gone, or half built by a run that was killed."""
    if not lab.running():
        return False
    try:
        cloud.connect(platform)
    except DougongError:
        return False
    return True


def _remove(run: Recorder, name: str, platform: Platform, destroy_data: bool) -> list[tuple[str, str, str]]:
    for stack in reversed(stacks.ORDER):
        with run.phase(stack):
            changes = stacks.destroy(name, stack, on_event=stacks.reporter(run), destroy_data=destroy_data)
            run.summary(stacks.summary(changes))
    with run.phase("project"):
        run.command(f"openstack --os-cloud {platform.cloud.name} server list  # volumes, ports, …")
        left = cloud.remaining(platform)
        run.summary(f"{len(left)} things left" if left else "nothing left")
    return left


def _closing(name: str, left: list[tuple[str, str, str]], took: str) -> None:
    out().print()
    for kind, title, identifier in left:
        out().print(f" {MARKS['failed']} left in the project: {kind} {title} ({identifier})")
    out().print(f"{name} is removed after {took}" if not left else f"{len(left)} things are left: dougong down again")
