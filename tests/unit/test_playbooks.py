"""The order of plays that others rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dougong.paths import ROOT

PLAYBOOKS = ROOT / "playbooks"


def plays(file: Path) -> Iterator[dict[str, Any]]:
    """The plays of a playbook and of those that it imports, in order."""
    for play in yaml.safe_load(file.read_text()):
        if imported := play.get("ansible.builtin.import_playbook"):
            yield from plays(file.parent / imported)
        else:
            yield play


def names(playbook: str) -> list[str]:
    return [play["name"] for play in plays(PLAYBOOKS / playbook)]


def test_nodes_find_the_registry_before_anything_is_to_be_pulled() -> None:
    order = names("site.yml")
    wanted = ["Hosts", "Authority", "Registry", "Nodes that pull", "Container runtime", "Kubernetes"]
    assert [name for name in order if name in wanted] == wanted


def test_an_upgrade_brings_the_images_to_the_registry_before_the_nodes_pull_them() -> None:
    order = names("upgrade.yml")
    wanted = ["Look at every host before touching any", "Registry", "Images, before any host is touched"]
    assert [name for name in order if name in wanted] == wanted


def test_the_services_by_hand_are_those_of_the_whole() -> None:
    assert set(names("services.yml")) <= set(names("site.yml"))
    assert {"Registry", "Elasticsearch", "Monitoring"} <= set(names("services.yml"))


def test_a_restore_needs_no_registry() -> None:
    [software] = [play for play in plays(PLAYBOOKS / "restore.yml") if play["name"] == "Software of new hosts"]
    assert software["vars"]["artifact_registry_images"] == []
