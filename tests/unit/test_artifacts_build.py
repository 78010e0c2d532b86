"""What is made here: Go builds, archives, container images, bundles and their bill of materials."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard
from artifacts_site import Site, Upstream, sha256

from dougong.artifacts import bundle, contents, fetch, go, image, rootfs, sbom, tools
from dougong.artifacts.cache import Cache, Entry
from dougong.artifacts.catalogue import DebianBuild, ImageConfig
from dougong.artifacts.contents import DebianPackage, GoModule
from dougong.artifacts.download import UnavailableError
from dougong.artifacts.resolved import from_entry
from dougong.artifacts.verify import verify
from dougong.errors import DougongError

STATUS = """\
Package: busybox
Status: install ok installed
Architecture: amd64
Version: 1:1.37.0-6
Description: tiny utilities
 Version: this line belongs to the description

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    upstream = Upstream()
    yield Site(tmp_path, upstream)
    upstream.shutdown()
    upstream.server_close()


def compiler_runs(site: Site) -> list[str]:
    return [event.detail for event in site.events if event.phase == "build" and " builds " in event.detail]


# Go


def test_what_is_wanted_of_one_recipe_is_compiled_in_one_run(site: Site) -> None:
    site.recipe("several", "one", "two", "three")
    for name in ("one", "two"):
        package = f"dougong/build/several/cmd/{name}"
        site.add(name, "binary", build={"recipe": "several", "package": package})
    one, _ = site.fetcher().ensure(["one", "two"])
    [run] = compiler_runs(site)
    assert run.endswith("builds one, two")
    said = subprocess.run([site.cache.blob(one.sha256)], capture_output=True, text=True, check=True).stderr
    assert said == "1.0"  # the stamped version


def test_recipes_are_compiled_side_by_side(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        site.add(name, "binary", build={"recipe": site.recipe(name)})
    together = threading.Barrier(2, timeout=30)
    compile_one = go.build

    def build(*arguments: Any, **options: Any) -> None:
        together.wait()
        compile_one(*arguments, **options)

    monkeypatch.setattr(go, "build", build)
    site.fetcher().ensure(["one", "two"])
    assert set(yaml.safe_load(site.lock.path.read_text())) == {"one@1.0", "two@1.0"}


def test_the_longest_recipe_is_begun_first_and_debian_systems_beside_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("short", 1), ("long", 9)):
        site.add(name, "binary", build={"recipe": site.recipe(name)})
        site.recipes[name]["cpu_seconds"] = seconds
    site.add("system", "rootfs", build={"suite": "trixie", "packages": ["busybox"]})
    monkeypatch.setattr(fetch, "_AT_ONCE", 1)
    monkeypatch.setattr(rootfs, "build", lambda _build, _arch, output: output.write_bytes(b"system"))
    site.fetcher().ensure(["short", "long", "system"])
    assert [event.subject for event in site.events if event.phase == "done"] == ["long", "system", "short"]


def test_what_else_is_being_compiled_is_kept_when_one_fails(site: Site) -> None:
    for name in ("broken", "sound"):
        site.add(name, "binary", build={"recipe": site.recipe(name)})
    (site.folder / "build/broken/main.go").write_text("package main\n")
    with pytest.raises(DougongError, match="go build of broken failed"):
        site.fetcher().ensure(["broken", "sound"])
    assert site.fetcher("cache").ensure(["sound"])


def test_parts_of_images_share_the_compiler_run(site: Site) -> None:
    site.recipe("several", "one", "two")
    for name in ("one", "two"):
        site.add(name, "binary", build={"recipe": "several", "package": f"dougong/build/several/cmd/{name}"})
    site.add("image", "image", reference="a/one:1.0", registry=False, build={"files": {"/one": "one"}})
    site.fetcher().ensure(["image", "two"])
    [run] = compiler_runs(site)
    assert run.endswith("builds two, one")


