"""Filters over Kubernetes nodes, as `kubernetes.core.k8s_info` reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

DOCUMENTATION = """
name: ready_nodes
author: Dougong
short_description: Names of the nodes that are Ready
description:
  - Takes Node objects and returns the names of those whose condition Ready is True.
positional: _input
options:
  _input:
    description: Node objects.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = """
- ansible.builtin.debug:
    msg: "{{ nodes.resources | ready_nodes }}"
"""

RETURN = """
_value:
  description: Names.
  type: list
"""


def ready_nodes(nodes: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the nodes that are Ready."""
    return [
        node["metadata"]["name"]
        for node in nodes
        if any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in node.get("status", {}).get("conditions", [])
        )
    ]


class FilterModule:
    def filters(self) -> dict[str, Any]:
        """What Ansible finds here."""
        return {"ready_nodes": ready_nodes}
