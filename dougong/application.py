"""The demo application, seen from outside as its users see it."""

from __future__ import annotations

import time
from typing import Any

import requests

from dougong.errors import DougongError
from dougong.platform import Platform

# A load balancer's health monitor needs some rounds before it lets traffic through.
_PATIENCE_SECONDS = 90.0


def url(platform: Platform, outputs: dict[str, Any]) -> str | None:
    """Where the application answers: the floating IP of the load balancer; None if platform.yml asks for none.

    Args:
        platform: what is wanted.
        outputs: outputs of stacks/cluster.
    """
    demo = platform.services.demo
    if not demo.enabled:
        return None
    apps = outputs["apps"]
    port = next(listener["port"] for listener in apps["listeners"] if listener["name"] == demo.listener)
    host = apps["public_address"] or apps["address"]
    return f"http://{host}/" if port == 80 else f"http://{host}:{port}/"


def ask(address: str, timeout: float = 5.0) -> tuple[bool, str]:
    """Whether it answers, and how quickly or why not.

    Args:
        address: its URL.
        timeout: seconds.
    """
    try:
        response = requests.get(address, timeout=timeout)
    except requests.RequestException as error:
        return False, f"{address} does not answer: {type(error).__name__}"
    if not response.ok:
        return False, f"{address} answers {response.status_code} {response.reason}"
    return True, f"{address} answers in {response.elapsed.total_seconds() * 1000:.0f} ms"


def wait(address: str, patience: float = _PATIENCE_SECONDS) -> str:
    """Wait until it answers.

    Args:
        address: its URL.
        patience: seconds.

    Raises:
        DougongError: it did not answer in that time.
    """
    deadline = time.monotonic() + patience
    while True:
        answers, detail = ask(address)
        if answers:
            return detail
        if time.monotonic() > deadline:
            raise DougongError(f"{detail}, {patience:.0f} s after it was deployed", "dougong status says what is wrong")
        time.sleep(1)
