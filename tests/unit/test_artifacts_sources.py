"""Where artifacts come from: upstream with its accidents, mirrors, the cache and the lock."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from artifacts_site import Site, Upstream, sha256

from dougong.artifacts import bundle
from dougong.artifacts.cache import Cache, Entry
from dougong.artifacts.download import Downloader, UnavailableError, published_sum
from dougong.artifacts.fetch import Settings
from dougong.errors import DougongError

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    upstream = Upstream()
    yield Site(tmp_path, upstream)
    upstream.shutdown()
    upstream.server_close()


def content(site: Site, entry: Entry) -> bytes:
    return site.cache.blob(entry.sha256).read_bytes()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# Upstream


def test_file_is_verified_by_upstreams_checksum_file_and_its_sum_recorded(site: Site) -> None:
    site.publish("tool", CONTENT)
    [entry] = site.fetcher().ensure(["tool"])
    assert content(site, entry) == CONTENT
    assert entry.origin == "official"
    assert site.lock.get("tool@1.0", entry.target, "official") == sha256(CONTENT)
    assert site.cache.blob(entry.sha256).stat().st_mode & 0o777 == 0o555


def test_cached_file_needs_no_request(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.fetcher().ensure(["tool"])
    before = len(site.upstream.seen)
    site.fetcher().ensure(["tool", "tool@1.0"])
    assert len(site.upstream.seen) == before


def test_corrupted_file_is_refused_and_nothing_stays(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.upstream.files["/tool"] = b"something else"
    with pytest.raises(DougongError) as error:
        site.fetcher().ensure(["tool"])
    for part in (f"{site.upstream.url}/tool", sha256(b"something else"), sha256(CONTENT), "tool.sha256"):
        assert part in error.value.message
    assert "--relock" in error.value.remedy
    assert site.leftovers() == []
    assert not site.lock.path.exists()


def test_checksum_of_the_catalogue_is_enforced(site: Site) -> None:
    entry = site.publish("tool", CONTENT)
    arch = site.fetcher().target.split("/")[1]
    entry["official"] = {"url": f"{site.upstream.url}/tool", "checksum": {arch: "0" * 64}}
    with pytest.raises(DougongError, match="by       the catalogue"):
        site.fetcher().ensure(["tool"])
    assert site.leftovers() == []


def test_checksum_file_that_lacks_the_file_is_no_verification(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.upstream.files["/tool.sha256"] = f"{sha256(CONTENT)}  another-tool\n".encode()
    with pytest.raises(DougongError, match=r"tool\.sha256 has no checksum for tool"):
        site.fetcher("cache", "official").ensure(["tool"])
    assert site.upstream.asked("/tool") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 64, ("sha256", "a" * 64)),
        (f"{'a' * 64}  tool\n{'b' * 64}  tool.asc\n", ("sha256", "a" * 64)),
        (f"{'b' * 64} *other\n{'A' * 64} *tool\n", ("sha256", "a" * 64)),
        (f"{'c' * 40}  ./tool\n{'d' * 40}  ./other\n", ("sha1", "c" * 40)),
        (f"{'e' * 128}  linux/tool\n", ("sha512", "e" * 128)),
    ],
)
def test_checksum_files_of_all_habits_are_read(text: str, expected: tuple[str, str]) -> None:
    assert published_sum(text, "tool", "https://example.org/sums") == expected


@pytest.mark.parametrize("text", ["", "<html>not found</html>", "deadbeef  tool", f"{'a' * 64} other"])
def test_checksum_files_without_a_sum_are_refused(text: str) -> None:
    with pytest.raises(UnavailableError):
        published_sum(text, "tool", "https://example.org/sums")


def test_download_continues_after_the_connection_broke(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.upstream.cuts["/tool"] = [100_000, 200_000]
    [entry] = site.fetcher().ensure(["tool"])
    assert content(site, entry) == CONTENT
    assert site.upstream.asked("/tool") == [None, "bytes=100000-", "bytes=300000-"]


def test_file_that_changed_meanwhile_comes_whole(site: Site) -> None:
    site.upstream.files["/file"] = CONTENT
    site.upstream.cuts["/file"] = [1000]
    downloader = Downloader(pause=0.0)
    asked = downloader._continue

    def changes_after_the_first(url: str, destination: Path, subject: str) -> None:
        try:
            asked(url, destination, subject)
        finally:
            site.upstream.files["/file"] = CONTENT[::-1]

    downloader._continue = changes_after_the_first  # type: ignore[method-assign]
    downloader.file(f"{site.upstream.url}/file", site.folder / "file", "file")
    assert (site.folder / "file").read_bytes() == CONTENT[::-1]


def test_interrupted_download_goes_on_in_the_next_run(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.upstream.cuts["/tool"] = [1000] * 4
    with pytest.raises(DougongError, match=r"broke after 4000 of 1048576 bytes; gave up after 4 attempts"):
        site.fetcher("cache", "official").ensure(["tool"])
    [entry] = site.fetcher().ensure(["tool"])
    assert content(site, entry) == CONTENT
    assert site.upstream.asked("/tool")[-1] == "bytes=4000-"


def test_overloaded_server_is_asked_again(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.upstream.statuses["/tool"] = [503, 429]
    [entry] = site.fetcher().ensure(["tool"])
    assert content(site, entry) == CONTENT


def test_overloaded_checksum_server_is_asked_again(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.upstream.statuses["/tool.sha256"] = [503]
    [entry] = site.fetcher().ensure(["tool"])
    assert entry.origin == "official"


def test_unreachable_host_is_tried_once_and_the_build_takes_over(site: Site) -> None:
    gone = f"http://127.0.0.1:{closed_port()}"
    for name in ("one", "two"):
        site.publish(name, CONTENT, url=f"{gone}/{name}", checksum_url=f"{gone}/{name}.sha256")
    entries = site.fetcher().ensure(["one", "two"])
    assert all(entry.origin.startswith("go1") for entry in entries)
    notes = [event for event in site.events if event.phase == "note"]
    assert len(notes) == 1
    assert "unreachable (connection refused)" in notes[0].detail


def test_what_no_source_has_is_said_with_each_sources_reason(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.upstream.files.clear()
    with pytest.raises(DougongError) as error:
        site.fetcher("cache", "official").ensure(["tool"])
    assert "tool@1.0" in error.value.message
    assert "404" in error.value.message
    assert "DOUGONG_ARTIFACT_SOURCES" in error.value.remedy


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(f"bin/{name}")
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def archived(site: Site) -> bytes:
    """Upstream publishes `one` and `two` in an archive."""
    packed = archive(one=b"first", two=b"second")
    for name in ("one", "two"):
        entry = site.publish(name, b"")
        entry["official"] = {
            "url": f"{site.upstream.url}/all.tar.gz",
            "checksum_url": f"{site.upstream.url}/all.tar.gz.sha256",
            "member": f"bin/{name}",
        }
    site.upstream.files |= {"/all.tar.gz": packed, "/all.tar.gz.sha256": sha256(packed).encode()}
    return packed


def test_members_of_one_archive_are_downloaded_once(site: Site, archived: bytes) -> None:
    one, two = site.fetcher().ensure(["one", "two"])
    assert (content(site, one), content(site, two)) == (b"first", b"second")
    assert len(site.upstream.asked("/all.tar.gz")) == 1
    assert site.lock.get("one@1.0", one.target, "official") == sha256(b"first")
    assert site.lock.get("one@1.0", one.target, "archive") == sha256(archived)
    assert not [path for path in site.leftovers() if path.parent.name in ("partial", "tmp")]


def test_concurrent_fetches_of_one_archive_do_not_disturb_each_other(site: Site, archived: bytes) -> None:
    site.upstream.cuts["/all.tar.gz"] = [10, 20]
    found: list[bytes] = []
    fetchers = [(site.fetcher(), name) for name in ("one", "two") * 3]
    threads = [
        threading.Thread(target=lambda f=fetcher, n=name: found.append(content(site, f.ensure([n])[0])))
        for fetcher, name in fetchers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [b"first"] * 3 + [b"second"] * 3


def test_archive_without_the_member_is_no_source(site: Site, archived: bytes) -> None:
    site.entries[0]["official"]["member"] = "bin/three"
    with pytest.raises(DougongError, match="has no bin/three"):
        site.fetcher("cache", "official").ensure(["one"])
    assert site.leftovers() == []


# Lock


def rerelease(site: Site, new: bytes) -> None:
    site.upstream.files["/tool"] = new
    site.upstream.files["/tool.sha256"] = f"{sha256(new)}  tool\n".encode()


def test_rereleased_file_is_refused_until_its_sum_is_recorded_anew(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.fetcher().ensure(["tool"])
    rerelease(site, b"changed in silence")
    elsewhere = Cache(site.folder / "elsewhere")
    with pytest.raises(DougongError) as error:
        site.fetcher(cache=elsewhere).ensure(["tool"])
    assert "catalogue.lock.yml" in error.value.message
    assert sha256(CONTENT) in error.value.message
    assert list(elsewhere.entries()) == []

    fetcher = site.fetcher(cache=elsewhere)
    fetcher.again, fetcher.relock = frozenset({"tool@1.0"}), True
    [entry] = fetcher.ensure(["tool"])
    assert site.lock.get("tool@1.0", entry.target, "official") == sha256(b"changed in silence")


def test_sums_of_different_origins_do_not_replace_each_other(site: Site) -> None:
    site.publish("tool", CONTENT)
    [official] = site.fetcher().ensure(["tool"])
    [built] = site.fetcher("build", cache=Cache(site.folder / "elsewhere")).ensure(["tool"])
    assert site.lock.get("tool@1.0", built.target, "official") == official.sha256
    assert site.lock.get("tool@1.0", built.target, built.origin, built.definition) == built.sha256


# Cache


def test_altered_content_is_noticed_and_fetched_again(site: Site) -> None:
    site.publish("tool", CONTENT)
    [entry] = site.fetcher().ensure(["tool"])
    blob = site.cache.blob(entry.sha256)
    blob.chmod(0o644)
    blob.write_bytes(b"altered")
    known = site.catalogue()
    artifact = known.get("tool")
    with pytest.raises(DougongError, match=f"{blob}.*was altered") as error:
        site.cache.get(artifact, entry.target, known.definition(artifact))
    assert error.value.remedy == "dougong artifacts fetch tool"
    [entry] = site.fetcher().ensure(["tool"])
    assert content(site, entry) == CONTENT


def test_fetch_heals_altered_content(site: Site) -> None:
    site.publish("tool", CONTENT)
    [entry] = site.fetcher().ensure(["tool"])
    site.cache.blob(entry.sha256).chmod(0o644)
    site.cache.blob(entry.sha256).write_bytes(b"altered")
    [entry] = site.fetcher().ensure(["tool"])
    assert content(site, entry) == CONTENT
    assert any("was altered" in event.detail for event in site.events if event.phase == "note")


def test_content_that_was_only_touched_is_kept(site: Site) -> None:
    site.publish("tool", CONTENT)
    [entry] = site.fetcher().ensure(["tool"])
    site.cache.blob(entry.sha256).touch()
    before = len(site.upstream.seen)
    site.fetcher().ensure(["tool"])
    assert len(site.upstream.seen) == before


def test_concurrent_fetches_do_the_work_once(site: Site) -> None:
    site.publish("tool", CONTENT)
    site.publish("other", CONTENT + b"!")
    failures: list[Exception] = []

    def fetch(ensure: Callable[[list[str]], list[Entry]]) -> None:
        try:
            ensure(["tool", "other"])
        except DougongError as error:
            failures.append(error)

    fetchers = [site.fetcher() for _ in range(4)]
    threads = [threading.Thread(target=fetch, args=(fetcher.ensure,)) for fetcher in fetchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(site.upstream.asked("/tool")) == 1
    assert len(site.upstream.asked("/other")) == 1
    assert len(list(site.cache.entries())) == 2


def test_prune_removes_what_nothing_points_to(site: Site) -> None:
    site.publish("tool", CONTENT)
    [entry] = site.fetcher().ensure(["tool"])
    orphan = site.cache.blob("0" * 64)
    orphan.write_bytes(b"12345")
    assert site.cache.prune() == 5
    assert not orphan.exists()
    assert site.cache.blob(entry.sha256).exists()


# Sources


def test_sources_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUGONG_ARTIFACT_SOURCES", "cache, build")
    monkeypatch.setenv("DOUGONG_ARTIFACT_MIRROR", "/srv/bundle")
    assert Settings.from_environment() == Settings(("cache", "build"), "/srv/bundle")


def test_unknown_source_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUGONG_ARTIFACT_SOURCES", "cache,internet")
    with pytest.raises(DougongError, match="internet") as error:
        Settings.from_environment()
    assert "cache, mirror, official, build" in error.value.remedy


def test_source_that_is_not_allowed_is_not_asked(site: Site) -> None:
    site.publish("tool", CONTENT)
    with pytest.raises(DougongError):
        site.fetcher("cache", "mirror").ensure(["tool"])
    assert site.upstream.seen == []


# Mirror


@pytest.fixture
def mirrored(site: Site) -> Path:
    """A bundle of two files and one build; upstream's cache is gone afterwards."""
    site.publish("tool", CONTENT)
    site.add("built", "binary", build={"recipe": site.recipe("built")})
    entries = site.fetcher().ensure(["tool", "built"])
    known = site.catalogue()
    bundle.write(site.folder / "bundle", "test", [(known.get(e.name), e) for e in entries], site.cache)
    site.upstream.seen.clear()
    return site.folder / "bundle"


