"""The application credential by which a cluster uses the cloud beneath it."""

from __future__ import annotations

import pulumi
import pulumi_openstack as openstack

# What it takes to make load balancers, floating IPs and volumes. A cloud whose Octavia knows plain members has no
# second role; a user with more than these hands on no more.
ROLES = ("member", "load-balancer_member")


class CloudCredential(pulumi.ComponentResource):
    """A credential of the user who runs Pulumi, for this project and with `ROLES` only.

    It ends with the stack. Replacing the resource rotates it: Keystone keeps names apart, so the old one goes first.

    Outputs:
        credential_id: its identifier.
        secret: its secret, which is kept encrypted in the state.
    """

    credential_id: pulumi.Output[str]
    secret: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dougong:identity:CloudCredential", name, None, opts)
        scope = openstack.identity.get_auth_scope_output(name=name, opts=pulumi.InvokeOutputOptions(parent=self))
        credential = openstack.identity.ApplicationCredential(
            name,
            name=name,
            description=f"load balancers and volumes of the Kubernetes cluster {name}",
            roles=scope.apply(lambda found: _roles([role.role_name for role in found.roles])),
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                additional_secret_outputs=["secret"],
                # Keystone adds what a role implies (a member is a reader, too), which would look like another wish.
                ignore_changes=["roles"],
            ),
        )
        self.credential_id = credential.id
        self.secret = pulumi.Output.secret(credential.secret)
        self.register_outputs({"credential_id": self.credential_id, "secret": self.secret})


def _roles(granted: list[str]) -> list[str]:
    """Those of `ROLES` that the user has.

    Raises:
        pulumi.RunError: none of them.
    """
    roles = [role for role in ROLES if role in granted]
    if not roles:
        raise pulumi.RunError(
            f"the user in clouds.yaml has none of the roles {', '.join(ROLES)}, but {', '.join(granted) or 'none'}: "
            "ask the cloud's operator for one, or set orchestrator.cloud_integration.enabled: false"
        )
    return roles
