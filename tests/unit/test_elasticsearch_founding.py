"""Who founds a cluster of Elasticsearch: with a real Ansible, on hosts that are folders of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dougong import ansible, paths

TASKS = paths.ROOT / "roles" / "elasticsearch" / "tasks" / "found.yml"
MEMBERS = ["a", "b", "c"]


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None = None) -> dict[str, str]:
    """Member → what it is told to found."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "elasticsearch_members": dict.fromkeys(MEMBERS, "192.0.2.1"),
            "elasticsearch_data": f"{folder}/{{{{ inventory_hostname }}}}",
            "_elasticsearch_founding": f"{folder}/{{{{ inventory_hostname }}}}.founding",
        },
        "tasks": [{"ansible.builtin.include_tasks": str(TASKS)}],
    }
    playbook, hosts = folder / "play.yml", folder / "hosts.yml"
    playbook.write_text(yaml.safe_dump([play]))
    hosts.write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(MEMBERS)}}))
    ansible.run("lab", str(playbook), inventory=str(hosts), limit=limit)
    return {file.stem: file.read_text() for file in folder.glob("*.founding")}


def test_fresh_hosts_found_one_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = found(tmp_path, monkeypatch)
    assert told == dict.fromkeys(MEMBERS, "FOUNDING=-Ecluster.initial_master_nodes=a,b,c\n")


def test_hosts_with_one_that_had_a_cluster_join_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b" / "_state").mkdir(parents=True)
    assert found(tmp_path, monkeypatch) == {}, "two without could found a second one beside it"


def test_a_host_that_comes_later_founds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(tmp_path, monkeypatch, limit="c") == {}
