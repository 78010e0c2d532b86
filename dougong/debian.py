"""Where this machine gets its Debian packages: root file systems and images made here come from the same place."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dougong.errors import DougongError

# Settings on how to reach the mirror and whether to believe its dates; everything else belongs to the machine alone.
_TRANSFERRED = re.compile(
    r"Acquire::(https?::(Proxy|ProxyAutoDetect|Verify-\w+|CaInfo|Timeout)|Check-Date|Check-Valid-Until)\b"
)
_POCKETS = {"": "", "-updates": "-updates", "-security": "-security", "/updates": "-security"}

Entry = tuple[str, str, str]
"""URI, suite and components of a binary source."""


@dataclass(frozen=True)
class Mirror:
    """What mmdebstrap needs to use the machine's own mirror.

    Attributes:
        sources: lines of sources.list.
        options: lines of apt.conf.
    """

    sources: list[str]
    options: list[str]


def mirror(suite: str) -> Mirror:
    """The machine's mirror and proxy, told for another suite, without naming either in any file of this repository.

    Args:
        suite: such as trixie; its -updates and -security pockets are included where the machine uses its own.

    Raises:
        DougongError: the machine's apt sources name no Debian mirror.
    """
    codename = _codename(Path("/etc/os-release").read_text())
    sources = translate(_entries(Path("/etc/apt")), codename, suite)
    if not any(line.split()[2] == suite for line in sources):
        raise DougongError(
            f"/etc/apt/sources.list*: no Debian source for {codename!r} with the component main, "
            f"from which the one for {suite} could be told",
            "add one: images and the root file systems of the lab are made from it",
        )
    return Mirror(sources, _options())


def deb822(text: str) -> list[Entry]:
    """The enabled binary sources of a file in the deb822 format."""
    entries = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = {key.strip().lower(): value for key, _, value in (line.partition(":") for line in lines)}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "").strip().lower() == "no":
            continue
        entries += [
            (uri, suite, " ".join(fields.get("components", "").split()))
            for uri in fields["uris"].split()
            for suite in fields["suites"].split()
        ]
    return entries


def one_line(text: str) -> list[Entry]:
    """The binary sources of a file in the one-line format."""
    pattern = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(\S[^#\n]*)", re.MULTILINE)
    return [(uri, suite, " ".join(components.split())) for uri, suite, components in pattern.findall(text)]


def translate(entries: list[Entry], codename: str, suite: str) -> list[str]:
    """Lines of sources.list for `suite`, from what the machine (itself at `codename`) uses; main only."""
    lines = []
    for uri, own, components in entries:
        pocket = _POCKETS.get(own.removeprefix(codename)) if own.startswith(codename) else None
        if pocket is not None and "main" in components.split():
            lines.append(f"deb {uri} {suite}{pocket} main")
    return list(dict.fromkeys(lines))


def _entries(etc: Path) -> list[Entry]:
    entries = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if path.suffix == ".list" and path.is_file():
            entries += one_line(path.read_text())
        elif path.suffix == ".sources":
            entries += deb822(path.read_text())
    return entries


def _codename(os_release: str) -> str:
    match = re.search(r"^VERSION_CODENAME=\"?(\w+)", os_release, re.MULTILINE)
    return match.group(1) if match else ""


def _options() -> list[str]:
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    return [line.rstrip(";") for line in dump.splitlines() if _TRANSFERRED.match(line)]
