"""`dougong check`: the cloud, the cluster and every host, inspected."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict

from rich.text import Text

from dougong import ansible, application, environment, inspection, inventory, lab, paths, runs
from dougong.console import MARKS, duration, out
from dougong.errors import DougongError
from dougong.inspection import Area, Finding, Severity, cloud, evidence
from dougong.inspection.areas import cloud as cloud_area
from dougong.inspection.finding import critical
from dougong.platform import Platform
from dougong.runs import Recorder

_STATES = {Severity.CRITICAL: "failed", Severity.WARNING: "warning", Severity.INFO: "info"}


def check(name: str, *, as_json: bool = False) -> bool:
    """Inspect an installation and show what was found.

    Args:
        name: the environment.
        as_json: the findings as JSON on standard output, and nothing else.

    Returns:
        Whether nobody has to look: there is no finding, or information only.

    Raises:
        DougongError: there is no installation to inspect.
    """
    with runs.silent() if as_json else nullcontext(), runs.start("check", name, phases=("cloud", "hosts")) as run:
        run.tell_steps = False
        areas = _inspect(name, run)
        seconds = run.run.seconds
    findings = [finding for area in areas for finding in area.findings]
    if as_json:
        out().print_json(
            json.dumps(
                {
                    "environment": name,
                    "healthy": not inspection.alarming(findings),
                    "areas": {area.name: area.seen for area in areas},
                    "findings": [asdict(finding) for finding in findings],
                }
            )
        )
    else:
        _show(areas, seconds)
    return not inspection.alarming(findings)


def _inspect(name: str, run: Recorder) -> list[Area]:
    platform = environment.platform(name)
    if platform.cloud.embedded and not lab.running():
        raise DougongError("the embedded OpenStack is not up: there is nothing to inspect", "dougong up")
    outputs = inventory.read_outputs(name, platform)
    seen = cloud.collect(name, platform, run)
    areas = [inspection.area("cloud", cloud_area.seen(seen), cloud_area.judge(seen))]
    file = paths.state(name) / "inspection.json"
    with run.phase("hosts"):
        # What an earlier inspection has seen must not pass for the present.
        file.unlink(missing_ok=True)
        ansible.run(name, "playbooks/check.yml", extra_vars={"inspection_strict": False})
        found = evidence.read(file)
        run.summary(f"{len(found.hosts)} hosts looked at")
    areas += inspection.inspect(found)
    if address := application.url(platform, outputs):
        areas.append(_application(platform, address))
    return areas


def _application(platform: Platform, address: str) -> Area:
    answers, detail = application.ask(address)
    finding = critical(address, detail, "kubectl -n demo get pods,endpoints -o wide; see cloud for the load balancer")
    return inspection.area("application", detail, iter(() if answers else (finding,)))


def _show(areas: list[Area], seconds: float) -> None:
    """One line for each area, below it what is wrong there."""
    out().print()
    width = max(len(area.name) for area in areas)
    for area in areas:
        state = _STATES[area.findings[0].severity] if area.findings else "ok"
        out().print(Text.assemble(" ", Text.from_markup(MARKS[state]), f" {area.name:<{width}}  ", (area.seen, "dim")))
        for finding in area.findings:
            _show_finding(finding, 4)
    counts = Counter(finding.severity for area in areas for finding in area.findings)
    words = [f"{counts[severity]} {severity}" for severity in Severity if counts[severity]]
    healthy = not counts[Severity.CRITICAL] and not counts[Severity.WARNING]
    verdict = ("healthy", "bold green") if healthy else ("not healthy", "bold red")
    out().print()
    out().print(Text.assemble(verdict, f": {', '.join(words) or 'no findings'} · {duration(seconds)}"))


def _show_finding(finding: Finding, indent: int) -> None:
    mark = Text.from_markup(MARKS[_STATES[finding.severity]])
    out().print(Text.assemble(" " * indent, mark, " ", (finding.where, "bold"), ": ", finding.evidence))
    out().print(Text.assemble(" " * (indent + 2), ("→ ", "cyan"), finding.remedy))
