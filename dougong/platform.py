"""The typed model of one installation: platform.yml."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cloud(Model):
    """The OpenStack project that holds the installation."""

    name: str
    embedded: bool = False
    image: str
    user: str = "debian"
    external_network: str
    availability_zones: list[str] = Field(default_factory=list)


class Network(Model):
    cidr: IPv4Network
    mtu: int | None = None
    dns_servers: list[IPv4Address] = Field(default_factory=list)
    access: list[IPv4Network]
    bastion: str | None = None


class Volume(Model):
    name: str
    size: int
    type: str | None = None
    mount: str
    filesystem: Literal["ext4", "xfs"] = "ext4"


class Pool(Model):
    role: Literal["control-plane", "worker"]
    count: int
    flavor: str
    floating_ip: bool = False
    anti_affinity: Literal["required", "preferred", "none"] = "preferred"
    volumes: list[Volume] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)
    taints: list[str] = Field(default_factory=list)


class Listener(Model):
    name: str
    port: int
    node_port: int


class LoadBalancers(Model):
    provider: Literal["amphora", "ovn"] = "amphora"
    apps: list[Listener] = Field(default_factory=list)


class Kubernetes(Model):
    type: Literal["kubernetes"]
    version: str
    pod_cidr: IPv4Network
    service_cidr: IPv4Network
    dns_domain: str = "cluster.local"


class Calico(Model):
    type: Literal["calico"]
    encapsulation: Literal["VXLAN", "VXLANCrossSubnet", "None"] = "VXLAN"


class Demo(Model):
    enabled: bool = False
    replicas: int = 2
    listener: str = "http"


class Services(Model):
    demo: Demo = Demo()


class State(Model):
    backend: str | None = None
    secrets_provider: str = "passphrase"


class Platform(Model):
    name: str
    cloud: Cloud
    network: Network
    pools: dict[str, Pool]
    load_balancers: LoadBalancers = LoadBalancers()
    orchestrator: Annotated[Kubernetes, Field()]
    network_plugin: Annotated[Calico, Field()]
    services: Services = Services()
    state: State = State()


def load(path: Path) -> Platform:
    """Read and validate a platform.yml; raises DougongError with every finding (file, line, value, remedy)."""
    import yaml

    data: Any = yaml.safe_load(path.read_text())
    return Platform.model_validate(data)
