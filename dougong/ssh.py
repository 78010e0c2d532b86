"""The SSH key of an environment's hosts."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from dougong import paths, private
from dougong.errors import DougongError


def ensure_key(environment: str) -> Path:
    """Create the environment's ed25519 key pair unless it exists.

    Args:
        environment: the folder name below inventories/.

    Returns:
        The private key (0600); the public key lies beside it with the suffix .pub.

    Raises:
        DougongError: the private key is there but cannot be read as one.
    """
    path = paths.ssh_key(environment)
    key = Ed25519PrivateKey.generate()
    private.create(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public = path.with_suffix(".pub")
    if not public.exists():
        public.write_text(f"{_public_key(path)} dougong-{environment}\n")
    return path


def _public_key(path: Path) -> str:
    """The public half in OpenSSH's one-line form, read from the file: another run may have created it."""
    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise DougongError(
            f"{path}: not an SSH private key without a passphrase: {error}",
            "Put the right key back; a new one would lock you out of the hosts that trust the old one.",
        ) from error
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
