"""The JSON Schema of platform.yml for editors, and its reference for people; both are made from the model.

`python -m dougong.platform` writes them to docs/.
"""

import json
from collections.abc import Iterator
from typing import Any

from dougong import paths
from dougong.platform.model import Platform

SCHEMA_FILE = paths.ROOT / "docs" / "platform.schema.json"
REFERENCE_FILE = paths.ROOT / "docs" / "reference" / "platform.md"

_PREFACE = """\
# platform.yml

Made from the model by `python -m dougong.platform`. Bold keys must be there. Beyond these types,
`dougong validate` checks what must hold between the parts, and `dougong up` asks the cloud before it changes anything.
"""


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12). Rules between the parts are beyond it: `dougong validate` checks those."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_tidy(Platform.model_json_schema()),
        "title": "Dougong platform.yml",
    }


def schema_text() -> str:
    """The content of docs/platform.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def reference() -> str:
    """The content of docs/reference/platform.md: one table per part."""
    schema = json_schema()
    parts = [("The whole file", schema)]
    parts += [(name, schema["$defs"][name]) for name in _in_order(schema, schema["$defs"])]
    return "\n".join([_PREFACE, *("\n".join(_section(title, part)) for title, part in parts)])


def _tidy(schema: Any) -> Any:
    """Pydantic's schema as editors show it best."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    # Generated titles repeat the keys, and editors show them above the descriptions.
    tidy = {key: _tidy(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    if "patternProperties" in tidy:  # would let keys that do not match pass
        ((pattern, value),) = tidy.pop("patternProperties").items()
        tidy |= {"propertyNames": {"pattern": pattern}, "additionalProperties": value}
    return tidy


def _in_order(schema: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """Definitions in the order in which the file mentions them."""
    found: dict[str, None] = {}
    for name in _references(schema.get("properties", {})):
        found |= {name: None, **dict.fromkeys(_in_order(definitions[name], definitions))}
    return list(found)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _name(schema["$ref"])
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _section(title: str, part: dict[str, Any]) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"{part['description']}\n"
    yield "| key | type | default | meaning |"
    yield "| --- | ---- | ------- | ------- |"
    for key, field in part["properties"].items():
        name = f"**{key}**" if key in part.get("required", []) else key
        default = "" if field.get("default") is None or "$ref" in field else f"`{json.dumps(field['default'])}`"
        meaning = " ".join(field.get("description", "").split())
        yield f"| {name} | {_type(field)} | {default} | {meaning} |"
    yield ""


def _type(field: dict[str, Any]) -> str:
    """The type of a field in a few words."""
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"] if choice != {"type": "null"})
    if "$ref" in field:
        return f"[{_name(field['$ref'])}](#{_name(field['$ref']).lower()})"
    if choices := field.get("enum") or [field[key] for key in ("const",) if key in field]:
        return ", ".join(f"`{choice}`" for choice in choices)
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if field["type"] == "object":
        return f"names to {_type(field['additionalProperties'])}"
    bounds = f" {field['minimum']} to {field['maximum']}" if "maximum" in field else ""
    return f"{field['type']}{bounds}"


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]
