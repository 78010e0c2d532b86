"""Environment variables with which pulumi, ansible-playbook, kubectl and openstack work on an installation by hand.

`dougong env <name>` prints them for `eval`; every part of Dougong that starts one of these tools uses the same ones.
"""

import os
import secrets
import shlex
import sys
from pathlib import Path

from dougong import paths, private
from dougong.errors import DougongError
from dougong.platform import Platform, load


def names() -> list[str]:
    """The environments there are: folders below inventories/ with a platform.yml."""
    return sorted(file.parent.name for file in (paths.ROOT / "inventories").glob("*/platform.yml"))


def platform(environment: str) -> Platform:
    """The validated platform.yml of an environment.

    Raises:
        DougongError: there is no such environment, or its platform.yml has errors.
    """
    file = paths.platform_file(environment)
    if not file.exists():
        raise DougongError(
            f"There is no environment {environment!r}: {file} does not exist.",
            f"Use one of {', '.join(names())}, or copy inventories/production to inventories/{environment}.",
        )
    return load(file)


def variables(environment: str, described_by: Platform | None = None) -> dict[str, str]:
    """What to export to work on an installation by hand.

    Creates what the tools expect to exist: the backend's folder and the passphrase (generated, 0600).

    Args:
        environment: the folder name below inventories/, which is the name of the Pulumi stacks, too.
        described_by: the platform when it is at hand already; read from its file otherwise.

    Returns:
        Names and values; PATH begins with the folder of the virtual environment.

    Raises:
        DougongError: the environment does not exist or its platform.yml has errors.
    """
    wanted = described_by or platform(environment)
    return {
        "PATH": _path(),
        "PULUMI_BACKEND_URL": wanted.state.backend or _file_backend(environment),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_passphrase(environment)),
        "PULUMI_STACK": environment,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # `dougong artifacts` brings the plugins; otherwise Pulumi goes looking on the internet for that of every
        # package in the virtual environment, each time.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg"),
        "KUBECONFIG": str(paths.kubeconfig(environment)),
        "OS_CLOUD": wanted.cloud.name,
    }


def overlay(wanted: dict[str, str]) -> dict[str, str]:
    """The process's own environment with these variables on top: what a subprocess gets."""
    return {**os.environ, **wanted}


def exports(environment: str) -> str:
    """The same as shell text for `eval`."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables(environment).items())


def _path() -> str:
    """PATH with the virtual environment first: Pulumi finds its language host and plugins there, and nowhere else."""
    bin_folder = str(Path(sys.prefix) / "bin")
    rest = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder != bin_folder]
    return os.pathsep.join([bin_folder, *rest])


def _file_backend(environment: str) -> str:
    folder = paths.pulumi_backend(environment)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder.as_uri()


def _passphrase(environment: str) -> Path:
    file = paths.passphrase_file(environment)
    private.create(file, secrets.token_urlsafe(32).encode())
    return file
