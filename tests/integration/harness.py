"""What the integration tests work with: the command line, the installation that is up, the machine around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dougong import cloud, environment, inventory, paths, runs
from dougong.inventory import Inventory
from dougong.platform import Platform
from dougong.runs import Run
from tests.cluster_probe import Cluster

ENVIRONMENT = "lab"
KEEP = bool(os.environ.get("DOUGONG_TEST_KEEP"))

# Longer than the slowest seen on two shared cores; a hang must not eat the whole hour of CI.
UP_SECONDS = 45 * 60

# What the lab and its guests change on the machine and `down` has to put back: kubelet's settings, forwarding.
_SYSCTLS = ("vm.", "kernel.panic", "net.ipv4.ip_forward", "net.ipv4.conf.all.", "net.bridge.", "fs.inotify.")


@dataclass(frozen=True)
class CommandLine:
    """Calls `dougong` on the lab; what it prints goes to pytest's capture."""

    environment: dict[str, str]

    @classmethod
    def of(cls, installation: str) -> CommandLine:
        """The command line for an environment, as in CI: no terminal, no escape codes."""
        path = f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}"
        return cls({**os.environ, "PATH": path, "CI": "true", "DOUGONG_ENVIRONMENT": installation})

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begin a command."""
        return subprocess.Popen([f"{sys.prefix}/bin/dougong", *arguments], env=self.environment)

    def __call__(self, *arguments: str, expect: int = 0) -> None:
        """Run a command to its end and look at its exit code."""
        process = self.start(*arguments)
        try:
            code = process.wait(UP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            raise
        assert code == expect, f"dougong {' '.join(arguments)}: exit code {code}, not {expect}"

    def output(self, *arguments: str, expect: int | None = 0) -> str:
        """What a command prints; with None whatever its exit code."""
        words = [f"{sys.prefix}/bin/dougong", *arguments]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=600, check=False)
        assert expect in (None, done.returncode), done.stdout + done.stderr
        return done.stdout

    def killed(self, *arguments: str, phase: str, steps: int) -> Run:
        """Start a command and end it by SIGKILL in the middle of a phase.

        Args:
            arguments: the command.
            phase: the phase of the run.
            steps: how many steps of the phase are to be through.

        Returns:
            The record it left.
        """
        known = {run.id for run in runs.history(ENVIRONMENT)}
        process = self.start(*arguments)
        deadline = time.monotonic() + UP_SECONDS
        try:
            while time.monotonic() < deadline:
                assert process.poll() is None, f"it ended with {process.returncode} before it came to {phase}"
                for run in runs.history(ENVIRONMENT, limit=1):
                    if run.id not in known and any(p.name == phase and len(p.steps) >= steps for p in run.phases):
                        process.kill()
                        process.wait()
                        return runs.find(ENVIRONMENT, run.id)
                time.sleep(0.2)
        finally:
            process.kill()
            process.wait()
        raise TimeoutError(f"it did not come to {phase} in {UP_SECONDS} s")


@dataclass(frozen=True)
class Installation:
    """An installation that is up: what was wanted, what Pulumi says is there, what Ansible sees."""

    name: str
    platform: Platform
    outputs: dict[str, Any]
    inventory: Inventory
    variables: dict[str, str]

    @classmethod
    def of(cls, name: str) -> Installation:
        """The installation of an environment."""
        platform = environment.platform(name)
        outputs = inventory.read_outputs(name, platform)
        known = inventory.build(platform, name, outputs)
        return cls(name, platform, outputs, known, environment.variables(name, platform))

    def with_probe(self) -> Cluster:
        """Its cluster, with the image of the tests' own pods on every node."""
        playbook = ["ansible-playbook", "-i", str(paths.platform_file(self.name)), "tests/integration/probe.yml"]
        subprocess.run(playbook, cwd=paths.ROOT, env=environment.overlay(self.variables), check=True)
        return Cluster(Path(self.variables["KUBECONFIG"]))

    def ssh(self, host: str, command: str) -> str:
        """What a command prints on a host."""
        return self.run("dougong", "ssh", "-e", self.name, host, "--", command)

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints."""
        return self.run("kubectl", *arguments)

    def kubernetes(self, *arguments: str) -> Any:
        """What kubectl says, as data."""
        return json.loads(self.kubectl(*arguments, "-o", "json"))

    def run(self, *words: str) -> str:
        """What a plain tool prints, with the variables of `dougong env`."""
        done = subprocess.run(
            words, env=environment.overlay(self.variables), capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout


@dataclass(frozen=True)
class Machine:
    """What a person would look at to see whether anything is left: name → lines."""

    state: dict[str, set[str]]

    @classmethod
    def now(cls) -> Machine:
        """Look."""
        commands = {
            "containers": ["podman", "ps", "--all", "--format", "{{.Names}}"],
            "container networks": ["podman", "network", "ls", "--format", "{{.Name}}"],
            "volumes": ["podman", "volume", "ls", "--format", "{{.Name}}"],
            "routes": ["ip", "-4", "route"],
            "links": ["ip", "-brief", "link", "show", "type", "bridge"],
            "firewall": ["nft", "list", "tables"],
            "loop devices": ["losetup", "--noheadings", "--output", "BACK-FILE"],
        }
        state = {name: set(_lines(words)) for name, words in commands.items()}
        state["settings"] = {line for line in _lines(["sysctl", "--all"]) if line.startswith(_SYSCTLS)}
        return cls(state)

    def more_than(self, other: Machine) -> dict[str, set[str]]:
        """What is here that was not there."""
        return {name: more for name, lines in self.state.items() if (more := lines - other.state[name])}


@contextmanager
def lab_of_its_own(name: str) -> Iterator[CommandLine]:
    """The command line for an environment that has the lab to itself. Nothing of it is left at the end.

    Args:
        name: the environment; its folder below inventories/ may be made inside.
    """
    dougong = CommandLine.of(name)
    dougong("lab", "down")
    before = Machine.now()
    try:
        yield dougong
        dougong("down", "--yes", "--destroy-data", "--keep-lab")
        assert cloud.remaining(environment.platform(name)) == []
    finally:
        dougong("lab", "down")
    assert Machine.now().more_than(before) == {}


def _lines(words: list[str]) -> Iterable[str]:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
