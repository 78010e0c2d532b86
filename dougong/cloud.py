"""The OpenStack project of an installation: the way in, and what is left in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keystoneauth1.exceptions
import openstack
import openstack.exceptions
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from dougong.errors import DougongError
from dougong.platform import Platform


def connect(platform: Platform) -> Connection:
    """A session with the cloud of an installation.

    Raises:
        DougongError: clouds.yaml has no such entry, or the cloud does not answer, or refuses the credentials.
    """
    name = platform.cloud.name
    try:
        connection = openstack.connect(cloud=name)
        connection.authorize()
    except openstack.exceptions.ConfigException as error:
        raise DougongError(
            f"clouds.yaml has no usable entry {name!r}: {error}",
            "dougong lab up writes it" if platform.cloud.embedded else "put it into ~/.config/openstack/clouds.yaml",
        ) from error
    except (openstack.exceptions.SDKException, keystoneauth1.exceptions.ClientException) as error:
        raise DougongError(
            f"the cloud {name!r} does not let us in: {error}",
            "dougong lab status"
            if platform.cloud.embedded
            else f"try it by hand: openstack --os-cloud {name} token issue",
        ) from error
    return connection


def keystone(platform: Platform) -> dict[str, Any]:
    """Where and how an installation's own software reaches the cloud, from clouds.yaml; the cloud is not asked.

    Returns:
        auth_url, region, certificate_authority (PEM; empty: the well-known ones), insecure.

    Raises:
        DougongError: clouds.yaml has no such entry, or names a file of certificates that cannot be read.
    """
    name = platform.cloud.name
    try:
        entry = OpenStackConfig().get_one(name)
        bundle = entry.config.get("cacert")
        return {
            "auth_url": entry.auth["auth_url"],
            "region": entry.region_name or "",
            "certificate_authority": Path(bundle).expanduser().read_text() if bundle else "",
            "insecure": entry.config.get("verify") is False,
        }
    except openstack.exceptions.ConfigException as error:
        raise DougongError(
            f"clouds.yaml has no usable entry {name!r}: {error}", "put it into ~/.config/openstack/clouds.yaml"
        ) from error
    except OSError as error:
        raise DougongError(
            f"the cacert of {name!r} in clouds.yaml cannot be read: {error}", "correct its path"
        ) from error


def application_credentials(connection: Connection) -> Iterable[Any]:
    """Those of the user behind a connection for the project behind it."""
    identity: Any = connection.identity  # version 3, as every cloud since 2018; the type leaves room for 2
    project = connection.current_project_id
    return [
        found
        for found in identity.application_credentials(user=connection.current_user_id)
        if found.project_id == project
    ]


def load_balancers(connection: Connection) -> Iterable[Any]:
    """Those of the project; none on a cloud without Octavia."""
    return connection.load_balancer.load_balancers() if connection.has_service("load-balancer") else ()


def remaining(platform: Platform) -> list[tuple[str, str, str]]:
    """All that the project holds: (kind, name, id). After `down` there should be nothing.

    What every project has without asking is left out: the default security group and what other projects share.
    """
    connection = connect(platform)
    project = connection.current_project_id
    mine: dict[str, Callable[[], Iterable[Any]]] = {
        "load balancer": lambda: load_balancers(connection),
        "server": connection.compute.servers,
        "server group": connection.compute.server_groups,
        "key pair": connection.compute.keypairs,
        "volume": connection.block_storage.volumes,
        "snapshot": connection.block_storage.snapshots,
        "floating IP": lambda: connection.network.ips(project_id=project),
        "port": lambda: connection.network.ports(project_id=project),
        "router": lambda: connection.network.routers(project_id=project),
        "network": lambda: connection.network.networks(project_id=project),
        "security group": lambda: connection.network.security_groups(project_id=project),
        "application credential": lambda: application_credentials(connection),
    }
    return [
        (kind, item.name or getattr(item, "floating_ip_address", None) or "-", item.id)
        for kind, listing in mine.items()
        for item in listing()
        if not (kind == "security group" and item.name == "default")
    ]
