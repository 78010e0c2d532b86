"""Host keys and connections go with the servers they belong to."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from dougong import contacts, paths


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    connections = tmp_path / "connections"
    connections.mkdir()
    (connections / "0a39675d9b").touch()
    monkeypatch.setattr(contacts, "_CONNECTIONS", connections)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().rsplit(" ", 1)[0]
    paths.known_hosts("lab").parent.mkdir(parents=True)
    paths.known_hosts("lab").write_text(f"172.24.4.5 {public}\n172.24.4.6 {public}\n")
    return connections


def hosts(**servers: str) -> list[dict[str, Any]]:
    return [
        {"public_address": f"172.24.4.{name[1:]}", "address": "10.1.0.9", "server_id": server}
        for name, server in servers.items()
    ]


def known() -> list[str]:
    return [line.split()[0] for line in paths.known_hosts("lab").read_text().splitlines()]


def test_the_first_time_nothing_is_forgotten(folders: Path) -> None:
    assert contacts.forget_replaced("lab", hosts(_5="one", _6="two")) == []
    assert known() == ["172.24.4.5", "172.24.4.6"]
    assert list(folders.iterdir())


def test_the_same_servers_stay_known() -> None:
    contacts.forget_replaced("lab", hosts(_5="one", _6="two"))
    assert contacts.forget_replaced("lab", hosts(_5="one", _6="two")) == []
    assert known() == ["172.24.4.5", "172.24.4.6"]


def test_another_server_behind_an_address_is_learnt_anew(folders: Path) -> None:
    contacts.forget_replaced("lab", hosts(_5="one", _6="two"))
    assert contacts.forget_replaced("lab", hosts(_5="one", _6="three")) == ["172.24.4.6"]
    assert known() == ["172.24.4.5"]
    assert list(folders.iterdir()) == []
    assert contacts.forget_replaced("lab", hosts(_5="one", _6="three")) == []


def test_a_host_without_a_public_address_counts_by_its_own() -> None:
    inside = [{"public_address": None, "address": "172.24.4.5", "server_id": "one"}]
    contacts.forget_replaced("lab", inside)
    assert contacts.forget_replaced("lab", [inside[0] | {"server_id": "two"}]) == ["172.24.4.5"]


def test_all_is_forgotten_with_the_installation(folders: Path) -> None:
    paths.kubeconfig("lab").write_text("secret")
    contacts.forget_replaced("lab", hosts(_5="one"))
    contacts.forget_all("lab")
    assert not paths.kubeconfig("lab").exists()
    assert [path.name for path in paths.known_hosts("lab").parent.iterdir()] == []
    assert list(folders.iterdir()) == []
    contacts.forget_all("lab")
