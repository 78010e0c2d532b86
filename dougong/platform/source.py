"""A YAML file as plain data, and the line and column of each of its values."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from dougong.platform.findings import Finding, Location, PlatformError, dotted

_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Source:
    """A parsed file.

    Attributes:
        file: where it was read.
        text: what was read.
        data: its content as dict, list, str, int, float, bool and None.
    """

    file: Path
    text: str
    data: Any

    @classmethod
    def read(cls, file: Path) -> "Source":
        """Read a file.

        Raises:
            PlatformError: it is not there, cannot be read, is not one YAML document, or names a key twice.
        """
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise PlatformError(
                [_at(file, 1, 1, f"cannot be read: {reason}", "Name a readable platform.yml.")]
            ) from error
        try:
            root = YAML().compose(text)
            duplicates = [_duplicate(file, key, path) for key, path in _repeated_keys(root)]
            data = YAML(typ="safe", pure=True).load(text) if not duplicates else None
        except YAMLError as error:
            raise PlatformError([_syntax_error(file, error)]) from error
        if duplicates:
            raise PlatformError(duplicates)
        return cls(file, text, data)

    @cached_property
    def _root(self) -> Node | None:
        root: Node | None = YAML().compose(self.text)
        return root

    def finding(self, location: Location, message: str, remedy: str, **more: Any) -> Finding:
        """A finding about the value at a location, or about the nearest thing around it that is there.

        Args:
            location: keys and indices from the root.
            message: what is wrong with the value.
            remedy: what to write instead.
            more: `severity`; `key=True` to point at the key instead of its value; `value` where it is not in the file.
        """
        line, column = self.position(location, key=more.pop("key", False))
        more.setdefault("value", self.value(location))
        return Finding(self.file, line, column, dotted(location), message=message, remedy=remedy, **more)

    def value(self, location: Location) -> Any:
        """What stands at a location; None when nothing does."""
        found = self.data
        for part in location:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def position(self, location: Location, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the value (or its key) at a location; of what is around it if it is absent."""
        node = self._root
        mark = node.start_mark if node else None
        for depth, part in enumerate(location, start=1):
            child = _child(node, part)
            if child is None:
                break
            name, node = child
            # A block mapping begins at its first key; the line that a person looks for is that of its name.
            at_key = (key and depth == len(location)) or (isinstance(node, MappingNode) and not node.flow_style)
            mark = (name if at_key else node).start_mark
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _child(node: Node | None, part: str | int) -> tuple[Node, Node] | None:
    """The node of a key (or the item itself) and of its value, also through `<<: *anchor`."""
    if isinstance(node, SequenceNode) and isinstance(part, int):
        return (node.value[part], node.value[part]) if part < len(node.value) else None
    if not isinstance(node, MappingNode):
        return None
    merged: list[Node] = []
    for key, value in node.value:
        if isinstance(key, ScalarNode) and key.value == str(part):
            return key, value
        if key.tag == _MERGE:
            merged += value.value if isinstance(value, SequenceNode) else [value]
    return next((found for other in merged if (found := _child(other, part))), None)


def _repeated_keys(node: Node | None, location: Location = ()) -> Iterator[tuple[Node, Location]]:
    if isinstance(node, MappingNode):
        seen = set()
        for key, value in node.value:
            here = (*location, key.value) if isinstance(key, ScalarNode) else location
            if isinstance(key, ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    yield key, here
                seen.add(key.value)
            yield from _repeated_keys(value, here)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, (*location, index))


def _duplicate(file: Path, key: Node, location: Location) -> Finding:
    message, remedy = "this key is there twice", "Keep one: YAML would silently take the last."
    mark = key.start_mark
    return Finding(file, mark.line + 1, mark.column + 1, dotted(location), key.value, message, remedy)


def _syntax_error(file: Path, error: YAMLError) -> Finding:
    remedy = "Correct the YAML syntax at this place; often it is the indentation or a quote in the line above."
    if isinstance(error, MarkedYAMLError) and (mark := error.problem_mark or error.context_mark):
        problem = (error.problem or error.context or "not YAML").strip()
        if "'\\t'" in problem:
            remedy = "Indent with spaces: YAML does not allow tabs."
        elif "another document" in problem:
            problem, remedy = (
                "a second YAML document begins here",
                "Keep one document: remove the `---` and what follows.",
            )
        elif "could not determine a constructor" in problem:
            remedy = "Remove the tag: platform.yml holds plain values only; secrets belong into an Ansible vault."
        elif "undefined alias" in problem:
            remedy = "Define the anchor (&name) above its first use, or quote the value if * is meant literally."
        return _at(file, mark.line + 1, mark.column + 1, problem, remedy)
    if isinstance(error, ReaderError):
        return _at(
            file, 1, 1, f"not YAML: {error.reason}", "Remove the control characters; the file must be plain text."
        )
    return _at(file, 1, 1, f"not YAML: {error}", remedy)


def _at(file: Path, line: int, column: int, message: str, remedy: str) -> Finding:
    return Finding(file, line, column, "", None, message, remedy)
