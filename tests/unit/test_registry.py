"""What `dougong status` says of the registry."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from installation import outputs

from dougong import inventory, paths, registry, registry_probe
from dougong.platform import Platform, Pool, Registry, Services, load


@pytest.fixture
def known() -> inventory.Inventory:
    platform: Platform = load(paths.platform_file("lab"))
    pool = Pool(role="services", count=1, flavor="small", floating_ip=True)
    wanted = {
        "pools": {**platform.pools, "services": pool},
        "services": Services(registry=Registry(enabled=True)),
    }
    platform = platform.model_copy(update=wanted)
    return inventory.build(platform, "lab", outputs(platform))


def answer(monkeypatch: pytest.MonkeyPatch, code: int, out: str = "", error: str = "") -> None:
    done = subprocess.CompletedProcess(args=[], returncode=code, stdout=out, stderr=error)
    monkeypatch.setattr("dougong.registry.subprocess.run", lambda *_, **__: done)


def test_a_healthy_registry_says_where_it_is_and_what_it_keeps(
    known: inventory.Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects = {"shop": {"bytes": 2147483648, "repositories": 3}, "team": {"bytes": 0}}
    answer(monkeypatch, 0, json.dumps({"projects": projects, "images": 19, "lacking": [], "failed": []}))
    found = registry.check("lab", known)
    assert found.ok
    assert found.detail == (
        "https://172.24.4.13:5000/, 2.0 GiB in 2 projects, 19 images for the nodes, "
        "user platform: dougong credentials -e lab registry/platform"
    )


def test_what_is_wrong_is_said_with_what_to_do(known: inventory.Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 1, error="registry does not run\n")
    found = registry.check("lab", known)
    assert not found.ok
    assert found.detail == "lab-services-0: registry does not run"
    assert "systemctl status registry-token registry nginx" in found.remedy


def test_what_a_new_node_could_not_pull_is_named(known: inventory.Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = ["platform/registry.k8s.io/pause:1"]
    answer(monkeypatch, 0, json.dumps({"projects": {}, "images": 2, "lacking": lacking, "failed": []}))
    found = registry.check("lab", known)
    assert not found.ok
    assert "could not pull platform/registry.k8s.io/pause:1" in found.detail
    assert found.remedy == "dougong up -e lab --all"


def test_what_a_timer_starts_and_fails_is_said(known: inventory.Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 0, json.dumps({"projects": {}, "images": 2, "lacking": [], "failed": ["registry-collect"]}))
    found = registry.check("lab", known)
    assert not found.ok
    assert found.detail == "lab-services-0: registry-collect failed when it ran last"
    assert "journalctl -u registry-collect" in found.remedy


def test_a_host_that_hangs_does_not_hang_who_asks(known: inventory.Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(words: list[str], *, timeout: float, **_: object) -> None:
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr("dougong.registry.subprocess.run", hang)
    found = registry.check("lab", known)
    assert not found.ok
    assert "has not answered" in found.detail


def test_failed_services_are_told_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text('#!/bin/sh\n[ "$*" = "is-failed --quiet registry-collect" ]\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert registry_probe.failed(registry_probe.TASKS) == ["registry-collect"]


class FakeRegistry(BaseHTTPRequestHandler):
    """Tokens for what is asked for, and manifests for who brings the right one."""

    present = "/v2/platform/a/b/manifests/sha256:here"
    broken = "/v2/platform/broken/manifests/sha256:here"

    def do_GET(self) -> None:
        scope = parse_qs(urlsplit(self.path).query)["scope"][0]
        self._answer(200, json.dumps({"token": scope}).encode())

    def do_HEAD(self) -> None:
        repository = self.path.removeprefix("/v2/").partition("/manifests/")[0]
        allowed = self.headers["Authorization"] == f"Bearer repository:{repository}:pull"
        accepted = "application/vnd.oci.image.manifest.v1+json" in self.headers["Accept"]
        known = {self.present: 200, self.broken: 500}.get(self.path, 404)
        self._answer((known if accepted else 404) if allowed else 401)

    def _answer(self, code: int, body: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeRegistry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_image_that_is_gone_or_another_is_found(address: str) -> None:
    lines = ["platform/a/b:1 sha256:here", "platform/a/b:2 sha256:other", "platform/gone:1 sha256:here"]
    assert registry_probe.lacking(lines, address, address) == ["platform/a/b:2", "platform/gone:1"]


def test_a_registry_that_fails_is_not_taken_for_an_empty_one(address: str) -> None:
    with pytest.raises(OSError, match="500"):
        registry_probe.lacking(["platform/broken:1 sha256:here"], address, address)


def test_before_there_is_a_host(known: inventory.Inventory) -> None:
    known.groups["registry"].clear()
    assert not registry.check("lab", known).ok