def test_build_can_be_reproduced(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("tool", "binary", build={"recipe": site.recipe("tool")})
    [first] = site.fetcher().ensure(["tool"])
    monkeypatch.setenv("GOCACHE", str(site.folder / "gocache"))
    monkeypatch.setenv("GOFLAGS", "-race")  # a user's own flags must not get in
    elsewhere = Site(site.folder / "elsewhere", site.upstream)
    elsewhere.folder.mkdir()
    elsewhere.add("tool", "binary", build={"recipe": elsewhere.recipe("tool")})
    [second] = elsewhere.fetcher().ensure(["tool"])
    assert second.sha256 == first.sha256


def test_build_that_differs_from_the_lock_is_refused(site: Site) -> None:
    site.add("tool", "binary", build={"recipe": site.recipe("tool")})
    [entry] = site.fetcher().ensure(["tool"])
    site.lock.path.write_text(site.lock.path.read_text().replace(entry.sha256, "f" * 64))
    fetcher = site.fetcher()
    fetcher.again = frozenset({"tool@1.0"})
    with pytest.raises(DougongError, match=rf"has +{entry.sha256}\n +expected ffff"):
        fetcher.ensure(["tool"])


def test_changed_recipe_is_built_anew_and_recorded(site: Site) -> None:
    site.add("tool", "binary", build={"recipe": site.recipe("tool")})
    [old] = site.fetcher().ensure(["tool"])
    site.recipes["tool"]["stamp"]["main.version"] = "another"
    [new] = site.fetcher().ensure(["tool"])
    assert new.sha256 != old.sha256
    assert site.lock.get("tool@1.0", new.target, new.origin, new.definition) == new.sha256


def test_missing_go_names_the_version_and_the_way_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("tool", "binary", build={"recipe": site.recipe("tool")})
    monkeypatch.setenv("PATH", str(site.folder))
    with pytest.raises(DougongError, match=r"Go 1\.23 or newer is not on PATH") as error:
        site.fetcher().ensure(["tool"])
    assert "DOUGONG_ARTIFACT_MIRROR" in error.value.remedy


def test_failed_build_says_why_and_leaves_nothing(site: Site) -> None:
    site.add("tool", "binary", build={"recipe": site.recipe("tool")})
    (site.folder / "build" / "tool" / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(DougongError, match=r"main\.go:3:15: undefined: undefined"):
        site.fetcher().ensure(["tool"])
    assert site.leftovers() == []


def test_archive_holds_its_programs(site: Site) -> None:
    site.recipe("several", "one", "two")
    packages = [f"dougong/build/several/cmd/{name}" for name in ("one", "two")]
    site.add("all", "archive", build={"recipe": "several", "packages": packages})
    [entry] = site.fetcher().ensure(["all"])
    with tarfile.open(site.cache.blob(entry.sha256)) as tar:
        assert [(member.name, member.mode, member.mtime, member.uid) for member in tar] == [
            ("one", 0o755, 0, 0),
            ("two", 0o755, 0, 0),
        ]
    fetcher = site.fetcher()
    fetcher.again = frozenset({"all@1.0"})
    assert fetcher.ensure(["all"])[0].sha256 == entry.sha256


def test_cached_official_file_is_built_when_source_is_asked_for(site: Site) -> None:
    site.publish("tool", b"prebuilt")
    [official] = site.fetcher().ensure(["tool"])
    fetcher = site.fetcher("cache", "build")
    fetcher.from_source = True
    [built] = fetcher.ensure(["tool"])
    assert official.origin == "official"
    assert built.origin.startswith("go1")


# Maven


def maven(site: Site, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A recipe that is a Maven project, and a `mvn` that does what the script says."""
    project = site.folder / "build" / "server"
    project.mkdir(parents=True)
    (project / "pom.xml").write_text("<project/>")
    site.recipes["server"] = {}
    site.add("server", "archive", build={"recipe": "server", "file": "server.tar.gz"})
    program = site.folder / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncase $* in *--version*) echo 'Java version: 17.0.15'; exit;; esac\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_maven_project_yields_the_file_it_makes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    maven(
        site,
        monkeypatch,
        "for word; do case $word in -Doutput=*) echo made >${word#-Doutput=}/server.tar.gz; esac; done",
    )
    [entry] = site.fetcher().ensure(["server"])
    assert site.cache.blob(entry.sha256).read_text() == "made\n"
    assert entry.origin == "java17"
    assert site.lock.get("server@1.0", entry.target, "java17", entry.definition) == entry.sha256


def test_changed_maven_project_is_built_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    maven(
        site,
        monkeypatch,
        "for word; do case $word in -Doutput=*) cp pom.xml ${word#-Doutput=}/server.tar.gz; esac; done",
    )
    [old] = site.fetcher().ensure(["server"])
    (site.folder / "build" / "server" / "pom.xml").write_text("<project>other</project>")
    [new] = site.fetcher().ensure(["server"])
    assert new.sha256 != old.sha256


def test_failed_maven_build_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    maven(site, monkeypatch, "echo '[ERROR] no such artifact'; exit 1")
    with pytest.raises(DougongError, match="no such artifact"):
        site.fetcher().ensure(["server"])
    assert not site.leftovers()


def test_what_upstream_alone_has_is_not_built(site: Site) -> None:
    site.add("pages", "archive")
    with pytest.raises(DougongError, match="upstream publishes no such file"):
        site.fetcher("cache", "official", "build").ensure(["pages"])


# Images


def layer(tmp_path: Path, name: str, content: image.Content) -> image.Layer:
    folder = tmp_path / name
    folder.mkdir()
    image.write_tar(content, folder / "layer.tar")
    return image.compress(folder / "layer.tar", folder)


def make(tmp_path: Path, name: str) -> tuple[Path, str]:
    program = tmp_path / f"{name}-program"
    program.write_bytes(b"program")
    os.utime(program, (len(name), len(name)))  # times must not matter
    made = layer(
        tmp_path,
        name,
        image.Content(
            files={"/usr/bin/program": (program, 0o755)},
            texts={"/etc/passwd": ("root\n", 0o644)},
            directories={"/tmp": 0o1777},
            links={"/usr/bin/link": "program"},
        ),
    )
    output = tmp_path / f"{name}.tar"
    config = ImageConfig(entrypoint=["program"], env={"A": "b"}, user="65532")
    return output, image.assemble("registry.example/program:1", "linux/amd64", [made], config, output)


def blobs(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {m.name: file.read() for m in tar if (file := tar.extractfile(m))}


def test_image_is_the_same_each_time(tmp_path: Path) -> None:
    first, digest = make(tmp_path, "first")
    second, again = make(tmp_path, "second-time")
    assert digest == again
    assert first.read_bytes() == second.read_bytes()


def test_image_is_an_oci_layout_that_carries_its_name(tmp_path: Path) -> None:
    archive, digest = make(tmp_path, "image")
    found = blobs(archive)
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    [descriptor] = json.loads(found["index.json"])["manifests"]
    assert descriptor["digest"] == digest
    assert descriptor["annotations"]["io.containerd.image.name"] == "registry.example/program:1"
    for name, content in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{sha256(content)}"
    manifest = json.loads(found[f"blobs/{digest.replace(':', '/')}"])
    config = json.loads(found[f"blobs/{manifest['config']['digest'].replace(':', '/')}"])
    assert config["config"]["Entrypoint"] == ["program"]
    assert "A=b" in config["config"]["Env"]
    packed = found[f"blobs/{manifest['layers'][0]['digest'].replace(':', '/')}"]
    unpacked = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    assert config["rootfs"]["diff_ids"] == [f"sha256:{sha256(unpacked)}"]
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
        members = {m.name: m for m in tar}
    assert members["tmp"].mode == 0o1777
    assert members["usr/bin/program"].mode == 0o755
    assert members["usr/bin/link"].linkname == "program"
    assert list(members) == sorted(members, key=lambda name: (not members[name].isdir(), name))


def test_image_is_assembled_of_artifacts_members_and_texts(site: Site) -> None:
    site.recipe("several", "one", "two")
    packages = [f"dougong/build/several/cmd/{name}" for name in ("one", "two")]
    site.add("all", "archive", build={"recipe": "several", "packages": packages})
    site.add("tool", "binary", build={"recipe": site.recipe("tool")})
    site.add(
        "tool-image",
        "image",
        reference="dougong.local/tool:1.0",
        registry=False,
        build={
            "files": {"/bin/tool": "tool", "/bin/two": "all#two"},
            "texts": {"/etc/motd": "hello"},
            "config": {"entrypoint": ["/bin/tool"]},
        },
    )
    [entry] = site.fetcher().ensure(["tool-image"])
    assert entry.reference == "dougong.local/tool:1.0"
    assert entry.digest and entry.digest.startswith("sha256:")
    # What it is made of is in the cache and the lock, too; the image itself follows from it.
    assert {e.name for e in site.cache.entries()} == {"all", "tool", "tool-image"}
    assert "tool-image" not in site.lock.path.read_text()
    before = len(site.events)
    site.fetcher().ensure(["tool-image"])
    assert len(site.events) == before
    # A part that changes makes the image stale.
    (site.folder / "build" / "tool" / "main.go").write_text('package main\n\nfunc main() { print("new") }\n')
    [changed] = site.fetcher().ensure(["tool-image"])
    assert changed.digest != entry.digest


def test_member_that_is_not_there_is_said(site: Site) -> None:
    site.recipe("several", "one")
    site.add("all", "archive", build={"recipe": "several", "packages": ["dougong/build/several/cmd/one"]})
    [entry] = site.fetcher().ensure(["all"])
    with pytest.raises(UnavailableError, match="has no two"):
        image.members(site.cache.blob(entry.sha256), {"two": site.folder / "two"})


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo copies between image formats")
def test_pulled_image_keeps_its_digest_and_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, digest = make(tmp_path, "upstream")
    registry = tmp_path / "registry"
    with tarfile.open(archive) as tar:
        tar.extractall(registry, filter="data")
    # The real skopeo, with a folder in place of the registry.
    wrapper = tmp_path / "bin" / "skopeo"
    wrapper.parent.mkdir()
    wrapper.write_text(
        "#!/usr/bin/env python3\nimport os, sys\n"
        f"there = ['oci:{registry}:registry.example/program:1' if a == 'docker://a/b:1' else a for a in sys.argv]\n"
        f"os.execv({shutil.which('skopeo')!r}, there)\n"
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=os.pathsep)
    output = tmp_path / "pulled.tar"
    assert image.pull("a/b:1", "linux/amd64", tmp_path, output) == digest
    found = blobs(output)
    [descriptor] = json.loads(found["index.json"])["manifests"]
    assert descriptor["annotations"]["io.containerd.image.name"] == "a/b:1"
    assert {name for name in found if name.startswith("blobs/sha256/")} == {
        name for name in blobs(archive) if name.startswith("blobs/sha256/")
    }


def test_image_that_no_registry_gives_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = tmp_path / "skopeo"
    wrapper.write_text("#!/bin/sh\necho 'level=fatal msg=\"manifest unknown\"' >&2\nexit 1\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(UnavailableError, match=r"a/b:1: .*manifest unknown"):
        image.pull("a/b:1", "linux/amd64", tmp_path, tmp_path / "output.tar")


# Root filesystems


def test_failed_mmdebstrap_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\necho 'I: working' >&2; echo 'E: no such package' >&2; exit 25\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(DougongError, match=r"make a trixie root\nE: no such package"):
        rootfs.build(DebianBuild(suite="trixie", packages=["nothing"]), "amd64", tmp_path / "root.tar")
    assert not (tmp_path / "root.tar").exists()


# Bill of materials


def test_go_modules_are_those_that_go_reports(site: Site) -> None:
    site.add("tool", "binary", build={"recipe": site.recipe("tool")})
    [entry] = site.fetcher().ensure(["tool"])
    path = site.cache.blob(entry.sha256)
    said = subprocess.run(["go", "version", "-m", path], capture_output=True, text=True, check=True).stdout
    expected = {GoModule(*m) for m in re.findall(r"^\t(?:mod|dep)\t(\S+)\t(\S+)", said, re.MULTILINE)}
    version = re.search(r": go(\S+)", said)
    assert version
    assert contents.go_modules(path) == expected | {GoModule("stdlib", version[1])}


def test_file_that_is_no_go_binary_has_no_modules(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x00" * 100 + b"\xff Go buildinf:" + b"\x00" * 100)
    assert contents.go_modules(tmp_path / "file") == set()


def test_installed_debian_packages_are_read() -> None:
    assert contents.debian_packages(STATUS) == {DebianPackage("busybox", "1:1.37.0-6", "amd64")}


def test_sbom_of_an_image_has_its_modules_and_packages(site: Site) -> None:
    site.add("tool", "binary", build={"recipe": site.recipe("tool")})
    site.add(
        "tool-image",
        "image",
        reference="dougong.local/tool:1.0",
        registry=False,
        build={"files": {"/bin/tool": "tool"}, "texts": {"/var/lib/dpkg/status": STATUS}},
    )
    [entry] = site.fetcher().ensure(["tool-image"])
    items = [(site.catalogue().get("tool-image"), entry)]
    document = json.loads(sbom.write("site", items, site.cache))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    [component] = document["components"]
    assert component["type"] == "container"
    assert component["hashes"] == [{"alg": "SHA-256", "content": entry.sha256}]
    assert component["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    purls = {part["purl"] for part in component["components"]}
    assert "pkg:deb/debian/busybox@1:1.37.0-6?arch=amd64" in purls
    assert any(purl.startswith("pkg:golang/stdlib@1.") for purl in purls)
    assert sbom.write("site", items, site.cache) == sbom.write("site", items, site.cache)


# Bundles, verification, tools


@pytest.fixture
def fetched(site: Site) -> tuple[Site, list[Entry]]:
    site.publish("tool", b"tool's content")
    site.publish("other", b"other's content")
    return site, site.fetcher().ensure(["tool", "other"])


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_bundle_is_whole_and_checks_out(fetched: tuple[Site, list[Entry]], name: str) -> None:
    site, entries = fetched
    known = site.catalogue()
    destination = site.folder / name
    bundle.write(destination, "site", [(known.get(e.name), e) for e in entries], site.cache)
    folder = destination
    if name.endswith(".tar"):
        folder = site.folder / "unpacked"
        with tarfile.open(destination) as tar:
            tar.extractall(folder, filter="data")
    assert {"index.json", "SHA256SUMS", "sbom.cdx.json"} <= {file.name for file in folder.iterdir()}
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    with pytest.raises(DougongError, match="exists already"):
        bundle.write(destination, "site", [], site.cache)


def test_failed_bundle_leaves_nothing(fetched: tuple[Site, list[Entry]]) -> None:
    site, entries = fetched
    known = site.catalogue()
    site.cache.blob(entries[1].sha256).unlink()
    before = sorted(site.folder.iterdir())
    with pytest.raises(FileNotFoundError):
        bundle.write(site.folder / "bundle", "site", [(known.get(e.name), e) for e in entries], site.cache)
    assert sorted(site.folder.iterdir()) == before


def test_verify_finds_altered_missing_and_unlocked_content(fetched: tuple[Site, list[Entry]]) -> None:
    site, (tool, other) = fetched
    assert [finding.problem for finding in verify(site.cache, site.lock)] == ["", ""]
    blob = site.cache.blob(tool.sha256)
    blob.chmod(0o644)
    blob.write_bytes(b"tool's CONTENT")  # as long as before
    site.lock.path.write_text(site.lock.path.read_text().replace(other.sha256, "f" * 64))
    problems = {finding.entry.name: finding.problem for finding in verify(site.cache, site.lock)}
    assert "expected" in problems["tool"]
    assert "catalogue.lock.yml has ffff" in problems["other"]
    blob.unlink()
    assert {f.entry.name: f.problem for f in verify(site.cache, site.lock)}["tool"] == "the content is missing"


def test_tools_are_linked_and_replaced(fetched: tuple[Site, list[Entry]]) -> None:
    site, entries = fetched
    folder = site.folder / "bin"
    folder.mkdir()
    (folder / "tool").write_text("an older one")
    found = [from_entry(entry, Cache(site.cache.root)) for entry in entries]
    links = tools.link(found, folder)
    assert [link.name for link in links] == ["tool", "other"]
    assert (folder / "tool").read_bytes() == b"tool's content"
    assert tools.link(found, folder) == links
    assert sorted(path.name for path in folder.iterdir()) == ["other", "tool"]


def test_folder_that_cannot_be_written_is_said(fetched: tuple[Site, list[Entry]]) -> None:
    site, entries = fetched
    with pytest.raises(DougongError, match="cannot link"):
        tools.link([from_entry(entry, site.cache) for entry in entries], site.folder / "nowhere")
