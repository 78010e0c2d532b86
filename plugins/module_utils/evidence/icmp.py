"""Echo requests to many addresses at once, small ones and such as fill the path; needs root, and no ping(8)."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from typing import Any

# linux/in.h: set "don't fragment" and ask the path anew instead of believing what was learnt about it.
_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3
_ECHO, _ECHO_REPLY = 8, 0
_IP_HEADER, _ICMP_HEADER = 20, 8
_SMALL = 84  # what ping(8) sends by default, headers included

ROUNDS = 5
_BETWEEN_SECONDS = 0.05
# A reply later than this is as good as none.
_PATIENCE_SECONDS = 1.0


def checksum(data: bytes) -> int:
    """The Internet's checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def request(identifier: int, sequence: int, size: int) -> bytes:
    """An echo request that makes an IP packet of this size."""
    body = b"\0" * (size - _IP_HEADER - _ICMP_HEADER)
    head = struct.pack("!BBHHH", _ECHO, 0, 0, identifier, sequence)
    return struct.pack("!BBHHH", _ECHO, 0, checksum(head + body), identifier, sequence) + body


def probe(targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send to each target ROUNDS small packets and as many full ones.

    Args:
        targets: with `address` and `bytes`, the size of the full packets.

    Returns:
        The targets with `small` and `full`: how many came back, `milliseconds`: the median of the small ones' round
        trips, and `error`: why the kernel would not send.
    """
    results = [{**target, "small": 0, "full": 0, "milliseconds": None, "error": ""} for target in targets]
    if not targets:
        return results
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as link:
        link.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        times = _exchange(link, results)
    for index, result in enumerate(results):
        trips = sorted(times.get((index, False), []))
        result["small"], result["full"] = len(trips), len(times.get((index, True), []))
        result["milliseconds"] = round(trips[len(trips) // 2] * 1000, 3) if trips else None
    return results


def _exchange(link: socket.socket, results: list[dict[str, Any]]) -> dict[tuple[int, bool], list[float]]:
    identifier = os.getpid() & 0xFFFF
    sent: dict[int, tuple[int, bool, float]] = {}
    times: dict[tuple[int, bool], list[float]] = {}

    def receive(until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            if not select.select([link], [], [], left)[0]:
                return
            packet, moment = link.recv(65535), time.monotonic()
            start = (packet[0] & 0x0F) * 4
            kind, _, _, whose, sequence = struct.unpack("!BBHHH", packet[start : start + _ICMP_HEADER])
            if kind == _ECHO_REPLY and whose == identifier and sequence in sent:
                index, full, started = sent.pop(sequence)
                times.setdefault((index, full), []).append(moment - started)

    for turn in range(ROUNDS):
        for index, result in enumerate(results):
            for full in (False, True):
                sequence = ((turn * len(results) + index) * 2 + full) & 0xFFFF
                packet = request(identifier, sequence, result["bytes"] if full else _SMALL)
                try:
                    link.sendto(packet, (result["address"], 0))
                    sent[sequence] = (index, full, time.monotonic())
                except OSError as error:
                    result["error"] = str(error.strerror)
        receive(time.monotonic() + _BETWEEN_SECONDS)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while sent and time.monotonic() < deadline:
        receive(min(deadline, time.monotonic() + _BETWEEN_SECONDS))
    return times
