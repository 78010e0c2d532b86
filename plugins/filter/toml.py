"""Filter `to_toml`: a dictionary as TOML, for programs whose configuration is passed through natively."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name)


def _value(value: Any) -> str:
    """A value in one line; TOML's strings, numbers and booleans are written as JSON's are."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if value is None:
        raise ValueError("TOML has no null: leave the key out")
    # A plain type, also where Ansible hands over a tagged subclass.
    return json.dumps(str(value) if isinstance(value, str) else value, ensure_ascii=False)


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    values = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if path and (values or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in values.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _table(value, (*path, key))


def to_toml(data: Mapping[str, Any]) -> str:
    """Write a dictionary as TOML, keys in their order, tables after the plain values.

    Raises:
        ValueError: the dictionary holds a null, which TOML does not know.
    """
    return "\n".join(_table(data, ())).lstrip("\n") + "\n"


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"to_toml": to_toml}
