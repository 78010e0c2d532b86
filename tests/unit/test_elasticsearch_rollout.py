"""How a changed configuration reaches hosts of Elasticsearch, one after another: with a real Ansible.

Hosts are folders of this machine; what configures one writes its name down instead.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from dougong import ansible, paths
from dougong.errors import DougongError

ROLE = paths.ROOT / "roles" / "elasticsearch"
HOSTS = ["a", "b", "c"]
# Answers each question with a line; who has a file `dead` does not answer.
PROGRAM = """#!/bin/sh
here=$(dirname "$0")
test ! -e "$here/dead" || exit 1
test "$1" = query || exit 0
while read -r question; do
  case $question in
  *template*) cat "$here/../templates" ;;
  *) cat "$here/../health" ;;
  esac
done
"""


@dataclass
class Installation:
    """Three hosts.

    Attributes:
        folder: of all files.
        dead: hosts on which nothing runs.
        broken: hosts that do not come back from their restart.
        status, nodes: what the cluster says of itself.
        templates: those that it has.
    """

    folder: Path
    dead: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    status: str = "green"
    nodes: int = 3
    templates: list[str] = field(default_factory=lambda: ["dougong-logs"])

    def roll(self) -> list[str]:
        """Have all hosts restart; each line is the names of those that did so and whom they let in."""
        tasks = self.folder / "tasks"
        shutil.copytree(ROLE / "tasks", tasks)
        # Without the first one, which asks what would restart: everything.
        degraded = yaml.safe_load((tasks / "degraded.yml").read_text())[1:]
        (tasks / "degraded.yml").write_text(yaml.safe_dump(degraded))
        (tasks / "configure.yml").write_text(yaml.safe_dump([self._restart()]))
        for host in HOSTS:
            program = self.folder / host / "program"
            program.parent.mkdir()
            program.write_text(PROGRAM)
            program.chmod(0o755)
        for host in self.dead:
            (self.folder / host / "dead").touch()
            (self.folder / host / "_state").mkdir()
        for host in self.broken:
            (self.folder / host / "broken").touch()
        self._say(self.status)
        names = [{"name": name} for name in self.templates]
        (self.folder / "templates").write_text(json.dumps({"index_templates": names}) + "\n")
        playbook, hosts = self.folder / "play.yml", self.folder / "hosts.yml"
        playbook.write_text(yaml.safe_dump([self._play(tasks)]))
        hosts.write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(HOSTS)}}))
        try:
            ansible.run("lab", str(playbook), inventory=str(hosts))
        finally:
            log = self.folder / "log"
            self.restarted = log.read_text().splitlines() if log.exists() else []
        return self.restarted

    def _say(self, status: str) -> None:
        (self.folder / "health").write_text(json.dumps({"status": status, "number_of_nodes": self.nodes}) + "\n")

    def _restart(self) -> dict[str, Any]:
        yellow = json.dumps({"status": "yellow", "number_of_nodes": self.nodes - 1})
        # One at a time writes to the log: a line is shorter than a page.
        script = (
            f"echo {{{{ inventory_hostname }}}} {{{{ _elasticsearch_admitted | map(attribute='name') | join(',') }}}}"
            f" >>{self.folder}/log; cd {self.folder}/{{{{ inventory_hostname }}}}; rm -f dead;"
            f" if [ -e broken ]; then touch dead; echo '{yellow}' >../health; fi"
        )
        return {"name": "Restart", "ansible.builtin.shell": script, "register": "__ignored"}

    def _play(self, tasks: Path) -> dict[str, Any]:
        variables = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
        return {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "vars": {
                **{name: value for name, value in variables.items() if not name.startswith("_elasticsearch_template")},
                "elasticsearch_members": dict.fromkeys(HOSTS, "192.0.2.1"),
                "elasticsearch_data": f"{self.folder}/{{{{ inventory_hostname }}}}",
                "elasticsearch_users": [{"name": name} for name in ("operator", "filebeat")],
                "elasticsearch_operator": "operator",
                "_elasticsearch_program": f"{self.folder}/{{{{ inventory_hostname }}}}/program",
                "_elasticsearch_founding": f"{self.folder}/{{{{ inventory_hostname }}}}/founding",
                "__elasticsearch_change": {"restarted": ["elasticsearch.service"]},
                "__elasticsearch_service": {"restarted": ["elasticsearch.service"], "started": []},
            },
            "tasks": [{"ansible.builtin.include_tasks": str(tasks / "rollout.yml")}],
        }


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CI", "true")
    return Installation(tmp_path)


ALL = "operator,filebeat"


def test_a_host_that_is_down_is_started_first_and_the_others_one_after_another(installation: Installation) -> None:
    installation.dead = ("b",)
    first, *others = installation.roll()
    assert first == f"b {ALL}"
    assert sorted(others) == [f"a {ALL}", f"c {ALL}"]


def test_a_host_that_does_not_come_back_is_the_last_to_restart(installation: Installation) -> None:
    # Whichever is the first.
    installation.broken = ("a", "b", "c")
    with pytest.raises(DougongError, match=r"[abc] has not come back from its own turn in this run"):
        installation.roll()
    assert len(installation.restarted) == 1


def test_two_of_three_do_not_restart_though_they_have_made_copies_of_all(installation: Installation) -> None:
    installation.nodes = 2
    with pytest.raises(DougongError, match="the others would be no majority of 3 hosts"):
        installation.roll()
    assert installation.restarted == []


def test_a_cluster_that_is_red_does_not_restart(installation: Installation) -> None:
    installation.status = "red"
    with pytest.raises(DougongError, match="some records are kept on one host only"):
        installation.roll()
    assert installation.restarted == []


def test_a_pool_of_one_that_gets_two_more_starts_them_together(installation: Installation) -> None:
    installation.dead, installation.nodes = ("b", "c"), 1
    assert sorted(installation.roll()) == [f"a {ALL}", f"b {ALL}", f"c {ALL}"]


def test_nobody_writes_to_a_cluster_without_templates(installation: Installation) -> None:
    installation.templates = []
    assert sorted(installation.roll()) == ["a operator", "b operator", "c operator"]
