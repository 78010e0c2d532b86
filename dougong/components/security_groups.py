"""Who may send what to the hosts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_openstack as openstack

ANYWHERE = "0.0.0.0/0"
SSH_PORT = 22
API_PORT = 6443
SERVICE_PORTS = {"registry": (5000,), "logging": (5601, 6514, 9200), "monitoring": (443,)}
"""Service → what is used from outside: the registry; Kibana, Logstash for devices and Elasticsearch; Zabbix' pages."""


@dataclass(frozen=True, kw_only=True)
class SecurityGroupsArgs:
    """Sources and ports, as CIDRs and numbers.

    Args:
        cidr: the hosts' own subnet; everything between them is allowed, load-balancer health checks included.
        access: who may reach SSH and the Kubernetes API, and ping the hosts.
        pod_cidr: pods' addresses where they travel between hosts unencapsulated; None with an overlay.
        node_ports: ports of the workers that the applications' load balancer forwards to, by listener name. Open to
            everybody: the OVN provider keeps the client's source address.
        api_ports: ports of the control-plane hosts at which the Kubernetes API answers.
        listeners: ports of the control-plane hosts that are open to everybody, by listener name: where these are the
            applications' load balancer themselves.
        service_ports: ports of the services' hosts that are open to whoever has access, by service.
    """

    cidr: str
    access: Sequence[str]
    pod_cidr: str | None = None
    node_ports: Mapping[str, int] = field(default_factory=dict)
    api_ports: Sequence[int] = (API_PORT,)
    listeners: Mapping[str, int] = field(default_factory=dict)
    service_ports: Mapping[str, Sequence[int]] = field(default_factory=dict)


class SecurityGroups(pulumi.ComponentResource):
    """One group for every host and one more per role.

    Outputs:
        node, control_plane, worker, services: identifiers in the cloud.
    """

    node: pulumi.Output[str]
    control_plane: pulumi.Output[str]
    worker: pulumi.Output[str]
    services: pulumi.Output[str]

    def __init__(self, name: str, args: SecurityGroupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dougong:network:SecurityGroups", name, None, opts)
        node = self._group(f"{name}-node", "every host: SSH, ICMP and what the hosts say to each other")
        control_plane = self._group(f"{name}-control-plane", "the Kubernetes API")
        worker = self._group(f"{name}-worker", "node ports of the applications")
        services = self._group(f"{name}-services", "registry, logs and monitoring")

        self._allow(node, f"{name}-node-cluster", args.cidr)
        if args.pod_cidr:
            self._allow(node, f"{name}-node-pods", args.pod_cidr)
        for source in args.access:
            self._allow(node, f"{name}-node-ssh-{source}", source, "tcp", SSH_PORT)
            self._allow(node, f"{name}-node-icmp-{source}", source, "icmp")
            for port in args.api_ports:
                suffix = "" if port == API_PORT else f"-{port}"
                self._allow(control_plane, f"{name}-control-plane-api{suffix}-{source}", source, "tcp", port)
            for service, ports in args.service_ports.items():
                for port in ports:
                    self._allow(services, f"{name}-services-{service}-{port}-{source}", source, "tcp", port)
        for listener, port in args.node_ports.items():
            self._allow(worker, f"{name}-worker-{listener}", ANYWHERE, "tcp", port)
        for listener, port in args.listeners.items():
            self._allow(control_plane, f"{name}-control-plane-{listener}", ANYWHERE, "tcp", port)

        self.node = node.id
        self.control_plane = control_plane.id
        self.worker = worker.id
        self.services = services.id
        self.register_outputs(
            {
                "node": self.node,
                "control_plane": self.control_plane,
                "worker": self.worker,
                "services": self.services,
            }
        )

    def _group(self, name: str, description: str) -> openstack.networking.SecGroup:
        return openstack.networking.SecGroup(
            name, name=name, description=description, opts=pulumi.ResourceOptions(parent=self)
        )

    def _allow(
        self,
        group: openstack.networking.SecGroup,
        name: str,
        source: str,
        protocol: str | None = None,
        port: int | None = None,
    ) -> None:
        openstack.networking.SecGroupRule(
            name,
            security_group_id=group.id,
            direction="ingress",
            ethertype="IPv4",
            remote_ip_prefix=source,
            protocol=protocol,
            port_range_min=port,
            port_range_max=port,
            # Neutron refuses a second identical rule, so a changed one must go before its successor comes.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
