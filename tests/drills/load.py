"""A load generator that counts honestly: one connection for each request, at a fixed rate, whatever comes back.

Requests begin by the clock and not when the last one has ended: a server that hesitates for a second does not get a
second off (coordinated omission). Nothing is tried twice.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# As long as a patient person waits; a request that takes longer is lost.
TIMEOUT_SECONDS = 10.0


@dataclass
class Result:
    """What came of a load.

    Attributes:
        sent: requests begun.
        answered: requests with status 200 and a whole body.
        lost: what went wrong, and how often.
        latencies: of the answered ones, in seconds.
        first_losses: when (seconds since the begin) and how the first ones were lost, for whoever has to explain it.
        seconds: how long it lasted.
    """

    sent: int = 0
    answered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    first_losses: list[tuple[float, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Requests per second that were really begun."""
        return self.sent / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """The latency (seconds) that this share of the answered requests stayed below."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0

    def __str__(self) -> str:
        lost = ", ".join(f"{count} {what}" for what, count in self.lost.most_common()) or "none"
        return (
            f"{self.sent} requests in {self.seconds:.0f} s ({self.rate:.0f}/s), {self.answered} answered, "
            f"lost: {lost}; p50 {self.percentile(0.5) * 1000:.0f} ms, p99 {self.percentile(0.99) * 1000:.0f} ms; "
            f"first losses: {self.first_losses}"
        )


class _Load:
    def __init__(self, host: str, port: int, rate: float) -> None:
        self.host, self.port, self.rate = host, port, rate
        self.result = Result()
        self.stop = threading.Event()
        self._began = time.monotonic()

    async def _request(self) -> None:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._ask()
        except (OSError, EOFError, ValueError) as error:  # TimeoutError is an OSError
            what = f"{type(error).__name__} {error}".strip()
            self.result.lost[what] += 1
            if len(self.result.first_losses) < 20:
                self.result.first_losses.append((round(begin - self._began, 1), what))
            return
        self.result.answered += 1
        self.result.latencies.append(time.monotonic() - begin)

    async def _ask(self) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(f"GET / HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head.split("\r\n")
            if status.split()[1:2] != ["200"]:
                raise ValueError(status)
            headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            await reader.readexactly(int(headers["content-length"]))
        finally:
            writer.close()

    async def run(self) -> None:
        self._began = begin = time.monotonic()
        waiting: set[asyncio.Task[None]] = set()
        while not self.stop.is_set():
            due = begin + self.result.sent / self.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.result.sent += 1
            task = asyncio.create_task(self._request())
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        self.result.seconds = time.monotonic() - begin
        await asyncio.gather(*waiting)


@contextmanager
def load(host: str, port: int, rate: float) -> Iterator[Result]:
    """Requests from now until the end of the block; then the result is complete.

    Args:
        host, port: of an HTTP server that says the length of its answers.
        rate: requests per second.
    """
    generator = _Load(host, port, rate)
    thread = threading.Thread(target=lambda: asyncio.run(generator.run()))
    thread.start()
    try:
        yield generator.result
    finally:
        generator.stop.set()
        thread.join()
