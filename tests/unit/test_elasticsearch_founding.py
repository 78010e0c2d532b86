"""Who founds a cluster of Elasticsearch: with a real Ansible, on hosts that are folders of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dougong import ansible, paths
from dougong.errors import DougongError

ROLE = paths.ROOT / "roles" / "elasticsearch"
TASKS = ROLE / "tasks" / "found.yml"
RULES = ("_elasticsearch_absent", "_elasticsearch_was_founded")
MEMBERS = ["a", "b", "c"]


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None = None) -> dict[str, str]:
    """Member → what it is told to found."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("CI", "true")
    variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "elasticsearch_members": dict.fromkeys(MEMBERS, "192.0.2.1"),
            "elasticsearch_data": f"{folder}/{{{{ inventory_hostname }}}}",
            "_elasticsearch_founding": f"{folder}/{{{{ inventory_hostname }}}}.founding",
            **{rule: variables[rule] for rule in RULES},
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


def test_founding_that_was_broken_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b" / "_state").mkdir(parents=True)
    (tmp_path / "b.founding").write_text("FOUNDING=-Ecluster.initial_master_nodes=a,b,c\n")
    assert found(tmp_path, monkeypatch).keys() == set(MEMBERS), "what b has written is no cluster"


def test_hosts_of_a_cluster_that_stands_still_start_without_one_that_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b" / "_state").mkdir(parents=True)
    assert found(tmp_path, monkeypatch, limit="b,c") == {}


def test_nothing_starts_while_a_member_is_missing_that_may_have_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DougongError, match="No cluster answers, and a, b did not take part in this run"):
        found(tmp_path, monkeypatch, limit="c")
    assert not list(tmp_path.glob("*.founding"))