def offline(site: Site, mirror: Path | str) -> list[Entry]:
    return site.fetcher("cache", "mirror", mirror=mirror, cache=Cache(site.folder / "offline")).ensure(
        ["tool", "built"]
    )


def test_mirror_folder_comes_before_upstream(site: Site, mirrored: Path) -> None:
    fetcher = site.fetcher(mirror=mirrored, cache=Cache(site.folder / "offline"))
    tool, built = fetcher.ensure(["tool", "built"])
    assert site.upstream.seen == []
    assert tool.origin == "official"
    assert built.origin.startswith("go1")


def test_mirror_is_read_from_a_tar_file(site: Site, mirrored: Path) -> None:
    packed = site.folder / "bundle.tar"
    with tarfile.open(packed, "w") as tar:
        for file in mirrored.iterdir():
            tar.add(file, file.name)
    tool, _ = offline(site, packed)
    assert tool.sha256 == sha256(CONTENT)


def test_mirror_is_read_from_a_web_server_and_resumes(site: Site, mirrored: Path) -> None:
    site.upstream.files = {f"/{file.name}": file.read_bytes() for file in mirrored.iterdir()}
    [name] = [file.name for file in mirrored.glob("tool-1.0-*")]
    site.upstream.cuts[f"/{name}"] = [5000]
    tool, _ = offline(site, site.upstream.url)
    assert tool.sha256 == sha256(CONTENT)
    assert site.upstream.asked(f"/{name}") == [None, "bytes=5000-"]


