"""The application as its users see it: against a server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dougong import application, environment
from dougong.errors import DougongError

OUTPUTS = {
    "apps": {
        "address": "10.1.0.9",
        "public_address": "172.24.4.9",
        "listeners": [{"name": "http", "port": 80, "node_port": 30080}],
    }
}


class Server(HTTPServer):
    """Answers with the codes it is given, the last one for ever."""

    codes: list[int]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        codes = self.server.codes
        self.send_response(codes.pop(0) if len(codes) > 1 else codes[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Standard error is not for this."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Answer)
    server.codes = [200]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_address_is_that_of_the_load_balancer() -> None:
    lab = environment.platform("lab")
    assert application.url(lab, OUTPUTS) == "http://172.24.4.9/"
    internal = {"apps": OUTPUTS["apps"] | {"public_address": None, "listeners": [{"name": "http", "port": 8080}]}}
    assert application.url(lab, internal) == "http://10.1.0.9:8080/"


def test_no_application_no_address() -> None:
    lab = environment.platform("lab")
    without = lab.model_copy(
        update={
            "services": lab.services.model_copy(
                update={"demo": lab.services.demo.model_copy(update={"enabled": False})}
            )
        }
    )
    assert application.url(without, OUTPUTS) is None


def test_an_answer_is_told_with_its_time(server: Server) -> None:
    answers, said = application.ask(server.address)
    assert answers
    assert "answers in" in said


def test_it_waits_until_the_load_balancer_lets_traffic_through(server: Server) -> None:
    server.codes = [503, 503, 200]
    assert "answers in" in application.wait(server.address, patience=30)


def test_it_does_not_wait_for_ever(server: Server) -> None:
    server.codes = [503]
    with pytest.raises(DougongError, match="answers 503"):
        application.wait(server.address, patience=0)


def test_nobody_there_is_told(server: Server) -> None:
    # Nothing listens on the discard port of the loopback interface.
    answers, said = application.ask("http://127.0.0.1:9/")
    assert not answers
    assert "ConnectionError" in said
