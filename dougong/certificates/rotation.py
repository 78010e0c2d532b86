"""Where the rotation of the authorities stands, read off the control-plane hosts: nothing else keeps it.

The file of an authority holds the certificates that are trusted; kubeadm signs with the first of them. The folder
`rotation` beside it holds the new authority from the beginning of a rotation to its end. So these are the stages:

    none         old            no folder
    prepare      old            the folder is not yet the same on every host
    trust        old, new       wherever it is not so yet, it is done: nothing is signed by the new one
    issue        new, old       some host signs with the new one: every certificate is issued anew
    distrust     new            some host has forgotten the old one: the others follow

Each stage is entered only when the one before is complete everywhere; so whichever host is furthest tells the stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from dougong.certificates.model import fingerprint, issued_by, parse, self_signed
from dougong.errors import DougongError

AUTHORITIES = ("ca", "front-proxy-ca", "etcd/ca")
FOLDER = "rotation"

Stage = Literal["none", "prepare", "trust", "issue", "distrust"]


@dataclass(frozen=True)
class Rotation:
    """The rotation of all three authorities, which go together.

    Attributes:
        stage: see this module.
        old: PEM of the authorities that go, by name; those in use when there is no rotation.
        new: PEM of the authorities that come, by name; empty when there is no rotation.
        source: the host whose new authorities count, when not all hosts have them.
        prepared: whether all hosts have them.
        age_days: since when the authorities in use are valid, the youngest of them.
    """

    stage: Stage
    old: dict[str, str]
    new: dict[str, str]
    source: str
    prepared: bool
    age_days: float

    def bundles(self, stage: Stage) -> dict[str, str]:
        """What is trusted after a stage, in order: PEM by the authority's name."""
        if stage == "distrust":
            return self.new
        first, second = (self.new, self.old) if stage == "issue" else (self.old, self.new)
        return {name: first[name] + second.get(name, "") for name in first}


def standing(hosts: Mapping[str, Iterable[Mapping[str, Any]]], now: datetime | None = None) -> Rotation:
    """Where the rotation stands.

    Args:
        hosts: by control-plane host, what the module kubernetes_certificates_info found there.
        now: the moment from which the age is counted.

    Raises:
        DougongError: the hosts contradict each other, such as two clusters would.
    """
    files = {host: {entry["name"]: entry["pem"] for entry in entries} for host, entries in hosts.items()}
    bundles = {host: {name: _known(parse(found[name])) for name in AUTHORITIES} for host, found in files.items()}
    new: dict[str, dict[str, x509.Certificate]] = {}
    for host, found in files.items():
        coming = {name: parse(found[own])[0] for name in AUTHORITIES if (own := f"{FOLDER}/{name}") in found}
        if len(coming) == len(AUTHORITIES):
            new[host] = coming
    if not new:
        return _steady(bundles, now or datetime.now(UTC))
    # A run that ended while the folder was handed out may have left another one's; what is in use counts first.
    source = max(new, key=lambda host: any(_uses(bundles[other], new[host]) for other in bundles))
    coming = new[source]
    marks = {name: fingerprint(certificate) for name, certificate in coming.items()}
    old: dict[str, x509.Certificate] = {}
    for bundle in bundles.values():
        for name, known in bundle.items():
            others = {mark: certificate for mark, certificate in known.items() if mark != marks[name]}
            if len(others) > 1 or (name in old and others and fingerprint(old[name]) not in others):
                raise DougongError(
                    f"the hosts trust more than one old authority {name}",
                    "compare /etc/kubernetes/pki on the control-plane hosts: they must be of one cluster",
                )
            for certificate in others.values():
                old[name] = certificate
    prepared = all(host in new and _marks(new[host]) == marks for host in bundles)
    firsts = [
        (next(iter(known)) == marks[name], len(known) == 1)
        for bundle in bundles.values()
        for name, known in bundle.items()
    ]
    stage: Stage
    if any(first and alone for first, alone in firsts):
        stage = "distrust"
    elif any(first for first, _ in firsts):
        stage = "issue"
    else:
        stage = "trust" if prepared else "prepare"
    return Rotation(stage, _pem(old), _pem(coming), source, prepared, 0.0)


