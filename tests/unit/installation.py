"""What stacks/cluster would tell of an installation, for tests that need outputs and no cloud."""

from typing import Any

from dougong.platform import Platform


def host(platform: Platform, pool: str, index: int, address: int) -> dict[str, Any]:
    """As stacks/cluster tells of a host."""
    wanted = platform.pools[pool]
    zones = platform.cloud.availability_zones or ["nova"]
    return {
        "name": f"{platform.name}-{pool}-{index}",
        "pool": pool,
        "role": wanted.role,
        "index": index,
        "address": str(platform.network.cidr[address]),
        "public_address": f"172.24.4.{address}" if wanted.floating_ip else None,
        "zone": zones[index % len(zones)],
        "server_id": f"server-{address}",
        "volumes": [
            {**volume.model_dump(include={"name", "size", "mount", "filesystem"}), "id": "v", "device": "/dev/vdb"}
            for volume in wanted.volumes
        ],
    }


def outputs(platform: Platform) -> dict[str, Any]:
    """As stacks/cluster tells of a whole installation."""
    hosts = [(pool, index) for pool, wanted in platform.pools.items() for index in range(wanted.count)]
    balancer = {"address": str(platform.network.cidr[5]), "public_address": "172.24.4.5"}
    return {
        "hosts": [host(platform, pool, index, 10 + number) for number, (pool, index) in enumerate(hosts)],
        "api": {**balancer, "port": 6443},
        "apps": {
            **balancer,
            "listeners": [listener.model_dump() for listener in platform.load_balancers.apps],
        },
        "mtu": 1442,
    }
