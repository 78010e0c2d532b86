"""The catalogue: its errors, its versions, and that the repository's own is consistent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dougong import artifacts, paths
from dougong.artifacts import catalogue
from dougong.artifacts.catalogue import Archive, GoArchive, GoBinary, Image, ModuleFile
from dougong.errors import DougongError
from dougong.platform import Registry, Services, load

GOOD = """\
recipes:
  tool: {}
artifacts:
  - name: tool
    version: 1.9.0
    kind: binary
    license: MIT
    homepage: https://example.org
    build: {recipe: tool}
  - name: tool
    version: 1.10.0
    kind: binary
    license: MIT
    homepage: https://example.org
    build: {recipe: tool}
sets:
  all: [tool]
"""


def read(tmp_path: Path, text: str) -> catalogue.Catalogue:
    (tmp_path / "build" / "tool").mkdir(parents=True)
    (tmp_path / "build" / "tool" / "go.mod").write_text("module tool\n")
    (tmp_path / "catalogue.yml").write_text(text)
    return catalogue.load(tmp_path / "catalogue.yml")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("kind: binary", "kind: program", 4, "kind"),
        ("license: MIT", "licence: MIT", 7, "licence"),
        ("    version: 1.9.0\n", "", 4, "version"),
        ("name: tool\n    version: 1.9.0", "name: Tool!\n    version: 1.9.0", 4, "should match pattern"),
        ("version: 1.10.0", "version: 1.9.0", 10, "tool@1.9.0 is there twice"),
        ("build: {recipe: tool}\nsets", "build: {recipe: tol}\nsets", 15, "unknown recipe tol"),
        ("tool: {}", "tool: {}\n  other: {}", 3, "the recipe other has no build/other/go.mod"),
        ("all: [tool]", "all: [tool, hammer]", 17, "the set all has hammer"),
        (
            "build: {recipe: tool}\nsets",
            "official: {url: 'https://example.org/tool'}\n    build: {recipe: tool}\nsets",
            15,
            "nothing unverified is taken from the network",
        ),
        (
            "kind: binary\n    license: MIT\n    homepage: https://example.org\n    build: {recipe: tool}\nsets",
            "kind: image\n    license: MIT\n    homepage: https://example.org\n    reference: a/b:1\n"
            "    build: {files: {/saw: saw}}\nsets",
            16,
            "tool is made of saw, which is not in the catalogue",
        ),
    ],
)
def test_errors_name_the_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert old in GOOD
    with pytest.raises(DougongError) as error:
        read(tmp_path, GOOD.replace(old, new, 1))
    found = [text for text in error.value.message.splitlines() if message in text]
    assert found, error.value.message
    assert found[0].startswith(f"{tmp_path}/catalogue.yml:{line}: ")


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(DougongError) as error:
        read(tmp_path, GOOD.replace("license: MIT", "licence: MIT"))
    assert len(re.findall(r"catalogue\.yml:\d+", error.value.message)) == 4  # one missing, one unknown; twice


def test_text_that_is_not_yaml_is_said(tmp_path: Path) -> None:
    with pytest.raises(DougongError, match="is not YAML"):
        read(tmp_path, "recipes: [")


def test_newest_version_is_the_default(tmp_path: Path) -> None:
    known = read(tmp_path, GOOD)
    assert known.get("tool").version == "1.10.0"
    assert known.get("tool@1.9.0").version == "1.9.0"


SEVERAL = """\
recipes:
  tool: {}
  tool@1.9.0: {folder: tool, stamp: {main.version: 1.9.0}}
artifacts:
  - name: tool
    versions: [1.10.0, 1.9.0]
    kind: binary
    license: MIT
    build: {recipe: tool}
  - name: tool-image
    versions: [1.10.0, 1.9.0]
    kind: image
    license: MIT
    reference: example.org/tool:v{version}-0
    build: {files: {/tool: "tool@{version}"}}
sets:
  all@1.9.0: [tool@1.9.0, tool-image@1.9.0]
