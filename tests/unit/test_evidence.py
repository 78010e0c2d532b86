"""What host_evidence reads, against sockets and files of this machine."""

from __future__ import annotations

import http.server
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.module_utils.evidence import dns, icmp, machine, web


@pytest.fixture
def server() -> Iterator[str]:
    """An HTTP server whose clock is right and which has one page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 500)
            self.end_headers()
            self.wfile.write(b"ok" if self.path == "/healthz" else b"[-]etcd failed")

        def log_message(self, *arguments: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


def test_an_answer_tells_the_difference_of_the_clocks(server: str) -> None:
    answer = web.ask(f"{server}/healthz")
    assert (answer["status"], answer["text"]) == (200, "ok")
    least, most = answer["offset"]
    assert least <= 0 <= most
    assert most - least < 2


def test_a_refusal_is_an_answer(server: str) -> None:
    answer = web.ask(f"{server}/readyz")
    assert (answer["status"], answer["text"]) == (500, "[-]etcd failed")


def test_nobody_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answer = web.ask(f"http://127.0.0.1:{port}/")
    assert (answer["status"], answer["offset"]) == (0, None)
    assert "refused" in answer["text"]


def _name_server(code: int, answers: int) -> int:
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind(("127.0.0.1", 0))

    def serve() -> None:
        with link:
            question, asker = link.recvfrom(512)
            head = struct.pack("!HHHHHH", *struct.unpack("!H", question[:2]), 0x8180 | code, 1, answers, 0, 0)
            link.sendto(head + question[12:], asker)

    threading.Thread(target=serve, daemon=True).start()
    return int(link.getsockname()[1])


@pytest.mark.parametrize(
    ("code", "answers", "error"),
    [(0, 1, ""), (3, 0, "response code 3"), (0, 0, "the name has no address")],
)
def test_a_name_server_is_asked(code: int, answers: int, error: str) -> None:
    answer = dns.ask("127.0.0.1", "kubernetes.default.svc.cluster.local", _name_server(code, answers))
    assert answer["error"] == error
    assert answer["milliseconds"] > 0


def test_a_name_server_that_is_not_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert dns.ask("127.0.0.1", "a.b", port) == {"milliseconds": None, "error": "Connection refused"}


def test_a_question_is_as_the_standard_has_it() -> None:
    assert dns.query("a.bc", 0x1234) == bytes.fromhex("1234 0100 0001 0000 0000 0000 01 61 02 6263 00 0001 0001")


def test_checksum() -> None:
    assert icmp.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # the example of RFC 1071


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets are root's")
def test_echoes_come_back_small_and_full() -> None:
    (result,) = icmp.probe([{"node": "here", "address": "127.0.0.1", "kind": "host", "bytes": 1500}])
    assert (result["small"], result["full"], result["error"]) == (icmp.ROUNDS, icmp.ROUNDS, "")
    assert 0 < result["milliseconds"] < 1000


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets are root's")
def test_a_packet_too_large_for_the_interface_is_said() -> None:
    (result,) = icmp.probe([{"node": "here", "address": "127.0.0.1", "kind": "host", "bytes": 65000 + 800}])
    assert (result["small"], result["full"], result["error"]) == (icmp.ROUNDS, 0, "Message too long")


def test_settings_of_the_kernel_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "90-dougong.conf"
    monkeypatch.setattr(machine, "SYSCTL_FILE", file)
    assert machine.sysctls() is None
    file.write_text("# a reason = none\nkernel.ostype = Linux\nkernel.nothing = 1\n")
    assert machine.sysctls() == [
        {"name": "kernel.ostype", "wanted": "Linux", "found": "Linux"},
        {"name": "kernel.nothing", "wanted": "1", "found": None},
    ]


def test_disks_are_counted_once() -> None:
    disks = machine.disks()
    root = next(disk for disk in disks if disk["mount"] == "/")
    assert 0 < root["used"] <= root["size"]
    assert len({disk["mount"] for disk in disks}) == len(disks)
    assert not [disk for disk in disks if disk["mount"].startswith(("/proc", "/sys", "/dev"))]


def test_memory_is_read() -> None:
    memory = machine.memory()
    assert 0 < memory["available"] <= memory["total"]


def test_a_tool_that_is_not_there_is_no_crash() -> None:
    assert machine.run("no-such-tool-at-all").returncode == 127
