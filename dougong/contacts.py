"""What is kept of hosts by their addresses, host keys and open SSH connections, and must go when a host goes.

An address is used again: a new server behind an old floating IP would be refused for its unknown host key, or be
talked to through a connection that leads nowhere.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dougong import paths

# As in ansible.cfg: control_path_dir.
_CONNECTIONS = Path.home() / ".cache" / "dougong" / "ssh"


def _file(environment: str) -> Path:
    return paths.known_hosts(environment).with_name("servers.json")


def forget_replaced(environment: str, hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Compare the servers behind the addresses with those of the last time.

    Args:
        environment: the folder name below inventories/.
        hosts: the output `hosts` of stacks/cluster.

    Returns:
        The addresses behind which there is another server now; their host keys are forgotten.
    """
    present = {host["public_address"] or host["address"]: host["server_id"] for host in hosts}
    file = _file(environment)
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    replaced = [address for address, server in present.items() if known.get(address, server) != server]
    if replaced:
        _close_connections()
        for address in replaced:
            words = ["ssh-keygen", "-q", "-R", address, "-f", str(paths.known_hosts(environment))]
            subprocess.run(words, capture_output=True, check=True)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.write_text(json.dumps(present))
    return replaced


def forget_all(environment: str) -> None:
    """Forget every host of an environment, and the way into its cluster.

    Args:
        environment: the folder name below inventories/.
    """
    _close_connections()
    for path in (paths.known_hosts(environment), _file(environment), paths.kubeconfig(environment)):
        path.unlink(missing_ok=True)


def _close_connections() -> None:
    """Use Ansible's kept connections no more. Their names do not tell whose they are: what is in use ends in peace."""
    for socket in _CONNECTIONS.glob("*"):
        # One whose process is gone cannot be told anything; then its file is all that is left of it.
        subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "stop", "-"], capture_output=True, check=False)
        socket.unlink(missing_ok=True)
