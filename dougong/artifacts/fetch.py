"""Fetching: cache, mirror, official, build, in this order, for each artifact."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from dougong.artifacts import go, image, maven, rootfs
from dougong.artifacts.cache import Cache, Entry, sha256_of
from dougong.artifacts.catalogue import (
    Archive,
    Artifact,
    Binary,
    Catalogue,
    FileArtifact,
    GoArchive,
    GoBinary,
    Image,
    ImageBuild,
    Manifest,
    MavenArchive,
    ModuleFile,
    Rootfs,
    target,
)
from dougong.artifacts.download import Downloader, UnavailableError, digest, published_sum
from dougong.artifacts.lock import Lock, mismatch
from dougong.artifacts.mirror import Mirror
from dougong.artifacts.progress import Event, Listener, silent
from dougong.errors import DougongError

SOURCES = ("cache", "mirror", "official", "build")

# While one links or downloads, which takes a core or none, another one compiles: 48 CPU minutes took 29 on two cores
# one after another.
_AT_ONCE = 2


@dataclass(frozen=True)
class Settings:
    """Where artifacts may come from.

    Attributes:
        sources: some of SOURCES.
        mirror: folder, tar file or address of a bundle.
    """

    sources: tuple[str, ...] = SOURCES
    mirror: str | None = None

    @classmethod
    def from_environment(cls) -> Settings:
        """Read DOUGONG_ARTIFACT_SOURCES (e.g. `cache,mirror,build`) and DOUGONG_ARTIFACT_MIRROR.

        Raises:
            DougongError: an unknown source.
        """
        named = os.environ.get("DOUGONG_ARTIFACT_SOURCES", "")
        sources = tuple(part.strip() for part in named.split(",") if part.strip()) or SOURCES
        unknown = [source for source in sources if source not in SOURCES]
        if unknown:
            raise DougongError(f"DOUGONG_ARTIFACT_SOURCES has {', '.join(unknown)}", f"use any of {', '.join(SOURCES)}")
        return cls(sources, os.environ.get("DOUGONG_ARTIFACT_MIRROR") or None)


@dataclass
class Fetcher:
    """One run. Concurrent runs are safe: each unit of work is done by one of them, the others wait for it.

    Attributes:
        catalogue: what there is.
        cache, lock: where content goes, and what it must be.
        settings: which sources are allowed.
        listener: told what happens.
        again: keys that are fetched or built anew even if cached: the lock says whether the result is the same.
        relock: whether the sums of `again` are recorded anew instead.
        from_source: whether cached official files count as missing.
    """

    catalogue: Catalogue
    cache: Cache
    lock: Lock
    settings: Settings = field(default_factory=Settings)
    listener: Listener = silent
    again: frozenset[str] = frozenset()
    relock: bool = False
    from_source: bool = False
    downloader: Downloader = field(init=False)

    def __post_init__(self) -> None:
        self.downloader = Downloader(self.listener)
        self.target = target()
        self._why: dict[str, list[str]] = {}
        self._fresh: set[str] = set()  # of `again`: done in this run
        self._archives: dict[str, Path] = {}  # by address; several artifacts may be in one: kept until the run ends
        self._mirror = Mirror(self.settings.mirror, self.downloader) if self.settings.mirror else None

    def cached(self, artifact: Artifact) -> Entry | None:
        """The artifact's entry if it needs no work."""
        if self._due(artifact):
            return None
        entry = self.cache.get(artifact, self.target, self.catalogue.definition(artifact))
        return None if entry and self.from_source and entry.origin == "official" else entry

    def _due(self, artifact: Artifact) -> bool:
        return artifact.key in self.again and artifact.key not in self._fresh

    def ensure(self, specs: Iterable[str]) -> list[Entry]:
        """Bring artifacts, and what they are made of, into the cache.

        Args:
            specs: `name` or `name@version`.

        Raises:
            DougongError: one cannot be had, with what each source said; or a checksum does not match.
        """
        with self.cache.workspace() as self._scratch:
            self._archives.clear()
            wanted = _unique(map(self.catalogue.get, specs))
            missing = self._from_elsewhere(wanted)
            if missing and "build" in self.settings.sources:
                self._build(missing)
                missing = self._missing(wanted)
            if missing:
                raise DougongError(
                    "\n".join(f"{a.key}: {'; '.join(self._why.get(a.key, ['no source has it']))}" for a in missing),
                    f"sources tried: {', '.join(self.settings.sources)} (DOUGONG_ARTIFACT_SOURCES)",
                )
            return [entry for a in wanted if (entry := self.cached(a))]

    def _from_elsewhere(self, artifacts: list[Artifact]) -> list[Artifact]:
        """Take what the cache, the mirror and upstream have; return the rest."""
        for source, attempt in (("mirror", self._from_mirror), ("official", self._from_upstream)):
            if source in self.settings.sources:
                for artifact in self._missing(artifacts):
                    self._alone(artifact, attempt)
        return self._missing(artifacts)

    def _missing(self, artifacts: Iterable[Artifact]) -> list[Artifact]:
        missing = []
        for artifact in artifacts:
            try:
                if not self.cached(artifact):
                    missing.append(artifact)
            except DougongError as error:  # altered content was removed: fetching again is the remedy
                self.listener(Event("note", artifact.name, error.message))
                missing.append(artifact)
        return missing

    def _alone(self, artifact: Artifact, attempt: Callable[[Artifact], None]) -> None:
        with self.cache.exclusive(artifact.key):
            if self.cached(artifact):
                return
            try:
                attempt(artifact)
            except UnavailableError as error:
                self._why.setdefault(artifact.key, []).append(error.message)

    def _store(self, artifact: Artifact, content: Path, origin: str, manifest: str | None = None) -> None:
        """Put finished content into the cache, if the lock agrees."""
        sha256 = sha256_of(content)
        definition = "" if origin == "official" else self.catalogue.definition(artifact)
        if origin != "local":
            if self.relock and self._due(artifact):
                self.lock.forget(artifact.key, self.target)
            self.lock.check(
                artifact.key, self.target, origin, sha256, what=f"{artifact.key} ({origin})", definition=definition
            )
        self._fresh.add(artifact.key)
        build = artifact.build
        version = build.version if isinstance(build, GoBinary | ModuleFile) and origin != "official" else None
        entry = Entry(
            name=artifact.name,
            version=artifact.version,
            kind=artifact.kind,
            target=self.target,
            sha256=sha256,
            size=content.stat().st_size,
            origin=origin,
            definition=definition,
            built_version=version,
            reference=artifact.reference if isinstance(artifact, Image) else None,
            digest=manifest,
        )
        self.cache.put(content, entry)
        self.listener(Event("done", artifact.name, origin, entry.size, entry.size))

    # Mirror

    def _from_mirror(self, artifact: Artifact) -> None:
        if self._mirror is None:
            raise UnavailableError("no mirror is set")
        entry = self._mirror.find(artifact, self.target, self.catalogue.definition(artifact))
        partial = self.cache.partial(f"{self._mirror.location} {entry.sha256}")
        with self.cache.workspace() as folder:
            content = folder / "content"
            self._mirror.copy(entry, partial, content)
            actual = sha256_of(content)
            if actual != entry.sha256:
                raise mismatch(f"{artifact.key} from {self._mirror.location}", actual, entry.sha256, "its index.json")
            self._store(artifact, content, entry.origin, entry.digest)

    # Official

    def _from_upstream(self, artifact: Artifact) -> None:
        if isinstance(artifact, Image):
            self._pull(artifact)
        elif isinstance(artifact, FileArtifact) and artifact.official:
            self._download(artifact)
        else:
            raise UnavailableError("upstream publishes no such file")

    def _pull(self, artifact: Image) -> None:
        if not artifact.registry:
            raise UnavailableError(f"{artifact.reference} is in no registry")
        host = artifact.reference.split("/")[0]
        self.downloader.reach(f"https://{host}/v2/")
        self.listener(Event("download", artifact.name, f"skopeo copies {artifact.reference}"))
        with self.cache.workspace() as folder:
            content = folder / "content"
            manifest = image.pull(artifact.reference, self.target, folder, content)
            self._store(artifact, content, "official", manifest)

    def _download(self, artifact: FileArtifact) -> None:
        official = artifact.official
        if official is None:
            raise AssertionError("the caller has looked")
        arch = self.target.split("/")[1]
        words = {"name": artifact.name, "version": artifact.version, "arch": official.arch.get(arch, arch)}
        url = official.url.format(**words)
        words |= {"url": url, "folder": url.rpartition("/")[0]}
        partial = self.cache.partial(url)
        origin = "archive" if official.member else "official"
        known = None if self.relock and self._due(artifact) else self.lock.get(artifact.key, self.target, origin)
        if known:
            algorithm, expected, according_to = "sha256", known, self.lock.path.name
        elif arch in official.checksum:
            algorithm, expected, according_to = "sha256", official.checksum[arch], "the catalogue"
        elif official.checksum_url:
            according_to = official.checksum_url.format(**words)
            text = self.downloader.text(according_to)
            algorithm, expected = published_sum(text, url.rsplit("/", 1)[-1], according_to)
        else:
            raise UnavailableError(f"the catalogue has no checksum of {url} for {arch}")
        with self.cache.workspace() as folder:
            content = folder / "content"
            if url not in self._archives:
                # Another process may want another file of the same archive.
                with self.cache.exclusive(f"download-{partial.name}"):
                    self.downloader.file(url, partial, artifact.name)
                    actual = digest(partial, algorithm)
                    if actual != expected:
                        partial.unlink()
                        raise mismatch(url, actual, expected, according_to)
                    if official.member:
                        self._archives[url] = partial.rename(self._scratch / partial.name)
                    else:
                        partial.rename(content)
            if official.member:
                image.members(self._archives[url], {official.member.format(**words): content})
                self._store(artifact, content, "official")
                self.lock.check(artifact.key, self.target, "archive", sha256_of(self._archives[url]), what=url)
            else:
                self._store(artifact, content, "official")

    # Build

    def _build(self, artifacts: list[Artifact]) -> None:
        images = [a for a in artifacts if isinstance(a, Image)]
        parts = self._from_elsewhere(_unique(self.catalogue.get(part) for a in images for part in a.build.parts))
        # Parts of images and what is wanted for itself share a compiler run.
        recipes: dict[str, list[Artifact]] = {}
        systems: list[Artifact] = []
        for artifact in _unique([*artifacts, *parts]):
            match artifact:
                case Binary(build=build) | Archive(build=build) | Manifest(build=build) if build:
                    recipes.setdefault(build.recipe, []).append(artifact)
                case Rootfs():
                    systems.append(artifact)
        self._make(recipes, systems)
        if images:
            with self.cache.workspace() as folder:
                layers: dict[str, image.Layer] = {}
                for artifact in images:
                    with self.cache.exclusive(artifact.key):
                        if not self.cached(artifact):
                            self._assemble(artifact, folder, layers)

    def _make(self, recipes: dict[str, list[Artifact]], systems: list[Artifact]) -> None:
        """Run recipes, the longest first so that none is left to run alone at the end, and install Debian systems."""
        longest_first = sorted(recipes, key=lambda name: -self.catalogue.recipes[name].cpu_seconds)
        units: list[Callable[[], None]] = [partial(self._follow, name, recipes[name]) for name in longest_first]
        # Installing packages leaves cores to a compiler. The next recipe then finds what the first has compiled of Go's
        # own library, instead of compiling it at the same time.
        units[1:1] = [partial(self._alone, system, self._build_rootfs) for system in systems]
        pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
        try:
            for done in as_completed([pool.submit(unit) for unit in units]):
                done.result()
        finally:
            # What another one has begun is a compiler's run that can be used next time; nothing new is begun.
            pool.shutdown(cancel_futures=True)

    def _follow(self, name: str, artifacts: list[Artifact]) -> None:
        with self.cache.exclusive(f"recipe-{name}"):
            missing = self._missing(artifacts)
            if missing:
                self._run_recipe(name, missing)

    def _run_recipe(self, name: str, artifacts: list[Artifact]) -> None:
        folder, recipe = self.catalogue.recipe_folder(name), self.catalogue.recipes[name]
        packages: list[str] = []
        for artifact in artifacts:
            match artifact.build:
                case GoBinary(package=package):
                    packages.append(package or ".")
                case GoArchive(packages=several):
                    packages += several
        with self.cache.workspace() as output:
            if (folder / "pom.xml").is_file():
                version = maven.build(folder, output, listener=self.listener)
            if packages:
                go.build(
                    folder,
                    list(dict.fromkeys(packages)),
                    output,
                    target=self.target,
                    tags=recipe.tags,
                    stamp=recipe.stamp,
                    listener=self.listener,
                )
                version = go.compiler(folder, self.target)
            for artifact in artifacts:
                match artifact.build:
                    case GoBinary(package=package):
                        self._store(artifact, output / go.binary_name(package or ".", folder.name), version)
                    case ModuleFile(module=module, path=path):
                        self.listener(Event("build", artifact.name, f"from the Go module {module}"))
                        source = go.module_folder(folder, module, self.target) / path
                        content = output / f"{artifact.name}.file"
                        content.write_bytes(source.read_bytes())
                        self._store(artifact, content, "module")
                    case GoArchive(packages=several):
                        names = [go.binary_name(package, folder.name) for package in several]
                        tar = output / f"{artifact.name}.archive"
                        image.write_tar(image.Content(files={n: (output / n, 0o755) for n in names}), tar)
                        self._store(artifact, image.gzipped(tar), version)
                    case MavenArchive(file=file):
                        self._store(artifact, output / file, version)

    def _build_rootfs(self, artifact: Artifact) -> None:
        if not isinstance(artifact, Rootfs):
            raise AssertionError(f"{artifact.key} is no rootfs")
        self.listener(Event("build", artifact.name, f"mmdebstrap {artifact.build.suite}"))
        with self.cache.workspace() as folder:
            content = folder / "rootfs.tar"
            rootfs.build(artifact.build, self.target.split("/")[1], content)
            self._store(artifact, content, "local")

    def _assemble(self, artifact: Image, folder: Path, layers: dict[str, image.Layer]) -> None:
        """Make an image; `layers` are base layers that are compressed already."""
        self.listener(Event("assemble", artifact.name, artifact.reference))
        build = artifact.build
        stack = []
        if build.base:
            if build.base not in layers:
                layers[build.base] = image.compress(self._path(build.base), folder)
            stack.append(layers[build.base])
        with self.cache.workspace() as scratch:
            tar = scratch / "layer.tar"
            image.write_tar(self._content(build, scratch), tar)
            stack.append(image.compress(tar, scratch))
            content = scratch / "image.tar"
            manifest = image.assemble(artifact.reference, self.target, stack, build.config, content)
            self._store(artifact, content, "local", manifest)

    def _path(self, spec: str) -> Path:
        artifact = self.catalogue.get(spec)
        entry = self.cached(artifact)
        if entry is None:
            raise AssertionError(f"{spec} was ensured before")
        return self.cache.blob(entry.sha256)

    def _content(self, build: ImageBuild, scratch: Path) -> image.Content:
        content = image.Content(
            texts={path: (text, 0o644) for path, text in build.texts.items()},
            directories={path: int(mode, 8) for path, mode in build.directories.items()},
            links=dict(build.links),
        )
        for number, (path, source) in enumerate(build.files.items()):
            spec, _, member = source.partition("#")
            file, mode = self._path(spec), 0o755
            if member:
                extracted = scratch / f"member{number}"
                mode = image.members(file, {member: extracted})[member]
                file = extracted
            content.files[path] = (file, mode)
        for path, tree in build.trees.items():
            folder = go.module_folder(self.catalogue.recipe_folder(tree.recipe), tree.module, self.target) / tree.path
            for file in sorted(folder.rglob("*")):
                name = str(file.relative_to(folder))
                if file.is_file() and file.name != ".gitkeep":
                    executable = any(fnmatch(name, pattern) for pattern in tree.executable)
                    content.files[f"{path}/{name}"] = (file, 0o755 if executable else 0o644)
        return content


def _unique(artifacts: Iterable[Artifact]) -> list[Artifact]:
    return list({artifact.key: artifact for artifact in artifacts}.values())
