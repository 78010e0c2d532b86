"""`dougong artifacts` on the command line, in a pipe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from artifacts_site import Site, Upstream, sha256
from typer.testing import CliRunner, Result

from dougong.artifacts import cache, catalogue, cli, lock


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    upstream = Upstream()
    site = Site(tmp_path, upstream)
    site.publish("tool", b"content")
    site.sets["tools"] = ["tool"]
    known, own_lock = site.catalogue(), site.lock
    # Go's build cache stays where it is: it has the standard library compiled.
    gocache = subprocess.run(["go", "env", "GOCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    monkeypatch.setenv("GOCACHE", gocache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("DOUGONG_ARTIFACT_SOURCES", raising=False)
    monkeypatch.setattr(catalogue, "default", lambda: known)
    monkeypatch.setattr(cli, "Lock", lambda: own_lock)
    yield site
    upstream.shutdown()
    upstream.server_close()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments))


def test_fetch_says_what_it_does_without_escape_codes(site: Site) -> None:
    result = run("fetch", "tool")
    assert result.exit_code == 0, result.output
    assert "tool: official, 0.0 MiB" in result.output
    assert "\x1b" not in result.output
    assert "builds" not in run("fetch", "tool").output


def test_list_shows_what_is_there(site: Site) -> None:
    [before] = json.loads(run("list", "--json").output)
    assert before["cached"] is None
    run("fetch", "tool")
    [after] = json.loads(run("list", "--json").output)
    assert after["cached"]["sha256"] == sha256(b"content")
    assert "official" in run("list").output


def test_relock_accepts_a_rereleased_file(site: Site) -> None:
    run("fetch", "tool")
    site.upstream.files["/tool"] = b"new"
    site.upstream.files["/tool.sha256"] = sha256(b"new").encode()
    result = run("fetch", "--relock", "tool")
    assert result.exit_code == 0, result.output
    assert sha256(b"new") in site.lock.path.read_text()


def test_build_again_proves_that_it_can_be_reproduced(site: Site) -> None:
    run("build", "tool")
    result = run("build", "--again", "tool")
    assert result.exit_code == 0, result.output
    assert "tool: go1" in result.output


def test_verify_exits_3_and_names_the_remedy(site: Site) -> None:
    run("fetch", "tool")
    assert run("verify").exit_code == 0
    blob = cache.Cache().blob(sha256(b"content"))
    blob.chmod(0o644)
    blob.write_bytes(b"CONTENT")
    result = run("verify")
    assert result.exit_code == 3
    assert "→ dougong artifacts fetch tool" in result.output


def test_bundle_serves_as_a_mirror(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = site.folder / "bundle"
    assert run("bundle", str(bundle), "tool").exit_code == 0
    site.upstream.seen.clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(site.folder / "offline"))
    monkeypatch.setenv("DOUGONG_ARTIFACT_MIRROR", str(bundle))
    assert run("fetch", "tool").exit_code == 0
    assert site.upstream.seen == []


def test_lock_of_the_repository_is_well_formed() -> None:
    known = catalogue.load()
    recorded = lock.Lock()._read()
    assert set(recorded) <= set(known.artifacts), "the lock has artifacts that the catalogue lacks"
