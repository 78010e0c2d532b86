"""The bill of materials of a set of artifacts, as CycloneDX 1.6 JSON, read from the files themselves."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from dougong.artifacts.cache import Cache, Entry
from dougong.artifacts.catalogue import Artifact
from dougong.artifacts.contents import DebianPackage, GoModule, inspect

_TYPES = {"image": "container", "binary": "application", "rootfs": "operating-system"}
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org")


def _go(module: GoModule, parent: str) -> dict[str, Any]:
    purl = f"pkg:golang/{module.path}@{module.version}"
    return {
        "type": "library",
        "bom-ref": f"{parent}#{purl}",
        "name": module.path,
        "version": module.version,
        "purl": purl,
    }


def _debian(package: DebianPackage, parent: str) -> dict[str, Any]:
    purl = f"pkg:deb/debian/{package.name}@{package.version}?arch={package.architecture}"
    return {
        "type": "library",
        "bom-ref": f"{parent}#{purl}",
        "name": package.name,
        "version": package.version,
        "purl": purl,
    }


def _component(artifact: Artifact, entry: Entry, cache: Cache) -> dict[str, Any]:
    contents = inspect(cache.blob(entry.sha256), entry.kind)
    licence = {"name" if artifact.license.startswith("LicenseRef-") else "id": artifact.license}
    component: dict[str, Any] = {
        "type": _TYPES.get(entry.kind, "file"),
        "bom-ref": artifact.key,
        "name": artifact.name,
        "version": entry.built_version or entry.version,
        "hashes": [{"alg": "SHA-256", "content": entry.sha256}],
        "licenses": [{"license": licence}],
        "properties": [{"name": "dougong:origin", "value": entry.origin}],
        "components": [
            *(_go(module, artifact.key) for module in sorted(contents.modules)),
            *(_debian(package, artifact.key) for package in sorted(contents.packages)),
        ],
    }
    if artifact.homepage:
        component["externalReferences"] = [{"type": "website", "url": artifact.homepage}]
    if entry.reference:
        component["properties"].append({"name": "dougong:image", "value": f"{entry.reference}@{entry.digest}"})
    return component


def write(name: str, items: Iterable[tuple[Artifact, Entry]], cache: Cache) -> str:
    """The document; the same files give the same text.

    Args:
        name: what the artifacts are for.
        items: artifacts with what the cache has.
        cache: where the files are.
    """
    components = [_component(artifact, entry, cache) for artifact, entry in items]
    content = json.dumps(components, sort_keys=True)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}",
        "version": 1,
        "metadata": {"component": {"type": "platform", "bom-ref": "platform", "name": name}},
        "components": components,
    }
    return json.dumps(document, indent=1) + "\n"
