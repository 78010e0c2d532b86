"""`dougong upgrade`: plans, refuses what would go wrong, then goes one version of Kubernetes after another."""

from __future__ import annotations

import difflib
import os
from datetime import datetime
from pathlib import Path

from dougong import ansible, artifacts, environment, paths, progress, runs
from dougong.backup import sidecar
from dougong.console import duration, out
from dougong.errors import DougongError
from dougong.platform import Platform
from dougong.runs import Recorder
from dougong.upgrade import installed, plan


def show(name: str, target: str, batch: int) -> plan.Plan:
    """Print the plan of an upgrade; nothing is touched.

    Args:
        name: the environment.
        target: version of Kubernetes, without v.
        batch: how many workers at the same time.

    Raises:
        DougongError: there is no cluster, or no way to that version.
    """
    made = _plan(name, target, batch)
    plan.show(made)
    return made


def upgrade(name: str, target: str, batch: int) -> None:
    """Upgrade a cluster; a run that was broken off is started again and goes on where the hosts stand.

    Args:
        name: the environment.
        target: version of Kubernetes, without v.
        batch: how many workers at the same time.

    Raises:
        DougongError: something is in the way (all of it is named, nothing was touched), or a host did not come through.
    """
    with runs.start("upgrade", name, phases=("plan", "artifacts", f"to {target}")) as run:
        with run.phase("plan"):
            run.command(f"dougong upgrade -e {name} --to {target} --plan")
            platform = environment.platform(name)
            run.run.versions[platform.orchestrator.type] = target
            made = _plan(name, target, batch)
            plan.show(made)
            if made.errors:
                raise _refused(made)
            run.summary(" → ".join(made.hops) or "nothing to do")
        if not made.hops:
            return
        with run.phase("artifacts"):
            _fetch(run, platform, made.hops)
        if diff := write_version(platform, target):
            run.note(diff)
        for hop in made.hops:
            with run.phase(f"to {hop}"):
                result = ansible.run(
                    name,
                    "playbooks/upgrade.yml",
                    extra_vars={"kubernetes_version": hop, "upgrade_batch": batch},
                )
                run.summary(f"{result.tasks} tasks on {len(result.stats)} hosts, {len(result.changed)} changed")
    out().print(f"{name} runs Kubernetes {target} after {duration(run.run.seconds)}")


def _plan(name: str, target: str, batch: int) -> plan.Plan:
    present = installed.read(paths.kubeconfig(name), _last_backup(name))
    return plan.make(present, target, batch, runs.history(name))


def _last_backup(name: str) -> datetime | None:
    """When the last backup that is known here was made."""
    try:
        return sidecar.last(name).created
    except DougongError:
        return None


def _refused(made: plan.Plan) -> DougongError:
    lines = [f"{finding.what}\n    → {finding.remedy}" for finding in made.errors]
    return DougongError(
        "the upgrade was not begun, nothing was touched\n" + "\n".join(lines), "mend these, then start it again"
    )


def _fetch(run: Recorder, platform: Platform, hops: tuple[str, ...]) -> None:
    wanted = []
    for hop in hops:
        wanted += artifacts.for_platform(platform, kubernetes=hop)
    run.command(f"dougong artifacts fetch {' '.join(artifacts.missing(wanted)) or '--tools'}")
    artifacts.ensure(wanted, progress.of_artifacts(run))
    run.summary(f"all {len(set(wanted))} are in the cache")


def write_version(platform: Platform, version: str) -> str:
    """Write the version into platform.yml, that one word, so that `up` agrees afterwards.

    Returns:
        The difference; empty if it stands there already.
    """
    source, place = platform.source, ("orchestrator", "version")
    present = platform.orchestrator.version
    if present == version:
        return ""
    line, column = source.position(place)
    lines = source.text.splitlines(keepends=True)
    before, rest = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
    lines[line - 1] = before + rest.replace(present, version, 1)
    text = "".join(lines)
    _replace(source.file, text)
    name = os.path.relpath(source.file, paths.ROOT)
    return "\n".join(difflib.unified_diff(source.text.splitlines(), text.splitlines(), name, name, lineterm="", n=0))


def _replace(file: Path, text: str) -> None:
    """Write a file whole or not at all, with the mode it had."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.chmod(file.stat().st_mode)
    new.replace(file)