def _steady(bundles: Mapping[str, Mapping[str, Mapping[str, x509.Certificate]]], now: datetime) -> Rotation:
    for name in AUTHORITIES:
        known = {mark for bundle in bundles.values() for mark in bundle[name]}
        if len(known) != 1:
            raise DougongError(
                f"the control-plane hosts trust {len(known)} authorities {name}, and none of them is being rotated",
                "restore /etc/kubernetes/pki from the backup, or take the authority away that signs nothing",
            )
    host, bundle = next(iter(bundles.items()))
    used = {name: next(iter(known.values())) for name, known in bundle.items()}
    youngest = max(certificate.not_valid_before_utc for certificate in used.values())
    return Rotation("none", _pem(used), {}, host, False, (now - youngest).total_seconds() / 86400)


def _known(certificates: Iterable[x509.Certificate]) -> dict[str, x509.Certificate]:
    return {fingerprint(certificate): certificate for certificate in certificates}


def _marks(certificates: Mapping[str, x509.Certificate]) -> dict[str, str]:
    return {name: fingerprint(certificate) for name, certificate in certificates.items()}


def _uses(bundle: Mapping[str, Mapping[str, x509.Certificate]], coming: Mapping[str, x509.Certificate]) -> bool:
    return any(fingerprint(coming[name]) in known for name, known in bundle.items())


def _pem(certificates: Mapping[str, x509.Certificate]) -> dict[str, str]:
    return {name: certificate.public_bytes(Encoding.PEM).decode() for name, certificate in certificates.items()}


def as_variables(rotation: Rotation) -> dict[str, Any]:
    """A rotation for a playbook: its fields, and `bundles` by stage."""
    stages: tuple[Stage, ...] = ("trust", "issue", "distrust") if rotation.new else ()
    return {**asdict(rotation), "bundles": {stage: rotation.bundles(stage) for stage in stages}}


def strangers(entries: Iterable[Mapping[str, Any]], authorities: Mapping[str, str]) -> list[str]:
    """Names of the certificates in use that none of these authorities has issued.

    Args:
        entries: what the module kubernetes_certificates_info found on a host.
        authorities: PEM by name.
    """
    known = [parse(pem)[0] for pem in authorities.values()]
    names = []
    for entry in entries:
        chain = parse(entry["pem"])
        if entry["kind"] == "authority" or self_signed(entry["kind"], chain):
            continue
        if not any(issued_by(chain[0], authority) for authority in known):
            names.append(str(entry["name"]))
    return names


def outdated_clients(pods: Iterable[Mapping[str, Any]], trusts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Pods that may hold the old authority alone, since they were started before the new one was published to them.

    A pod reads the authorities with which it checks the API server when it starts; few read them again. Pods without
    an account of their own are left out, static ones, which have their files from the host, and those that are ending.

    Args:
        pods: of all namespaces.
        trusts: the ConfigMaps kube-root-ca.crt of all namespaces.

    Returns:
        Names, with the namespace in front.
    """
    published = {
        trust["metadata"]["namespace"]: max(field["time"] for field in trust["metadata"]["managedFields"])
        for trust in trusts
    }
    return [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in pods
        if pod["status"].get("phase") not in ("Succeeded", "Failed")
        and "deletionTimestamp" not in pod["metadata"]
        and _asks_the_api(pod)
        # Both are RFC 3339 in UTC, to the second.
        and pod["status"].get("startTime", "") < published[pod["metadata"]["namespace"]]
    ]


def _asks_the_api(pod: Mapping[str, Any]) -> bool:
    return any(
        source.get("configMap", {}).get("name") == "kube-root-ca.crt"
        for volume in pod["spec"].get("volumes") or []
        for source in volume.get("projected", {}).get("sources") or []
    )
