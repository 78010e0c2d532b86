"""Whether the registry of container images is at work, what it keeps, and where it is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from dougong import hands, registry_probe
from dougong.check import Check
from dougong.inventory import Inventory

PORT = 5000
# Asked on the host itself, so that no way from here to its port is needed. The registry's own health includes its
# storage; what the projects keep is measured by a timer; what nodes pull is looked for.
_COMMAND = (
    "for unit in registry-token registry nginx; do systemctl is-active --quiet $unit || "
    "{ echo $unit does not run >&2; exit 1; }; done; "
    "python3 -c 'import urllib.request as r; r.urlopen(\"http://127.0.0.1:5002/debug/health\", timeout=10)' "
    "2>/dev/null || { echo its storage does not answer >&2; exit 1; }; "
    "sudo python3 -"
)
_SSH_OPTIONS = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=8"]
# It looks for each image that nodes may pull, perhaps on a busy host; one that hangs must not hang `dougong status`.
_SECONDS = 60


def check(name: str, known: Inventory) -> Check:
    """Ask the registry on its host.

    Args:
        name: the environment.
        known: its inventory.
    """
    hosts = known.groups.get("registry")
    if not hosts:
        return Check("registry", False, "it has no host yet", f"dougong up -e {name}")
    host = hosts[0]
    on_host = f"dougong ssh -e {name} {host} --"
    try:
        asked = subprocess.run(
            hands.ssh_words(known, host, _SSH_OPTIONS, [_COMMAND]),
            input=Path(registry_probe.__file__).read_text(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        said = f"it has not answered within {_SECONDS} s"
        return Check("registry", False, f"{host}: {said}", f"{on_host} uptime")
    if asked.returncode:
        said = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
        units = "registry-token registry nginx"
        return Check("registry", False, f"{host}: {said}", f"{on_host} systemctl status {units}")
    found = json.loads(asked.stdout)
    if found["lacking"]:
        said = f"nodes could not pull {', '.join(found['lacking'])} any more"
        return Check("registry", False, f"{host}: {said}", f"dougong up -e {name} --all")
    if found["failed"]:
        said = f"{', '.join(found['failed'])} failed when it ran last"
        units = " ".join(f"-u {unit}" for unit in found["failed"])
        remedy = (
            f"{on_host} sudo journalctl {units}; then, with what it says mended, {on_host} sudo systemctl start UNIT"
        )
        return Check("registry", False, f"{host}: {said}", remedy)
    gibibytes = sum(project["bytes"] for project in found["projects"].values()) / 2**30
    kept = f"{gibibytes:.1f} GiB in {len(found['projects'])} projects, {found['images']} images for the nodes"
    address = known.hosts[host]["ansible_host"]
    password = f"dougong credentials -e {name} registry/platform"
    return Check("registry", True, f"https://{address}:{PORT}/, {kept}, user platform: {password}")
