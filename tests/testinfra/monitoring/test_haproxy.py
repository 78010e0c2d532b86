"""What role haproxy leaves: a balancer that nobody notices changing, and that takes no configuration that is wrong."""

from __future__ import annotations

import os
import ssl
import threading
import time
from http.client import HTTPSConnection

import pytest
from testinfra.host import Host

from tests.entry_point import play

ADDRESS = "10.78.0.101"
RELOADS = 10


def connection() -> HTTPSConnection:
    """Through the balancer to the pages behind it, whose certificate is not what is looked at here."""
    return HTTPSConnection(ADDRESS, 8443, timeout=10, context=ssl._create_unverified_context())  # noqa: S323


def ask(through: HTTPSConnection) -> int:
    through.request("GET", "/favicon.ico")
    answer = through.getresponse()
    answer.read()
    return answer.status


class Visitors(threading.Thread):
    """People who come one after another, each by a connection of his own."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.answered = 0
        self.failures: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            through = connection()
            try:
                assert ask(through) == 200
                self.answered += 1
            except (OSError, AssertionError) as error:
                self.failures.append(repr(error))
            finally:
                through.close()


def process(host: Host) -> str:
    """Of the balancer's parent process, which a reload leaves."""
    return str(host.check_output("systemctl show --property MainPID,NRestarts,ActiveEnterTimestamp haproxy"))


def test_a_reload_refuses_nobody_and_cuts_no_connection(host: Host) -> None:
    before = process(host)
    visitors, long = Visitors(), connection()
    assert ask(long) == 200
    opened = long.sock
    visitors.start()
    for _ in range(RELOADS):
        host.check_output("systemctl reload haproxy")
        time.sleep(0.3)
    visitors.over.set()
    visitors.join()
    assert visitors.failures == []
    assert visitors.answered > RELOADS
    assert ask(long) == 200
    assert long.sock is opened, "the connection of before"
    assert process(host) == before


def test_a_wrong_configuration_is_refused_and_the_present_one_stays(host: Host) -> None:
    before = process(host), host.file("/etc/haproxy/haproxy.cfg").sha256sum
    with pytest.raises(AssertionError, match="unknown keyword 'nonsense'"):
        play(os.environ, "haproxy", "main", haproxy_sections={"frontend wrong": ["bind :8444", "nonsense"]})
    assert (process(host), host.file("/etc/haproxy/haproxy.cfg").sha256sum) == before
    assert ask(connection()) == 200
