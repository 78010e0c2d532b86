"""The line of `dougong status` for the monitoring."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from dougong import monitoring
from dougong.inventory import Inventory

KNOWN = Inventory(
    groups={"zabbix": ["lab-services-0"]},
    hosts={"lab-services-0": {"ansible_host": "192.0.2.7", "ansible_user": "debian"}},
    variables={"ansible_ssh_private_key_file": "key", "ansible_ssh_common_args": ""},
)


def answers(monkeypatch: pytest.MonkeyPatch, code: int, out: str = "", err: str = "") -> list[list[str]]:
    """Have ssh answer so; returns what it was asked."""
    asked: list[list[str]] = []

    def run(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        return subprocess.CompletedProcess(words, code, out, err)

    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_a_server_that_answers_has_an_address_and_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, 0, '{"jsonrpc":"2.0","result":"7.0.22","id":1}')
    found = monitoring.check("lab", KNOWN)
    assert found.ok
    assert "Zabbix 7.0.22 at https://192.0.2.7/" in found.detail
    assert "dougong credentials -e lab zabbix/Admin" in found.detail
    assert "debian@192.0.2.7" in asked[0]


def test_what_is_wrong_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, 1, err="warning\nzabbix-server does not run\n")
    found = monitoring.check("lab", KNOWN)
    assert not found.ok
    assert "lab-services-0: zabbix-server does not run" in found.detail
    assert found.remedy.startswith("dougong ssh -e lab lab-services-0 -- systemctl status zabbix-server")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            '{"error": {"code": 1, "message": "No connection to the database", "data": ""}}',
            "No connection to the database",
        ),
        (
            '{"error": {"message": "Application error.", "data": "No route to the database"}}',
            "No route to the database",
        ),
        ("<html>", "its pages answer with something else"),
    ],
)
def test_pages_without_their_database_are_no_success(monkeypatch: pytest.MonkeyPatch, answer: str, said: str) -> None:
    answers(monkeypatch, 0, answer)
    found = monitoring.check("lab", KNOWN)
    assert (found.ok, found.detail) == (False, f"Zabbix on lab-services-0: {said}")


def test_before_the_first_up_there_is_no_host() -> None:
    found = monitoring.check("lab", Inventory())
    assert not found.ok
    assert found.remedy == "dougong up -e lab"
