"""From a file to a valid platform, or to everything that is wrong with it."""

import copy
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dougong.platform.explain import UNKNOWN_KEY, explain, kind_of
from dougong.platform.findings import Finding, PlatformError
from dougong.platform.model import Platform
from dougong.platform.rules import problems
from dougong.platform.source import Source


@dataclass(frozen=True)
class Validation:
    """The result of reading a platform.yml.

    Attributes:
        platform: the platform; None when there are errors.
        findings: errors and warnings in the order of their lines.
    """

    platform: Platform | None
    findings: list[Finding]

    @property
    def errors(self) -> list[Finding]:
        """What stops everything."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def warnings(self) -> list[Finding]:
        """What is only said."""
        return [finding for finding in self.findings if finding.severity == "warning"]


def load(path: Path) -> Platform:
    """Read a platform.yml.

    Args:
        path: the file.

    Raises:
        PlatformError: with everything that is wrong with it, each with line, value and remedy.
    """
    result = validate(path)
    if result.platform is None:
        raise PlatformError(result.errors)
    return result.platform


def validate(path: Path) -> Validation:
    """Read a platform.yml and tell errors and warnings instead of raising them.

    Args:
        path: the file.
    """
    try:
        source = Source.read(path)
    except PlatformError as error:
        return Validation(None, list(error.findings))
    if not isinstance(source.data, dict):
        message = "the file is empty" if source.data is None else f"expected a mapping, got {kind_of(source.data)}"
        remedy = "Begin with a copy of inventories/lab/platform.yml or inventories/production/platform.yml."
        return Validation(None, [source.finding((), message, remedy)])
    platform: Platform | None = None
    findings: list[Finding] = []
    try:
        platform = Platform.model_validate(source.data)
        parts = dict(platform)
    except ValidationError as error:
        details = error.errors(include_url=False)
        findings += explain(source, details)
        parts = _valid_parts(_without_unknown_keys(source.data, details))
    findings += [
        source.finding(found.location, found.message, found.remedy, severity=found.severity, key=found.key)
        for found in problems(parts)
    ]
    result = Validation(platform, sorted(findings, key=lambda finding: (finding.line, finding.column)))
    if platform is None or result.errors:
        return Validation(None, result.findings)
    platform._source = source
    return result


def _without_unknown_keys(data: dict[str, Any], details: list[ErrorDetails]) -> dict[str, Any]:
    """The data as if unknown keys were not there, so that the rules can still be applied to the rest."""
    known: dict[str, Any] = copy.deepcopy(data)
    for detail in details:
        if detail["type"] in UNKNOWN_KEY:
            parent: Any = known
            for part in detail["loc"][:-1]:
                parent = parent[part]
            parent.pop(detail["loc"][-1], None)
    return known


def _valid_parts(data: dict[str, Any]) -> dict[str, Any]:
    parts = {}
    for name, info in Platform.model_fields.items():
        if name in data:
            with suppress(ValidationError):  # it is reported already
                parts[name] = TypeAdapter(info.rebuild_annotation()).validate_python(data[name], strict=True)
        elif not info.is_required():
            parts[name] = info.get_default(call_default_factory=True)
    return parts
