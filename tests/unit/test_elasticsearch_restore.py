"""Who is let in while indices are restored: with a real Ansible, on hosts that are folders of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dougong import ansible, paths
from dougong.errors import DougongError

ROLE = paths.ROOT / "roles" / "elasticsearch"
PROGRAM = """#!/bin/sh
here=$(dirname "$0")
if [ "$1" = restore ]; then
  echo "$@" >>"$here/log"
  exec test ! -e "$here/broken"
fi
while read -r question; do
  case $question in
  *template*) echo '{}' ;;
  *) cat "$here/health" ;;
  esac
done
"""


def restore(folder: Path, nodes: int = 2, **variables: Any) -> list[str]:
    """What happens one after another: whom hosts let in, and what is restored."""
    tasks = folder / "tasks"
    shutil.copytree(ROLE / "tasks", tasks)
    names = "{{ _elasticsearch_admitted | map(attribute='name') | join(',') }}"
    admit = {"name": "Admit", "ansible.builtin.shell": f"echo {names} >>{folder}/log"}
    (tasks / "users.yml").write_text(yaml.safe_dump([admit]))
    (folder / "health").write_text(f'{{"status": "red", "number_of_nodes": {nodes}}}\n')
    (folder / "program").write_text(PROGRAM)
    (folder / "program").chmod(0o755)
    known = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            **{name: value for name, value in known.items() if not name.startswith("_elasticsearch_template")},
            "elasticsearch_users": [{"name": name, "password": "x"} for name in ("operator", "filebeat")],
            "elasticsearch_operator": "operator",
            "elasticsearch_snapshot": "latest",
            "elasticsearch_restore_replace": False,
            "_elasticsearch_program": f"{folder}/program",
            **variables,
        },
        # Nobody listens at the port of Elasticsearch here.
        "tasks": [{"ansible.builtin.include_tasks": str(tasks / "restore.yml")}],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"a": None, "b": None}}}))
    ansible.run("lab", str(folder / "play.yml"), inventory=folder / "hosts.yml")
    return log(folder)


def log(folder: Path) -> list[str]:
    return (folder / "log").read_text().splitlines()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CI", "true")
    return tmp_path


ALL = "operator,filebeat"


def test_shippers_are_kept_out_of_every_host_while_one_replaces(folder: Path) -> None:
    # As it comes from the command line.
    happened = restore(folder, elasticsearch_restore_replace="true")
    assert happened == ["operator", "operator", "restore latest --replace", ALL, ALL]


def test_shippers_come_in_again_when_the_restore_fails(folder: Path) -> None:
    (folder / "broken").touch()
    with pytest.raises(DougongError, match="Indices are restored"):
        restore(folder, elasticsearch_restore_replace=True)
    assert log(folder) == ["operator", "operator", "restore latest --replace", ALL, ALL]


def test_nothing_is_replaced_while_shippers_can_write_to_another_host(folder: Path) -> None:
    with pytest.raises(DougongError, match="3 hosts are in the cluster, and users were shut out of a, b"):
        restore(folder, nodes=3, elasticsearch_restore_replace=True)
    assert log(folder) == ["operator", "operator", ALL, ALL]


def test_what_is_missing_comes_back_while_shippers_write(folder: Path) -> None:
    assert restore(folder) == ["restore latest"]
