"""Certificates as a table of text, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dougong.certificates.model import Certificate

HEADINGS = ("days", "host", "certificate", "subject", "issued by", "renewed by", "loaded")
_LOADED = {True: "yes", False: "NO", None: "-"}


def urgent_first(certificates: Iterable[Mapping[str, Any]]) -> list[Certificate]:
    """Dictionaries of Certificate as such, those in trouble and those that end first in front."""
    known = [Certificate(**certificate) for certificate in certificates]
    return sorted(known, key=lambda found: (not found.trouble, found.days_left, found.host, found.name))


def rows(certificates: Iterable[Certificate]) -> list[tuple[str, ...]]:
    """A row for each certificate, in the order of the headings."""
    return [
        (
            str(certificate.days_left),
            certificate.host,
            certificate.name,
            certificate.subject,
            certificate.issuer,
            certificate.renewed_by,
            _LOADED[certificate.loaded],
        )
        for certificate in certificates
    ]


def lines(certificates: Iterable[Mapping[str, Any]]) -> list[str]:
    """The table as lines of equal columns."""
    table = [HEADINGS, *rows(urgent_first(certificates))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
