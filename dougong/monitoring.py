"""Whether the monitoring itself is at work, and where its pages are."""

from __future__ import annotations

import json
import shlex
import subprocess

from dougong import hands
from dougong.check import Check
from dougong.inventory import Inventory

# Asked on the host itself, so that no way from here to its pages is needed; without the server there are no alerts,
# however well the pages answer.
_API = "http://127.0.0.1:8080/api_jsonrpc.php"
_QUESTION = {"jsonrpc": "2.0", "method": "apiinfo.version", "params": {}, "id": 1}
_COMMAND = (
    "systemctl is-active --quiet zabbix-server || { echo 'zabbix-server does not run' >&2; exit 1; }; "
    "curl --silent --show-error --fail --max-time 10 --header 'Content-Type: application/json-rpc' "
    f"--data {shlex.quote(json.dumps(_QUESTION))} {_API}"
)
_SSH_OPTIONS = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=8"]


def check(name: str, known: Inventory) -> Check:
    """Ask the server and its API on its host.

    Args:
        name: the environment.
        known: its inventory.
    """
    hosts = known.groups.get("zabbix")
    if not hosts:
        return Check("monitoring", False, "it has no host yet", f"dougong up -e {name}")
    host = hosts[0]
    asked = subprocess.run(
        hands.ssh_words(known, host, _SSH_OPTIONS, [_COMMAND]), capture_output=True, text=True, check=False
    )
    version, said = _answer(asked)
    if not version:
        units = "zabbix-server postgresql@17-main php8.4-fpm nginx"
        remedy = f"dougong ssh -e {name} {host} -- systemctl status {units}"
        return Check("monitoring", False, f"Zabbix on {host}: {said}", remedy)
    address = known.hosts[host]["ansible_host"]
    password = f"dougong credentials -e {name} zabbix/Admin"
    return Check("monitoring", True, f"Zabbix {version} at https://{address}/, user Admin: {password}")


def _answer(asked: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    """The version that the API tells, or why there is none."""
    if asked.returncode:
        return "", (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
    try:
        answer = json.loads(asked.stdout)
    except ValueError:
        return "", "its pages answer with something else"
    # Without its database the page answers all the same, and with 200.
    error = answer.get("error", {})
    return answer.get("result", ""), error.get("data") or error.get("message", "it does not say which version it is")
