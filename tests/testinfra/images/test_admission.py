"""Only signed images are let into the namespace of the tenant green, tried on the running cluster."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from dougong import artifacts
from dougong.images import reach
from dougong.images.signatures import Signer
from tests.cluster_probe import Cluster, eventually, restricted_pod
from tests.registry_client import STATE, Client, image, way

REGISTRY = "registry.molecule.internal:5000"
SIGNED = f"{REGISTRY}/platform/dougong.local/test-tools:1.0.0"
TENANT = Client("10.78.0.86:5000", "green")
KYVERNO = ("deployment/kyverno-admission-controller", "--namespace=kyverno")


@pytest.fixture(scope="module")
def cluster(host: Host) -> Cluster:
    if not host.file("/etc/kubernetes/admin.conf").exists:
        pytest.skip("asked of a control-plane node")
    return Cluster(Path(os.environ["KUBECONFIG"]))


@pytest.fixture(scope="module")
def registry(cluster: Cluster) -> Iterator[reach.Registry]:
    with reach.through_ssh(way("10.78.0.86")) as found:
        yield found


@pytest.fixture
def pushed(tmp_path: Path) -> str:
    """An image of the tenant that nobody has signed, as project/name:tag."""
    name = f"green/web-{uuid.uuid4().hex[:8]}:1"
    done = TENANT.push(image(tmp_path / "image", os.urandom(1000)), name)
    assert done.returncode == 0, done.stderr
    return name


def pod(image: str, namespace: str = "green", name: str = "") -> dict[str, Any]:
    container = {"image": image, "command": ["busybox", "sleep", "600"]}
    return restricted_pod(name or f"pod-{uuid.uuid4().hex[:8]}", namespace, container)


def deployment(image: str) -> dict[str, Any]:
    template = pod(image)
    labels = {"app": template["metadata"]["name"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": template["metadata"],
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
        },
    }


def refusal(resource: dict[str, Any]) -> str:
    """What a person sees whose resource is not taken; empty when it would be."""
    command = ["kubectl", "create", "--dry-run=server", "--request-timeout=40s", "--filename=-"]
    done = subprocess.run(command, input=json.dumps(resource), capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def test_an_unsigned_image_is_refused_until_it_is_signed(registry: reach.Registry, pushed: str, tmp_path: Path) -> None:
    name = f"{REGISTRY}/{pushed}"
    for resource in (pod(name), deployment(name)):
        said = refusal(resource)
        assert "not signed with a key of this platform" in said
        assert name in said

    Signer(artifacts.resolve("cosign").path, STATE).sign(registry, [registry.digest(pushed)])
    for resource in (pod(name), deployment(name)):
        assert not refusal(resource)

    # The tag leads elsewhere now, and what it has been told of the tag before does not count.
    assert TENANT.push(image(tmp_path / "other", os.urandom(1000)), pushed).returncode == 0
    assert "not signed with a key of this platform" in refusal(pod(name))


def test_a_signature_of_another_key_is_none(registry: reach.Registry, pushed: str, tmp_path: Path) -> None:
    Signer(artifacts.resolve("cosign").path, tmp_path).sign(registry, [registry.digest(pushed)])
    assert "not signed with a key of this platform" in refusal(pod(f"{REGISTRY}/{pushed}"))


def test_an_image_from_elsewhere_is_refused(cluster: Cluster) -> None:
    for resource in (pod("docker.io/library/nginx:1"), deployment("docker.io/library/nginx:1")):
        said = refusal(resource)
        assert f"images have to come from {REGISTRY}/ and to be signed" in said
        assert "these do not: docker.io/library/nginx:1" in said


def test_an_image_cannot_be_mounted_past_the_verification(cluster: Cluster) -> None:
    signed = f"{SIGNED}@{artifacts.resolve('test-tools-image').digest}"
    for resource in (pod(signed), deployment(signed)):
        assert not refusal(resource)
        spec = resource["spec"].get("template", resource)["spec"]  # of the pod, whoever makes it
        spec["volumes"] = [{"name": "more", "image": {"reference": "docker.io/library/nginx:1"}}]
        assert "volumes made of images cannot be used" in refusal(resource)


def test_a_signed_image_runs_under_its_digest(cluster: Cluster) -> None:
    wanted = pod(SIGNED)
    name = wanted["metadata"]["name"]
    cluster.apply(wanted)
    try:
        cluster.kubectl("wait", f"pod/{name}", "--namespace=green", "--for=condition=Ready", "--timeout=18s")
        [container] = cluster.get("pod", name, "--namespace=green")["spec"]["containers"]
        assert container["image"] == f"{SIGNED}@{artifacts.resolve('test-tools-image').digest}"
        # What does not change its containers asks nobody; another container cannot be put beside them.
        cluster.kubectl("label", "pod", name, "--namespace=green", "looked-at=yes")
        command = ["kubectl", "debug", name, "--namespace=green", "--profile=restricted", f"--image={SIGNED}"]
        refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert "containers cannot be added to a running pod" in refused.stderr
    finally:
        cluster.kubectl("delete", "pod", name, "--namespace=green")


def test_other_namespaces_do_not_notice(cluster: Cluster, pushed: str) -> None:
    assert not refusal(pod(f"{REGISTRY}/{pushed}", "red"))
    assert not refusal(pod("docker.io/library/nginx:1", "red"))


def test_while_nobody_verifies_nothing_is_let_in_and_the_rest_works(cluster: Cluster) -> None:
    digest = f"{SIGNED}@{artifacts.resolve('test-tools-image').digest}"
    worker = testinfra.get_host("podman://molecule-images-worker-0")
    # It hangs: its webhooks are there, and nobody answers.
    worker.check_output("pkill -STOP -x kyverno")
    try:
        assert "failed calling webhook" in refusal(pod(digest))
        assert not refusal(pod("docker.io/library/nginx:1", "red"))
    finally:
        worker.check_output("pkill -CONT -x kyverno")

    # It has ended, and has taken its webhooks with it: the API server refuses by itself.
    cluster.kubectl("scale", *KYVERNO, "--replicas=0")
    try:
        assert eventually(lambda: "no params found for policy binding" in refusal(pod(digest)), 60)
        assert not refusal(pod("docker.io/library/nginx:1", "red"))
    finally:
        cluster.kubectl("scale", *KYVERNO, "--replicas=1")
    # The API takes new webhooks up in a moment, and the first connection may be refused.
    assert eventually(lambda: not refusal(pod(digest)), 180)
