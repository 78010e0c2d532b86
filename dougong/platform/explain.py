"""Pydantic's errors in the words of this project: where, what, and what to write instead."""

import difflib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from dougong.platform.findings import Finding, Location
from dougong.platform.model import Platform
from dougong.platform.source import Source

UNKNOWN_KEY = ("extra_forbidden", "invalid_key")
"""pydantic's names for a key that no field has, and for one that is not even text."""

# pydantic's names of type errors (docs.pydantic.dev, Validation Errors) and what a person would call that type.
_EXPECTED = {
    "int_type": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "names with values below them",
    "model_type": "keys with values below them",
}


def explain(source: Source, details: list[ErrorDetails]) -> Iterator[Finding]:
    """A finding for each error of a validation.

    Args:
        source: the file, which knows its lines.
        details: the errors of pydantic's ValidationError.
    """
    missing = {detail["loc"] for detail in details if detail["type"] == "missing"}
    meant = set()
    for detail in details:
        if detail["type"] in UNKNOWN_KEY:
            parent, key = detail["loc"][:-1], str(detail["loc"][-1])
            known = _known_keys(parent)
            meant |= {(*parent, guess) for guess in _similar(key, known)}
            yield source.finding((*parent, key), "unknown key", _suggest(key, known), key=True)
    for location in sorted(missing - meant, key=str):  # a misspelt key is not missing as well
        info = _field_at(location)
        yield source.finding(location, "this key is missing", f"Add it. {info.description if info else ''}".strip())
    for detail in details:
        if detail["type"] not in {*UNKNOWN_KEY, "missing"}:
            yield _explain_value(source, detail)


def _explain_value(source: Source, detail: ErrorDetails) -> Finding:
    location, is_key = detail["loc"], False
    if location and location[-1] == "[key]":
        location, is_key = location[:-1], True
    value, context = detail["input"], detail.get("ctx", {})
    shown = f"{value!r}" if isinstance(value, str | int | float) else kind_of(value)
    info = _field_at(location)
    remedy = (info.description or "") if info else ""
    match detail["type"]:
        case "dougong":
            message, remedy = f"{shown} is {context['message']}", context["remedy"]
        case "literal_error":
            known = get_args(info.annotation) if info else ()
            message, remedy = f"{shown} is not known here", _suggest(str(value), known)
        case "greater_than_equal":
            message, remedy = f"{shown} is too small: the least is {context['ge']}", _range(info)
        case "less_than_equal":
            message, remedy = f"{shown} is too large: the most is {context['le']}", _range(info)
        case "too_short":
            message, remedy = "this is empty", f"Name at least one. {remedy}"
        case "too_long":
            message = f"{context['actual_length']} items: the most is {context['max_length']}"
        case kind if kind in _EXPECTED:
            message = f"expected {_EXPECTED[kind]}, got {kind_of(value)}"
            remedy = _retype(kind, value) or f"Write {_EXPECTED[kind]}. {remedy}"
        case _:
            message = f"{shown}: {detail['msg']}"
    return source.finding(location, message, remedy, key=is_key)


def _similar(word: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(word, known, n=1)


def _suggest(word: str, known: Sequence[str]) -> str:
    guess = _similar(word, known)
    return f"Did you mean {guess[0]}?" if guess else f"Known here: {', '.join(known)}."


def _range(field: FieldInfo | None) -> str:
    """The bounds of a number, and what it is."""
    if not field:
        return ""
    least = [item.ge for item in field.metadata if isinstance(item, Ge)]
    most = [item.le for item in field.metadata if isinstance(item, Le)]
    return (
        f"Use a number from {least[0]} to {most[0]}. {field.description}" if least and most else field.description or ""
    )


def _retype(expected: str, value: Any) -> str:
    """How to write a value that has the right content and the wrong type."""
    if expected == "string_type" and isinstance(value, bool | int | float):
        return f'Put it in quotes if it is meant as text: "{value}".'
    if expected == "int_type" and isinstance(value, str) and value.isdecimal():
        return f"Write it without quotes: {value}."
    if expected == "list_type" and isinstance(value, str | int | float):
        return f"Write it as a list: [{value}]."
    if expected == "bool_type" and isinstance(value, str):
        return "Write true or false, without quotes."
    return ""


def kind_of(value: Any) -> str:
    """What a value from YAML is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):  # before int, which it is a kind of
        return f"{str(value).lower()} (true or false)"
    names: dict[type, str] = {
        int: f"the whole number {value}",
        float: f"the decimal number {value}",
        str: f"the text {value!r}",
        list: "a list",
        dict: "a mapping",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def _known_keys(location: Location) -> list[str]:
    kind, _ = _resolve(location)
    return list(kind.model_fields) if _is_model(kind) else []


def _field_at(location: Location) -> FieldInfo | None:
    """The innermost field that a location is in: the item of a list is documented by the list."""
    _, field = _resolve(location)
    return field


def _resolve(location: Location) -> tuple[Any, FieldInfo | None]:
    """Type of the value at a location, and the field that holds it; through dicts and lists to what they hold."""
    kind: Any = Platform
    field: FieldInfo | None = None
    for part in location:
        if not _is_model(kind):
            kind = next(reversed(get_args(kind)), None)
        elif part in kind.model_fields:
            field = kind.model_fields[part]
            kind = _present(field.annotation)
        else:
            break
    return kind, field


def _present(kind: Any) -> Any:
    """The type of a value that may be left out: X of `X | None`."""
    return (
        next((choice for choice in get_args(kind) if _is_model(choice)), kind) if type(None) in get_args(kind) else kind
    )


def _is_model(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseModel)
