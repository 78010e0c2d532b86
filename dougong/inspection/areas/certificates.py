"""Certificates: none has expired or is about to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509

from dougong.inspection.evidence import Certificate, Evidence
from dougong.inspection.finding import Finding, critical, warning

_CRITICAL_DAYS, _WARNING_DAYS = 7, 30


def judge(evidence: Evidence) -> Iterator[Finding]:
    for name, host in evidence.seen():
        for certificate in host.certificates:
            days = days_left(certificate, evidence.taken)
            if days < 0:
                yield critical(name, f"{certificate.path} expired {-days:.0f} days ago", "dougong certificates renew")
            elif days < _WARNING_DAYS:
                make = critical if days < _CRITICAL_DAYS else warning
                yield make(name, f"{certificate.path} expires in {days:.0f} days", "dougong certificates renew")


def days_left(certificate: Certificate, now: datetime) -> float:
    """Days until a certificate ends; negative after."""
    ends = x509.load_pem_x509_certificate(certificate.pem.encode()).not_valid_after_utc
    return (ends - now).total_seconds() / 86400


def seen(evidence: Evidence) -> str:
    left = [days_left(certificate, evidence.taken) for _, host in evidence.seen() for certificate in host.certificates]
    if not left:
        return "none found"
    first = f"the first ends in {min(left):.0f} days" if min(left) >= 0 else "not all of them are valid any more"
    return f"{len(left)} read, {first}"
