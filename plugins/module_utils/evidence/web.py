"""Questions over HTTP to what listens on a host or beside it."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

_SECONDS = 5.0


def trusting(ca: str, certificate: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """TLS that believes one CA, and shows a client certificate if there is one."""
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def local() -> ssl.SSLContext:
    """TLS to a program on this host that has drawn its certificate itself: there is nothing to compare it with."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask(url: str, tls: ssl.SSLContext | None = None, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask, and say what came of it.

    Returns:
        status (0: nobody answered), text (or why nobody did), seconds, and offset: by how many seconds this host's
        clock may differ from the other's, as [least, most]; HTTP's Date has whole seconds. None without an answer.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    # Only addresses of the cluster itself come here.
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310
    # A proxy meant for the internet has no business between a host and its own cluster.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if tls:
        handlers.append(urllib.request.HTTPSHandler(context=tls))
    before, started = time.time(), time.monotonic()
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=_SECONDS) as answer:
            status, text, date = answer.status, answer.read().decode(), answer.headers["Date"]
    except urllib.error.HTTPError as error:
        status, text, date = error.code, error.read().decode(), error.headers["Date"]
    except OSError as error:
        return {"status": 0, "text": str(getattr(error, "reason", error)), "seconds": _SECONDS, "offset": None}
    seconds = time.monotonic() - started
    offset = None
    if date:
        theirs = parsedate_to_datetime(date).timestamp()
        offset = [round(before - theirs - 1.0, 3), round(before + seconds - theirs, 3)]
    return {"status": status, "text": text, "seconds": round(seconds, 4), "offset": offset}


def exists(*paths: str) -> bool:
    """Whether all of these files are there."""
    return all(Path(path).exists() for path in paths)
