"""The way to the registry: through SSH to its host, as Ansible goes, so that no port of it has to be open from here."""

from __future__ import annotations

import base64
import json
import os
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dougong import credentials, environment, hands, inventory
from dougong.errors import DougongError

PORT = 5000
USER = "platform"
"""Who may pull, push and remove everything (see docs/operations/registry.md)."""
_OPTIONS = ["-N", "-o", "BatchMode=yes", "-o", "ConnectTimeout=8", "-o", "ExitOnForwardFailure=yes"]
_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Host:
    """Where a registry is.

    Attributes:
        ssh: the ssh command for its host, in words.
        login: user:password.
        authority: certificate of the authority that has signed the registry's.
        port: of the registry on its host.
    """

    ssh: list[str]
    login: str
    authority: Path
    port: int = PORT


@dataclass(frozen=True)
class Registry:
    """A registry within reach.

    Attributes:
        address: host and port as tools are to call it.
        folder: a Docker configuration with the login, and ca.crt, the authority that has signed its certificate.
    """

    address: str
    folder: Path

    def reference(self, image: str) -> str:
        """What tools call an image.

        Args:
            image: project/name:tag or project/name@digest; the registry's own address before it is left out.
        """
        first, _, rest = image.partition("/")
        return f"{self.address}/{rest if ':' in first else image}"

    def variables(self) -> dict[str, str]:
        """The process's environment with what Go programs need to be let in and to trust the certificate."""
        return {**os.environ, "DOCKER_CONFIG": str(self.folder), "SSL_CERT_FILE": str(self.folder / "ca.crt")}

    def digest(self, image: str) -> str:
        """An image's name with the digest that it has now, which no push can change.

        Args:
            image: see reference.

        Raises:
            DougongError: there is no such image, or the registry cannot be asked.
        """
        options = ["--cert-dir", str(self.folder), "--authfile", str(self.folder / "config.json")]
        command = ["skopeo", "inspect", *options, "--format", "{{.Digest}}", f"docker://{self.reference(image)}"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode:
            raise DougongError(f"{image}: {_last(asked.stderr)}", "its name is PROJECT/NAME:TAG, as it was pushed")
        return f"{_untagged(self.reference(image))}@{asked.stdout.strip()}"


@contextmanager
def of_environment(name: str) -> Iterator[Registry]:
    """The registry of an environment.

    Args:
        name: the environment.

    Raises:
        DougongError: it has none, or its host cannot be reached.
    """
    platform = environment.platform(name)
    if not platform.services.registry.enabled:
        raise DougongError(f"{name!r} has no registry", "enable services.registry in platform.yml, then `dougong up`")
    known = inventory.build(platform, name, inventory.read_outputs(name, platform))
    hosts = known.groups.get("registry")
    if not hosts:
        raise DougongError(f"the registry of {name!r} has no host yet", f"dougong up -e {name}")
    folder = Path(known.variables["state_dir"])
    login = f"{USER}:{credentials.get(folder, f'registry/{USER}')}"
    authority = folder / "certificates" / "ca.crt"
    with through_ssh(Host(hands.ssh_words(known, hosts[0], [], []), login, authority)) as registry:
        yield registry


@contextmanager
def through_ssh(host: Host) -> Iterator[Registry]:
    """A registry that listens on a port of a host.

    Args:
        host: where it is.

    Raises:
        DougongError: the host cannot be reached.
    """
    local = _free_port()
    command = [host.ssh[0], *_OPTIONS, "-L", f"127.0.0.1:{local}:127.0.0.1:{host.port}", *host.ssh[1:]]
    with tempfile.TemporaryDirectory(prefix="dougong-") as folder, tempfile.TemporaryFile() as said:
        registry = Registry(f"127.0.0.1:{local}", Path(folder))
        logins = {registry.address: {"auth": base64.b64encode(host.login.encode()).decode()}}
        (registry.folder / "config.json").write_text(json.dumps({"auths": logins}))
        (registry.folder / "ca.crt").write_bytes(host.authority.read_bytes())
        way = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said)
        try:
            if not _open(way, local):
                said.seek(0)
                raise DougongError(f"no way to the registry: {_last(said.read().decode())}", shlex.join(host.ssh))
            yield registry
        finally:
            way.terminate()
            way.wait()


def _open(way: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the port is open, or the way has ended."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while way.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _untagged(reference: str) -> str:
    """A reference without tag and digest; the registry's own port stays."""
    folder, slash, name = reference.partition("@")[0].rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}"


def _last(output: str) -> str:
    return (output.strip().splitlines() or ["no reason given"])[-1]
