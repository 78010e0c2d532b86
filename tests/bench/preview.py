"""How long the program of stacks/cluster takes to declare 1,000 servers: `python -m tests.bench.preview`.

Pulumi's mocks answer at once, so this is the program's own time and that of Pulumi's Python SDK.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import yaml

from dougong import paths
from tests.cloud_mocks import Cloud, run_stack

SERVERS = 1000


def large_platform() -> str:
    """The lab's platform.yml with as many workers, in a network that holds them."""
    content = yaml.safe_load(paths.platform_file("lab").read_text())
    content["network"]["cidr"] = "10.245.0.0/20"  # of what the lab keeps on this machine, beside its pods
    content["pools"]["worker"]["count"] = SERVERS
    return yaml.safe_dump(content, sort_keys=False)


def measure() -> float:
    """Seconds from the start of the program to the last declaration.

    Raises:
        RuntimeError: something else was declared than was to be measured.
    """
    program = paths.ROOT / "stacks" / "cluster"
    platform = large_platform()
    network = {
        "network_id": "network",
        "subnet_id": "subnet",
        "mtu": 1442,
        "security_groups": {"node": "node", "control_plane": "control-plane", "worker": "worker"},
    }
    with tempfile.TemporaryDirectory() as folder, patch.object(paths, "ROOT", Path(folder)):
        os.environ["XDG_STATE_HOME"] = str(Path(folder) / "state")
        # With what platform.yml is compared: the ranges that the lab keeps on this machine.
        Path(folder, "playbooks").symlink_to(program.parents[1] / "playbooks")
        clouds = Path(folder, "clouds.yaml")
        clouds.write_text(yaml.safe_dump({"clouds": {"lab": {"auth": {"auth_url": "http://127.0.0.1:5000"}}}}))
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(clouds)
        file = paths.platform_file("large")
        file.parent.mkdir(parents=True)
        file.write_text(platform)
        started = time.perf_counter()
        cloud = run_stack(program, Cloud(network_outputs=network), environment="large", preview=True)
        seconds = time.perf_counter() - started
    servers = len(cloud.of_type("Instance"))
    if servers != SERVERS + 1:  # the workers and the control plane
        raise RuntimeError(f"{servers} servers were declared")
    return seconds


if __name__ == "__main__":
    print(f"preview of {SERVERS} servers, in seconds: {measure():.2f}")