def test_corrupted_mirror_is_refused_and_nothing_stays(site: Site, mirrored: Path) -> None:
    [file] = mirrored.glob("tool-1.0-*")
    file.write_bytes(b"corrupted")
    with pytest.raises(DougongError, match=r"checksum mismatch: tool@1.0 from (.|\n)*index.json"):
        offline(site, mirrored)
    assert [p for p in (site.folder / "offline").rglob("*") if p.is_file() and p.parent.name != "locks"] == []


def test_mirror_whose_index_lies_is_refused_by_the_lock(site: Site, mirrored: Path) -> None:
    [file] = mirrored.glob("tool-1.0-*")
    file.write_bytes(b"malicious")
    index = json.loads((mirrored / "index.json").read_text())
    for entry in index["artifacts"]:
        if entry["name"] == "tool":
            entry["sha256"] = sha256(b"malicious")
    (mirrored / "index.json").write_text(json.dumps(index))
    with pytest.raises(DougongError, match=r"by       catalogue.lock.yml"):
        offline(site, mirrored)


def test_mirror_of_another_catalogue_is_not_taken(site: Site, mirrored: Path) -> None:
    site.recipes["built"]["stamp"]["main.version"] = "2.0"
    with pytest.raises(DougongError, match="as another catalogue defines it"):
        offline(site, mirrored)


def test_mirror_that_is_not_there_is_said(site: Site, mirrored: Path) -> None:
    with pytest.raises(DougongError, match=r"the mirror .*/nowhere gives no index.json"):
        offline(site, site.folder / "nowhere")
