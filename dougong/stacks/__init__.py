"""Pulumi's half of an installation, driven through the Automation API.

What is done here is what `pulumi … --stack <environment>` does in stacks/network and stacks/cluster: the same folders,
the same backend, the same passphrase.
"""

from dougong.stacks.events import OnEvent, ResourceEvent, reporter
from dougong.stacks.operations import ORDER, destroy, forget, holds, outputs, preview, refresh, up
from dougong.stacks.summary import Changes, differs, summary

__all__ = [
    "ORDER",
    "Changes",
    "OnEvent",
    "ResourceEvent",
    "destroy",
    "differs",
    "forget",
    "holds",
    "outputs",
    "preview",
    "refresh",
    "reporter",
    "summary",
    "up",
]
