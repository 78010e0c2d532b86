"""A bundle: the files that one platform.yml needs, for a site without internet; there it is read as a mirror."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from dougong.artifacts import sbom
from dougong.artifacts.cache import Cache, Entry
from dougong.artifacts.catalogue import Artifact
from dougong.artifacts.mirror import INDEX, file_name
from dougong.errors import DougongError

SUMS = "SHA256SUMS"
SBOM = "sbom.cdx.json"


def write(destination: Path, name: str, items: Iterable[tuple[Artifact, Entry]], cache: Cache) -> None:
    """Write a bundle; it appears whole or not at all.

    Args:
        destination: a new folder, or a tar file if it ends in `.tar`.
        name: what it is for, for the SBOM.
        items: artifacts with what the cache has.
        cache: where the files are.

    Raises:
        DougongError: the destination exists already.
    """
    if destination.exists():
        raise DougongError(f"{destination} exists already", "name another folder or file, or remove it")
    items = list(items)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}.") as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        for _, entry in items:
            shutil.copyfile(cache.blob(entry.sha256), folder / file_name(entry))
        sums = "".join(f"{entry.sha256}  {file_name(entry)}\n" for _, entry in items)
        (folder / SUMS).write_text(sums)
        (folder / SBOM).write_text(sbom.write(name, items, cache))
        # The modification time is the cache's own affair.
        listed = [{**asdict(entry), "modified": 0} for _, entry in items]
        (folder / INDEX).write_text(json.dumps({"artifacts": listed}, indent=1) + "\n")
        if destination.suffix == ".tar":
            packed = Path(scratch) / "bundle.tar"
            with tarfile.open(packed, "w", format=tarfile.PAX_FORMAT) as tar:
                for file in sorted(folder.iterdir()):
                    tar.add(file, file.name)
            packed.rename(destination)
        else:
            folder.rename(destination)
