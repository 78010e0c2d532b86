"""Commands that hand over to a plain tool: ansible-inventory and ssh."""

from __future__ import annotations

import os
import shlex
from typing import NoReturn

from dougong import environment, paths
from dougong.console import err
from dougong.errors import DougongError
from dougong.inventory import Inventory, build, read_outputs


def _become(words: list[str], variables: dict[str, str]) -> NoReturn:
    """Replace this process: the tool has the terminal, the signals and the exit code to itself."""
    err().print(f"[dim]$ {shlex.join(words)}[/]", highlight=False)
    os.execvpe(words[0], words, {**os.environ, **variables})


def inventory(name: str, arguments: list[str]) -> NoReturn:
    """Show what Ansible sees, by ansible-inventory.

    Args:
        name: the environment.
        arguments: for ansible-inventory: --graph, --list, --host NAME.
    """
    variables = environment.variables(name)
    os.chdir(paths.ROOT)
    source = paths.platform_file(name).relative_to(paths.ROOT)
    _become(["ansible-inventory", "-i", str(source), *arguments], variables)


def ssh(name: str, host: str, command: list[str]) -> NoReturn:
    """Log in to a host or run a command there, with the key and the host keys of the environment.

    Args:
        name: the environment.
        host: a host of the inventory, or an ending that only one of them has.
        command: what to run there; a shell if empty.

    Raises:
        DougongError: no such host, or several.
    """
    platform = environment.platform(name)
    known = build(platform, name, read_outputs(name, platform))
    _become(ssh_words(known, match(known, host), [], command), {})


def ssh_words(known: Inventory, host: str, options: list[str], command: list[str]) -> list[str]:
    """The ssh command for a host: the same key, options and jump that Ansible uses.

    Args:
        known: the inventory.
        host: one of its hosts.
        options: for ssh, before the host.
        command: what to run there; a shell if empty.
    """
    variables = {**known.variables, **known.hosts[host]}
    return [
        "ssh",
        *("-i", variables["ansible_ssh_private_key_file"]),
        *shlex.split(variables["ansible_ssh_common_args"]),
        *options,
        f"{variables['ansible_user']}@{variables['ansible_host']}",
        *(["--", *command] if command else []),
    ]


def match(known: Inventory, host: str) -> str:
    """The one host of that name or, if there is none, with that ending.

    Raises:
        DougongError: no host, or several.
    """
    matches = [host] if host in known.hosts else [name for name in known.hosts if name.endswith(host)]
    if len(matches) != 1:
        raise DougongError(
            f"{len(matches)} hosts are called {host!r}",
            f"the hosts: {', '.join(known.hosts) or 'none yet: dougong up'}",
        )
    return matches[0]
