"""Files that only their owner may read: passphrases and keys."""

import os
import tempfile
from pathlib import Path


def create(path: Path, content: bytes) -> bool:
    """Write a file with mode 0600 unless it exists already; never leaves a partial file, never replaces one.

    Two runs that start at the same moment agree on one content, because the file appears by a hard link.

    Args:
        path: the file; missing folders are made with mode 0700.
        content: what to write.

    Returns:
        True when this call created the file.
    """
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        return True
    finally:
        Path(temporary).unlink()
