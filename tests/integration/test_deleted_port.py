"""`dougong check` on the lab finds what somebody deletes in the cloud.

A port cannot be put back under its server: mending it means another server. So this comes last before the removal,
which has to cope with the missing port as well.
"""

from __future__ import annotations

import json

import pytest

from dougong import cloud
from tests.integration.harness import CommandLine, Installation


@pytest.mark.drill
def test_a_deleted_port_is_found(dougong: CommandLine, installation: Installation) -> None:
    connection = cloud.connect(installation.platform)
    name = f"{installation.platform.name}-worker-1"
    connection.network.delete_port(connection.network.find_port(name, ignore_missing=False))
    found = json.loads(dougong.output("check", "--json", expect=3))["findings"]
    assert [finding["severity"] for finding in found if finding["where"] == f"Port {name}"] == ["critical"]
    assert [finding["severity"] for finding in found if finding["where"] == f"Instance {name}"] == ["warning"]
    # The same from the other side: nobody reaches the host any more.
    assert any(finding["where"] == name and finding["area"] == "hosts" for finding in found)
