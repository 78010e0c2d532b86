"""Passwords of services: made once, kept encrypted, shown on purpose only."""

from __future__ import annotations

import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar
from typer.testing import CliRunner

from dougong import cli, console, credentials, paths
from dougong.errors import DougongError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of the lab."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    console.err.cache_clear()
    return paths.state("lab")


def test_a_password_is_made_once_and_is_not_another_one(folder: Path) -> None:
    made = credentials.get(folder, "zabbix/Admin")
    assert credentials.get(folder, "zabbix/Admin") == made
    assert credentials.get(folder, "zabbix/webhook") != made
    assert (len(made), made.isalnum()) == (32, True)


def test_the_file_is_private_and_shows_nothing(folder: Path) -> None:
    made = credentials.get(folder, "zabbix/Admin")
    content = credentials.file(folder).read_bytes()
    assert content.startswith(b"$ANSIBLE_VAULT;")
    assert made.encode() not in content
    assert b"Admin" not in content
    assert {path.stat().st_mode & 0o077 for path in folder.iterdir()} == {0}
    assert folder.stat().st_mode & 0o077 == 0


def test_ansible_vault_opens_it_by_hand(folder: Path) -> None:
    made = credentials.get(folder, "zabbix/Admin")
    command, *words = shlex.split(credentials.by_hand(folder))
    program = Path(sys.prefix) / "bin" / command
    done = subprocess.run([program, *words], capture_output=True, text=True, check=True)
    assert yaml.safe_load(done.stdout) == {"zabbix/Admin": made}


def test_those_who_ask_at_the_same_moment_agree(folder: Path) -> None:
    names = [f"service/{number % 4}" for number in range(24)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        told = list(pool.map(lambda name: credentials.get(folder, name), names))
    assert dict(zip(names, told, strict=True)) == credentials.read(folder)
    assert len(set(told)) == 4


@pytest.mark.parametrize("name", ["", "Admin", "/Admin", "zabbix/", "zabbix/../x y", "a b/c"])
def test_a_name_has_service_and_user(folder: Path, name: str) -> None:
    with pytest.raises(DougongError, match="does not name a credential"):
        credentials.get(folder, name)
    assert not credentials.file(folder).exists()


def test_another_passphrase_does_not_replace_what_it_cannot_read(folder: Path) -> None:
    credentials.get(folder, "zabbix/Admin")
    before = credentials.file(folder).read_bytes()
    (folder / "passphrase").write_text("another")
    with pytest.raises(DougongError, match=r"cannot be opened with .*passphrase(.|\n)*put back the passphrase"):
        credentials.get(folder, "zabbix/webhook")
    assert credentials.file(folder).read_bytes() == before


def test_what_somebody_has_broken_by_hand_is_said(folder: Path) -> None:
    credentials._write(folder, {"zabbix/Admin": 1})  # type: ignore[dict-item]  # as one would type it
    with pytest.raises(DougongError, match=r"no dictionary of names and passwords(.|\n)*ansible-vault edit"):
        credentials.get(folder, "zabbix/Admin")


def test_the_command_prints_one_or_all_and_makes_none(folder: Path) -> None:
    runner = CliRunner()
    assert "no credential 'zabbix/Admin'" in runner.invoke(cli.app, ["credentials", "zabbix/Admin"]).stderr
    assert not credentials.file(folder).exists()
    made = credentials.get(folder, "zabbix/Admin")
    assert runner.invoke(cli.app, ["credentials", "zabbix/Admin"]).stdout == f"{made}\n"
    assert runner.invoke(cli.app, ["credentials"]).stdout == f"zabbix/Admin  {made}\n"


def lookup(name: str, **variables: str) -> list[str]:
    lookup_loader.add_directory(str(paths.ROOT / "plugins" / "lookup"))
    templar = Templar(loader=DataLoader(), variables=variables)
    found: list[str] = lookup_loader.get("credential", templar=templar).run([name], variables=variables)
    return found


def test_the_lookup_takes_the_folder_of_the_inventory(folder: Path) -> None:
    made = lookup("zabbix/Admin", state_dir=str(folder))
    assert made == [credentials.get(folder, "zabbix/Admin")]


def test_the_lookup_says_what_is_missing(folder: Path) -> None:
    with pytest.raises(AnsibleError, match="no variable state_dir"):
        lookup("zabbix/Admin")
    with pytest.raises(AnsibleError, match="does not name a credential"):
        lookup("Admin", state_dir=str(folder))
