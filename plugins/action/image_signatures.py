"""Ansible action: images of a registry carry a signature of the installation's key.

An action and no module: it works on the controller, where the private key is and stays, with what opens the vault. The
way to the registry is an SSH connection to its host.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from dougong import artifacts
from dougong.errors import DougongError
from dougong.images import reach
from dougong.images.signatures import Signer

_ARGUMENTS = {
    # The environment's state folder. The key pair in it is made at first use.
    "state_folder": {"type": "path", "required": True},
    # The ssh command for the registry's host, as one would type it.
    "ssh": {"type": "str", "required": True},
    # Of the registry on its host.
    "port": {"type": "int", "required": True},
    # Certificate of the authority that has signed the registry's.
    "authority": {"type": "path", "required": True},
    # Who may push, as user:password.
    "login": {"type": "str", "required": True, "no_log": True},
    # project/name@digest; those with a signature of this key are left as they are.
    "images": {"type": "list", "elements": "str", "required": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Sign images of a registry. Returns, as `signed`, those that had no signature of this key."""

    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """What Ansible calls."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, wanted = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        try:
            found = signed(
                Signer(artifacts.resolve("cosign").path, Path(wanted["state_folder"])),
                reach.Host(shlex.split(wanted["ssh"]), wanted["login"], Path(wanted["authority"]), wanted["port"]),
                wanted["images"],
                dry=self._task.check_mode,
            )
        except DougongError as error:
            raise AnsibleActionFail(f"{error.message}: {error.remedy}") from error
        return result | {"changed": bool(found), "signed": found}


def signed(signer: Signer, host: reach.Host, images: list[str], *, dry: bool) -> list[str]:
    """Sign what has to be signed.

    Args:
        signer: who signs.
        host: where the registry is.
        images: their names with digests.
        dry: only say which.

    Returns:
        Those that had no signature of this key.
    """
    if dry and not signer.public_key.exists():
        return images  # before the first run there need not be a registry, either
    with reach.through_ssh(host) as registry:
        references = {registry.reference(image): image for image in images}
        unsigned = list(signer.unsigned(registry, list(references)))
        if not dry:
            signer.sign(registry, unsigned)
    return [references[reference] for reference in unsigned]
