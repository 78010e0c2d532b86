"""Certificates: what is said of them, and where a rotation of their authorities stands."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from dougong.certificates import model, rotation, table
from dougong.certificates.rotation import AUTHORITIES
from dougong.errors import DougongError
from dougong.paths import ROOT

PLUGINS = ROOT / "plugins"

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def own_module_utils(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules import ours beside Ansible's own."""
    monkeypatch.setattr(
        ansible.module_utils, "__path__", [*ansible.module_utils.__path__, str(PLUGINS / "module_utils")]
    )


class Authority:
    """An authority that can issue; two of the same name have different keys, as after a rotation."""

    def __init__(self, name: str, made: datetime = NOW - timedelta(days=400)) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pem = self.issue(name, 3650, made)

    def issue(self, subject: str, days: int, since: datetime = NOW, organization: str = "") -> str:
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(since, since + timedelta(days=days)) - timedelta(minutes=5))
            .not_valid_after(since + timedelta(days=days))
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode()


OLD = {name: Authority(name) for name in AUTHORITIES}
NEW = {name: Authority(name, NOW) for name in AUTHORITIES}
OTHER = {name: Authority(name, NOW) for name in AUTHORITIES}


def entry(name: str, pem: str, kind: str = "kubeadm", loaded: bool | None = True) -> dict[str, Any]:
    return {"name": name, "path": f"/etc/kubernetes/pki/{name}.crt", "kind": kind, "pem": pem, "loaded": loaded}


def control_plane(*bundle: dict[str, Authority], folder: dict[str, Authority] | None = None) -> list[dict[str, Any]]:
    """What the module finds: the authorities of each file in order, and those of the folder of a rotation."""
    found = [entry(name, "".join(part[name].pem for part in bundle), "authority") for name in AUTHORITIES]
    if folder:
        found += [entry(f"rotation/{name}", folder[name].pem, "authority") for name in AUTHORITIES]
    return found


def hosts(*found: list[dict[str, Any]]) -> Mapping[str, list[dict[str, Any]]]:
    return {f"control-plane-{number}": entries for number, entries in enumerate(found)}


class TestDescription:
    @staticmethod
    def one(pem: str, kind: str = "kubeadm", *, loaded: bool | None = True, rotates: bool = True) -> model.Certificate:
        found = {"certificates": [entry("it", pem, kind, loaded)], "rotates": rotates}
        return model.Certificate(**model.describe(found, "host", NOW)[0])

    def test_it_says_whose_it_is_and_how_long_still(self) -> None:
        found = self.one(OLD["ca"].issue("system:node:a", 30, organization="system:nodes"))
        assert (found.subject, found.issuer, found.days_left) == ("system:nodes/system:node:a", "ca", 30)
        assert found.not_after == "2026-12-21T12:00:00Z"
        assert found.trouble == ""

    @pytest.mark.parametrize(
        ("days", "said"), [(29, "ends in 29 days"), (0, "ends in 0 days"), (-2, "ended 2 days ago"), (365, "")]
    )
    def test_what_ends_within_a_month_is_trouble(self, days: int, said: str) -> None:
        assert self.one(OLD["ca"].issue("it", days)).trouble == said

    def test_what_is_not_loaded_is_trouble(self) -> None:
        assert "still has the one before" in self.one(OLD["ca"].issue("it", 365), loaded=False).trouble
        assert self.one(OLD["ca"].issue("it", 365), loaded=None).trouble == ""

    def test_who_renews(self) -> None:
        leaf = OLD["ca"].issue("it", 365)
        assert self.one(leaf).renewed_by == "renew"
        assert self.one(OLD["ca"].pem, "authority").renewed_by == "rotate-ca"
        assert self.one(leaf, "kubelet-client").renewed_by == "kubelet"
        assert self.one(leaf, "kubelet-client", rotates=False).renewed_by == "renew"
        assert self.one(leaf, "kubelet-server").renewed_by == "kubelet"
        assert self.one(leaf + OLD["ca"].pem, "kubelet-server").renewed_by == "renew", "it signed that itself"

    def test_a_file_of_two_authorities_is_two_certificates(self) -> None:
        found = {"certificates": control_plane(OLD, NEW)[:1], "rotates": True}
        assert len(model.describe(found, "host", NOW)) == 2

    def test_a_kubeconfig_without_a_certificate_is_none(self) -> None:
        text = yaml.safe_dump({"users": [{"name": "a", "user": {"token": "secret"}}]})
        assert model.describe_kubeconfig(text, "kubeconfig", NOW) == []

    def test_the_table_begins_with_what_is_urgent(self) -> None:
        pems = {"late": OLD["ca"].issue("a", 300), "soon": OLD["ca"].issue("b", 3)}
        found = {"certificates": [entry(name, pem) for name, pem in pems.items()], "rotates": True}
        stale = {"certificates": [entry("stale", OLD["ca"].issue("c", 364), loaded=False)], "rotates": True}
        lines = table.lines(model.describe(found, "one", NOW) + model.describe(stale, "two", NOW))
        assert [line.split()[2] for line in lines[1:]] == ["soon", "stale", "late"]


