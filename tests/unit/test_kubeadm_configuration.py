"""Roll-out of a changed configuration on one member, with a kubeadm, systemd and processes of its own."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dougong import paths

ETCD = """\
spec:
  containers:
  - command:
    - etcd
    - --data-dir=/var/lib/etcd/data
    - --initial-cluster=a=https://10.0.0.1:2380
    - --name=a
"""


class FailedError(Exception):
    """What the module ended with."""


class FakeModule:
    """AnsibleModule as far as it is used; runs what a test gives it instead of commands."""

    def __init__(self, rendered: dict[str, str], check_mode: bool = False, **params: Any) -> None:
        self.params, self.check_mode, self.rendered = params, check_mode, rendered
        self.commands: list[str] = []
        self.kubelet = "old"
        self.target: Path

    def run_command(self, command: list[str], environ_update: dict[str, str]) -> tuple[int, str, str]:
        text = " ".join(command)
        self.commands.append(text.partition(" --config")[0])
        if folder := environ_update.get("KUBEADM_INIT_DRYRUN_DIR"):
            for name, content in self.rendered.items():
                Path(folder, f"{name}.yaml").write_text(content)
        if text.endswith("kubelet-config"):
            self.target.write_text(self.kubelet)
        return 0, "{}", ""

    def fail_json(self, msg: str) -> None:
        raise FailedError(msg)


@pytest.fixture
def rollout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "kubeadm_configuration", paths.ROOT / "plugins/modules/kubeadm_configuration.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "MANIFESTS", tmp_path)
    monkeypatch.setattr(module, "KUBELET_CONFIGURATION", tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_text("old")
    (tmp_path / "config.yaml").chmod(0o600)
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        (tmp_path / f"{name}.yaml").write_text(f"{name} old")
    (tmp_path / "etcd.yaml").write_text(ETCD)
    return module


def member(rollout: ModuleType, tmp_path: Path, rendered: dict[str, str], check_mode: bool = False) -> FakeModule:
    wanted = {file.stem: file.read_text() for file in tmp_path.glob("*.yaml") if file.stem != "config"}
    fake = FakeModule(
        wanted | rendered,
        check_mode,
        config="wanted",
        control_plane=True,
        api_url="https://10.0.0.1:6443",
        record=str(tmp_path / "record"),
        seconds=1,
    )
    fake.target = tmp_path / "config.yaml"
    return fake


def test_founding_members_of_etcd_are_kept(rollout: ModuleType) -> None:
    present = ETCD.replace(
        "=a=https://10.0.0.1:2380",
        "=a=https://10.0.0.1:2380,b=https://10.0.0.2:2380\n    - --initial-cluster-state=existing",
    )

    assert rollout.keep_membership(ETCD, present) == present


def test_what_is_in_force_already_is_only_recorded(
    rollout: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout.Member, "becomes_healthy", lambda *_: pytest.fail("nothing was to be restarted"))
    fake = member(rollout, tmp_path, {})

    result = rollout.converge(fake)

    assert (result["replaced"], result["restarted"]) == ([], [])
    assert (tmp_path / "record").read_text() == "wanted"
    assert not [command for command in fake.commands if "restart" in command]
    assert not rollout.converge(fake)["changed"]


def test_check_mode_shows_the_difference_and_touches_nothing(rollout: ModuleType, tmp_path: Path) -> None:
    fake = member(rollout, tmp_path, {"kube-scheduler": "kube-scheduler new"}, check_mode=True)

    result = rollout.converge(fake)

    assert result["replaced"] == ["kube-scheduler"]
    assert result["diff"][-1]["after"] == "kube-scheduler new"
    assert (tmp_path / "kube-scheduler.yaml").read_text() == "kube-scheduler old"
    assert not (tmp_path / "record").exists()
    assert all("--dry-run" in command for command in fake.commands)


def test_a_component_that_does_not_become_well_gets_its_manifest_back(
    rollout: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "kube-apiserver.yaml"
    monkeypatch.setattr(rollout.Member, "becomes_healthy", lambda *_: "new" not in manifest.read_text())
    monkeypatch.setattr(rollout, "last_words", lambda name: [f"{name}: unknown flag"])
    fake = member(rollout, tmp_path, {"kube-apiserver": "new"})

    with pytest.raises(FailedError, match=r"(?s)well again.*unknown flag"):
        rollout.converge(fake)

    assert manifest.read_text() == "kube-apiserver old"
    assert not (tmp_path / "record").exists(), "the next run begins again"
    assert not [command for command in fake.commands if "upload-config" in command], "nobody joins with it"


def test_a_kubelet_that_does_not_become_well_gets_its_configuration_back(
    rollout: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout.Member, "becomes_healthy", lambda *_: False)
    fake = member(rollout, tmp_path, {})
    fake.kubelet = "new"

    with pytest.raises(FailedError, match="former one back"):
        rollout.converge(fake)

    assert (tmp_path / "config.yaml").read_text() == "old"
    assert fake.commands[-1] == "systemctl restart kubelet.service"
