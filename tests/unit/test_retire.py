"""What platform.yml no longer asks for is taken off by the name of its role alone: its variables may be gone, too."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from dougong import ansible, paths

ROLES = yaml.safe_load((paths.ROOT / "playbooks" / "group_vars" / "all.yml").read_text())["services_here"]
(PLAY,) = yaml.safe_load((paths.ROOT / "playbooks" / "retire.yml").read_text())


def removal(role: str) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = yaml.safe_load((paths.ROOT / "roles" / role / "tasks" / "remove.yml").read_text())
    return tasks


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the loops of the playbook and of each role go through, where nothing but the roles' own files is known.

    The host has every service, and is to have Filebeat alone.
    """
    folder = tmp_path_factory.mktemp("retire")
    told = folder / "loops.json"
    wanted = {"retire": PLAY["tasks"][0]["loop"]} | {
        f"{role}: {task['name']}": task["loop"] for role in ROLES for task in removal(role) if "loop" in task
    }
    found = {
        task["register"]: {"files": [{"path": f"/opt/{role}-1"}]}
        for role in ROLES
        for task in removal(role)
        if "ansible.builtin.find" in task
    }
    play = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [
            str(paths.ROOT / "roles" / role / part / "main.yml") for role in ROLES for part in ("defaults", "vars")
        ],
        "vars": {"loops": wanted, "services_here": {role: role == "filebeat" for role in ROLES}, **found},
        "tasks": [
            {"ansible.builtin.set_fact": {"ansible_local": {role: {} for role in ROLES}, "cacheable": True}},
            {"ansible.builtin.copy": {"content": "{{ loops | to_json }}", "dest": str(told), "mode": "0600"}},
        ],
    }
    playbook, hosts = folder / "play.yml", folder / "hosts.yml"
    playbook.write_text(yaml.safe_dump([play], sort_keys=False))
    hosts.write_text("all: {hosts: {one: }}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        ansible.run("lab", str(playbook), inventory=str(hosts))
    result: dict[str, list[str]] = json.loads(told.read_text())
    return result


def test_a_host_gives_away_what_it_has_and_is_not_to_have(loops: dict[str, list[str]]) -> None:
    assert loops["retire"] == [role for role in ROLES if role != "filebeat"]


def test_every_service_can_be_taken_off_by_its_name_alone(loops: dict[str, list[str]]) -> None:
    for role in ROLES:
        removed = {path for name, gone in loops.items() if name.startswith(f"{role}: ") for path in gone}
        assert f"/etc/ansible/facts.d/{role}.fact" in removed, "or each run would take it off again"
    removed = {path for gone in loops.values() for path in gone}
    units = {f"/etc/systemd/system/{unit}.service" for unit in ("elasticsearch", "filebeat", "kibana", "logstash")}
    assert units | {"/opt/elasticsearch-1", "/opt/kibana-1", "/opt/logstash-1"} <= removed


def test_what_they_have_kept_stays(loops: dict[str, list[str]]) -> None:
    kept = ("/var/lib/elasticsearch", "/var/lib/filebeat", "/srv/registry", "/var/lib/postgresql", "/var/lib/logstash")
    assert [path for gone in loops.values() for path in gone if path.startswith(kept)] == []
