"""A person at Zabbix: its API, what its agents have brought, and whoever its alerts go to."""

from __future__ import annotations

import email
import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from testinfra.host import Host

API = "http://127.0.0.1:8080/api_jsonrpc.php"
HOST = "molecule-monitoring"
WEBHOOK_PORT = 9999
# A unit is asked for every 30 s and has to be away twice; the rest is for a busy machine.
PROBLEM_SECONDS = 180


class Zabbix:
    """The API, as the host itself reaches it.

    Args:
        run: what a command prints on that host.
        password: Admin's.
    """

    def __init__(self, run: Callable[[str], str], password: str) -> None:
        self.run = run
        self.token = ""
        self.token = self("user.login", username="Admin", password=password)

    def __call__(self, method: str, **parameters: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1})
        headers = ["--header", "Content-Type: application/json-rpc"]
        if self.token:
            headers += ["--header", f"Authorization: Bearer {self.token}"]
        words = ["curl", "--silent", "--fail", "--data", body, *headers, API]
        answer = json.loads(self.run(shlex.join(words)))
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def values(self, name: str) -> list[str]:
        """Latest values of the items of that name that have one."""
        items = self("item.get", filter={"name": name}, monitored=True, output=["lastvalue", "lastclock"])
        return [item["lastvalue"] for item in items if item["lastclock"] != "0"]

    def measured(self, name: str, since: float) -> bool:
        """Whether an item of that name has a value later than a time in seconds since 1970."""
        items = self("item.get", filter={"name": name}, output=["lastclock"])
        return any(int(item["lastclock"]) > since for item in items)

    def problems(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Problems of that name that are not over."""
        found: list[dict[str, Any]] = self("problem.get", search={"name": name}, **parameters)
        return found


def until(look: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(1)
    pytest.fail(f"{what}: not within {seconds} s")


_LISTENER = f"""
import http.server
class Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        heard = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/run/heard", "ab") as file:
            file.write(heard + b"\\n")
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", {WEBHOOK_PORT}), Listener).serve_forever()
"""


@contextmanager
def webhook(host: Host) -> Iterator[Callable[[], list[dict[str, str]]]]:
    """Somebody who listens at the webhook's address; what he has heard."""
    host.check_output("rm -f /run/heard; systemd-run --unit=listener python3 -c %s", _LISTENER)

    def heard() -> list[dict[str, str]]:
        notes = host.file("/run/heard")
        return [json.loads(line) for line in notes.content_string.splitlines()] if notes.exists else []

    try:
        yield heard
    finally:
        host.run("systemctl stop listener")


_MAIL = """
import socketserver
class Mail(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 mail\\r\\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"RCPT":
                recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            if word == b"DATA":
                self.wfile.write(b"354 go on\\r\\n")
                text = b""
                while (more := self.rfile.readline()) not in (b".\\r\\n", b""):
                    text += more
                with open(f"/run/mail/{recipient}", "ab") as file:
                    file.write(text + b"\\0")
            self.wfile.write(b"221 bye\\r\\n" if word == b"QUIT" else b"250 mail\\r\\n")
            if word == b"QUIT":
                return
socketserver.ThreadingTCPServer(("127.0.0.1", 2525), Mail).serve_forever()
"""


@contextmanager
def mail(host: Host) -> Iterator[Callable[[str], list[str]]]:
    """A mail server; what somebody has got by it."""
    host.check_output("rm -rf /run/mail; mkdir /run/mail; systemd-run --unit=mail python3 -c %s", _MAIL)

    def got(recipient: str) -> list[str]:
        box = host.file(f"/run/mail/{recipient}")
        if not box.exists:
            return []
        messages = [email.message_from_string(text) for text in box.content_string.split("\0") if text]
        return [message.get_payload(decode=True).decode() for message in messages]  # type: ignore[union-attr]  # text

    try:
        yield got
    finally:
        host.run("systemctl stop mail")
