"""Filters for the role kubernetes_certificates: what its module found, taken apart on the controller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dougong.certificates import model, rotation, table


class FilterModule:
    """The filters, by their names in playbooks."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "certificates": model.describe,
            "kubeconfig_certificates": model.describe_kubeconfig,
            "certificates_table": table.lines,
            "certificate_strangers": rotation.strangers,
            "outdated_clients": rotation.outdated_clients,
            "authority_rotation": _rotation,
        }


def _rotation(hosts: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, Any]:
    return rotation.as_variables(rotation.standing(hosts))
