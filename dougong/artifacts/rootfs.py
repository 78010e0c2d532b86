"""Root filesystems of Debian packages, by mmdebstrap from the mirror that this machine uses itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from dougong import debian
from dougong.artifacts.catalogue import DebianBuild
from dougong.errors import DougongError

# Documentation and translations have no reader inside a container; licences (copyright files) stay.
_EXCLUDED = (
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/i18n/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
)


def build(recipe: DebianBuild, architecture: str, output: Path) -> None:
    """Write the root filesystem as a tar file.

    Args:
        recipe: suite and packages.
        architecture: Debian's name: amd64, arm64.
        output: the tar file.

    Raises:
        DougongError: mmdebstrap is missing or failed, or the machine has no Debian mirror.
    """
    if not shutil.which("mmdebstrap"):
        raise DougongError("mmdebstrap is not installed", "apt-get install mmdebstrap")
    mirror = debian.mirror(recipe.suite)
    excluded = [f"--dpkgopt=path-exclude={path}" for path in _EXCLUDED]
    done = subprocess.run(
        [
            "mmdebstrap",
            "--variant=essential",
            "--components=main",
            f"--architectures={architecture}",
            "--format=tar",
            '--aptopt=Apt::Install-Recommends "false"',
            "--dpkgopt=force-unsafe-io",  # the files go into a tar at once: no need to sync each
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            *excluded,
            *(f"--aptopt={option}" for option in mirror.options),
            f"--include={','.join(recipe.packages)}",
            recipe.suite,
            # Containers install nothing, and need not know our mirror.
            '--customize-hook=rm -rf "$1"/etc/apt/sources.list*',
            str(output),
            *mirror.sources,
        ],
        env={**os.environ, "SOURCE_DATE_EPOCH": "0", "TMPDIR": str(output.parent)},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        output.unlink(missing_ok=True)
        problems = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))][-10:]
        raise DougongError(
            f"mmdebstrap failed to make a {recipe.suite} root\n" + "\n".join(problems),
            "check the machine's apt sources, and that it runs as root (or with user namespaces)",
        )
