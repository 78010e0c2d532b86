"""Strategy `mitogen_linear`: Ansible's own order of tasks, one Python process per host that all of them share.

Ansible starts an interpreter on the host, through sudo and a shell, for each task; Mitogen leaves one running there.
"""

from __future__ import annotations

import os
from typing import Any

from ansible_mitogen import affinity, connection
from ansible_mitogen.plugins.strategy.mitogen_linear import StrategyModule

__all__ = ["StrategyModule"]

# Mitogen pins processes to cores: on two cores all work would share one, and a container made by such a task as well.
affinity.policy = affinity.Policy()

# Mitogen's own options come first on the command line of ssh and would win over ansible.cfg's and the inventory's. This
# is what may stand there of host keys, in Mitogen's words; its "accept" takes the key of a host that is not known yet,
# and no other.
_HOST_KEYS = {"StrictHostKeyChecking=accept-new": "accept", "StrictHostKeyChecking=no": "ignore"}
_connect_ssh = connection._connect_ssh


def _as_configured(spec: Any) -> dict[str, Any]:
    described: dict[str, Any] = _connect_ssh(spec)
    options = described["kwargs"]
    options |= {"keepalive_enabled": False, "compression": False}
    for option in options["ssh_args"]:
        options["check_host_keys"] = _HOST_KEYS.get(option, options["check_host_keys"])
    return described


connection.CONNECTION_METHOD["ssh"] = _as_configured


# A copied file is as old as its arrival, as with Ansible alone; Mitogen's is as old as its source. Roles compare ages:
# a service starts again if its files came after its start, whatever run brought them.
_put_file = connection.Connection.put_file


def _put_file_of_now(self: Any, in_path: str, out_path: str) -> None:
    _put_file(self, in_path, out_path)
    self.get_chain().call_no_reply(os.utime, out_path)


connection.Connection.put_file = _put_file_of_now
