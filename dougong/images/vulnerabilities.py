"""What is known against the contents of images: grype, with a database that the operator names.

grype's own choice, to fetch the database from its project whenever it is a day old, would not work without the
internet, and would give the same image another answer tomorrow.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dougong import paths
from dougong.errors import DougongError

_FOUND = 2
"""grype's exit code when something reaches --fail-on."""


class Severity(StrEnum):
    """How bad a vulnerability is, in grype's words."""

    NEGLIGIBLE = "negligible"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Scanner:
    """grype with a database.

    Attributes:
        grype: the program.
        variables: its environment.
    """

    grype: Path
    variables: dict[str, str]

    def scan(self, source: str, *, fail_on: Severity, output: str, variables: dict[str, str] | None = None) -> bool:
        """Print what is known against an image.

        Args:
            source: as grype has it, such as registry:… or oci-archive:….
            fail_on: severity from which on it counts.
            output: one of grype's formats.
            variables: of the environment beside its own.

        Returns:
            Whether nothing of that severity was found.

        Raises:
            DougongError: grype's words.
        """
        command = [str(self.grype), source, "--fail-on", fail_on, "--output", output, "--quiet"]
        done = subprocess.run(
            command, env={**self.variables, **(variables or {})}, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode not in (0, _FOUND):
            raise DougongError(f"grype: {_last(done.stderr)}", "see grype's message above")
        return done.returncode == 0


def named(*databases: str | None) -> str:
    """The first of these databases that is named at all.

    Raises:
        DougongError: none is.
    """
    for database in databases:
        if database:
            return database
    raise DougongError(
        "there is no database of vulnerabilities",
        "name an archive or a mirror: --database, or services.registry.vulnerability_database in platform.yml\n"
        "`grype db list` shows, where there is internet, the archives that its project offers",
    )


def scanner(grype: Path, database: str) -> Scanner:
    """grype with its database in place.

    Args:
        grype: the program.
        database: an archive as grype's project publishes it, or the address of a mirror.

    Raises:
        DougongError: grype does not take it.
    """
    mirror = database.startswith(("https://", "http://"))
    variables = {
        **os.environ,
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
        "GRYPE_DB_AUTO_UPDATE": str(mirror).lower(),
        # How old it may be is the operator's decision; what grype prints says how old it is.
        "GRYPE_DB_VALIDATE_AGE": "false",
    }
    if mirror:
        folder = _folder(database.encode())
        return Scanner(grype, {**variables, "GRYPE_DB_UPDATE_URL": database, "GRYPE_DB_CACHE_DIR": str(folder)})
    archive = Path(database)
    if not archive.is_file():
        raise DougongError(f"{database}: no such file", "the archive of grype's database, or a mirror's URL")
    with archive.open("rb") as content:
        folder = _folder(hashlib.file_digest(content, "sha256").digest())
    variables["GRYPE_DB_CACHE_DIR"] = str(folder)
    if not folder.exists():
        _import(grype, archive, folder, variables)
    return Scanner(grype, variables)


def _import(grype: Path, archive: Path, folder: Path, variables: dict[str, str]) -> None:
    """Unpack the archive beside its place, so that what is there is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        wanted = {**variables, "GRYPE_DB_CACHE_DIR": str(unfinished)}
        done = subprocess.run(
            [grype, "db", "import", str(archive)], env=wanted, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DougongError(f"grype takes no database from {archive}: {_last(done.stderr)}", "fetch it anew")
        if not folder.exists():
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _folder(key: bytes) -> Path:
    return paths.cache() / "grype" / hashlib.sha256(key).hexdigest()[:16]


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["no reason given"])[-1]
