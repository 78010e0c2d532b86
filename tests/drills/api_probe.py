"""Asks a Kubernetes API all the time, as somebody does who tries again, and remembers when it did not answer."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urlsplit

import yaml

# A client that waits longer for an answer than this tries again.
TIMEOUT_SECONDS = 2.0
INTERVAL_SECONDS = 0.1


@dataclass
class Answers:
    """What the API said.

    Attributes:
        answered: requests that were answered with status 200.
        failed: what went wrong, with the second (since the begin) in which the request was begun.
        longest_gap: most seconds between the ends of two answered requests.
    """

    answered: int = 0
    failed: list[tuple[float, str]] = field(default_factory=list)
    longest_gap: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.answered} answered, {len(self.failed)} failed, longest gap {self.longest_gap:.1f} s: {self.failed}"
        )


@contextmanager
def asking(kubeconfig: Path) -> Iterator[Answers]:
    """Ask until the block ends. Each request has a connection of its own and reads through to etcd.

    Args:
        kubeconfig: whom to ask, and as whom; read for each request, since it may be written anew meanwhile.
    """
    answers, over = Answers(), threading.Event()
    thread = threading.Thread(target=_ask, args=(kubeconfig, answers, over))
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


def _ask(kubeconfig: Path, answers: Answers, over: threading.Event) -> None:
    began = latest = time.monotonic()
    while not over.is_set():
        started = time.monotonic()
        try:
            _request(kubeconfig)
            now = time.monotonic()
            answers.answered += 1
            answers.longest_gap = max(answers.longest_gap, now - latest)
            latest = now
        except (OSError, http.client.HTTPException) as error:
            answers.failed.append((round(started - began, 1), str(error) or type(error).__name__))
        over.wait(INTERVAL_SECONDS)
    # A silence that lasts until the end is one, too.
    answers.longest_gap = max(answers.longest_gap, time.monotonic() - latest)


def _request(kubeconfig: Path) -> None:
    document: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode("ascii"))
    with NamedTemporaryFile() as pair:  # ssl reads it from a file only
        pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    server = urlsplit(cluster["server"])
    assert server.hostname
    connection = http.client.HTTPSConnection(server.hostname, server.port, timeout=TIMEOUT_SECONDS, context=context)
    try:
        connection.request("GET", "/api/v1/namespaces/kube-system")
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"status {response.status}")
