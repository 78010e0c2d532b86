"""What the drills work with: a cluster in system containers, and the playbooks that are tried on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dougong import artifacts, paths
from dougong.artifacts import catalogue

# The longest step, a cluster of five hosts from nothing, took 10 min on two busy cores.
_STEP_SECONDS = 30 * 60


def dougong(*arguments: str, expect: int = 0) -> str:
    """Run a command of `dougong`.

    Args:
        arguments: of the command line.
        expect: its exit code.

    Returns:
        What it printed.
    """
    done = subprocess.run(
        [f"{sys.prefix}/bin/dougong", *arguments],
        env={**os.environ, "CI": "true", "PATH": f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=_STEP_SECONDS,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def have_kubernetes(*versions: str) -> None:
    """Have all that these versions of Kubernetes consist of in the cache: CI's has that of platform.yml alone."""
    known = catalogue.default()
    artifacts.ensure(member for version in versions for member in known.members(f"kubernetes@{version}"))


@dataclass(frozen=True)
class Cluster:
    """A scenario's hosts with the cluster on them.

    Attributes:
        name: the scenario, a folder of molecule/.
        variables: the environment variables of everything that is run on it.
    """

    name: str
    variables: dict[str, str]

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return Path(self.variables["KUBECONFIG"])

    def start_playbook(self, playbook: str, *options: str, **extra: Any) -> subprocess.Popen[str]:
        """Begin a playbook, for whoever wants to kill it.

        Args:
            playbook: path below the repository.
            options: of ansible-playbook.
            extra: extra variables.
        """
        return subprocess.Popen(
            [
                "ansible-playbook",
                *("-i", "molecule/shared/inventory.yml", "-i", f"molecule/{self.name}/inventory.yml"),
                *(("--extra-vars", json.dumps(extra)) if extra else ()),
                *options,
                playbook,
            ],
            cwd=paths.ROOT,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ansible's workers can be killed with it
        )

    def playbook(self, playbook: str, *options: str, expect: int = 0, **extra: Any) -> str:
        """Run a playbook to its end.

        Args:
            playbook: path below the repository.
            options: of ansible-playbook.
            expect: its exit code.
            extra: extra variables.

        Returns:
            What it printed.
        """
        process = self.start_playbook(playbook, *options, **extra)
        printed, _ = process.communicate(timeout=_STEP_SECONDS)
        assert process.returncode == expect, printed
        return printed

    def shell(self, host: str, command: str) -> str:
        """What a shell command prints on a host, as root."""
        return _output(["podman", "exec", host, "sh", "-c", command])

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints."""
        return _output(["kubectl", *arguments], self.variables)

    def kubernetes(self, *arguments: str) -> Any:
        """What kubectl says, as data."""
        return json.loads(self.kubectl(*arguments, "-o", "json"))

    def converge(self) -> None:
        """Bring hosts and cluster to what the scenario's converge.yml says; hosts that are gone are made anew."""
        # molecule remembers that it made the hosts; one that a drill took away would stay away.
        Path(self.variables["MOLECULE_EPHEMERAL_DIRECTORY"], "state.yml").unlink(missing_ok=True)
        self._molecule("converge")

    def create(self) -> None:
        """Make hosts that are not there, with nothing on them."""
        Path(self.variables["MOLECULE_EPHEMERAL_DIRECTORY"], "state.yml").unlink(missing_ok=True)
        self._molecule("create")

    def destroy(self) -> None:
        """Take everything away."""
        self._molecule("destroy")

    def _molecule(self, step: str) -> None:
        subprocess.run(
            ["molecule", step, "-s", self.name], cwd=paths.ROOT, env=self.variables, check=True, timeout=_STEP_SECONDS
        )


@contextmanager
def scenario(name: str, folder: Path) -> Iterator[Cluster]:
    """A scenario's cluster, from nothing; gone again at the end.

    Args:
        name: a folder of molecule/.
        folder: for its kubeconfig and molecule's notes.
    """
    cluster = Cluster(
        name,
        {
            **os.environ,
            "PATH": f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
            "ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg"),
            # As molecule sets them for its own runs: scenarios' inventories name them.
            "MOLECULE_PROJECT_DIRECTORY": str(paths.ROOT),
            "MOLECULE_SCENARIO_DIRECTORY": str(paths.ROOT / "molecule" / name),
            "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
            "KUBECONFIG": str(folder / "kubeconfig"),
        },
    )
    cluster.destroy()
    try:
        cluster.converge()
        yield cluster
    finally:
        cluster.destroy()


def _output(words: list[str], variables: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, env=variables, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout
