"""A mirror: a bundle that another installation of Dougong wrote, as a folder, a tar file or behind a web server."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dougong.artifacts.cache import Entry
from dougong.artifacts.catalogue import Artifact
from dougong.artifacts.download import Downloader, UnavailableError

INDEX = "index.json"


def file_name(entry: Entry) -> str:
    """What an artifact is called inside a bundle."""
    suffix = {"archive": ".tar.gz", "image": ".oci.tar", "manifest": ".yaml", "rootfs": ".tar"}.get(entry.kind, "")
    return f"{entry.name}-{entry.version}-{entry.target.replace('/', '-')}{suffix}"


class Mirror:
    """A bundle to read from.

    Args:
        location: folder, tar file, or http(s) address of a bundle.
        downloader: for addresses.
    """

    def __init__(self, location: str, downloader: Downloader) -> None:
        self.location = location.rstrip("/")
        self.downloader = downloader
        self.remote = location.startswith(("http://", "https://"))
        self._entries: dict[tuple[str, str, str], Entry] | None = None

    def find(self, artifact: Artifact, target: str, definition: str) -> Entry:
        """What the mirror has for an artifact.

        Raises:
            UnavailableError: nothing, or one built by another definition, or no mirror is there.
        """
        if self._entries is None:
            listed = json.loads(self._index())["artifacts"]
            self._entries = {(e["name"], e["version"], e["target"]): Entry(**e) for e in listed}
        entry = self._entries.get((artifact.name, artifact.version, target))
        if entry is None:
            raise UnavailableError(f"the mirror {self.location} has no {artifact.key} for {target}")
        if entry.definition and entry.definition != definition:
            raise UnavailableError(f"the mirror {self.location} has {artifact.key} as another catalogue defines it")
        return entry

    def copy(self, entry: Entry, partial: Path, destination: Path) -> None:
        """Bring an artifact's content.

        Args:
            entry: from `find`.
            partial: where an interrupted download is continued.
            destination: where the content goes.

        Raises:
            UnavailableError: it cannot be had.
        """
        name = file_name(entry)
        if self.remote:
            self.downloader.file(f"{self.location}/{name}", partial, entry.name)
            partial.rename(destination)
        else:
            with self._open(name) as source, destination.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)

    def _index(self) -> str:
        if self.remote:
            return self.downloader.text(f"{self.location}/{INDEX}")
        with self._open(INDEX) as file:
            return file.read().decode()

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        path = Path(self.location)
        try:
            if path.is_dir():
                with (path / name).open("rb") as file:
                    yield file
            else:
                with tarfile.open(path) as tar:
                    member = tar.extractfile(name)
                    if member is None:
                        raise KeyError(name)
                    yield member
        except (OSError, KeyError, tarfile.TarError) as error:
            raise UnavailableError(
                f"the mirror {self.location} gives no {name}: {error}", "check DOUGONG_ARTIFACT_MIRROR"
            ) from error