"""


def test_entry_with_several_versions_is_one_of_each(tmp_path: Path) -> None:
    known = read(tmp_path, SEVERAL)
    old, new = known.get("tool-image@1.9.0"), known.get("tool-image")
    assert isinstance(old, Image)
    assert isinstance(new, Image)
    assert (old.reference, new.reference) == ("example.org/tool:v1.9.0-0", "example.org/tool:v1.10.0-0")
    assert (old.build.files, new.build.files) == ({"/tool": "tool@1.9.0"}, {"/tool": "tool@1.10.0"})
    recipes = [getattr(known.get(key).build, "recipe", None) for key in ("tool@1.10.0", "tool@1.9.0")]
    assert recipes == ["tool", "tool@1.9.0"]
    assert known.recipe_folder("tool@1.9.0") == tmp_path / "build" / "tool"


def test_error_in_one_of_several_versions_names_the_entry_once(tmp_path: Path) -> None:
    with pytest.raises(DougongError) as error:
        read(tmp_path, SEVERAL.replace("kind: image", "kind: picture"))
    assert error.value.message.count("'picture' found using 'kind'") == 1


def test_set_says_the_version_of_its_members(tmp_path: Path) -> None:
    known = read(tmp_path, SEVERAL)
    assert known.member("all@1.9.0", "tool").version == "1.9.0"
    with pytest.raises(DougongError, match=r"set all@1\.9\.0 has no hammer"):
        known.member("all@1.9.0", "hammer")


def test_unknown_names_and_versions_get_a_hint(tmp_path: Path) -> None:
    known = read(tmp_path, GOOD)
    with pytest.raises(DougongError) as error:
        known.get("tol")
    assert "did you mean tool?" in error.value.remedy
    with pytest.raises(DougongError) as error:
        known.get("tool@2")
    assert error.value.remedy.startswith("it has 1.9.0, 1.10.0")
    with pytest.raises(DougongError, match="no set none"):
        known.members("none")


def test_definition_follows_what_determines_a_build(tmp_path: Path) -> None:
    def definition(known: catalogue.Catalogue) -> str:
        return known.definition(known.get("tool"))

    first = definition(read(tmp_path, GOOD))
    file = tmp_path / "catalogue.yml"
    file.write_text(GOOD.replace("license: MIT", "license: ISC"))
    assert definition(catalogue.load(file)) == first
    (tmp_path / "build" / "tool" / "main_test.go").write_text("package main\n")
    assert definition(catalogue.load(file)) == first
    (tmp_path / "build" / "tool" / "go.sum").write_text("module v1 h1:x\n")
    assert definition(catalogue.load(file)) != first


# The repository's own


@pytest.fixture(scope="module")
def own() -> catalogue.Catalogue:
    return catalogue.load()


def test_go_modules_are_pinned(own: catalogue.Catalogue) -> None:
    for recipe in own.recipes:
        folder = own.recipe_folder(recipe)
        if (folder / "go.mod").is_file() and "require" in (folder / "go.mod").read_text():
            assert (folder / "go.sum").is_file(), recipe


def test_versions_are_those_of_the_modules(own: catalogue.Catalogue) -> None:
    checked = 0
    for artifact in own:
        build = artifact.build
        if isinstance(build, GoBinary | ModuleFile):
            subject = build.package if isinstance(build, GoBinary) else build.module
            version = build.version or artifact.version
        elif isinstance(build, GoArchive):
            subject, version = build.packages[0], artifact.version
        else:
            continue
        required = dict(re.findall(r"^\s*(?:require )?(\S+/\S+) (v\S+)", _go_mod(own, build.recipe), re.MULTILINE))
        module = max((m for m in required if f"{subject}/".startswith(f"{m}/")), key=len, default=None)
        # Calico's module has no release tags: its version is stamped instead.
        if module and "-0." not in required[module] and ".0.2" not in required[module]:
            assert required[module] == f"v{version}", artifact.key
            checked += 1
    assert checked >= 15


def _go_mod(own: catalogue.Catalogue, recipe: str) -> str:
    return (own.recipe_folder(recipe) / "go.mod").read_text()


def test_stamped_versions_are_those_of_the_artifacts(own: catalogue.Catalogue) -> None:
    versions: dict[str, set[str]] = {}
    for artifact in own:
        if isinstance(artifact.build, GoBinary | GoArchive):
            own_version = artifact.build.version if isinstance(artifact.build, GoBinary) else None
            versions.setdefault(artifact.build.recipe, set()).add(own_version or artifact.version)
    for name, recipe in own.recipes.items():
        stamped = {v.removeprefix("v") for k, v in recipe.stamp.items() if k.lower().endswith("version")}
        assert stamped <= versions.get(name, set()), name


def test_image_references_carry_the_version(own: catalogue.Catalogue) -> None:
    for artifact in own:
        if isinstance(artifact, Image):
            assert artifact.version in artifact.reference.rpartition(":")[2], artifact.key


def test_archives_name_their_architecture(own: catalogue.Catalogue) -> None:
    for artifact in own:
        official = getattr(artifact, "official", None)
        if official and not isinstance(artifact, Archive):
            assert "{version}" in official.url, artifact.key
            assert "{arch}" in official.url, artifact.key


def test_lab_needs_what_its_file_says() -> None:
    needed = artifacts.for_platform(load(paths.platform_file("lab")))
    assert {"pulumi", "containerd", "kubelet@1.36.3", "calico-node-image", "demo-image", "elasticsearch"} <= set(needed)
    assert len(needed) == len(set(needed))
    assert "kibana" not in needed


def test_services_bring_what_they_need() -> None:
    lab = load(paths.platform_file("lab"))
    needed = {
        wanted: artifacts.for_platform(lab.model_copy(update={"services": Services(registry=Registry(enabled=wanted))}))
        for wanted in (True, False)
    }
    assert {"registry", "dougong-registry"} <= set(needed[True])
    assert "registry" not in needed[False]


@pytest.mark.parametrize("version", ["1.35.8", "1.36.3"])
def test_every_version_is_complete_and_of_its_own(own: catalogue.Catalogue, version: str) -> None:
    members = own.members(f"kubernetes@{version}")
    assert {spec.partition("@")[0] for spec in members} == {
        spec.partition("@")[0] for spec in own.members("kubernetes@1.36.3")
    }
    assert {spec for spec in members if spec.startswith("kube")} == {
        f"{a.name}@{version}" for a in own if a.name in ("kubeadm", "kubelet", "kubectl")
    } | {f"{a.name}@{version}" for a in own if a.name.startswith("kube-") and isinstance(a, Image)}


def test_platform_decides_the_version() -> None:
    platform = load(paths.platform_file("lab"))
    other = platform.model_copy(update={"orchestrator": platform.orchestrator.model_copy(update={"version": "1.35.8"})})
    needed = artifacts.for_platform(other)
    assert {"kubelet@1.35.8", "etcd-image@3.6.6"} <= set(needed)
    assert "kubelet@1.36.3" not in needed
    assert artifacts.for_platform(platform, kubernetes="1.35.8") == needed, "an upgrade passes through it"


@pytest.mark.parametrize("version", ["1.35.8", "1.36.3"])
def test_what_kubeadm_and_containerd_name_alike_is_there_once(own: catalogue.Catalogue, version: str) -> None:
    needed = artifacts.for_platform(load(paths.platform_file("lab")), kubernetes=version)
    keys = [own.get(spec).key for spec in needed]
    assert len(keys) == len(set(keys))
    assert own.get("pause-image").key in keys, "containerd starts every pod with it"


def test_version_that_the_catalogue_lacks_is_refused() -> None:
    platform = load(paths.platform_file("lab"))
    other = platform.model_copy(update={"orchestrator": platform.orchestrator.model_copy(update={"version": "1.99.0"})})
    with pytest.raises(DougongError, match=r"no set kubernetes@1\.99\.0") as error:
        artifacts.for_platform(other)
    assert "kubernetes@1.36.3" in error.value.remedy
