"""Asks Pulumi and OpenStack how the cloud is; areas/cloud.py judges."""

from __future__ import annotations

from collections.abc import Iterator

from keystoneauth1.exceptions import ClientException
from openstack.connection import Connection
from openstack.exceptions import SDKException

from dougong import cloud, stacks
from dougong.errors import DougongError
from dougong.inspection.areas.cloud import CloudEvidence, Drift, Thing
from dougong.platform import Platform
from dougong.runs import Recorder
from dougong.stacks.urn import kind_of, name_of


def collect(name: str, platform: Platform, run: Recorder) -> CloudEvidence:
    """Look; what cannot be asked is evidence, too.

    Args:
        name: the environment.
        platform: what is declared.
        run: gets a phase for each stack.
    """
    evidence = CloudEvidence()
    for stack in stacks.ORDER:
        with run.phase(stack):
            _drift(name, stack, evidence)
            run.summary("see below" if evidence.drift or evidence.errors else "as declared")
    try:
        connection = cloud.connect(platform)
        evidence.things.extend([*_servers(connection, platform), *_balancers(connection, platform)])
        evidence.things.extend(_volumes(connection, platform))
    except (SDKException, ClientException, DougongError) as error:
        evidence.errors.append((platform.cloud.name, str(error).splitlines()[0], "openstack token issue"))
    return evidence


def _drift(name: str, stack: str, evidence: CloudEvidence) -> None:
    def take(event: stacks.ResourceEvent) -> None:
        if event.status == "done" and event.changes:
            evidence.drift.append(Drift(stack, event.op, kind_of(event.urn), name_of(event.urn)))

    try:
        evidence.unchanged += stacks.preview(name, stack, on_event=take).get("same", 0)
    except DougongError as error:
        evidence.errors.append((f"stack {stack}", error.message, error.remedy))


def _servers(connection: Connection, platform: Platform) -> Iterator[Thing]:
    for server in connection.compute.servers():
        if server.metadata.get("dougong_installation") == platform.name:
            yield Thing("server", server.name, server.status)


def _balancers(connection: Connection, platform: Platform) -> Iterator[Thing]:
    """Those of the stack, and those that the cloud controller has made for Services."""
    own = (f"{platform.name}-api", f"{platform.name}-apps")
    if not connection.has_service("load-balancer"):
        return
    for balancer in connection.load_balancer.load_balancers():
        if balancer.name in own or balancer.name.startswith(f"kube_service_{platform.name}_"):
            yield Thing("load balancer", balancer.name, balancer.provisioning_status, balancer.operating_status)


def _volumes(connection: Connection, platform: Platform) -> Iterator[Thing]:
    """The hosts' volumes, which are named after them."""
    for volume in connection.block_storage.volumes():
        if (volume.name or "").startswith(tuple(f"{platform.name}-{pool}-" for pool in platform.pools)):
            yield Thing("volume", volume.name, volume.status)