class TestStage:
    @pytest.mark.parametrize(
        ("found", "stage"),
        [
            (hosts(control_plane(OLD), control_plane(OLD)), "none"),
            (hosts(control_plane(OLD, folder=NEW), control_plane(OLD)), "prepare"),
            (hosts(control_plane(OLD, folder=NEW), control_plane(OLD, folder=OTHER)), "prepare"),
            (hosts(control_plane(OLD, folder=NEW), control_plane(OLD, folder=NEW)), "trust"),
            (hosts(control_plane(OLD, NEW, folder=NEW), control_plane(OLD, folder=NEW)), "trust"),
            (hosts(control_plane(NEW, OLD, folder=NEW), control_plane(OLD, NEW, folder=NEW)), "issue"),
            (hosts(control_plane(NEW, OLD, folder=NEW), control_plane(OLD, NEW)), "issue"),
            (hosts(control_plane(NEW, folder=NEW), control_plane(NEW, OLD, folder=NEW)), "distrust"),
            (hosts(control_plane(NEW), control_plane(NEW, folder=NEW)), "distrust"),
            (hosts(control_plane(NEW), control_plane(NEW)), "none"),
        ],
    )
    def test_the_host_that_is_furthest_tells(self, found: Mapping[str, list[dict[str, Any]]], stage: str) -> None:
        assert rotation.standing(found, NOW).stage == stage

    def test_the_folder_in_use_counts_when_folders_differ(self) -> None:
        found = hosts(control_plane(OLD, NEW, folder=OTHER), control_plane(OLD, NEW, folder=NEW))
        stand = rotation.standing(found, NOW)
        assert stand.source == "control-plane-1"
        assert stand.new == {name: NEW[name].pem for name in AUTHORITIES}
        assert stand.old == {name: OLD[name].pem for name in AUTHORITIES}

    def test_a_control_plane_that_joined_meanwhile_is_not_prepared(self) -> None:
        joined = hosts(control_plane(NEW, OLD, folder=NEW), control_plane(NEW, OLD))
        assert not rotation.standing(joined, NOW).prepared
        assert rotation.standing(hosts(control_plane(NEW, OLD, folder=NEW)), NOW).prepared

    def test_the_issuing_authority_comes_first(self) -> None:
        stand = rotation.standing(hosts(control_plane(OLD, folder=NEW)), NOW)
        assert stand.bundles("trust")["ca"] == OLD["ca"].pem + NEW["ca"].pem
        assert stand.bundles("issue")["ca"] == NEW["ca"].pem + OLD["ca"].pem
        assert stand.bundles("distrust")["ca"] == NEW["ca"].pem

    def test_age_is_of_the_youngest_authority(self) -> None:
        assert rotation.standing(hosts(control_plane(OLD)), NOW).age_days == pytest.approx(400, abs=0.1)

    def test_two_clusters_are_refused(self) -> None:
        with pytest.raises(DougongError, match="trust 2 authorities ca"):
            rotation.standing(hosts(control_plane(OLD), control_plane(OTHER)), NOW)
        with pytest.raises(DougongError, match="more than one old authority"):
            rotation.standing(hosts(control_plane(OLD, folder=NEW), control_plane(OTHER, folder=NEW)), NOW)


def test_strangers_are_told_by_signature_not_by_name() -> None:
    found = [
        entry("apiserver", OLD["ca"].issue("kube-apiserver", 365)),
        entry("etcd/peer", NEW["etcd/ca"].issue("peer", 365)),
        entry("kubelet-server", OTHER["ca"].issue("node", 365) + OTHER["ca"].pem, "kubelet-server"),
        entry("ca", NEW["ca"].pem + OLD["ca"].pem, "authority"),
    ]
    assert rotation.strangers(found, {name: NEW[name].pem for name in AUTHORITIES}) == ["apiserver"]


def pod(name: str, started: str, *, token: bool = True, phase: str = "Running") -> dict[str, Any]:
    volume = {"name": "kube-api-access", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}}
    return {
        "metadata": {"namespace": "default", "name": name},
        "spec": {"volumes": [volume] if token else []},
        "status": {"phase": phase, "startTime": started},
    }


