"""`dougong check` on the lab: nothing to find while it is healthy, and what somebody deletes in the cloud.

A port cannot be put back under its server: mending it means another server. So this comes last before the removal,
which has to cope with the missing port as well.
"""

from __future__ import annotations

import json
import os

import pytest

from dougong import cloud
from tests.integration.harness import CommandLine, Installation


def test_a_healthy_installation_alarms_nobody(dougong: CommandLine, installation: Installation) -> None:
    said = json.loads(dougong.output("check", "--json", expect=None))
    # How quick its disk is belongs to this machine, not to the installation.
    troubles = [
        item for item in said["findings"] if item["severity"] != "info" and "disk is slow" not in item["evidence"]
    ]
    assert troubles == []
    assert said["areas"]["nodes"].startswith("3 of 3 Ready")
    assert said["areas"]["network"].startswith("6 of 6 paths between hosts (MTU 1442")


@pytest.mark.skipif(not os.environ.get("DOUGONG_DRILL"), reason="breaks the installation on purpose: make drill")
def test_a_deleted_port_is_found(dougong: CommandLine, installation: Installation) -> None:
    connection = cloud.connect(installation.platform)
    name = f"{installation.platform.name}-worker-1"
    connection.network.delete_port(connection.network.find_port(name, ignore_missing=False))
    found = json.loads(dougong.output("check", "--json", expect=3))["findings"]
    assert [finding["severity"] for finding in found if finding["where"] == f"Port {name}"] == ["critical"]
    assert [finding["severity"] for finding in found if finding["where"] == f"Instance {name}"] == ["warning"]
    # The same from the other side: nobody reaches the host any more.
    assert any(finding["where"] == name and finding["area"] == "hosts" for finding in found)
