"""What roles/filebeat makes of a pod's name."""

from __future__ import annotations

import re

import pytest
import yaml
from jinja2 import Environment

from dougong.paths import ROOT

VARIABLES = yaml.safe_load((ROOT / "roles" / "filebeat" / "vars" / "main.yml").read_text())


@pytest.mark.parametrize(
    ("pod", "application"),
    [
        ("web-7d4b9c5f6d-x2x4z", "web"),
        ("calico-kube-controllers-58b4b8cbb-q9l6d", "calico-kube-controllers"),
        ("calico-node-x2x4z", "calico-node"),
        ("database-0", "database"),
        ("kube-apiserver-lab-control-plane-0", "kube-apiserver"),
        ("one-shot", "one-shot"),
    ],
)
def test_application_is_what_the_controller_began_with(pod: str, application: str) -> None:
    rendered = Environment(autoescape=True).from_string(VARIABLES["_filebeat_application"])
    script = rendered.render(filebeat_name="lab-control-plane-0", _filebeat_drawn=VARIABLES["_filebeat_drawn"])
    # Nothing in the expression is JavaScript's alone.
    [expression] = re.findall(r"var added = /(.+)/;", script)
    assert re.sub(expression, "", pod) == application


def test_a_removed_file_is_read_to_its_end_and_its_position_is_not_taken_for_another_files() -> None:
    containers = VARIABLES["_filebeat_containers"]
    assert containers["close.on_state_change.removed"] is False
    assert "clean_removed" not in containers, "by default the position goes; the next file may get the same inode"
