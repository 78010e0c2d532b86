"""How long Ansible takes to know 1,000 hosts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dougong import environment, inventory, paths

HOSTS = 1000


def outputs() -> dict[str, Any]:
    """What stacks/cluster would say of 1,000 workers."""
    hosts: list[dict[str, Any]] = [
        {
            "name": f"lab-worker-{index}",
            "pool": "worker",
            "role": "worker",
            "index": index,
            "address": f"10.1.{index // 250}.{index % 250 + 1}",
            "public_address": None,
            "zone": "nova",
            "volumes": [],
        }
        for index in range(HOSTS)
    ]
    return {"hosts": hosts, "mtu": 1442}


def measure() -> dict[str, float]:
    """Seconds: for the model alone, and for `ansible-inventory --list` by hand, with a pulumi that answers at once."""
    known = outputs()
    platform = environment.platform("lab")
    started = time.perf_counter()
    inventory.build(platform, "lab", known)
    model = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        pulumi = Path(folder) / "pulumi"
        pulumi.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(known)}\nEND\n")
        pulumi.chmod(0o755)
        # A virtual environment of its own: `dougong env` puts the bin folder of the present one first.
        code = f"import sys; sys.prefix = {folder!r}; from ansible.cli.inventory import main; main()"
        (Path(folder) / "bin").symlink_to(folder)
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, "-i", paths.platform_file("lab"), "--list"],
            cwd=paths.ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg")},
            capture_output=True,
            text=True,
            check=True,
        )
        whole = time.perf_counter() - started
    if len(json.loads(done.stdout)["_meta"]["hostvars"]) != HOSTS:
        raise RuntimeError("the measurement did not see every host")
    return {"model": model, "ansible-inventory": whole}
