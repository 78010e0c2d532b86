"""One question to a name server, over UDP (RFC 1035)."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import Any

_SECONDS = 2.0
_TRIES = 2
_ADDRESS, _INTERNET, _RECURSE = 1, 1, 0x0100
_NO_ERROR = 0


def query(name: str, identifier: int) -> bytes:
    """A question for the address of a name."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split("."))
    return (
        struct.pack("!HHHHHH", identifier, _RECURSE, 1, 0, 0, 0)
        + labels
        + b"\0"
        + struct.pack("!HH", _ADDRESS, _INTERNET)
    )


def ask(server: str, name: str, port: int = 53) -> dict[str, Any]:
    """Ask, twice at most.

    Returns:
        milliseconds (None without an answer) and error, empty when the name was found.
    """
    for _ in range(_TRIES):
        identifier = int.from_bytes(os.urandom(2), "big")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(_SECONDS)
            started = time.monotonic()
            try:
                link.connect((server, port))
                link.send(query(name, identifier))
                answer = link.recv(4096)
            except TimeoutError:
                failure = f"no answer within {_SECONDS:.0f} s"
                continue
            except OSError as error:
                failure = str(error.strerror)
                continue
        milliseconds = round((time.monotonic() - started) * 1000, 3)
        whose, flags, _, answers = struct.unpack("!HHHH", answer[:8])
        if whose != identifier:
            failure = "an answer to another question"
            continue
        code = flags & 0x000F
        wrong = f"response code {code}" if code != _NO_ERROR else "" if answers else "the name has no address"
        return {"milliseconds": milliseconds, "error": wrong}
    return {"milliseconds": None, "error": failure}
