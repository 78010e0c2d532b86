"""What was seen: the file that playbooks/check.yml writes. Modules in plugins/modules/ collect it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from dougong.errors import DougongError


class Disk(BaseModel):
    """A file system, in bytes and inodes; `error` instead when it cannot be looked at."""

    mount: str
    tmpfs: bool = False
    size: int = 0
    used: int = 0
    available: int = 0
    inodes: int = 0
    inodes_free: int = 0
    error: str = ""


class Memory(BaseModel):
    """Bytes; `waited_percent` of the last minute some work waited for memory (None: the kernel does not count it)."""

    total: int
    available: int
    swap_used: int
    swap_total: int
    waited_percent: float | None


class Sysctl(BaseModel):
    """A kernel setting; `found` is None where the kernel has none of that name."""

    name: str
    wanted: str
    found: str | None


class Service(BaseModel):
    """A systemd unit: its state, restarts after crashes, seconds since it was started."""

    loaded: bool
    state: str
    restarts: int
    seconds: float


class Runtime(BaseModel):
    """Versions of containerd's client and daemon."""

    versions: list[str]
    error: str


class Component(BaseModel):
    """An HTTP health check: status 0 means that nobody answered."""

    status: int
    text: str


class Member(BaseModel):
    """A member of etcd; one that has never started has no name."""

    id: str
    name: str
    learner: bool = False


class Etcd(BaseModel):
    """Etcd as one of its members sees it; only `error` when that one does not answer."""

    error: str
    id: str = ""
    leader: str = "0"
    version: str = ""
    size: int = 0
    size_in_use: int = 0
    errors: list[str] = Field(default_factory=list)
    alarms: list[str] = Field(default_factory=list)
    members: list[Member] = Field(default_factory=list)
    metrics: dict[str, float] = Field(default_factory=dict)


class Backup(BaseModel):
    """Seconds since the last backup that a host has made, None without one; whether it makes them by itself."""

    age: float | None
    scheduled: bool


class ApiServer(BaseModel):
    """An API server seen from a host, with the bounds of the difference between the two clocks in seconds."""

    node: str
    address: str
    status: int
    text: str
    seconds: float
    offset: tuple[float, float] | None


class NameServer(BaseModel):
    """A name server asked from a host."""

    name: str
    address: str
    milliseconds: float | None
    error: str


class NetworkPath(BaseModel):
    """Echoes from a host to another or to its pod network: how many small and full-size packets came back."""

    node: str
    address: str
    kind: Literal["host", "pod"]
    bytes: int
    small: int
    full: int
    milliseconds: float | None
    error: str


class Certificate(BaseModel):
    """A certificate in its file."""

    path: str
    pem: str


class Host(BaseModel):
    """A host as plugins/modules/host_evidence.py has found it. `unreachable` says why it could not be looked at."""

    unreachable: str = ""
    container: bool = False
    clock_synchronized: bool | None = None
    disks: list[Disk] = Field(default_factory=list)
    memory: Memory | None = None
    sysctls: list[Sysctl] | None = None
    failed_units: list[str] = Field(default_factory=list)
    services: dict[str, Service] = Field(default_factory=dict)
    mounts: dict[str, bool] = Field(default_factory=dict)
    certificates: list[Certificate] = Field(default_factory=list)
    mtu: int | None = None
    pod_mtu: int | None = None
    runtime: Runtime | None = None
    components: dict[str, Component] | None = None
    etcd: Etcd | None = None
    backup: Backup | None = None
    api_servers: list[ApiServer] = Field(default_factory=list)
    name_servers: list[NameServer] = Field(default_factory=list)
    paths: list[NetworkPath] = Field(default_factory=list)


class Condition(BaseModel):
    """A node's condition."""

    status: str
    message: str | None = ""


class Node(BaseModel):
    """A node as the API knows it."""

    name: str
    conditions: dict[str, Condition]
    unschedulable: bool = False
    heartbeat_seconds: float | None
    kubelet: str
    runtime: str
    tunnel: str | None = None


class Pod(BaseModel):
    """A pod that has not ended; ages in seconds."""

    name: str
    node: str | None
    phase: str
    ready: bool
    reason: str
    age: float
    restarts: int
    restarted_seconds_ago: float | None


class ComponentVersion(BaseModel):
    """A program of the cluster's own, with the tag of its image."""

    component: str
    node: str
    version: str


class Claim(BaseModel):
    """A claim for storage."""

    name: str
    phase: str
    storage_class: str | None
    age: float


class Volume(BaseModel):
    """A persistent volume."""

    name: str
    phase: str
    message: str


class Attachment(BaseModel):
    """An attempt to attach or detach that has failed."""

    volume: str | None
    node: str
    message: str


class Server(BaseModel):
    """A name server of the cluster."""

    name: str
    address: str


class Cluster(BaseModel):
    """The cluster as plugins/modules/cluster_evidence.py has found it; only `error` when its API does not answer."""

    error: str
    nodes: list[Node] = Field(default_factory=list)
    pods: list[Pod] = Field(default_factory=list)
    components: list[ComponentVersion] = Field(default_factory=list)
    name_servers: list[Server] = Field(default_factory=list)
    claims: list[Claim] = Field(default_factory=list)
    volumes: list[Volume] = Field(default_factory=list)
    attachments: list[Attachment] = Field(default_factory=list)
    waiting_classes: list[str] = Field(default_factory=list)


class Wanted(BaseModel):
    """A host as the inventory has it; `role` is empty for one that is no member of the cluster."""

    name: str
    address: str
    role: Literal["control-plane", "worker", ""]


class Declared(BaseModel):
    """What the inventory says there should be.

    Attributes:
        hosts: all of them.
        version: of Kubernetes.
        mtu: what the cloud's network carries; None where no cloud says.
        encapsulation: of the pod network.
    """

    hosts: list[Wanted]
    version: str
    mtu: int | None = None
    encapsulation: str = "VXLAN"


class Evidence(BaseModel):
    """All of an installation but its cloud."""

    taken: datetime
    declared: Declared
    cluster: Cluster
    hosts: dict[str, Host]

    def of_cluster(self) -> list[Wanted]:
        """The hosts that are meant to be nodes."""
        return [host for host in self.declared.hosts if host.role]

    def control_planes(self) -> list[str]:
        """Names of the hosts that are meant to run a control plane."""
        return [host.name for host in self.declared.hosts if host.role == "control-plane"]

    def seen(self) -> Iterator[tuple[str, Host]]:
        """The hosts that could be looked at."""
        return ((name, host) for name, host in self.hosts.items() if not host.unreachable)


def read(file: Path) -> Evidence:
    """Read what playbooks/check.yml has written.

    Raises:
        DougongError: the file is not there or is of another version.
    """
    remedy = "collect it anew: dougong check"
    try:
        return Evidence.model_validate_json(file.read_text())
    except FileNotFoundError as error:
        raise DougongError(f"there is no evidence in {file}", remedy) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DougongError(f"{file} is no evidence of this version: {where}: {first['msg']}", remedy) from error
