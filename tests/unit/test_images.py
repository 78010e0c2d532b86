"""`dougong images`: the way to the registry, signatures, scans; with programs that stand in for the real ones."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from kubernetes import client
from typer.testing import CliRunner

from dougong import cli, credentials, paths
from dougong.errors import DougongError
from dougong.images import admission, reach
from dougong.images.signatures import CREDENTIAL, Signer
from dougong.images.vulnerabilities import Severity, named, scanner
from plugins.action import image_signatures

DIGEST = "sha256:" + "1" * 64
# Listens where -L says, as ssh does, until it is ended.
SSH = """
    import re, socket, sys, time
    port = int(re.search(r"127.0.0.1:(\\d+):127.0.0.1:5000", " ".join(sys.argv))[1])
    with socket.create_server(("127.0.0.1", port)):
        time.sleep(60)
"""
# Keeps what is signed beside its key. The password has to be the one that the key was made with.
COSIGN = """
    import os, pathlib, sys
    command, *words = sys.argv[1:]
    options = dict(word.removeprefix("--").partition("=")[::2] for word in words if word.startswith("--"))
    images = [word for word in words if not word.startswith("--")]
    if command == "generate-key-pair":
        prefix = options["output-key-prefix"]
        pathlib.Path(prefix + ".key").write_text(os.environ["COSIGN_PASSWORD"])
        pathlib.Path(prefix + ".pub").write_text("public")
    elif command == "sign":
        assert options["tlog-upload"] == options["use-signing-config"] == "false"
        key = pathlib.Path(options["key"])
        if key.read_text() != os.environ["COSIGN_PASSWORD"]:
            sys.exit("Error: reading key: decrypt: encrypted: decryption failed\\nmain.go:74: the same with a date")
        with key.with_suffix(".signed").open("a") as signed:
            signed.writelines(f"{image}\\n" for image in images)
    else:
        signed = pathlib.Path(options["key"]).with_suffix(".signed")
        known = signed.read_text().splitlines() if signed.exists() else []
        if set(images) - set(known):
            sys.exit("WARNING: Skipping tlog verification\\nError: no signatures found\\nmain.go:69: again")
"""
# Finds what the image's name says, in the database that was imported.
GRYPE = """
    import os, pathlib, sys
    folder = pathlib.Path(os.environ["GRYPE_DB_CACHE_DIR"])
    if sys.argv[1:3] == ["db", "import"]:
        text = pathlib.Path(sys.argv[3]).read_text()
        if text != "a database":
            sys.exit("progress\\nunable to import vulnerability database: no database in it")
        (folder / "vulnerability.db").write_text(text)
        with pathlib.Path(os.environ["IMPORTS"]).open("a") as imports:
            imports.write("1")
    else:
        assert os.environ["GRYPE_DB_AUTO_UPDATE"] == "false" and (folder / "vulnerability.db").exists()
        print(sys.argv[1])
        sys.exit({"registry:leaky": 2, "registry:broken": "could not be read"}.get(sys.argv[1], 0))
