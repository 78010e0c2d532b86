"""The tools of the person who runs Dougong, beside the Python that runs it: the virtual environment's bin folder."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from dougong.artifacts.resolved import Resolved
from dougong.errors import DougongError


def link(tools: Iterable[Resolved], folder: Path | None = None) -> list[Path]:
    """Link tools into a folder on PATH, by their names; links to other versions are replaced.

    Args:
        tools: binaries in the cache.
        folder: the virtual environment's bin folder if not given.

    Returns:
        the links.

    Raises:
        DougongError: the folder cannot be written.
    """
    folder = folder or Path(sys.executable).parent
    links = []
    for tool in tools:
        path = folder / tool.name
        if not (path.is_symlink() and path.readlink() == tool.path):
            new = path.with_name(f".{path.name}.new")
            try:
                new.unlink(missing_ok=True)
                new.symlink_to(tool.path)
                new.replace(path)
            except OSError as error:
                raise DougongError(
                    f"cannot link {path}: {error.strerror}", "run Dougong from a virtual environment of your own"
                ) from error
        links.append(path)
    return links
