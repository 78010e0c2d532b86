"""The JSON Schema of platform.yml, for editors and for the reference."""

from typing import Any

from dougong.platform.model import Platform


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12). Rules between the parts are beyond it: `dougong validate` checks those."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Platform.model_json_schema(),
        "title": "Dougong platform.yml",
    }
