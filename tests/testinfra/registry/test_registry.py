"""What role `registry` leaves on a host, as people with a real client meet it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from testinfra.host import Host

from dougong import artifacts, credentials, registry_probe
from tests.cluster_probe import eventually
from tests.entry_point import play
from tests.registry_client import STATE, Client, image, layers

ADDRESS = "10.78.0.81:5000"
CI, ALICE, NOBODY = Client(ADDRESS, "ci"), Client(ADDRESS, "alice"), Client(ADDRESS)
PLATFORM = Client(ADDRESS, "platform")
# For what garbage collection must not do to a push.
STRICT = Client(ADDRESS, "ci", patient=False)
BLOBS = "/srv/registry/docker/registry/v2/blobs/sha256"

# In the order of this file: pytest puts tests that use no host behind all others, where nothing is left to be tried.
pytestmark = pytest.mark.usefixtures("host")


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """An image that nobody has seen before."""
    return image(tmp_path / "sample", os.urandom(200_000), os.urandom(1000))


def file(digest: str) -> str:
    """Where the registry keeps a blob."""
    sha = digest.removeprefix("sha256:")
    return f"{BLOBS}/{sha[:2]}/{sha}/data"


def grow_old(host: Host, repository: str) -> None:
    """Make a repository's last push, and everything that is stored, two days old."""
    lease = f"/var/lib/registry-token/leases/{repository.replace('/', '%2F')}"
    # What is removed at this very moment is not to be made anew.
    host.run(f"find {BLOBS} -name data -exec touch --no-create --date='2 days ago' {{}} +")
    host.check_output(f"touch --no-create --date='2 days ago' {lease}")


def collect(host: Host) -> None:
    """Have the timer's service collect garbage, more often than systemd likes."""
    host.check_output("systemctl reset-failed registry-collect.service; systemctl start registry-collect.service")


@pytest.mark.parametrize("name", ["registry", "registry-token", "nginx"])
def test_service_runs_now_and_at_boot(host: Host, name: str) -> None:
    assert host.service(name).is_running
    assert host.service(name).is_enabled


def test_only_nginx_can_be_reached_from_outside(host: Host) -> None:
    listening = {line.split()[3] for line in host.check_output("ss -tlnH").splitlines()}
    assert {address for address in listening if address.rpartition(":")[2] in ("5001", "5002", "5003")} == {
        "127.0.0.1:5001",
        "127.0.0.1:5002",
        "127.0.0.1:5003",
    }
    assert "0.0.0.0:5000" in listening


def test_who_pushes_may_pull_and_gets_the_same(sample: Path, tmp_path: Path) -> None:
    pushed = CI.push(sample, "shop/web:1")
    assert pushed.returncode == 0, pushed.stderr
    for client in (CI, ALICE):
        pulled = tmp_path / client.user
        assert client.pull("shop/web:1", pulled).returncode == 0
        assert layers(pulled) == layers(sample)


def test_a_wrong_password_is_refused(sample: Path) -> None:
    refused = Client(ADDRESS, "ci", "guessed").push(sample, "shop/web:1")
    assert refused.returncode != 0
    assert "wrong user name or password" in refused.stderr


@pytest.mark.parametrize("client", [CI, NOBODY], ids=["another user", "nobody"])
def test_a_foreign_project_can_be_neither_pushed_to_nor_pulled_from(
    client: Client, sample: Path, tmp_path: Path
) -> None:
    assert ALICE.push(sample, "team/secret:1").returncode == 0
    for refused in (client.push(sample, "team/web:1"), client.pull("team/secret:1", tmp_path / "pulled")):
        assert refused.returncode != 0
        assert "requested access to the resource is denied" in refused.stderr


def test_who_may_pull_may_not_push(sample: Path) -> None:
    refused = ALICE.push(sample, "shop/web:2")
    assert refused.returncode != 0
    assert "requested access to the resource is denied" in refused.stderr


def test_a_public_project_is_pulled_without_a_password(sample: Path, tmp_path: Path) -> None:
    assert PLATFORM.push(sample, "platform/tool:1").returncode == 0
    assert NOBODY.pull("platform/tool:1", tmp_path / "pulled").returncode == 0
    assert NOBODY.push(sample, "platform/tool:2").returncode != 0


