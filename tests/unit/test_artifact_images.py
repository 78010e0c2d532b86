"""How images come onto a host: role `artifact` with a real Ansible, and a `ctr` that writes down what it is told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from dougong import ansible
from dougong.errors import DougongError

PAUSE = "registry.k8s.io/pause:3.10.2@sha256:aaaa"
PROBE = "dougong.local/probe:1@sha256:bbbb"
LOOKUP = """
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        pinned = {"pause-image": "%s", "probe-image": "%s"}
        return [
            {"name": name, "key": name + "@1", "path": __file__, "pinned": pinned[name]} for name in terms
        ]
"""
CTR = """#!/bin/sh
if [ "$4" = list ]; then
    [ ! -e {folder}/fresh ] || exit 1
    exec cat {folder}/images
fi
echo "$@" >>{folder}/log
[ "$4" != pull ] || [ ! -e {folder}/down ] || {{ echo "dial tcp: connection refused" >&2; exit 1; }}
"""
PLAYBOOK = """
- name: Images
  hosts: all
  connection: local
  gather_facts: false
  tasks:
    - name: Images are there
      ansible.builtin.include_role: {{name: artifact, tasks_from: images}}
      vars:
        artifact_images: [pause-image, probe-image]
        artifact_registry: 10.1.0.5:5000
        artifact_registry_images: {registry}
        artifact_staging: {folder}/staging

    - name: The caller knows
      ansible.builtin.copy:
        content: "{{{{ artifact_changed | join(' ') }}}}"
        dest: {folder}/changed
        mode: "0600"
      check_mode: false
      diff: false
"""


@dataclass
class Host:
    """This machine, as a node."""

    folder: Path

    def images(self, *present: str) -> None:
        """Have these in containerd's store."""
        lines = [f"{name} kind {digest} 1 MiB linux/amd64 -" for name, digest in (each.split("@") for each in present)]
        (self.folder / "images").write_text("REF TYPE DIGEST SIZE PLATFORMS LABELS\n" + "\n".join(lines))

    def run(self, *registry: str, check: bool = False) -> list[str]:
        """Bring the images, and tell which tasks have changed something."""
        playbook = self.folder / "playbook.yml"
        playbook.write_text(PLAYBOOK.format(folder=self.folder, registry=list(registry)))
        inventory = self.folder / "hosts.yml"
        inventory.write_text("all: {hosts: {node: }}\n")
        result = ansible.run("lab", str(playbook), inventory=inventory, check=check)
        return [change.task for change in result.changed if "The caller knows" not in change.task]

    @property
    def asked(self) -> list[str]:
        """What ctr was told to do."""
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def changed(self) -> list[str]:
        """What the caller is told."""
        return (self.folder / "changed").read_text().split()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    (tmp_path / "lookup_plugins").mkdir()
    (tmp_path / "lookup_plugins" / "artifact.py").write_text(LOOKUP % (PAUSE, PROBE))
    ctr = tmp_path / "bin" / "ctr"
    ctr.parent.mkdir()
    ctr.write_text(CTR.format(folder=tmp_path))
    ctr.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ctr.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CI", "true")
    made = Host(tmp_path)
    made.images()
    return made


def test_what_the_registry_has_is_pulled_by_digest_and_pinned_under_both_names(host: Host) -> None:
    host.images(PROBE)
    assert host.run("pause-image@1") == ["artifact : Images are pulled by digest"]
    pulled, tagged = host.asked
    assert pulled == (
        "--namespace k8s.io images pull --local --hosts-dir /etc/containerd/certs.d "
        "--label io.cri-containerd.pinned=pinned registry.k8s.io/pause@sha256:aaaa"
    )
    # ctr copies the labels of what it is given.
    assert tagged == (
        "--namespace k8s.io images tag --local --force registry.k8s.io/pause@sha256:aaaa registry.k8s.io/pause:3.10.2"
    )
    assert host.changed == ["pause-image"]


def test_all_that_is_missing_is_pulled(host: Host) -> None:
    host.run("pause-image@1", "probe-image@1")
    assert [line.split()[3] for line in host.asked] == ["pull", "tag", "pull", "tag"]
    assert host.changed == ["pause-image", "probe-image"]


def test_an_image_with_another_digest_is_missing(host: Host) -> None:
    host.images(PAUSE.replace("aaaa", "old"), PROBE)
    host.run("pause-image@1")
    assert "registry.k8s.io/pause@sha256:aaaa" in host.asked[0]


def test_a_host_that_has_all_asks_no_registry(host: Host) -> None:
    (host.folder / "down").touch()
    host.images(PAUSE, PROBE)
    assert host.run("pause-image@1", "probe-image@1") == []
    assert (host.asked, host.changed) == ([], [])


def test_a_registry_that_hands_nothing_out_is_named_with_what_to_do(host: Host) -> None:
    (host.folder / "down").touch()
    host.images(PROBE)
    with pytest.raises(DougongError) as failed:
        host.run("pause-image@1")
    said = " ".join(failed.value.message.split())
    assert "cannot pull what it lacks (pause-image@1) from the registry 10.1.0.5:5000" in said
    assert "connection refused" in said
    assert "dougong up, or playbooks/registry.yml, gives it the images" in said
    assert "tag" not in [line.split()[3] for line in host.asked], "what did not come has no name"


def test_the_rest_is_sent_from_the_controller(host: Host) -> None:
    """In check mode, in which it takes no right to write as root."""
    (host.folder / "fresh").touch()
    assert host.run("pause-image@1", check=True) == [
        "artifact : Images would be pulled",
        "artifact : Archives are on the host",
    ]
    assert host.changed == ["pause-image", "probe-image"]
    assert host.asked == []


def test_without_a_registry_everything_is_sent(host: Host) -> None:
    assert host.run(check=True) == ["artifact : Archives are on the host"]
    assert host.changed == ["pause-image", "probe-image"]
