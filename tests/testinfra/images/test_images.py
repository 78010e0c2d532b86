"""What `dougong images` says of images in a registry, with the real programs and without the internet."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from dougong import artifacts
from dougong.images import reach
from dougong.images.signatures import Signer
from dougong.images.vulnerabilities import Scanner, Severity, scanner
from tests.registry_client import STATE, Client, image, way

TENANT = Client("10.78.0.86:5000", "green")
# A Debian with one package, which the tests' database knows a vulnerability of.
LEAKY = {
    "etc/os-release": b'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n',
    "var/lib/dpkg/status": (
        b"Package: leaky\nStatus: install ok installed\nVersion: 1.0-1\nArchitecture: amd64\n"
        b"Maintainer: Somebody <somebody@example.com>\nDescription: leaks\n\n"
    ),
}


@pytest.fixture(scope="module")
def registry() -> Iterator[reach.Registry]:
    with reach.through_ssh(way("10.78.0.86")) as found:
        yield found


@pytest.fixture(scope="module")
def leaky(registry: reach.Registry, tmp_path_factory: pytest.TempPathFactory) -> str:
    # Another one each time: what was signed stays signed.
    files = LEAKY | {"etc/machine-id": uuid.uuid4().hex.encode()}
    assert TENANT.push(image(tmp_path_factory.mktemp("leaky") / "image", files), "green/leaky:1").returncode == 0
    return registry.digest("green/leaky:1")


@pytest.fixture(scope="module")
def grype(tmp_path_factory: pytest.TempPathFactory) -> Scanner:
    database = tmp_path_factory.mktemp("database") / "db.tar.gz"
    subprocess.run([artifacts.resolve("grype-testdb").path, f"-output={database}"], check=True, timeout=60)
    return scanner(artifacts.resolve("grype").path, str(database))


def test_the_platforms_images_are_signed_when_they_are_pushed(registry: reach.Registry) -> None:
    signer = Signer(artifacts.resolve("cosign").path, STATE)
    name = "platform/dougong.local/test-tools:1.0.0"
    assert signer.unsigned(registry, [registry.digest(name)]) == {}


def test_an_image_is_signed_and_known_by_its_signature(registry: reach.Registry, leaky: str, tmp_path: Path) -> None:
    signer = Signer(artifacts.resolve("cosign").path, STATE)
    assert list(signer.unsigned(registry, [leaky])) == [leaky]
    signer.sign(registry, [leaky])
    assert signer.unsigned(registry, [leaky]) == {}

    stranger = Signer(signer.cosign, tmp_path)
    stranger.ensure_keys()
    assert list(stranger.unsigned(registry, [leaky])) == [leaky], "of another key's it is none"


def test_a_vulnerability_is_found_in_a_database_from_a_file(
    registry: reach.Registry, leaky: str, grype: Scanner, capfd: pytest.CaptureFixture[str]
) -> None:
    def clean(fail_on: Severity) -> bool:
        return grype.scan(f"registry:{leaky}", fail_on=fail_on, output="json", variables=registry.variables())

    assert not clean(Severity.HIGH)
    [match] = json.loads(capfd.readouterr().out)["matches"]
    assert match["vulnerability"]["id"] == "TEST-2026-0001"
    assert match["vulnerability"]["fix"]["versions"] == ["1.0-2"]
    assert match["artifact"]["name"] == "leaky"
    assert clean(Severity.CRITICAL)


def test_a_bill_of_materials_names_the_packages(registry: reach.Registry, leaky: str) -> None:
    syft = [str(artifacts.resolve("syft").path), "scan", f"registry:{leaky}", "--output=cyclonedx-json", "--quiet"]
    said = subprocess.run(syft, env=registry.variables(), capture_output=True, text=True, check=True, timeout=120)
    bill = json.loads(said.stdout)
    assert {"leaky": "1.0-1"}.items() <= {part["name"]: part.get("version") for part in bill["components"]}.items()
