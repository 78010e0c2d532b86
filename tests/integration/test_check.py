"""`dougong check` on the lab: there is nothing to find while it is healthy.

It comes right after the building: what other tests restart is worth a warning for a while.
"""

from __future__ import annotations

import json

from tests.integration.harness import CommandLine, Installation

# How quick disk, network and processors are belongs to this machine, not to the installation.
SLOWNESS = ("disk is slow", "ms there and back", "s to answer")


def test_a_healthy_installation_alarms_nobody(dougong: CommandLine, installation: Installation) -> None:
    said = json.loads(dougong.output("check", "--json", expect=None))
    troubles = [
        item
        for item in said["findings"]
        if item["severity"] != "info" and not any(words in item["evidence"] for words in SLOWNESS)
    ]
    assert troubles == []
    assert said["areas"]["nodes"].startswith("3 of 3 Ready")
    assert said["areas"]["network"].startswith("6 of 6 paths between hosts (MTU 1442")
