"""Checks that carry the number of a recommendation of the CIS Kubernetes Benchmark (v1.11), in words of our own.

A recommendation that is not followed stands with its reason in exceptions.yml. Its check is still run and has to fail:
one that holds after all is no exception any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host

MANIFESTS = "/etc/kubernetes/manifests"
Modes = dict[str, tuple[int, str]]
EXCEPTIONS: dict[str, str] = yaml.safe_load(Path(__file__).with_name("exceptions.yml").read_text())


@dataclass(frozen=True)
class Check:
    """One recommendation.

    Attributes:
        id: its number.
        title: what is asked for.
        holds: whether that is so, from the evidence that the test file gathers once for a host.
    """

    id: str
    title: str
    holds: Callable[[Any], bool]


def each(checks: list[Check]) -> pytest.MarkDecorator:
    """One test for each check, named by number and title."""
    return pytest.mark.parametrize("check", [_parameter(check) for check in checks])


def _parameter(check: Check) -> Any:
    reason = EXCEPTIONS.get(check.id)
    marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
    return pytest.param(check, id=f"{check.id} {check.title}", marks=marks)


def flags(host: Host, component: str) -> dict[str, str]:
    """The command line of a static pod, option by option.

    Skips the test on a host that has no such pod.
    """
    manifest = host.file(f"{MANIFESTS}/{component}.yaml")
    if not manifest.exists:
        pytest.skip("asked of a control-plane node")
    command = yaml.safe_load(manifest.content_string)["spec"]["containers"][0]["command"]
    return dict(option.removeprefix("--").partition("=")[::2] for option in command[1:])


def modes(host: Host, *paths: str) -> Modes:
    """Mode and owner of all files and folders in some places, but not of links."""
    found = host.run(f"find {' '.join(paths)} ! -type l -printf '%m %u:%g %p\\n'").stdout
    return {path: (int(mode, 8), owner) for mode, owner, path in (line.split(" ", 2) for line in found.splitlines())}


def private(found: Modes, place: str, suffix: str = "", mode: int = 0o600) -> bool:
    """Whether nobody has more rights than a mode gives: to one file, or to all below a folder (`/` at its end)."""
    return all(not present & ~mode for present, _ in _chosen(found, place, suffix))


def roots(found: Modes, place: str) -> bool:
    """Whether a file, or all that is below a folder, belongs to root."""
    return all(owner == "root:root" for _, owner in _chosen(found, place))


def _chosen(found: Modes, place: str, suffix: str = "") -> list[tuple[int, str]]:
    chosen = [
        value
        for path, value in found.items()
        if (path.startswith(place) and path.endswith(suffix) if place.endswith("/") else path == place)
    ]
    assert chosen, f"there is nothing at {place}"
    return chosen


def resources(host: Host, what: str) -> list[dict[str, Any]]:
    """What the API says; skips the test on a host that may not ask everything."""
    if not host.file("/etc/kubernetes/admin.conf").exists:
        pytest.skip("asked of a control-plane node")
    said = host.check_output(f"kubectl --kubeconfig=/etc/kubernetes/admin.conf get {what} -o json")
    items: list[dict[str, Any]] = json.loads(said)["items"]
    return items
