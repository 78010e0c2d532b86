"""The catalogue (artifacts/catalogue.yml): every third-party file and image, where it is from, how it is built."""

from __future__ import annotations

import difflib
import hashlib
import json
import platform as machine
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dougong import paths
from dougong.errors import DougongError

FILE = paths.ROOT / "artifacts" / "catalogue.yml"

# Go's names for the processors that OpenStack clouds offer.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def target() -> str:
    """The platform artifacts are for, as Go writes it: `linux/amd64`."""
    return f"linux/{_ARCHITECTURES.get(machine.machine(), machine.machine())}"


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Recipe(Model):
    """One Go module or Maven project below artifacts/build/: what is built from it shares one compiler run.

    A recipe called `name@version` builds that version of what the recipe `name` builds otherwise.

    Attributes:
        folder: where it lies below artifacts/build/, when not under its own name.
        tags: Go build tags.
        stamp: string variables the linker sets (`-X`), as upstream's own release build does.
        cpu_seconds: processor time of a build with an empty cache, measured on the machine of docs/benchmarks.md.
    """

    folder: str | None = None
    tags: list[str] = []
    stamp: dict[str, str] = {}
    cpu_seconds: int = 0


class Download(Model):
    """A file upstream publishes.

    Attributes:
        url: `{name}`, `{version}` and `{arch}` are replaced, here and below.
        checksum: SHA-256 of the file at `url`, by architecture.
        checksum_url: upstream's checksum file: a bare sum, or lines of `sum  name`. `{url}` stands for the file's
            address, `{folder}` for the folder it is in.
        member: path inside the archive at `url`, when the artifact is one file of it.
        arch: upstream's name of an architecture where it differs from Go's.
    """

    url: str
    checksum: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = {}
    checksum_url: str | None = None
    member: str | None = None
    arch: dict[str, str] = {}

    @model_validator(mode="after")
    def _has_a_checksum(self) -> Download:
        if not self.checksum and not self.checksum_url:
            raise ValueError("give checksum or checksum_url: nothing unverified is taken from the network")
        return self


class GoBinary(Model):
    """Build one main package of a recipe.

    Attributes:
        package: import path; without it the recipe is a main package itself.
        version: the version that the recipe yields where it is not the official one.
    """

    recipe: str
    package: str | None = None
    version: str | None = None


class GoArchive(Model):
    """Build several main packages of a recipe into one archive."""

    recipe: str
    packages: list[str]


class MavenArchive(Model):
    """Build an archive by a recipe that is a Maven project.

    Attributes:
        file: what the project makes of itself, in its output folder.
    """

    recipe: str
    file: str


class ModuleFile(Model):
    """Take a file as it lies in a Go module that a recipe's go.sum pins."""

    recipe: str
    module: str
    path: str
    version: str | None = None


class ModuleTree(Model):
    """A folder of a Go module that becomes part of an image.

    Attributes:
        executable: patterns of the files that are programs: modules do not carry modes.
    """

    recipe: str
    module: str
    path: str
    executable: list[str] = []


class ImageConfig(Model):
    """What the OCI image configuration says about the process."""

    entrypoint: list[str] = []
    cmd: list[str] = []
    env: dict[str, str] = {}
    user: str = ""


class ImageBuild(Model):
    """Assemble an image from artifacts.

    Attributes:
        base: a rootfs artifact that is the lowest layer; none for static binaries.
        files: path in the image → artifact, or `artifact#member` for one file of an archive or rootfs.
        trees: path in the image → folder of a Go module.
        texts: path in the image → content.
        directories: path in the image → mode.
        links: path in the image → target of the symbolic link.
    """

    base: str | None = None
    files: dict[str, str] = {}
    trees: dict[str, ModuleTree] = {}
    texts: dict[str, str] = {}
    directories: dict[str, str] = {}
    links: dict[str, str] = {}
    config: ImageConfig = ImageConfig()

    @property
    def parts(self) -> list[str]:
        """The artifacts that must be there first."""
        names = [source.split("#")[0] for source in self.files.values()]
        return list(dict.fromkeys([self.base, *names] if self.base else names))


class DebianBuild(Model):
    """A root filesystem of Debian packages, by mmdebstrap from the machine's own mirror."""

    suite: str
    packages: list[str]


class _Artifact(Model):
    """What all kinds have in common.

    Attributes:
        license: SPDX identifier.
        homepage: the project's; none for what is ours.
    """

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9.-]*$")]
    version: str
    license: str
    homepage: str | None = None

    @property
    def key(self) -> str:
        return f"{self.name}@{self.version}"


class Binary(_Artifact):
    kind: Literal["binary"]
    official: Download | None = None
    build: GoBinary | ModuleFile


class Archive(_Artifact):
    """Several files. One without `build` can be had from upstream only."""

    kind: Literal["archive"]
    official: Download | None = None
    build: GoArchive | MavenArchive | None = None


