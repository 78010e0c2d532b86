"""Load balancers that Octavia lists although nothing is left of them.

What its OVN provider says of a load balancer is written down without a look at whether it is deleted
(DriverUpdater._process_status_update of Octavia 16). A word on a member's health that comes after the deletion makes
the deleted one active again: without address, without port, and in nobody's state.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import openstack.exceptions
from openstack.connection import Connection

from dougong import cloud
from dougong.errors import DougongError

# There is nothing behind a ghost that could take long; its deletion took under 2 s.
TIMEOUT_SECONDS = 60
_POLL_SECONDS = 1.0


def remove(connection: Connection, installation: str) -> list[str]:
    """Delete those of an installation once more, and wait until they are gone.

    Args:
        connection: to the project.
        installation: its name; what is called after it, by us or by its cluster's cloud controller, is looked at.

    Returns:
        Their names.

    Raises:
        DougongError: one does not go.
    """
    end = monotonic() + TIMEOUT_SECONDS
    names: set[str] = set()
    while ghosts := _find(connection, installation):
        names.update(ghost.name for ghost in ghosts)
        if monotonic() > end:
            raise DougongError(
                f"deleted load balancers that Octavia lists again do not go: {', '.join(sorted(names))}",
                "see `openstack loadbalancer list`, then dougong down again",
            )
        for ghost in ghosts:
            with suppress(openstack.exceptions.ConflictException):  # it is being deleted: the next round sees it gone
                connection.load_balancer.delete_load_balancer(ghost, cascade=True)
        sleep(_POLL_SECONDS)
    return sorted(names)


def _find(connection: Connection, installation: str) -> list[Any]:
    return [
        balancer
        for balancer in cloud.load_balancers(connection)
        if balancer.name.startswith((f"{installation}-", f"kube_service_{installation}_"))
        and balancer.provisioning_status != "PENDING_CREATE"
        and connection.network.find_port(balancer.vip_port_id, ignore_missing=True) is None
    ]
