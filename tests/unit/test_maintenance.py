"""Playbooks that disturb what is watched say so first, and say when it is over: with a real Ansible on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dougong import ansible, paths

PLAYBOOKS = paths.ROOT / "playbooks"
DISTURBING = [
    "upgrade",
    "restore",
    "certificates-renew",
    "certificates-rotate-ca",
    "upgrade-logging",
    "restore-registry",
    "upgrade-registry",
    "upgrade-monitoring",
]
# What the role is asked for is written down, if it is not to fail.
TASKS = """
- ansible.builtin.fail: {{msg: the API does not answer}}
  when: {broken}
- ansible.builtin.copy:
    content: "{{{{ zabbix_configuration_maintenance }}}} {{{{ zabbix_configuration_maintenance_groups | join(',') }}}}"
    dest: "{folder}/{entry}"
    mode: "0600"
"""


@pytest.mark.parametrize("name", DISTURBING)
def test_it_begins_before_anything_is_touched_and_ends_after_all(name: str) -> None:
    plays = yaml.safe_load((PLAYBOOKS / f"{name}.yml").read_text())
    assert plays[0]["ansible.builtin.import_playbook"] == "maintenance-begin.yml"
    assert plays[-1]["ansible.builtin.import_playbook"] == "maintenance-end.yml"
    assert plays[0]["vars"] == plays[-1]["vars"]


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *, broken: bool, host: dict[str, Any]) -> ansible.PlaybookResult:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    for playbook in PLAYBOOKS.glob("maintenance-*.yml"):
        shutil.copy(playbook, folder)
    tasks = folder / "roles" / "zabbix_configuration" / "tasks"
    tasks.mkdir(parents=True)
    for entry in ("maintenance_begin", "maintenance_end"):
        (tasks / f"{entry}.yml").write_text(TASKS.format(broken=str(broken).lower(), folder=folder, entry=entry))
    work = folder / "work.yml"
    work.write_text(
        "- ansible.builtin.import_playbook: maintenance-begin.yml\n"
        "  vars: &maintenance {maintenance: Work, maintenance_groups: [cluster]}\n"
        "- hosts: cluster\n"
        "  gather_facts: false\n"
        f"  tasks: [{{ansible.builtin.copy: {{content: x, dest: {folder}/work, mode: '0600'}}}}]\n"
        "- ansible.builtin.import_playbook: maintenance-end.yml\n"
        "  vars: *maintenance\n"
    )
    here = {"ansible_connection": "local", "ansible_become": False}
    hosts = folder / "hosts.yml"
    groups = {"zabbix": {"hosts": {"watch": host or here}}, "cluster": {"hosts": {"node": here}}}
    hosts.write_text(yaml.safe_dump({"all": {"children": groups}}))
    return ansible.run("lab", str(work), inventory=str(hosts))


def test_the_monitoring_is_told_what_is_worked_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, monkeypatch, broken=False, host={})
    assert (tmp_path / "maintenance_begin").read_text() == (tmp_path / "maintenance_end").read_text() == "Work cluster"


@pytest.mark.parametrize(
    ("broken", "host"),
    [
        (True, {}),
        # Nobody listens at port 1 (tcpmux, RFC 1078).
        (False, {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_retries": 0, "ansible_become": False}),
    ],
    ids=["fails", "away"],
)
def test_a_monitoring_that_cannot_be_told_stops_no_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool, host: dict[str, Any]
) -> None:
    run(tmp_path, monkeypatch, broken=broken, host=host)
    assert (tmp_path / "work").exists()
    assert not (tmp_path / "maintenance_begin").exists()