class Manifest(_Artifact):
    kind: Literal["manifest"]
    official: Download | None = None
    build: ModuleFile


class Image(_Artifact):
    """A container image.

    Attributes:
        reference: the name under which Kubernetes asks for it.
        registry: whether `reference` can be pulled from its registry; if not, it is ours.
    """

    kind: Literal["image"]
    reference: str
    registry: bool = True
    build: ImageBuild


class Rootfs(_Artifact):
    kind: Literal["rootfs"]
    build: DebianBuild


Artifact = Annotated[Binary | Archive | Manifest | Image | Rootfs, Field(discriminator="kind")]
FileArtifact = Binary | Archive | Manifest


class _Document(Model):
    recipes: dict[str, Recipe]
    artifacts: list[Artifact]
    sets: dict[str, list[str]]


def _order(version: str) -> tuple[Version, str]:
    try:
        return Version(version), version
    except InvalidVersion:
        return Version("0"), version


class Catalogue:
    """The validated catalogue.

    Args:
        document: the parsed file.
        folder: where the recipes lie, one folder each.
    """

    def __init__(self, document: _Document, folder: Path) -> None:
        self.folder = folder
        self.recipes = document.recipes
        self.sets = document.sets
        self.artifacts: dict[str, Artifact] = {a.key: a for a in document.artifacts}
        self._definitions: dict[str, str] = {}

    def __iter__(self) -> Iterator[Artifact]:
        return iter(self.artifacts.values())

    def get(self, spec: str) -> Artifact:
        """The artifact called `name` (its newest version) or `name@version`.

        Raises:
            DougongError: there is none.
        """
        name, _, version = spec.partition("@")
        versions = {a.version: a for a in self if a.name == name}
        if not versions:
            near = difflib.get_close_matches(name, {a.name for a in self}, n=3)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise DougongError(f"no artifact is called {name}", f"{hint}`dougong artifacts list` shows all names")
        if version and version not in versions:
            have = ", ".join(sorted(versions, key=_order))
            raise DougongError(
                f"{name} {version} is not in the catalogue", f"it has {have}; or add {version} to {FILE.name}"
            )
        return versions[version or max(versions, key=_order)]

    def members(self, name: str) -> list[str]:
        """The artifacts of a set.

        Raises:
            DougongError: there is no such set.
        """
        if name not in self.sets:
            family = name.partition("@")[0]
            have = [s for s in self.sets if s.partition("@")[0] == family] or sorted(self.sets)
            raise DougongError(
                f"the catalogue has no set {name}", f"it has {', '.join(have)}: use one of them, or add the set"
            )
        return self.sets[name]

    def member(self, set_name: str, name: str) -> Artifact:
        """The artifact called `name` in the version that a set has.

        Raises:
            DougongError: there is no such set, or it has no such artifact.
        """
        for spec in self.members(set_name):
            if spec.partition("@")[0] == name:
                return self.get(spec)
        raise DougongError(
            f"the catalogue's set {set_name} has no {name}", f"it has {', '.join(self.members(set_name))}"
        )

    def build_seconds(self, artifacts: Iterable[Artifact]) -> int:
        """Processor time to build artifacts, and what they are made of, with an empty build cache."""
        recipes: set[str] = set()
        waiting = list(artifacts)
        while waiting:
            artifact = waiting.pop()
            recipes.update(_recipes(artifact))
            if isinstance(artifact.build, ImageBuild):
                waiting += map(self.get, artifact.build.parts)
        return sum(self.recipes[recipe].cpu_seconds for recipe in recipes)

    def recipe_folder(self, recipe: str) -> Path:
        return self.folder / (self.recipes[recipe].folder or recipe)

    def definition(self, artifact: Artifact) -> str:
        """A digest of all that determines what a build of the artifact yields, except the compiler.

        A cached build whose definition differs is stale.
        """
        if artifact.key not in self._definitions:
            entry = artifact.model_dump_json(exclude={"license", "homepage", "official"}, exclude_defaults=True)
            digest = hashlib.sha256(entry.encode())
            for part in artifact.build.parts if isinstance(artifact.build, ImageBuild) else ():
                digest.update(self.definition(self.get(part)).encode())
            for recipe in _recipes(artifact):
                digest.update(self._recipe_definition(recipe).encode())
            self._definitions[artifact.key] = digest.hexdigest()
        return self._definitions[artifact.key]

    def _recipe_definition(self, recipe: str) -> str:
        digest = hashlib.sha256(
            self.recipes[recipe].model_dump_json(exclude={"cpu_seconds"}, exclude_defaults=True).encode()
        )
        folder = self.recipe_folder(recipe)
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.name.endswith("_test.go"):
                digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()


Where = tuple[str | int, ...]


