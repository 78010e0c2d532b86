"""Our build of the OpenStack plugin must answer to every token that the Python package pulumi-openstack can send."""

import json
import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from dougong import paths

PLUGIN = paths.ROOT / "artifacts/build/pulumi-resource-openstack"
RESOURCE = re.compile(r'@pulumi\.type_token\("(openstack:[^"]+)"\)')
INVOKE = re.compile(r"""pulumi\.runtime\.invoke(?:_output)?\(['"](openstack:[^'"]+)['"]""")


def tokens_sent(pattern: re.Pattern[str]) -> set[str]:
    spec = find_spec("pulumi_openstack")
    assert spec and spec.origin
    sources = Path(spec.origin).parent.rglob("*.py")
    return {token for source in sources for token in pattern.findall(source.read_text())}


def tokens_served(*tables: str) -> list[str]:
    mapping: dict[str, dict[str, str]] = json.loads((PLUGIN / "tokens.json").read_text())
    return [token for table in tables for token in mapping[table].values()]


@pytest.mark.parametrize(
    ("pattern", "tables", "at_least"),
    [
        pytest.param(RESOURCE, ("resources", "deprecatedResources"), 114, id="resources"),
        pytest.param(INVOKE, ("functions", "deprecatedFunctions"), 65, id="functions"),
    ],
)
def test_every_token_is_served_exactly_once(pattern: re.Pattern[str], tables: tuple[str, str], at_least: int) -> None:
    sent, served = tokens_sent(pattern), tokens_served(*tables)
    assert len(sent) >= at_least, "the package's sources look different: are the patterns still right?"
    assert sent == set(served)
    assert len(served) == len(set(served))


def test_version_is_that_of_the_python_package() -> None:
    wanted = version("pulumi-openstack")
    assert json.loads((PLUGIN / "schema.json").read_text())["version"] == wanted
    assert f'version = "{wanted}"' in (PLUGIN / "provider.go").read_text()
