"""The lab with emulated machines: `dougong lab up --virt-type qemu`. A server boots a kernel of its own.

A lab that is up is removed first, and this one at the end.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator

import openstack
import pytest
from openstack.connection import Connection

from dougong import lab
from tests.cluster_probe import eventually
from tests.drills.harness import dougong

# Seen on two cores with nothing else to do: 95 s from the request to SSH.
_BOOT_SECONDS = 600


@pytest.fixture(scope="module")
def cloud() -> Iterator[Connection]:
    dougong("lab", "down")
    try:
        dougong("lab", "up", "--virt-type", "qemu")
        yield openstack.connect(cloud="lab")
    finally:
        dougong("lab", "down")


def greeting(address: str) -> bytes:
    try:
        with socket.create_connection((address, 22), timeout=5) as connection:
            return connection.recv(64)
    except OSError:
        return b""


def test_it_stays_what_it_is(cloud: Connection) -> None:
    dougong("lab", "up")
    checks = {check.name: check for check in lab.status()}
    assert checks["nova"].ok
    assert "QEMU" in checks["nova"].detail
    assert "--virt-type" in dougong("lab", "up", "--help")
    assert "would not start as lxc" in dougong("lab", "up", "--virt-type", "lxc", expect=1)


def test_a_server_boots_and_answers_through_its_floating_ip(cloud: Connection) -> None:
    network = cloud.create_network("qemu")
    subnet = cloud.create_subnet(network.id, cidr="10.1.0.0/24", dns_nameservers=["10.77.0.1"], enable_dhcp=True)
    public = cloud.network.find_network("public", ignore_missing=False)
    router = cloud.create_router("qemu", ext_gateway_net_id=public.id)
    cloud.add_router_interface(router, subnet_id=subnet.id)
    cloud.create_security_group_rule(
        cloud.create_security_group("qemu", "SSH").id, protocol="tcp", port_range_min=22, port_range_max=22
    )
    server = cloud.create_server(
        "qemu",
        image="debian-13",
        flavor="dougong.small",
        network=network.id,
        security_groups=["qemu"],
        wait=True,
        timeout=_BOOT_SECONDS,
        auto_ip=False,
    )
    port = next(cloud.network.ports(device_id=server.id))
    address = cloud.network.create_ip(floating_network_id=public.id, port_id=port.id).floating_ip_address

    began = time.monotonic()
    assert eventually(lambda: greeting(address).startswith(b"SSH-2.0-OpenSSH"), _BOOT_SECONDS)
    print(f"SSH answered {time.monotonic() - began:.0f} s after nova called the server active")

    kind = subprocess.run(
        ["podman", "exec", "dougong-lab", "virsh", "--connect", "qemu:///system", "list", "--name"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert kind.stdout.strip().startswith("instance-")

    volume = cloud.create_volume(1, name="qemu", volume_type="standard", wait=True)
    cloud.attach_volume(server, volume, wait=True, timeout=120)
    assert cloud.block_storage.get_volume(volume.id).status == "in-use"
    cloud.detach_volume(server, volume, wait=True, timeout=120)
    assert cloud.delete_server(server.id, wait=True, timeout=120)
