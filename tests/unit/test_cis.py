"""The benchmark's checks as a whole: numbered once, and exceptions only of what is checked."""

import ast
import re

from dougong import paths
from tests.testinfra.cis import benchmark

FOLDER = paths.ROOT / "tests/testinfra/cis"


def _numbers() -> list[str]:
    """Numbers that stand in the test files as they are; those that are counted up (files of 1.1, 4.1) are not seen."""
    found = []
    for file in FOLDER.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"[1-5](\.\d+)+", node.value)
            ):
                found.append(node.value)
    return found


def test_a_number_is_used_once() -> None:
    numbers = _numbers()
    assert len(numbers) > 60
    assert sorted(numbers) == sorted(set(numbers))


def test_exceptions_are_of_checks_and_have_reasons() -> None:
    assert benchmark.EXCEPTIONS.keys() <= set(_numbers())
    assert all(len(reason) > 40 for reason in benchmark.EXCEPTIONS.values())