def test_pods_that_started_before_the_authority_was_published_hold_the_old_one() -> None:
    trust = {
        "metadata": {
            "namespace": "default",
            "managedFields": [{"time": "2026-11-21T10:00:00Z"}, {"time": "2026-11-21T12:00:00Z"}],
        }
    }
    ending = pod("ending", "2026-11-20T00:00:00Z")
    ending["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:30Z"
    pods = [
        ending,
        pod("before", "2026-11-21T11:59:59Z"),
        pod("after", "2026-11-21T12:00:01Z"),
        pod("without-account", "2026-11-20T00:00:00Z", token=False),
        pod("done", "2026-11-20T00:00:00Z", phase="Succeeded"),
    ]
    assert rotation.outdated_clients(pods, [trust]) == ["default/before"]


class TestComponents:
    MANIFEST = """\
apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/etcd.advertise-client-urls: https://10.0.0.1:2379
  labels:
    tier: control-plane
spec:
  containers:
  - command:
    - kube-controller-manager
    - --cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt
    - --cluster-signing-key-file=/etc/kubernetes/pki/ca.key
"""

    @pytest.fixture
    def module(self, own_module_utils: None) -> Any:
        """The module as Ansible would import it."""
        spec = importlib.util.spec_from_file_location("components", PLUGINS / "modules" / "kubernetes_components.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_a_restart_is_one_annotation(self, module: Any) -> None:
        once = module.annotated(self.MANIFEST, "a")
        assert yaml.safe_load(once)["metadata"]["annotations"][module.ANNOTATION] == "a"
        twice = module.annotated(once, "b")
        assert yaml.safe_load(twice)["metadata"]["annotations"][module.ANNOTATION] == "b"
        assert len(twice) == len(once)

    def test_a_manifest_without_annotations_gets_them(self, module: Any) -> None:
        bare = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n"
        assert yaml.safe_load(module.annotated(bare, "a"))["metadata"] == {
            "name": "a",
            "annotations": {module.ANNOTATION: "a"},
        }

    def test_a_flag_gets_another_value_and_no_other_flag_does(self, module: Any) -> None:
        changed = module.with_arguments(self.MANIFEST, {"cluster-signing-cert-file": "/x.crt"})
        assert yaml.safe_load(changed)["spec"]["containers"][0]["command"] == [
            "kube-controller-manager",
            "--cluster-signing-cert-file=/x.crt",
            "--cluster-signing-key-file=/etc/kubernetes/pki/ca.key",
        ]
        assert (
            module.with_arguments(changed, {"cluster-signing-cert-file": "/etc/kubernetes/pki/ca.crt"}) == self.MANIFEST
        )


class TestCertificatesOnTheHost:
    """What is read of files; the clusters of molecule and of the drills show that it fits real ones."""

    PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    ISSUER = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"
    KEY = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n"

    @pytest.fixture
    def host(self, own_module_utils: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
        """The reader, on a host whose folders are below tmp_path."""
        reader = importlib.import_module("ansible.module_utils.kubernetes_certificates")
        monkeypatch.setattr(reader, "KUBERNETES", tmp_path / "kubernetes")
        monkeypatch.setattr(reader, "KUBELET", tmp_path / "kubelet")
        monkeypatch.setattr(reader.kubernetes_components, "PKI", tmp_path / "kubernetes/pki")
        for folder in ("kubernetes/pki/etcd", "kubelet/pki"):
            (tmp_path / folder).mkdir(parents=True)
        return reader

    def test_keys_are_not_read_out(self, host: Any, tmp_path: Path) -> None:
        (tmp_path / "kubelet/pki/kubelet-client-current.pem").write_text(self.PEM + self.KEY + self.ISSUER)
        (found,) = host.collect()
        assert (found.kind, found.pem, found.own) == ("kubelet-client", self.PEM + self.ISSUER, self.PEM)

    def test_kinds_and_names_follow_the_files(self, host: Any, tmp_path: Path) -> None:
        for name in ("ca", "apiserver", "etcd/ca", "etcd/peer"):
            (tmp_path / f"kubernetes/pki/{name}.crt").write_text(self.PEM)
        data = base64.b64encode(self.PEM.encode()).decode()
        (tmp_path / "kubernetes/admin.conf").write_text(f"users:\n- user:\n    client-certificate-data: {data}\n")
        (tmp_path / "kubernetes/bootstrap.conf").write_text("users: []\n")  # with a token
        assert {each.name: each.kind for each in host.collect()} == {
            "apiserver": "kubeadm",
            "ca": "authority",
            "etcd/ca": "authority",
            "etcd/peer": "kubeadm",
            "admin.conf": "kubeadm",
        }

    def test_what_the_cluster_signed_takes_the_place_of_the_kubelets_own(self, host: Any, tmp_path: Path) -> None:
        for name in ("kubelet.crt", "kubelet-server-current.pem"):
            (tmp_path / "kubelet/pki" / name).write_text(self.PEM)
        assert [each.path.name for each in host.collect()] == ["kubelet-server-current.pem"]
