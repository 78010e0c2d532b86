"""One entry point of a role, on the hosts of a scenario."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from dougong import paths


def play(variables: Mapping[str, str], role: str, entry: str, **extra: Any) -> None:
    """Run an entry point as a playbook would call it.

    Args:
        variables: of the environment, molecule's among them: they say which scenario it is.
        role: its name.
        entry: the entry point.
        extra: variables of the role.
    """
    inventories = (
        str(paths.ROOT / "molecule/shared/inventory.yml"),
        f"{variables['MOLECULE_SCENARIO_DIRECTORY']}/inventory.yml",
    )
    done = subprocess.run(
        [
            *("ansible", "molecule", "--become", "--module-name", "ansible.builtin.include_role"),
            *(word for inventory in inventories for word in ("--inventory", inventory)),
            *("--args", f"name={role} tasks_from={entry}", "--extra-vars", json.dumps(extra)),
        ],
        cwd=paths.ROOT,
        env={**variables, "ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
