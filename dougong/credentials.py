"""The passwords of an installation's services: made at first use, kept encrypted in its state folder.

The file is an ordinary one of ansible-vault, so `ansible-vault view` and `edit` work on it, too.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from ansible.parsing.vault import AnsibleVaultError, VaultLib, VaultSecret

from dougong import paths, private
from dougong.console import err
from dougong.errors import DougongError

# Letters and digits alone pass unquoted through every configuration format and URL: 32 of them hold 190 bits.
_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 32
# service/user, or service/project/user and the like.
_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+")
_VAULT_ID = "default"  # ansible-vault's own name for the password of --vault-password-file


def get(folder: Path, name: str) -> str:
    """The password of a name, made at first use.

    Args:
        folder: the environment's state folder.
        name: service and user, such as zabbix/Admin.

    Returns:
        The password in clear text: 32 letters and digits, unless somebody has edited the file.

    Raises:
        DougongError: the name is not of that form, or the file cannot be opened with the environment's passphrase.
    """
    if not _NAME.fullmatch(name):
        raise DougongError(f"{name!r} does not name a credential", "service/user, such as zabbix/Admin")
    # A file is replaced by a rename, so it can be read without the lock.
    if password := read(folder).get(name):
        return password
    with _locked(folder):
        known = read(folder)
        if name not in known:
            known[name] = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
            _write(folder, known)
        return known[name]


def read(folder: Path) -> dict[str, str]:
    """Every credential there is, by name.

    Args:
        folder: the environment's state folder.

    Raises:
        DougongError: the file cannot be opened with the environment's passphrase, or is not a dictionary of text.
    """
    path = file(folder)
    if not path.exists():
        return {}
    try:
        content = yaml.safe_load(_vault(folder).decrypt(path.read_bytes()))
    except AnsibleVaultError as error:
        raise DougongError(
            f"{path} cannot be opened with {_passphrase_file(folder)}: {error}",
            "put back the passphrase that it was written with: both lie in the same backup of the state folder",
        ) from error
    if not isinstance(content, dict) or not all(isinstance(text, str) for pair in content.items() for text in pair):
        raise DougongError(f"{path} is no dictionary of names and passwords", f"mend it: {by_hand(folder, 'edit')}")
    return content


def show(environment: str, name: str = "") -> None:
    """Print the password of a name and nothing else, for `$(…)`; without a name all of them. None is made here.

    Raises:
        DougongError: there is no such credential (yet), or the file cannot be opened.
    """
    folder = paths.state(environment)
    known = read(folder)
    if name and name not in known:
        raise DougongError(
            f"there is no credential {name!r} of {environment!r}",
            f"there are: {', '.join(sorted(known))}" if known else "dougong up makes them when services need them",
        )
    if name:
        print(known[name])
        return
    err().print(f"[dim]$ {by_hand(folder)}[/]", highlight=False)
    width = max(map(len, known), default=0)
    for each, password in sorted(known.items()):
        print(f"{each:<{width}}  {password}")


def file(folder: Path) -> Path:
    """Where they are kept."""
    return folder / "credentials.yml"


def by_hand(folder: Path, verb: str = "view") -> str:
    """The plain command that does the same.

    Args:
        folder: the environment's state folder.
        verb: of ansible-vault.
    """
    return f"ansible-vault {verb} --vault-password-file {_passphrase_file(folder)} {file(folder)}"


def _passphrase_file(folder: Path) -> Path:
    """The one that Pulumi's secrets are encrypted with (dougong.paths.passphrase_file)."""
    return folder / "passphrase"


def _vault(folder: Path) -> VaultLib:
    path = _passphrase_file(folder)
    private.create(path, secrets.token_urlsafe(32).encode())
    return VaultLib([(_VAULT_ID, VaultSecret(path.read_bytes().strip()))])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time; the kernel lets go when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "credentials.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(folder: Path, known: dict[str, str]) -> None:
    encrypted = _vault(folder).encrypt(yaml.safe_dump(known))
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".credentials.")  # mkstemp makes it 0600
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(encrypted)
        stream.flush()
        os.fsync(descriptor)  # a service that was given a password that is lost again lets nobody in
    Path(temporary).rename(file(folder))
