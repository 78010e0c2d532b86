"""The first look at the machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from dougong import console, doctor, environment, paths


class Usage(NamedTuple):
    """As shutil.disk_usage gives it, in bytes."""

    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which all is well, with an empty cache; nothing is asked of the network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("DOUGONG_ARTIFACT_SOURCES", "cache,build")
    monkeypatch.setattr(doctor, "_asked", lambda name, words, setting: doctor.Finding("ok", name, "can be reached"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 24 * 2**30 // 4096}[name])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 100 * 2**30))
    console.out.cache_clear()


def found(capsys: pytest.CaptureFixture[str], *, fit: bool) -> str:
    assert doctor.examine("lab") is fit
    return capsys.readouterr().out


def test_it_says_what_has_to_be_built_and_how_long_that_takes(capsys: pytest.CaptureFixture[str]) -> None:
    said = found(capsys, fit=True)
    assert "artifacts" in said
    assert "built from Go modules and Debian packages, about" in said
    assert "fetched from upstream" not in said
    assert "This machine will do" in said


def test_more_cores_build_faster(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def minutes() -> int:
        return int(found(capsys, fit=True).split("about ")[1].split()[0])

    two = minutes()
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert minutes() < two


def test_upstream_comes_first_where_it_may(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOUGONG_ARTIFACT_SOURCES")
    assert "fetched from upstream, or built" in found(capsys, fit=True)


@pytest.mark.parametrize(
    ("lacking", "remedy"),
    [("podman", "./setup installs it"), ("mmdebstrap", "./setup installs it"), ("git", "./setup installs it")],
)
def test_missing_software_is_named_with_its_remedy(
    lacking: str, remedy: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **options: None if name == lacking else which(name, **options))
    said = found(capsys, fit=False)
    assert f"✗ {lacking}" in said
    assert remedy in said


def test_without_a_compiler_it_warns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **options: None if name == "go" else which(name, **options))
    assert "! go" in found(capsys, fit=True)


def test_too_small_a_machine_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4 * 2**30 // 4096}[name])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 3 * 2**30))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    said = found(capsys, fit=False)
    assert "4 GiB; 14 are wanted" in said
    assert "3 GiB free" in said
    assert "2 things are in the way" in said, "one core is slow, not impossible"


def test_a_lab_that_is_there_has_taken_its_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 12 * 2**30))
    assert "40 are wanted" in found(capsys, fit=False)
    record = paths.state() / "openstack" / "sysctls.json"
    record.parent.mkdir(parents=True)
    record.touch()
    assert "12 GiB free" in found(capsys, fit=True)


def test_the_lab_needs_root_and_a_real_cloud_does_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "not root" in found(capsys, fit=False)
    lab = environment.platform("lab")
    real = lab.model_copy(update={"cloud": lab.cloud.model_copy(update={"embedded": False})})
    monkeypatch.setattr(environment, "platform", lambda name: real)
    assert "not root" not in found(capsys, fit=True)


def test_a_missing_kernel_feature_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor._NETWORK_FEATURES, "warp drive", "ip link add probe type warp")
    said = found(capsys, fit=False)
    assert "kernel has no" in said
    assert "warp drive" in said
