"""Filter for the role elasticsearch."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

# Elasticsearch's own numbers for the algorithm PBKDF2 (xpack.security.authc.password_hashing.algorithm).
_ROUNDS = 10_000
_BYTES = 32


def elasticsearch_hash(password: str, user: str) -> str:
    """A password as the file realm of Elasticsearch keeps it.

    Args:
        password: in clear text; one that was drawn, not one that a person has thought of.
        user: whose it is. The salt follows from both, so that a second run writes the same file.

    Returns:
        `{PBKDF2}rounds$salt$hash`.
    """
    salt = hashlib.sha256(f"{user}\0{password}".encode()).digest()
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS, _BYTES)
    return "$".join([f"{{PBKDF2}}{_ROUNDS}", *(base64.b64encode(part).decode() for part in (salt, derived))])


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"elasticsearch_hash": elasticsearch_hash}