def test_sizes_are_known_and_a_full_project_takes_no_more(host: Host, tmp_path: Path) -> None:
    assert CI.push(image(tmp_path / "large", os.urandom(1_200_000)), "small/large:1").returncode == 0
    host.check_output("systemctl start registry-usage.service")
    usage = json.loads(host.file("/var/lib/registry-token/usage.json").content_string)
    assert 1_200_000 < usage["small"]["bytes"] < 1_220_000
    assert usage["small"]["repositories"] >= 1
    assert "403 (Forbidden)" in CI.push(image(tmp_path / "more", b"more"), "small/more:1").stderr
    # skopeo keeps the reason to itself; docker and containerd show it.
    assert "project small keeps 0.0 of 0.001 GiB: delete tags" in CI.token("repository:small/more:push").text
    assert CI.token("repository:small/more:pull").status_code == 200

    assert CI.delete("small/large:1").returncode == 0
    grow_old(host, "small/large")
    collect(host)
    host.check_output("systemctl start registry-usage.service")
    assert CI.push(image(tmp_path / "again", b"more"), "small/more:1").returncode == 0


def test_a_node_pulls_by_the_name_that_upstream_gave(host: Host) -> None:
    """From nowhere else: this host reaches no other registry. As containerd does for the kubelet."""
    pull = "ctr --namespace probe images pull --local --hosts-dir /etc/containerd/certs.d"
    pulled = host.run(f"{pull} dougong.local/test-tools:1.0.0")
    assert pulled.rc == 0, pulled.stderr
    ran = host.run("ctr --namespace probe run --rm dougong.local/test-tools:1.0.0 probe busybox echo pulled")
    assert ran.stdout == "pulled\n", ran.stderr
    assert host.run(f"{pull} dougong.local/unknown:1").rc != 0


def test_a_node_pulls_by_the_name_that_people_use(host: Host) -> None:
    name = "registry.molecule.internal:5000/platform/dougong.local/test-tools:1.0.0"
    pulled = host.run(f"ctr --namespace probe images pull --local --hosts-dir /etc/containerd/certs.d {name}")
    assert pulled.rc == 0, pulled.stderr


@pytest.mark.parametrize("name", ["pause-image@3.10.2", "test-tools-image"])
def test_what_a_node_runs_was_pulled_by_digest_and_is_pinned(host: Host, name: str) -> None:
    image = artifacts.resolve(*name.split("@"))
    assert image.reference
    repository = image.reference.rpartition(":")[0]
    for known in (image.reference, f"{repository}@{image.digest}"):
        _, found = host.check_output(f"ctr --namespace k8s.io images list name=={known}").splitlines()
        assert str(image.digest) in found
        assert "io.cri-containerd.pinned=pinned" in found
    log = host.file("/var/log/nginx/access.log").content_string.splitlines()
    # By the address that nodes use; the role itself asks at localhost.
    asked = [line for line in log if f"/v2/platform/{repository}/manifests/{image.digest}?ns=" in line]
    assert any(line.startswith(ADDRESS.partition(":")[0]) and "containerd/" in line for line in asked)


def test_a_node_pulls_from_a_project_with_the_password_of_its_users_alone(host: Host, sample: Path) -> None:
    """As the kubelet does with an imagePullSecret."""
    assert ALICE.push(sample, "team/private:1").returncode == 0
    pull = "ctr --namespace probe images pull --local --hosts-dir /etc/containerd/certs.d"
    name = "registry.molecule.internal:5000/team/private:1"
    assert host.run(f"{pull} {name}").rc != 0
    pulled = host.run(f"{pull} --user alice:{credentials.get(STATE, 'registry/alice')} {name}")
    assert pulled.rc == 0, pulled.stderr


def test_the_host_can_say_which_images_nodes_could_not_pull(host: Host) -> None:
    def ask() -> Any:
        return json.loads(host.check_output("python3 -c %s", Path(registry_probe.__file__).read_text()))

    listed = "/etc/dougong/registry/images"
    assert host.file(listed).content_string.count("\n") == ask()["images"] == 2
    assert ask()["lacking"] == []
    host.check_output(f"cp {listed} {listed}.kept; echo platform/none:1 sha256:{'0' * 64} >>{listed}")
    try:
        assert ask()["lacking"] == ["platform/none:1"]
    finally:
        host.check_output(f"mv {listed}.kept {listed}")


