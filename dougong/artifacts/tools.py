"""The tools of the person who runs Dougong, beside the Python that runs it: the virtual environment's bin folder."""

from __future__ import annotations

import errno
import shutil
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
        if not (path.exists() and path.samefile(tool.path)) or path.is_symlink():
            new = path.with_name(f".{path.name}.new")
            try:
                new.unlink(missing_ok=True)
                _hard_link(tool.path, new)
                new.replace(path)
            except OSError as error:
                raise DougongError(
                    f"cannot link {path}: {error.strerror}", "run Dougong from a virtual environment of your own"
                ) from error
        links.append(path)
    return links


def _hard_link(source: Path, target: Path) -> None:
    """A hard link, not a symbolic one: pulumi-language-python looks for its -exec beside its own, resolved, name."""
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target)  # the cache is on another file system
