"""The hosts, volumes and load balancers of one installation: `pulumi up --stack <environment>`."""

import pulumi
import pulumi_openstack as openstack

from dougong import cloud
from dougong.components import program
from dougong.components.cloud_credential import CloudCredential
from dougong.components.cluster import Cluster, ClusterArgs
from dougong.ssh import ensure_key

platform = program.wanted()
provider = program.cloud(platform)
image = openstack.images.get_image_output(
    name=platform.cloud.image, most_recent=True, opts=pulumi.InvokeOutputOptions(provider=provider)
)

network = program.network_outputs()

cluster = Cluster(
    platform.name,
    ClusterArgs(
        platform=platform,
        network=network,
        image_id=image.id,
        public_key=ensure_key(pulumi.get_stack()).with_suffix(".pub").read_text(),
    ),
    opts=pulumi.ResourceOptions(providers=[provider]),
)

pulumi.export("hosts", cluster.hosts)
pulumi.export("api", cluster.api)
pulumi.export("apps", cluster.apps)
pulumi.export("mtu", cluster.mtu)

if platform.orchestrator.cloud_integration.enabled:
    credential = CloudCredential(platform.name, opts=pulumi.ResourceOptions(providers=[provider]))
    pulumi.export(
        "cloud_access",
        {
            **cloud.keystone(platform),
            "credential_id": credential.credential_id,
            "subnet_id": network.subnet_id,
            "external_network_id": network.external_network_id,
        },
    )
    pulumi.export("cloud_secret", credential.secret)