def test_images_of_the_catalogue_keep_their_digests() -> None:
    wanted = artifacts.resolve("pause-image", "3.10.2").digest
    assert PLATFORM.digest("platform/registry.k8s.io/pause:3.10.2") == wanted


def start(host: Host) -> None:
    host.check_output("systemctl start registry.service")
    assert eventually(lambda: bool(host.socket("tcp://127.0.0.1:5001").is_listening))


def test_a_restore_brings_every_digest_back(host: Host, tmp_path: Path) -> None:
    names = [f"shop/kept-{number}:1" for number in range(3)]
    for number, name in enumerate(names):
        assert CI.push(image(tmp_path / f"kept-{number}", os.urandom(1000)), name).returncode == 0
    before = {name: CI.digest(name) for name in names}
    host.check_output("dougong-registry-backup create")
    assert CI.push(image(tmp_path / "later", os.urandom(1000)), "shop/later:1").returncode == 0
    # Links of a backup that broke off: nothing is restored from them.
    host.check_output(
        "export RESTIC_PASSWORD_FILE=/etc/dougong/registry/restic.password; "
        "restic --repo /var/backups/registry backup --quiet /srv/registry/docker/registry/v2/repositories"
    )

    host.check_output("systemctl stop registry.service && rm -rf /srv/registry/docker")
    start(host)
    assert CI.pull(names[0], tmp_path / "lost").returncode != 0
    play(os.environ, "registry", "restore")
    assert host.file("/srv/registry/docker/registry/v2/blobs").user == "registry"
    for unit in ("registry", "registry-collect.timer", "registry-usage.timer"):
        assert host.service(unit).is_running, unit

    assert len(set(before.values())) == len(names)
    assert {name: CI.digest(name) for name in names} == before
    for number, name in enumerate(names):
        assert CI.pull(name, tmp_path / f"restored-{number}").returncode == 0
    assert CI.pull("shop/later:1", tmp_path / "later-lost").returncode != 0, "it came after the backup"


@pytest.fixture
def replica(host: Host) -> Iterator[str]:
    """A second registry, for everybody."""
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": "/tmp/replica"}},
        "http": {"addr": ":5010"},
    }
    host.check_output(f"echo '{json.dumps(settings)}' >/tmp/replica.yml")
    host.check_output("systemd-run --unit=replica /usr/local/bin/registry serve /tmp/replica.yml")
    yield "10.78.0.81:5010"
    host.check_output("systemctl stop replica; rm -rf /tmp/replica /tmp/replica.yml")


def test_a_second_registry_gets_every_image(host: Host, replica: str, sample: Path) -> None:
    for name in ("shop/web:9", "team/tool:9"):
        assert PLATFORM.push(sample, name).returncode == 0
    host.check_output("systemctl start registry-replicate.service")
    for name in ("shop/web:9", "team/tool:9"):
        copied = requests.get(
            f"http://{replica}/v2/{name.replace(':', '/manifests/')}",
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
            timeout=30,
        )
        assert copied.headers["Docker-Content-Digest"] == PLATFORM.digest(name)


def test_a_name_that_is_none_gets_no_token_and_stops_no_collection(host: Host) -> None:
    refused = CI.token("repository:shop/WEB:push")
    assert refused.status_code == 400
    assert "not a repository's name" in refused.text
    # As the version before has left it.
    host.check_output("runuser -u registry touch /var/lib/registry-token/leases/shop%2FWEB")
    collect(host)


def test_whoever_pushes_leases_nothing_else(host: Host) -> None:
    assert CI.token("repository:shop/own:push,pull repository:team/foreign:pull").status_code == 200
    leases = host.file("/var/lib/registry-token/leases").listdir()
    assert "shop%2Fown" in leases
    assert "team%2Fforeign" not in leases


