"""A run on every host of what is there, while an application uses the cloud, and the plan of one: nothing to change."""

from __future__ import annotations

import subprocess

from dougong import runs
from tests.integration.harness import ENVIRONMENT, UP_SECONDS, CommandLine


def test_working_on_every_host_again_changes_nothing(again: subprocess.Popen[bytes]) -> None:
    assert again.wait(UP_SECONDS) == 0
    run = next(run for run in runs.history(ENVIRONMENT) if run.command == "up")
    assert [step.name for phase in run.phases for step in phase.steps if step.changed] == []
    assert len(run.phase("hosts").steps) > 50


def test_the_plan_of_what_is_there_is_empty(dougong: CommandLine, again: subprocess.Popen[bytes]) -> None:
    assert "No change" in dougong.output("plan", "--all")
