"""Certificates as a person asks about them: whose, issued by whom, how long still, renewed by what."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

# A certificate with less than this is a finding. A month holds one maintenance window for certain, and is what certbot
# renews at; the kubelet, which renews at 10 to 30 % of a year, is long done by then.
WARNING_DAYS = 30

# Verbs of `dougong certificates`.
RENEW = "renew"
ROTATE = "rotate-ca"


@dataclass(frozen=True)
class Certificate:
    """One certificate where it lies.

    Attributes:
        host: the host; "controller" for the administrator's kubeconfig.
        name: as kubeadm calls it ("apiserver", "etcd/peer", "admin.conf"), or kubelet-client and kubelet-server.
        path: the file.
        subject: its common name, with the organization in front if there is one.
        issuer: the issuer's common name.
        serial: in hexadecimal.
        fingerprint: SHA-256 in hexadecimal: tells certificates with equal names apart.
        not_after: its end, ISO 8601 in UTC.
        days_left: whole days until then; negative when it is over.
        renewed_by: what renews it: `renew` or `rotate-ca` of `dougong certificates`, or kubelet: it does so by itself.
        authority: whether it issues others.
        loaded: whether the process that uses it has loaded this version; None where no process is known to.
    """

    host: str
    name: str
    path: str
    subject: str
    issuer: str
    serial: str
    fingerprint: str
    not_after: str
    days_left: int
    renewed_by: str
    authority: bool
    loaded: bool | None

    @property
    def trouble(self) -> str:
        """What is wrong with it; empty when nothing is."""
        if self.days_left < 0:
            return f"ended {-self.days_left} days ago"
        if self.loaded is False:
            return "renewed, but the process that uses it still has the one before"
        if self.days_left < WARNING_DAYS:
            return f"ends in {self.days_left} days"
        return ""


def parse(pem: str) -> list[x509.Certificate]:
    """The certificates of a PEM text, in order.

    Raises:
        ValueError: it holds none.
    """
    return x509.load_pem_x509_certificates(pem.encode())


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 in hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority has signed a certificate. Names are not enough: a rotated authority keeps its name."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, InvalidSignature):  # another name; the same name, but another key
        return False
    return True


def describe(found: Mapping[str, Any], host: str, now: datetime | None = None) -> list[dict[str, Any]]:
    """What the module kubernetes_certificates_info found on a host, as dictionaries of Certificate.

    Args:
        found: the module's result.
        host: the host's name.
        now: the moment from which days are counted.
    """
    return [asdict(certificate) for certificate in _describe(found, host, now or datetime.now(UTC))]


def _describe(found: Mapping[str, Any], host: str, now: datetime) -> Iterator[Certificate]:
    for entry in found["certificates"]:
        chain = parse(entry["pem"])
        authority = entry["kind"] == "authority"
        # During a rotation an authority's file holds two; of a server's chain only its own certificate matters.
        for certificate in chain if authority else chain[:1]:
            by = _renewed_by(entry["kind"], self_signed(entry["kind"], chain), bool(found["rotates"]))
            yield _certificate(
                certificate,
                now,
                host=host,
                name=entry["name"],
                path=entry["path"],
                renewed_by=by,
                authority=authority,
                loaded=entry["loaded"],
            )


def describe_kubeconfig(text: str, path: str, now: datetime | None = None) -> list[dict[str, Any]]:
    """The certificate in the administrator's kubeconfig on the controller; nothing if it holds none (a token, say)."""
    pem = kubeconfig_certificate(text)
    if not pem:
        return []
    kubeconfig = _certificate(
        parse(pem)[0],
        now or datetime.now(UTC),
        host="controller",
        name="kubeconfig",
        path=path,
        renewed_by=RENEW,
        authority=False,
        loaded=None,
    )
    return [asdict(kubeconfig)]


def kubeconfig_certificate(text: str) -> str:
    """The client certificate in a kubeconfig, as PEM; empty if it holds none."""
    users = yaml.safe_load(text).get("users") or [{}]
    return base64.b64decode(users[0].get("user", {}).get("client-certificate-data", "")).decode()


def _certificate(certificate: x509.Certificate, now: datetime, **where: Any) -> Certificate:
    end = certificate.not_valid_after_utc
    return Certificate(
        subject=_name(certificate.subject),
        issuer=_common_name(certificate.issuer),
        serial=f"{certificate.serial_number:x}",
        fingerprint=fingerprint(certificate),
        not_after=end.isoformat().replace("+00:00", "Z"),
        days_left=math.floor((end - now).total_seconds() / 86400),
        **where,
    )


def self_signed(kind: str, chain: list[x509.Certificate]) -> bool:
    """Whether the kubelet made this certificate without the cluster: it keeps the authority beside it."""
    return kind == "kubelet-server" and len(chain) > 1


def _renewed_by(kind: str, signed_itself: bool, rotates: bool) -> str:
    if kind == "authority":
        return ROTATE
    # What the cluster signs for it the kubelet renews in time; its own one it makes only when there is none.
    return "kubelet" if kind.startswith("kubelet") and rotates and not signed_itself else RENEW


def _common_name(name: x509.Name) -> str:
    values = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(values[0].value) if values else name.rfc4514_string()


def _name(name: x509.Name) -> str:
    organizations = [str(part.value) for part in name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return "/".join([*organizations, _common_name(name)])
