"""What an operation has changed, or would change."""

from collections.abc import Mapping

Changes = dict[str, int]
"""How many resources each operation was applied to, by Pulumi's names: {"create": 3, "same": 17}."""

_WORDS = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "import": "imported",
    "same": "unchanged",
}
# Parts of a replacement, which "replace" counts already, and reads, which change nothing.
_SILENT = {
    "create-replacement",
    "delete-replaced",
    "discard",
    "discard-replaced",
    "read",
    "read-replacement",
    "refresh",
}


def summary(changes: Mapping[str, int]) -> str:
    """In words: "3 created, 17 unchanged".

    Args:
        changes: see Changes.
    """
    words = [f"{changes[op]} {word}" for op, word in _WORDS.items() if changes.get(op)]
    words += [f"{count} {op}" for op, count in changes.items() if count and op not in _WORDS and op not in _SILENT]
    return ", ".join(words) or "nothing there"


def differs(changes: Mapping[str, int]) -> bool:
    """Whether anything was changed or would be.

    Args:
        changes: see Changes.
    """
    return any(count for op, count in changes.items() if op != "same" and op not in _SILENT)
