"""The lookup `stack_secret`."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader

from dougong import inventory, paths


def lookup(*terms: str) -> list[str]:
    lookup_loader.add_directory(str(paths.ROOT / "plugins" / "lookup"))
    found: list[str] = lookup_loader.get("stack_secret").run(list(terms), variables={}, environment="lab")
    return found


@pytest.fixture(autouse=True)
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack with a secret output: in clear text for those who say so only."""

    def outputs(name: str, platform: Any, *, secrets: bool = False) -> dict[str, Any]:
        assert name == platform.name == "lab"
        return {"cloud_secret": "hush" if secrets else "[secret]"}

    monkeypatch.setattr(inventory, "read_outputs", outputs)


def test_secret_is_in_clear_text() -> None:
    assert lookup("cloud_secret") == ["hush"]


def test_missing_output_is_said_with_the_remedy() -> None:
    with pytest.raises(AnsibleError, match=r"no output 'other': dougong up -e lab"):
        lookup("other")
