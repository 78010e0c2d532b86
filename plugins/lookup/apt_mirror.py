"""Lookup plugin: where this machine gets its Debian packages, told for another suite."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: apt_mirror
short_description: This machine's Debian mirror, for another suite
description:
  - Reads the machine's apt sources and configuration, so that root file systems built here come from the same mirror
    and through the same proxy, without naming either in any file of this repository.
options:
  _terms:
    description: The suite, e.g. trixie. Its -updates and -security pockets are included where the machine uses its own.
    required: true
"""
RETURN = """
_list:
  description: One dictionary per suite with I(sources) (lines of sources.list) and I(options) (apt settings).
  type: list
"""

# Settings on how to reach the mirror and whether to believe its dates; everything else belongs to the machine alone.
_TRANSFERRED = re.compile(
    r"Acquire::(https?::(Proxy|ProxyAutoDetect|Verify-\w+|CaInfo|Timeout)|Check-Date|Check-Valid-Until)\b"
)


def deb822(text: str) -> list[tuple[str, str, str]]:
    """(URI, suite, components) of each enabled binary source in the deb822 format."""
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


def one_line(text: str) -> list[tuple[str, str, str]]:
    """(URI, suite, components) of each binary source in the one-line format."""
    pattern = re.compile(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(\S[^#\n]*)", re.MULTILINE)
    return [(uri, suite, " ".join(components.split())) for uri, suite, components in pattern.findall(text)]


def translate(entries: list[tuple[str, str, str]], codename: str, suite: str) -> list[str]:
    """Lines of sources.list for `suite`, from what the machine (itself at `codename`) uses; main only."""
    pockets = {"": "", "-updates": "-updates", "-security": "-security", "/updates": "-security"}
    lines = []
    for uri, own, components in entries:
        pocket = pockets.get(own.removeprefix(codename)) if own.startswith(codename) else None
        if pocket is not None and "main" in components.split():
            lines.append(f"deb {uri} {suite}{pocket} main")
    return list(dict.fromkeys(lines))


def _machine_entries(etc: Path) -> list[tuple[str, str, str]]:
    entries = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        if path.suffix == ".list" and path.is_file():
            entries += one_line(path.read_text())
        elif path.suffix == ".sources":
            entries += deb822(path.read_text())
    return entries


def _codename() -> str:
    match = re.search(r"^VERSION_CODENAME=\"?(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    return match.group(1) if match else ""


def _options() -> list[str]:
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    return [line.rstrip(";") for line in dump.splitlines() if _TRANSFERRED.match(line)]


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible's plugin base classes carry no types
    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[dict[str, list[str]]]:
        entries, codename = _machine_entries(Path("/etc/apt")), _codename()
        results = []
        for suite in terms:
            sources = translate(entries, codename, suite)
            if not any(line.split()[2] == suite for line in sources):
                raise AnsibleError(
                    f"/etc/apt/sources.list*: no Debian source for {codename!r} with the component main, from which "
                    f"the one for {suite} could be told. Add one: the root file systems of the lab are made from it."
                )
            results.append({"sources": sources, "options": _options()})
        return results