def _findings(document: _Document, folder: Path) -> Iterator[tuple[Where, str]]:
    """References that lead nowhere: (where, what is wrong)."""
    known = {a.name for a in document.artifacts} | {a.key for a in document.artifacts}
    seen: set[str] = set()
    for i, artifact in enumerate(document.artifacts):
        if artifact.key in seen:
            yield ("artifacts", i, "name"), f"{artifact.key} is there twice"
        seen.add(artifact.key)
        for part in artifact.build.parts if isinstance(artifact.build, ImageBuild) else ():
            if part not in known:
                yield ("artifacts", i, "build"), f"{artifact.name} is made of {part}, which is not in the catalogue"
        for built_by in _recipes(artifact):
            if built_by not in document.recipes:
                yield ("artifacts", i, "build"), f"{artifact.name} is built by the unknown recipe {built_by}"
    for name, recipe in document.recipes.items():
        lies = recipe.folder or name
        if not any((folder / lies / file).is_file() for file in ("go.mod", "pom.xml")):
            yield ("recipes", name), f"the recipe {name} has no {folder.name}/{lies}/go.mod, and no pom.xml"
    for name, members in document.sets.items():
        for i, member in enumerate(members):
            if member not in known:
                yield ("sets", name, i), f"the set {name} has {member}, which is not in the catalogue"


def _recipes(artifact: Artifact) -> list[str]:
    """The recipes that an artifact is built by itself, without what it is assembled from."""
    match artifact.build:
        case (
            GoBinary(recipe=recipe) | GoArchive(recipe=recipe) | MavenArchive(recipe=recipe) | ModuleFile(recipe=recipe)
        ):
            return [recipe]
        case ImageBuild(trees=trees):
            return [tree.recipe for tree in trees.values()]
    return []


def _each_version(data: Any) -> tuple[Any, list[int]]:
    """Write entries with several `versions` out, one entry for each.

    In `reference` and `build` of such an entry `{version}` stands for the version, and a recipe `name@version`, where
    there is one, takes the place of the recipe `name`.

    Returns:
        The document, and for each of its artifacts the place in the file where it came from.
    """
    if not isinstance(data, dict) or not isinstance(data.get("artifacts"), list):
        return data, []  # for the model to complain about
    recipes = data.get("recipes") or {}
    artifacts, places = [], []
    for place, entry in enumerate(data["artifacts"]):
        several = entry.get("versions") if isinstance(entry, dict) else None
        for version in several if isinstance(several, list) else [None]:
            artifacts.append(entry if version is None else _at_version(entry, str(version), recipes))
            places.append(place)
    return {**data, "artifacts": artifacts}, places


def _at_version(entry: dict[str, Any], version: str, recipes: dict[str, Any]) -> dict[str, Any]:
    def written(value: Any) -> Any:
        match value:
            case str():
                return value.replace("{version}", version)
            case list():
                return [written(item) for item in value]
            case dict():
                own = {key: written(item) for key, item in value.items()}
                if f"{own.get('recipe')}@{version}" in recipes:
                    own["recipe"] += f"@{version}"
                return own
        return value

    rest = {key: written(value) if key in ("reference", "build") else value for key, value in entry.items()}
    return {**{key: value for key, value in rest.items() if key != "versions"}, "version": version}


def _line(text: str, where: Where) -> int:
    """The line of the innermost part of `where` that the file has."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for step in where:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == step), None)
            if pair:
                line, node = pair[0].start_mark.line + 1, pair[1]
    return line


def load(path: Path = FILE) -> Catalogue:
    """Read and validate a catalogue; the recipes lie in `build/` beside it.

    Raises:
        DougongError: with every finding as `file:line`.
    """
    text = path.read_text()
    folder = path.parent / "build"
    try:
        data: Any = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise DougongError(f"{path} is not YAML: {error}", "correct the file") from error
    data, places = _each_version(data)
    try:
        document = _Document.model_validate(data)
        findings = [(_in_file(where, places), what) for where, what in _findings(document, folder)]
    except ValidationError as error:
        wrong = [(_in_file(tuple(e["loc"]), places), e["msg"]) for e in error.errors()]
        findings = [(where, f"{'.'.join(map(str, where))}: {what}") for where, what in wrong]
    if findings:
        lines = [f"{path}:{_line(text, where)}: {what}" for where, what in findings]
        raise DougongError("the catalogue is not valid\n" + "\n".join(dict.fromkeys(lines)), "correct these lines")
    return Catalogue(document, folder)


def _in_file(where: Where, places: list[int]) -> Where:
    """The place in the file of a place in the document."""
    match where:
        case ("artifacts", int(i), *rest) if i < len(places):
            return ("artifacts", places[i], *rest)
    return where


@cache
def default() -> Catalogue:
    """The repository's own catalogue, read once."""
    return load()


def as_json(artifact: Artifact) -> dict[str, Any]:
    """An entry as plain data."""
    data: dict[str, Any] = json.loads(artifact.model_dump_json(exclude_defaults=True))
    return data
