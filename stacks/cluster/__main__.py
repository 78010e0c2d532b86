"""The hosts, volumes and load balancers of one installation: `pulumi up --stack <environment>`."""

import pulumi
import pulumi_openstack as openstack

from dougong.components import program
from dougong.components.cluster import Cluster, ClusterArgs
from dougong.ssh import ensure_key

platform = program.wanted()
provider = program.cloud(platform)
image = openstack.images.get_image_output(
    name=platform.cloud.image, most_recent=True, opts=pulumi.InvokeOutputOptions(provider=provider)
)

cluster = Cluster(
    platform.name,
    ClusterArgs(
        platform=platform,
        network=program.network_outputs(),
        image_id=image.id,
        public_key=ensure_key(pulumi.get_stack()).with_suffix(".pub").read_text(),
    ),
    opts=pulumi.ResourceOptions(providers=[provider]),
)

pulumi.export("hosts", cluster.hosts)
pulumi.export("api", cluster.api)
pulumi.export("apps", cluster.apps)
pulumi.export("mtu", cluster.mtu)