def test_what_no_tag_leads_to_is_counted_and_can_be_removed(host: Host, tmp_path: Path) -> None:
    """By the command of docs/operations/registry.md."""

    def usage() -> Any:
        host.check_output("systemctl start registry-usage.service")
        return json.loads(host.file("/var/lib/registry-token/usage.json").content_string)["shop"]

    before = usage()
    assert CI.push(image(tmp_path / "old", os.urandom(30_000)), "shop/moved:1").returncode == 0
    old = CI.digest("shop/moved:1")
    assert CI.push(image(tmp_path / "new", os.urandom(1000)), "shop/moved:1").returncode == 0
    after = usage()
    assert after["untagged"] == before["untagged"] + 1
    assert 30_000 < after["untagged_bytes"] - before["untagged_bytes"] < 32_000
    name = f"shop/moved@{old}"
    assert name in host.file("/var/lib/registry-token/untagged").content_string.splitlines()
    host.check_output(
        "skopeo delete --authfile /etc/dougong/registry/auth.json --cert-dir /etc/nginx/tls/trusted "
        f"docker://localhost:5000/{name}"
    )
    assert usage()["untagged"] == before["untagged"]
    assert CI.pull("shop/moved:1", tmp_path / "pulled").returncode == 0


def test_a_new_program_restarts_what_runs_the_old_one(host: Host) -> None:
    """Also after a run that broke off before it came to that: the file is newer than the service's start."""
    started = host.check_output("systemctl show --value --property MainPID registry registry-token")
    host.check_output("touch /usr/local/bin/registry /usr/local/bin/dougong-registry")
    play(os.environ, "registry", "upgrade")
    now = host.check_output("systemctl show --value --property MainPID registry registry-token")
    assert not set(started.split()) & set(now.split())


def test_garbage_goes_and_what_is_needed_stays(host: Host, sample: Path, tmp_path: Path) -> None:
    other = image(tmp_path / "other", os.urandom(1000))
    assert CI.push(sample, "shop/gone:1").returncode == 0
    assert CI.push(other, "shop/stays:1").returncode == 0
    assert CI.delete("shop/gone:1").returncode == 0

    collect(host)
    assert all(host.file(file(layer)).exists for layer in layers(sample)), "it has just been pushed to"

    grow_old(host, "shop/gone")
    collect(host)
    assert not any(host.file(file(layer)).exists for layer in layers(sample))
    assert CI.pull("shop/stays:1", tmp_path / "pulled").returncode == 0


def test_garbage_goes_while_pushes_go_on(host: Host, tmp_path: Path) -> None:
    """Pushes that want again what has just become garbage, here or in another repository, while it is being removed."""
    rounds, pushers = 5, 3
    contents = [os.urandom(50_000) for _ in range(pushers)]
    shared = os.urandom(50_000)
    failed: list[str] = []
    collected = 0

    def push(number: int, turn: int) -> None:
        name = f"shop/pusher-{number}"
        # The first layer is what the last turn has left behind, the second one what others have.
        built = image(tmp_path / f"{number}-{turn}", contents[number], shared, os.urandom(2000))
        done = STRICT.push(built, f"{name}:{turn}")
        pulled = STRICT.pull(f"{name}:{turn}", tmp_path / f"pulled-{number}-{turn}")
        if done.returncode or pulled.returncode:
            failed.append(done.stderr + pulled.stderr)
        CI.delete(f"{name}:{turn}")
        grow_old(host, name)

    for turn in range(rounds):
        threads = [threading.Thread(target=push, args=(number, turn)) for number in range(pushers)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            collect(host)
            collected += 1
    assert not failed, "\n".join(failed)
    assert collected >= rounds
    collect(host)
    left = host.check_output(f"find {BLOBS} -name data").splitlines()
    assert not {file(layer) for number in range(pushers) for layer in layers(tmp_path / f"{number}-0")} & set(left)


def test_what_is_removed_runs_no_more_and_keeps_its_images(host: Host) -> None:
    play(os.environ, "registry", "remove")
    for unit in ("registry", "registry-token", "registry-collect.timer", "registry-backup.timer"):
        assert not host.service(unit).is_running, unit
    assert not host.socket(f"tcp://{ADDRESS}").is_listening
    # Hashes of passwords and the keys that sign tokens stay nowhere.
    assert not host.file("/var/lib/registry-token").exists
    assert not host.file("/etc/dougong/registry").exists
    assert not host.file("/etc/ansible/facts.d/registry.fact").exists
    assert host.file(BLOBS).is_directory