"""


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def host(tmp_path: Path) -> reach.Host:
    authority = tmp_path / "ca.crt"
    authority.write_text("authority")
    return reach.Host([str(program(tmp_path / "ssh", SSH)), "debian@192.0.2.1"], "platform:secret", authority)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(program(tmp_path / "cosign", COSIGN), tmp_path / "state")


@pytest.fixture
def registry(tmp_path: Path) -> reach.Registry:
    return reach.Registry("127.0.0.1:5000", tmp_path)


def test_the_way_leads_to_the_registry_with_a_login_and_its_authority(host: reach.Host) -> None:
    with reach.through_ssh(host) as found:
        name, _, port = found.address.partition(":")
        socket.create_connection((name, int(port)), timeout=5).close()
        logins = json.loads((found.folder / "config.json").read_text())["auths"]
        assert logins == {found.address: {"auth": "cGxhdGZvcm06c2VjcmV0"}}
        variables = found.variables()
        assert variables["DOCKER_CONFIG"] == str(found.folder)
        assert Path(variables["SSL_CERT_FILE"]).read_text() == "authority"
    assert not found.folder.exists(), "the password is on no disk any more"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((name, int(port)), timeout=5)


def test_a_host_that_is_not_reached_is_said_with_what_ssh_says(tmp_path: Path, host: reach.Host) -> None:
    program(tmp_path / "ssh", "import sys; sys.exit('warning\\nssh: connect to host 192.0.2.1: No route to host')")
    said = "no way to the registry: ssh: connect to host 192.0.2.1: No route to host"
    with pytest.raises(DougongError, match=said), reach.through_ssh(host):
        pytest.fail("there is none")


@pytest.mark.parametrize(
    ("image", "called"),
    [
        ("shop/web:1", "127.0.0.1:5000/shop/web:1"),
        ("registry.lab.internal:5000/shop/web:1", "127.0.0.1:5000/shop/web:1"),
        ("platform/registry.k8s.io/pause:3.10.2", "127.0.0.1:5000/platform/registry.k8s.io/pause:3.10.2"),
        (f"shop/web@{DIGEST}", f"127.0.0.1:5000/shop/web@{DIGEST}"),
    ],
)
def test_an_image_is_called_by_the_address_of_the_way(registry: reach.Registry, image: str, called: str) -> None:
    assert registry.reference(image) == called


def test_an_image_is_signed_by_the_digest_that_its_tag_has(
    tmp_path: Path, registry: reach.Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "skopeo", f"print('{DIGEST}')")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert registry.digest("shop/web:1") == f"127.0.0.1:5000/shop/web@{DIGEST}"
    program(tmp_path / "skopeo", "import sys; sys.exit('level=fatal msg=\"manifest unknown\"')")
    with pytest.raises(DougongError, match=r"shop/web:2: .*manifest unknown"):
        registry.digest("shop/web:2")


def test_the_key_is_made_once_and_its_password_is_among_the_credentials(signer: Signer) -> None:
    assert signer.ensure_keys()
    assert signer.private_key.read_text() == credentials.get(signer.state, CREDENTIAL)
    assert stat.S_IMODE(signer.private_key.parent.stat().st_mode) == 0o700
    before = signer.private_key.stat()
    assert not signer.ensure_keys()
    assert signer.private_key.stat() == before
    assert [path.name for path in signer.state.iterdir() if path.name.startswith(".signing")] == []


def test_what_is_signed_is_known_and_the_rest_comes_with_a_reason(signer: Signer, registry: reach.Registry) -> None:
    one, two = (registry.reference(f"shop/{name}@{DIGEST}") for name in ("one", "two"))
    assert signer.unsigned(registry, [one]) == {one: "there is no key yet"}
    signer.sign(registry, [one])
    assert signer.unsigned(registry, [one, two]) == {two: "no signatures found"}
    signer.sign(registry, [two])
    assert signer.unsigned(registry, [one, two]) == {}


def test_a_run_signs_what_is_not_and_a_check_run_only_says_so(signer: Signer, host: reach.Host) -> None:
    images = [f"platform/one@{DIGEST}", f"platform/two@{DIGEST}"]
    host.authority.unlink()  # as before the first run: nothing is there that could be asked
    assert image_signatures.signed(signer, host, images, dry=True) == images
    host.authority.write_text("authority")
    assert image_signatures.signed(signer, host, images[:1], dry=False) == images[:1]
    (signed,) = signer.private_key.with_suffix(".signed").read_text().splitlines()
    assert signed.endswith(f"/{images[0]}")


def test_another_password_than_the_key_s_is_cosign_s_error(signer: Signer, registry: reach.Registry) -> None:
    signer.ensure_keys()
    signer.private_key.write_text("another")
    with pytest.raises(DougongError, match="cosign sign: reading key: decrypt: encrypted: decryption failed\n"):
        signer.sign(registry, [registry.reference(f"shop/one@{DIGEST}")])


@pytest.fixture
def grype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("IMPORTS", str(tmp_path / "imports"))
    (tmp_path / "db.tar.zst").write_text("a database")
    return program(tmp_path / "grype", GRYPE)


def test_the_database_is_imported_once(tmp_path: Path, grype: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        found = scanner(grype, str(tmp_path / "db.tar.zst"))
        assert found.scan("registry:sound", fail_on=Severity.HIGH, output="table")
        assert not found.scan("registry:leaky", fail_on=Severity.HIGH, output="table")
    assert (tmp_path / "imports").read_text() == "1"
    assert capfd.readouterr().out.split() == ["registry:sound", "registry:leaky"] * 2


def test_what_grype_cannot_read_is_an_error_and_no_finding(tmp_path: Path, grype: Path) -> None:
    with pytest.raises(DougongError, match="grype: could not be read"):
        scanner(grype, str(tmp_path / "db.tar.zst")).scan("registry:broken", fail_on=Severity.LOW, output="table")


def test_a_file_that_is_no_database_leaves_nothing_behind(tmp_path: Path, grype: Path) -> None:
    (tmp_path / "db.tar.zst").write_text("something else")
    with pytest.raises(DougongError, match="unable to import vulnerability database: no database in it"):
        scanner(grype, str(tmp_path / "db.tar.zst"))
    assert list((tmp_path / "cache" / "dougong" / "grype").iterdir()) == []


def test_a_mirror_is_asked_for_what_is_new(grype: Path) -> None:
    variables = scanner(grype, "https://mirror.example.com/grype").variables
    assert variables["GRYPE_DB_UPDATE_URL"] == "https://mirror.example.com/grype"
    assert variables["GRYPE_DB_AUTO_UPDATE"] == "true"


def test_without_a_database_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dougong.artifacts.ensure", lambda *_: pytest.fail("not before there is a database"))
    assert named("", None, "/srv/db.tar.zst") == "/srv/db.tar.zst"
    done = CliRunner().invoke(cli.app, ["images", "scan", "--environment", "lab"])
    assert done.exit_code == cli.FAILED
    assert "there is no database of vulnerabilities" in done.stderr
    assert "services.registry.vulnerability_database" in done.stderr


class Webhooks:
    """The API server, as far as it is asked."""

    def __init__(self, *names: str, reason: str = "") -> None:
        self.found = client.V1ValidatingWebhookConfiguration(
            webhooks=[
                client.V1ValidatingWebhook(
                    name=name,
                    admission_review_versions=["v1"],
                    client_config=client.AdmissionregistrationV1WebhookClientConfig(),
                    side_effects="None",
                )
                for name in names
            ]
            or None
        )
        self.reason = reason

    def __call__(self, _: object) -> Webhooks:
        return self

    def read_validating_webhook_configuration(self, name: str, **_: object) -> client.V1ValidatingWebhookConfiguration:
        if self.reason:
            raise client.ApiException(status=404, reason=self.reason)
        return self.found


@pytest.mark.parametrize(
    ("api", "ok", "said"),
    [
        (Webhooks("ivpol.validate.kyverno.svc-fail-finegrained-signed-images"), True, "verified by Kyverno"),
        (Webhooks("validate.kyverno.svc-fail"), False, "nothing is let into red, blue: Kyverno verifies no signatures"),
        (Webhooks(), False, "Kyverno verifies no signatures"),
        (Webhooks(reason="Not Found"), False, "nothing is let into red, blue: Not Found"),
    ],
)
def test_status_says_whether_signatures_are_verified(
    api: Webhooks, ok: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dougong.cluster_api.connect", lambda _: None)
    monkeypatch.setattr(admission, "AdmissionregistrationV1Api", api)
    found = admission.check("lab", ["red", "blue"])
    assert found.ok is ok
    assert said in found.detail
    assert bool(found.remedy) is not ok


def test_the_role_waits_for_the_same_webhook() -> None:
    role = yaml.safe_load((paths.ROOT / "roles" / "admission" / "vars" / "main.yml").read_text())
    assert (role["_admission_webhooks"], role["_admission_webhook"]) == (admission.CONFIGURATION, admission.WEBHOOK)


def test_an_environment_without_a_registry_says_so() -> None:
    with pytest.raises(DougongError, match="'lab-ha' has no registry"), reach.of_environment("lab-ha"):
        pytest.fail("there is none")
