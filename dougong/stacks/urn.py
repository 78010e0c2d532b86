"""Pulumi's names of resources: urn:pulumi:<stack>::<project>::<parent type>$<type>::<name>."""


def type_of(urn: str) -> str:
    """The token, e.g. openstack:compute/instance:Instance.

    Args:
        urn: Pulumi's name of a resource.
    """
    return urn.split("::", 3)[2].rpartition("$")[2]


def kind_of(urn: str) -> str:
    """The last part of the token, e.g. Instance."""
    return type_of(urn).rpartition(":")[2]


def name_of(urn: str) -> str:
    """The resource's name in the program."""
    return urn.split("::", 3)[3]
