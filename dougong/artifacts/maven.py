"""Builds from Maven artifacts: a project that pins them and puts them together."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from dougong.artifacts.progress import Event, Listener
from dougong.errors import DougongError

_TAIL = 15  # lines of Maven's output that an error shows


def build(folder: Path, output: Path, *, listener: Listener) -> str:
    """Run a project's `package` phase.

    Args:
        folder: the project; its pom.xml has the property `output` as its build directory.
        output: where everything that is made goes.
        listener: told that it begins.

    Returns:
        What made it, as the lock names it: another Java compiles other bytes of the same sources, e.g. `java17`.

    Raises:
        DougongError: Maven is missing, or says why it failed.
    """
    if not shutil.which("mvn"):
        raise DougongError(
            f"{folder.name} must be built, and Maven is not on PATH",
            "apt-get install maven, or set DOUGONG_ARTIFACT_MIRROR to a bundle that has the file",
        )
    version = _run(folder, "--version")
    found = re.search(r"^Java version: (\d+)", version, re.MULTILINE)
    if not found:
        raise DougongError(
            f"`mvn --version` does not say its Java:\n{version}", "install Maven with a JDK: apt-get install maven"
        )
    listener(Event("build", folder.name, f"Maven, Java {found[1]}"))
    _run(folder, "--quiet", f"-Doutput={output}", "package")
    return f"java{found[1]}"


def _run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["mvn", "--batch-mode", "-Dstyle.color=never", *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-_TAIL:])
        raise DougongError(f"`mvn {arguments[-1]}` failed in {folder}\n{tail}", "see Maven's message above")
    return done.stdout
