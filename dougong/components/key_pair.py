"""The SSH key that a host trusts from its first boot."""

from dataclasses import dataclass

import pulumi
import pulumi_openstack as openstack


@dataclass(frozen=True, kw_only=True)
class KeyPairArgs:
    """The key.

    Args:
        public_key: one line in OpenSSH's format; the private half never leaves the controller.
    """

    public_key: str


class KeyPair(pulumi.ComponentResource):
    """An SSH public key known to the cloud.

    Outputs:
        key_name: what an instance names.
    """

    key_name: pulumi.Output[str]

    def __init__(self, name: str, args: KeyPairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dougong:compute:KeyPair", name, None, opts)
        pair = openstack.compute.Keypair(
            name,
            name=name,
            public_key=args.public_key.strip(),
            # Names are unique per user: the old one must go first.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.key_name = pair.name
        self.register_outputs({"key_name": self.key_name})
