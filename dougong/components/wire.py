"""Which addresses the cloud's network sees."""

from dougong.platform import Platform


def pods_on_the_wire(platform: Platform) -> str | None:
    """CIDR of the pods when their packets leave the hosts unwrapped, so that the cloud has to let them pass.

    Only VXLAN hides them everywhere: "CrossSubnet" does not within one subnet, and an installation has one.

    Args:
        platform: the installation.
    """
    return None if platform.network_plugin.encapsulation == "VXLAN" else str(platform.orchestrator.pod_cidr)
