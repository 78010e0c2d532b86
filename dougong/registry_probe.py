"""What the registry keeps, asked on its host: sent there by `dougong status`, so it needs nothing but Python."""

import json
import subprocess
from collections.abc import Iterable
from http.client import HTTPConnection
from pathlib import Path

REGISTRY, TOKENS = "127.0.0.1:5001", "127.0.0.1:5003"
USAGE = Path("/var/lib/registry-token/usage.json")
IMAGES = Path("/etc/dougong/registry/images")
# Each runs now and then, by a timer; nobody sees it fail.
TASKS = ("registry-collect", "registry-usage", "registry-replicate", "registry-backup")
# The registry says of other kinds that it has no such manifest.
_KINDS = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"


def lacking(lines: Iterable[str], registry: str, tokens: str) -> list[str]:
    """The images of which the registry has no such manifest.

    Args:
        lines: `repository:tag digest`, as the role registry writes them.
        registry: host and port of the registry.
        tokens: host and port of the service that gives tokens.

    Returns:
        Their names.

    Raises:
        OSError: one of the two does not answer, or refuses.
    """
    missing = []
    for line in lines:
        name, digest = line.split()
        repository = name.rpartition(":")[0]
        scope = f"service=registry&scope=repository:{repository}:pull"
        _, answer = _ask(tokens, "GET", f"/auth/token?{scope}", {}, (200,))
        headers = {"Authorization": f"Bearer {json.loads(answer)['token']}", "Accept": _KINDS}
        status, _ = _ask(registry, "HEAD", f"/v2/{repository}/manifests/{digest}", headers, (200, 404))
        if status == 404:
            missing.append(name)
    return missing


def _ask(address: str, method: str, path: str, headers: dict[str, str], expected: tuple[int, ...]) -> tuple[int, bytes]:
    connection = HTTPConnection(address, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    if answer.status not in expected:
        raise OSError(f"{method} {address}{path}: {answer.status} {answer.reason}")
    return answer.status, answer.read()


def failed(units: Iterable[str]) -> list[str]:
    """The services that have failed when they ran last; one that is not wanted on this host has not."""
    ask = ["systemctl", "is-failed", "--quiet"]
    return [unit for unit in units if subprocess.run([*ask, unit], check=False).returncode == 0]


if __name__ == "__main__":
    images = IMAGES.read_text().splitlines() if IMAGES.exists() else []
    usage = json.loads(USAGE.read_text()) if USAGE.exists() else {}
    missing = lacking(images, REGISTRY, TOKENS)
    print(json.dumps({"projects": usage, "images": len(images), "lacking": missing, "failed": failed(TASKS)}))
