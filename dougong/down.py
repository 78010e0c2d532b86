"""Removes an installation: the hosts, what the cluster has made in the cloud, the network, the lab."""

from __future__ import annotations

from collections.abc import Mapping

from dougong import cloud, cluster_made, contacts, environment, ghost_balancers, lab, monitor_ports, paths, runs, stacks
from dougong.console import MARKS, duration, out
from dougong.errors import DougongError
from dougong.platform import Platform
from dougong.runs import Recorder

# Seconds; on idle cores the lab's services are there 40 s after its start, on very busy ones after 180.
_LAB_STARTS = 240.0


def down(name: str, *, keep_lab: bool = False, destroy_data: bool = False) -> bool:
    """Remove all of it; what a killed run left undone is done by the next one.

    Args:
        name: the environment.
        keep_lab: leave the embedded OpenStack running.
        destroy_data: protected data volumes and volumes of claims go, too; in the embedded OpenStack they always do.

    Returns:
        Whether nothing is left.

    Raises:
        DougongError: something refused to go.
    """
    platform = environment.platform(name)
    left: list[tuple[str, str, str]] = []
    with runs.start("down", name, phases=("cluster", "made by it", "network", "project", "lab")) as run:
        others = _neighbours(name, platform)
        lab_goes = platform.cloud.embedded and not keep_lab and not others
        if platform.cloud.embedded and others and not keep_lab:
            run.note(f"the embedded OpenStack stays: {', '.join(others.values())} stands in it, too")
        if lab_goes and not _answers(platform):
            run.note("the embedded OpenStack does not answer; what is in it goes with it")
        else:
            if platform.cloud.embedded:
                _until_the_lab_has_started(run)
            left = _remove(run, name, platform, destroy_data)
            if others:
                run.note(f"others are in the same project: only things called {platform.name}-… were looked for")
                left = [found for found in left if _is_of(found[1], platform.name, others)]
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


def _neighbours(name: str, platform: Platform) -> dict[str, str]:
    """Other environments that hold something in the same cloud: names of their installations → environments."""
    found = {}
    for other in environment.names():
        # What was never built here has no state; its stacks are not made for this look at them.
        if other == name or not paths.pulumi_backend(other).exists():
            continue
        described = environment.platform(other)
        if described.cloud.name == platform.cloud.name and stacks.holds(other):
            found[described.name] = other
    return found


def _is_of(title: str, installation: str, others: Mapping[str, str]) -> bool:
    """Whether something is called after an installation, and not after another whose name begins with the same word."""
    owners = [known for known in (installation, *others) if title == known or title.startswith(f"{known}-")]
    return max(owners, key=len, default="") == installation


def _answers(platform: Platform) -> bool:
    """Whether there is a cloud to remove things from: a lab may be gone, or half built by a run that was killed."""
    if not lab.running():
        return False
    try:
        cloud.connect(platform)
    except DougongError:
        return False
    return True


def _until_the_lab_has_started(run: Recorder) -> None:
    """The machine may have been started a moment ago. Nova answers before its hypervisor listens, and the detaching of
    a volume that is asked for in between is lost: Pulumi would wait for it in vain."""
    for check in lab.settled(_LAB_STARTS):
        run.note(f"the embedded OpenStack is not well: {check.name} {check.detail}")


def _remove(run: Recorder, name: str, platform: Platform, destroy_data: bool) -> list[tuple[str, str, str]]:
    if not (destroy_data or platform.cloud.embedded):
        _refuse_to_lose(name, cluster_made.find(cloud.connect(platform), platform.name).data)
    _destroy(run, name, "cluster", destroy_data)
    # Only now: with the hosts gone nobody makes it anew. The network cannot go before it.
    with run.phase("made by it"):
        run.command(f"openstack --os-cloud {platform.cloud.name} loadbalancer delete --cascade  # volume delete, …")
        connection = cloud.connect(platform)
        made = cluster_made.remove(connection, platform.name)
        if orphans := monitor_ports.remove_orphans(connection, platform.name):
            run.note(f"{orphans} port of health monitors that the cloud had forgotten is removed")
        run.summary(f"{len(made)} things that the cluster had made" if len(made) else "it had made nothing")
    _destroy(run, name, "network", destroy_data)
    with run.phase("project"):
        run.command(f"openstack --os-cloud {platform.cloud.name} server list  # volumes, ports, …")
        # As the last of all: what brings them back are the deletions before it.
        if ghosts := ghost_balancers.remove(connection, platform.name):
            run.note(f"deleted once more, for the cloud had listed them again: {', '.join(ghosts)}")
        left = cloud.remaining(platform)
        run.summary(f"{len(left)} things left" if left else "nothing left")
    return left


def _refuse_to_lose(name: str, data: list[str]) -> None:
    """Before anything is touched: what applications have stored is lost only when that was said.

    Raises:
        DougongError: there is data.
    """
    if data:
        raise DougongError(
            f"applications on {name!r} have stored data: {', '.join(data)}",
            "if it may go, too: dougong down --destroy-data; else copy it, and delete the claims with kubectl",
        )


def _destroy(run: Recorder, name: str, stack: str, destroy_data: bool) -> None:
    with run.phase(stack):
        changes = stacks.destroy(name, stack, on_event=stacks.reporter(run), destroy_data=destroy_data)
        run.summary(stacks.summary(changes))


def _closing(name: str, left: list[tuple[str, str, str]], took: str) -> None:
    out().print()
    for kind, title, identifier in left:
        out().print(f" {MARKS['failed']} left in the project: {kind} {title} ({identifier})")
    out().print(f"{name} is removed after {took}" if not left else f"{len(left)} things are left: dougong down again")
