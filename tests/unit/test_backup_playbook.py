"""playbooks/backup.yml with a real Ansible, on this machine, and roles that only say that they were here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from dougong import ansible, paths
from dougong.errors import DougongError

HERE = {"ansible_connection": "local", "ansible_become": False}
# Nobody listens at port 1 (tcpmux, RFC 1078).
GONE = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_retries": 0, "ansible_become": False}


@dataclass
class Installation:
    """One host for each service, or several; the roles leave a file.

    Attributes:
        hosts: group → variables of its host, or of each of them.
        broken: roles whose backup fails.
    """

    folder: Path
    hosts: dict[str, dict[str, object] | list[dict[str, object]]] = field(
        default_factory=lambda: dict.fromkeys(("control_plane", "zabbix", "elasticsearch", "registry"), HERE)
    )
    broken: tuple[str, ...] = ()
    target: str = "/mnt/backup"

    def backup(self) -> set[str]:
        """Run the playbook; who made a backup is left in the folder."""
        for role in ("backup", "zabbix_server", "elasticsearch", "registry"):
            tasks = self.folder / "roles" / role / "tasks"
            tasks.mkdir(parents=True)
            (tasks / "main.yml").write_text("[]")
            (tasks / "backup.yml").write_text(yaml.safe_dump([self._task(role)]))
        (self.folder / "roles/backup/tasks/volumes.yml").write_text(yaml.safe_dump([self._task("volumes")]))
        inventory = self.folder / "hosts.yml"
        groups = {
            group: {"hosts": {f"{group}-{number}": each for number, each in enumerate(_several(variables))}}
            for group, variables in self.hosts.items()
        }
        wanted = {"registry_backup_target": {"path": self.target} if self.target else {}}
        inventory.write_text(yaml.safe_dump({"all": {"children": groups, "vars": wanted}}))
        ansible.run("lab", str(self.folder / "backup.yml"), inventory=inventory)
        return self.made

    @property
    def made(self) -> set[str]:
        return {path.stem for path in self.folder.glob("*.made")}

    def _task(self, role: str) -> dict[str, object]:
        if role in self.broken:
            return {"name": "Work", "ansible.builtin.command": "sh -c 'echo disk full >&2; exit 1'"}
        return {"name": "Work", "ansible.builtin.command": f"touch {self.folder}/{role}.made"}


def _several(variables: dict[str, object] | list[dict[str, object]]) -> list[dict[str, object]]:
    return variables if isinstance(variables, list) else [variables]


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setenv("ANSIBLE_ROLES_PATH", str(tmp_path / "roles"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CI", "true")
    # Away from the variables of the real roles.
    shutil.copy(paths.ROOT / "playbooks" / "backup.yml", tmp_path)
    return Installation(tmp_path)


ALL = {"backup", "zabbix_server", "elasticsearch", "registry", "volumes"}


def test_the_control_plane_and_every_service_are_backed_up(installation: Installation) -> None:
    assert installation.backup() == ALL


def test_services_that_fail_are_named_after_all_others_were_tried(installation: Installation) -> None:
    installation.broken = ("zabbix_server", "volumes")
    installation.hosts["elasticsearch"] = GONE
    with pytest.raises(DougongError) as failed:
        installation.backup()
    assert installation.made == {"backup", "registry"}
    said = failed.value.message
    assert "Monitoring: zabbix-0: Work: non-zero return code: disk full" in said
    assert "Logs: elasticsearch-0: The host answers: " in said
    assert "Volumes: control_plane-0: " in said
    assert "Registry: " not in said


def test_logs_are_backed_up_by_a_host_that_answers(installation: Installation) -> None:
    installation.hosts["elasticsearch"] = [GONE, HERE, HERE]
    assert installation.backup() == ALL


def test_without_a_target_no_images_are_saved(installation: Installation) -> None:
    installation.target = ""
    assert installation.backup() == ALL - {"registry"}


def test_an_object_store_that_keeps_the_images_looks_after_itself(installation: Installation) -> None:
    installation.hosts["registry"] = {**HERE, "registry_configuration": {"storage": {"s3": {"bucket": "images"}}}}
    assert installation.backup() == ALL - {"registry"}
