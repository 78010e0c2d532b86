"""The lookup `artifact`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader
from artifacts_site import Site, Upstream

from dougong import paths
from dougong.artifacts import catalogue
from dougong.artifacts.cache import Cache


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    upstream = Upstream()
    site = Site(tmp_path, upstream)
    site.publish("tool", b"content")
    site.add("image", "image", reference="a/b:1.0", registry=False, build={"texts": {"/etc/motd": "hello"}})
    site.sets["all@1"] = ["tool@1.0"]
    known = site.catalogue()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(catalogue, "default", lambda: known)
    yield site
    upstream.shutdown()
    upstream.server_close()


def lookup(*terms: str, **options: str) -> list[dict[str, Any]]:
    lookup_loader.add_directory(str(paths.ROOT / "plugins" / "lookup"))
    found: list[dict[str, Any]] = lookup_loader.get("artifact").run(list(terms), variables={}, **options)
    return found


def test_cached_artifacts_are_found(site: Site) -> None:
    site.fetcher(cache=Cache()).ensure(["tool", "image"])
    tool, image = lookup("tool", "image@1.0")
    assert Path(tool["path"]).read_bytes() == b"content"
    assert (tool["kind"], tool["version"], tool["pinned"]) == ("binary", "1.0", None)
    assert image["pinned"] == f"a/b:1.0@{image['digest']}"


def test_what_is_not_cached_names_the_command(site: Site) -> None:
    with pytest.raises(AnsibleError, match=r"tool@1\.0 is not in the cache(.|\n)*dougong artifacts fetch tool@1\.0"):
        lookup("tool", version="1.0")


def test_set_says_the_version(site: Site) -> None:
    site.fetcher(cache=Cache()).ensure(["tool"])
    assert lookup("tool", set="all@1")[0]["key"] == "tool@1.0"


def test_unknown_name_is_refused(site: Site) -> None:
    with pytest.raises(AnsibleError, match="no artifact is called hammer"):
        lookup("hammer")


@pytest.mark.parametrize(("options", "version"), [({}, "1.36.3"), ({"version": "1.35.8"}, "1.35.8")], ids=str)
def test_the_registry_gets_the_images_of_a_version_each_once(options: dict[str, str], version: str) -> None:
    lookup_loader.add_directory(str(paths.ROOT / "plugins" / "lookup"))
    found: list[str] = lookup_loader.get("platform_images").run(["lab"], variables={}, **options)
    assert {f"kube-apiserver-image@{version}", f"kube-proxy-image@{version}", "demo-image@1.0.0"} <= set(found)
    assert len(found) == len(set(found))
    assert all(catalogue.default().get(name).kind == "image" for name in found)


def test_nodes_are_led_to_the_registry_for_every_image_of_the_catalogue() -> None:
    """Or a node would look for it where upstream has it."""
    led = yaml.safe_load((paths.ROOT / "roles" / "registry" / "defaults" / "main.yml").read_text())[
        "registry_upstreams"
    ]
    known = {image.reference.partition("/")[0] for image in catalogue.default() if isinstance(image, catalogue.Image)}
    assert set(led) == known
