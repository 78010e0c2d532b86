"""The filter that writes containerd's configuration."""

import importlib.util
import tomllib
from typing import Any

import pytest

from dougong.paths import ROOT

_spec = importlib.util.spec_from_file_location("toml_filter", ROOT / "plugins" / "filter" / "toml.py")
assert _spec
assert _spec.loader
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
to_toml = _module.FilterModule().filters()["to_toml"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"version": 3, "debug": {"level": "info"}},
        {"plugins": {"io.containerd.cri.v1.runtime": {"cni": {"bin_dirs": ["/opt/cni/bin"]}, "enable_cdi": False}}},
        {"a": {"b": {}}, "text": 'quote " backslash \\ umlaut ü', "ratio": 0.5},
        {"mixed": {"table": {"x": 1}, "value": 2}, "list": [{"name": "a b", "n": [1, 2]}]},
    ],
)
def test_what_is_written_reads_back_the_same(data: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(data)) == data


def test_null_is_refused() -> None:
    with pytest.raises(ValueError, match="no null"):
        to_toml({"key": None})
