"""An upstream of one's own: a catalogue, a web server that can misbehave, a cache and a lock."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from dougong.artifacts import catalogue
from dougong.artifacts.cache import Cache
from dougong.artifacts.fetch import Fetcher, Settings
from dougong.artifacts.lock import Lock
from dougong.artifacts.progress import Event


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Upstream(ThreadingHTTPServer):
    """Serves `files`; resumes as web servers do.

    Attributes:
        cuts: bytes after which the connection is dropped, one per request, per path.
        statuses: what is answered instead of the file, one per request, per path.
        seen: (path, Range header) of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cuts: dict[str, list[int]] = defaultdict(list)
        self.statuses: dict[str, list[int]] = defaultdict(list)
        self.seen: list[tuple[str, str | None]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def asked(self, path: str) -> list[str | None]:
        """The Range headers of all requests for a path."""
        return [ranged for seen, ranged in self.seen if seen == path]


class _Handler(BaseHTTPRequestHandler):
    server: Upstream
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ranged = self.headers.get("Range")
        self.server.seen.append((self.path, ranged))
        content = self.server.files.get(self.path)
        statuses = self.server.statuses[self.path]
        if statuses or content is None:
            self.send_response(statuses.pop(0) if statuses else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        tag = f'"{sha256(content)[:16]}"'
        start = 0
        if ranged and self.headers.get("If-Range") == tag:
            start = int(ranged.removeprefix("bytes=").rstrip("-"))
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cuts = self.server.cuts[self.path]
        if cuts:
            self.wfile.write(body[: cuts.pop(0)])
            self.close_connection = True
            self.connection.close()
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `seen` instead."""


@dataclass
class Site:
    """One installation with an upstream of its own."""

    folder: Path
    upstream: Upstream
    entries: list[dict[str, Any]] = field(default_factory=list)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    sets: dict[str, list[str]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def cache(self) -> Cache:
        return Cache(self.folder / "cache")

    @property
    def lock(self) -> Lock:
        return Lock(self.folder / "catalogue.lock.yml", self.folder / "guard")

    def write(self) -> Path:
        document = {"recipes": self.recipes, "artifacts": self.entries, "sets": self.sets}
        file = self.folder / "catalogue.yml"
        file.write_text(yaml.safe_dump(document, sort_keys=False))
        return file

    def catalogue(self) -> catalogue.Catalogue:
        return catalogue.load(self.write())

    def fetcher(self, *sources: str, mirror: Path | str | None = None, cache: Cache | None = None) -> Fetcher:
        settings = Settings(sources or ("cache", "mirror", "official", "build"), str(mirror) if mirror else None)
        fetcher = Fetcher(self.catalogue(), cache or self.cache, self.lock, settings, self.events.append)
        fetcher.downloader.pause = 0.0
        return fetcher

    def publish(self, name: str, content: bytes, **official: Any) -> dict[str, Any]:
        """Put a file on the upstream, with a checksum file, and into the catalogue."""
        self.upstream.files[f"/{name}"] = content
        self.upstream.files[f"/{name}.sha256"] = f"{sha256(content)}  {name}\n".encode()
        where = {"url": f"{self.upstream.url}/{name}", "checksum_url": "{url}.sha256"}
        return self.add(name, "binary", official={**where, **official}, build={"recipe": self.recipe(name)})

    def add(self, name: str, kind: str, **more: Any) -> dict[str, Any]:
        entry = {
            "name": name,
            "version": "1.0",
            "kind": kind,
            "license": "Apache-2.0",
            "homepage": "https://example.org",
            **more,
        }
        self.entries.append(entry)
        return entry

    def recipe(self, name: str, *commands: str) -> str:
        """A Go module: one main package, or several as cmd/<command>; each prints its stamped variable."""
        folder = self.folder / "build" / name
        main = 'package main\n\nvar version = "none"\n\nfunc main() { print(version) }\n'
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text(f"module dougong/build/{name}\n\ngo 1.23\n")
        for package in [folder / "cmd" / command for command in commands] or [folder]:
            package.mkdir(parents=True, exist_ok=True)
            (package / "main.go").write_text(main)
        self.recipes[name] = {"stamp": {"main.version": "1.0"}}
        return name

    def leftovers(self) -> list[Path]:
        """Files that a failed fetch should not have left."""
        places = ("tmp", "partial", "blobs", "index")
        return [p for place in places for p in (self.cache.root / place).rglob("*") if p.is_file()]
