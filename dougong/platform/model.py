"""The typed model of one installation. The text below each field is its documentation, also in the JSON Schema."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from dougong.platform.fields import (
    Address4,
    AgeRecipient,
    Backend,
    CloudName,
    DatabaseSource,
    DnsDomain,
    DnsLabel,
    EmailAddress,
    Gibibytes,
    KubernetesVersion,
    LabelKey,
    LabelValue,
    MountPoint,
    Mtu,
    Network4,
    NodePort,
    OnCalendar,
    Port,
    RcloneOption,
    SecretsProvider,
    Subject,
    Taint,
    UserName,
    WebAddress,
)
from dougong.platform.source import Source

Role = Literal["control-plane", "worker", "services", "bastion"]


class Model(BaseModel):
    """What all parts of platform.yml have in common: nothing unknown, nothing converted silently, nothing changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Cloud(Model):
    """The OpenStack project that holds the installation."""

    name: CloudName
    """Entry in clouds.yaml: address and credentials of the project."""
    embedded: bool = False
    """The cloud is the OpenStack that `dougong lab up` starts on this machine; `dougong up` starts it first."""
    image: CloudName
    """Image of all hosts, by name: Debian 13 with cloud-init."""
    user: UserName = "debian"
    """User with sudo rights that cloud-init creates on that image."""
    external_network: CloudName
    """Network of the floating IPs, by name; the router's gateway."""
    availability_zones: list[CloudName] = Field(default_factory=list)
    """Zones over which the hosts of each pool are spread in turn; empty: the cloud chooses."""


class Network(Model):
    """The tenant network of the hosts."""

    cidr: Network4
    """Addresses of hosts and load balancers."""
    mtu: Mtu | None = None
    """Largest packet in bytes; left out: what the cloud gives to its tenant networks."""
    dns_servers: list[Address4] = Field(default_factory=list)
    """Name servers of the hosts; empty: the cloud's own."""
    access: list[Network4] = Field(min_length=1)
    """Networks that may reach SSH and the Kubernetes API from outside."""
    bastion: DnsLabel | None = None
    """Pool through whose first host all hosts without a floating IP are reached by SSH."""


class Volume(Model):
    """A Cinder volume that each host of a pool gets; it outlives the host."""

    name: DnsLabel
    """Name within the pool."""
    size: Gibibytes
    """Size in GiB; it can grow, not shrink."""
    type: CloudName | None = None
    """Volume type, which decides back end and encryption; left out: the cloud's default."""
    mount: MountPoint
    """Where it is mounted."""
    filesystem: Literal["ext4", "xfs"] = "ext4"
    """File system made on it when it is empty."""


class Pool(Model):
    """Hosts that are alike, named `installation-pool-number`."""

    role: Role
    """What the hosts do. Those of services carry what stands beside the cluster (registry, logs, monitoring); a bastion
    is a door for SSH. Neither runs Kubernetes."""
    count: int = Field(ge=1, le=1000)
    """How many hosts."""
    flavor: CloudName
    """Flavor, by name: CPUs, memory and root disk."""
    floating_ip: bool = False
    """Each host gets an address that can be reached from outside the cloud."""
    anti_affinity: Literal["required", "preferred", "none"] = "preferred"
    """Whether hosts of the pool may share a hypervisor: required refuses to start one that would have to."""
    volumes: list[Volume] = Field(default_factory=list, max_length=20)
    """Data volumes of each host."""
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Kubernetes labels of the nodes."""
    taints: list[Taint] = Field(default_factory=list)
    """Kubernetes taints of the nodes, as key=value:Effect."""


class Listener(Model):
    """A port of the applications' load balancer and where its traffic goes."""

    name: DnsLabel
    """Name, by which services refer to it."""
    port: Port
    """Port on the load balancer."""
    node_port: NodePort
    """Port on every worker (a Kubernetes NodePort)."""


class LoadBalancers(Model):
    """The ways in: one for the Kubernetes API, one for the applications."""

    provider: Literal["amphora", "ovn", "keepalived"] = "amphora"
    """Octavia provider: amphora is a virtual machine per load balancer, ovn is part of the network (layer 4). On a
    cloud without Octavia: keepalived, an address that the control-plane hosts share, with HAProxy on each of them."""
    apps: list[Listener] = Field(default_factory=list)
    """Ports of the applications' load balancer; empty: there is none."""


class StorageClass(Model):
    """A StorageClass: the volumes that applications may claim, each a Cinder volume of the cloud."""

    name: DnsLabel
    """Name of the class."""
    type: CloudName | None = None
    """Volume type, which decides back end and encryption; left out: the cloud's default."""
    filesystem: Literal["ext4", "xfs"] = "ext4"
    """File system made on a volume that is not claimed as a block device."""
    reclaim: Literal["Delete", "Retain"] = "Delete"
    """What becomes of a volume whose claim is deleted."""


class CloudIntegration(Model):
    """Kubernetes' use of the cloud beneath it, with an application credential of its own."""

    enabled: bool = True
    """Nodes get zone and flavor, Services of type LoadBalancer get a load balancer and a floating IP, claims get
    volumes. Switch it off where the credentials in clouds.yaml may not make application credentials."""
    storage_classes: list[StorageClass] = Field(default_factory=lambda: [StorageClass(name="standard")])
    """Storage classes; the first one is the default. Empty: no volumes."""


class Kubernetes(Model):
    """Kubernetes, installed by kubeadm."""

    type: Literal["kubernetes"]
    """The orchestrator."""
    version: KubernetesVersion
    """Version with patch level, without `v`."""
    pod_cidr: Network4
    """Addresses of pods; each node takes /26 blocks of it."""
    service_cidr: Network4
    """Addresses of services."""
    dns_domain: DnsDomain = "cluster.local"
    """DNS domain inside the cluster."""
    cloud_integration: CloudIntegration = CloudIntegration()
    """Load balancers and volumes of the cloud for what runs on the cluster."""


class Calico(Model):
    """Calico: pod network and NetworkPolicy."""

    type: Literal["calico"]
    """The network plugin."""
    encapsulation: Literal["VXLAN", "VXLANCrossSubnet", "None"] = "VXLAN"
    """Whether pod traffic between nodes is wrapped: always, between subnets only, or never (the cloud then allows the
    pod addresses on the hosts' ports)."""


class Demo(Model):
    """A small web application that shows that everything works."""

    enabled: bool = False
    """Install it."""
    replicas: int = Field(default=2, ge=1, le=1000)
    """How many pods."""
    listener: DnsLabel = "http"
    """Listener of the applications' load balancer that leads to it."""


class Service(Model):
    """A service of the platform, which runs on hosts of its own beside the cluster."""

    enabled: bool = False
    """Install it."""
    pool: DnsLabel = "services"
    """Pool of hosts with the role services on which it runs; services may share one."""


class RegistryProject(Model):
    """A part of the registry with rights of its own; its repositories are named PROJECT/…."""

    push: list[UserName] = Field(default_factory=list)
    """Users who may push, pull and remove."""
    pull: list[UserName] = Field(default_factory=list)
    """Users who may only pull."""
    public: bool = False
    """Everybody may pull, without a password."""
    quota: int = Field(default=0, ge=0, le=1_000_000)
    """What it may keep in GiB; a push to a full project is refused. 0: no limit."""


class Registry(Service):
    """The registry and who may do what with it."""

    users: list[UserName] = Field(default_factory=list)
    """People and programs with a password, which `dougong credentials registry/NAME` prints."""
    projects: dict[DnsLabel, RegistryProject] = Field(default_factory=dict)
    """Projects by name. The platform's own images are in the project platform, which everybody may pull from; each
    tenant has a project of its name, and a user of that name who may push to it."""
    vulnerability_database: DatabaseSource | None = None
    """Where `dougong images scan` has grype's database from: an archive on the machine that runs Dougong, or a mirror's
    address. Left out: its option --database has to name it."""


class LogRetention(Model):
    """How many days each kind of log is kept."""

    journal: int = Field(default=14, ge=1, le=3650)
    """What services and kernel of the hosts say."""
    containers: int = Field(default=14, ge=1, le=3650)
    """What containers print."""
    audit: int = Field(default=90, ge=1, le=3650)
    """Who asked the Kubernetes API for what."""


class Logging(Service):
    """Logs, and how much room they get."""

    heap: int = Field(default=1024, ge=256, le=31744)
    """Elasticsearch's heap on each host in MiB; as much again stays free for the files that are searched."""
    retention: LogRetention = LogRetention()
    """How many days each kind is kept."""
    kibana: bool = False
    """Pages to search and draw, by Kibana. From upstream only: the machine that runs Dougong has to reach it."""
    logstash: bool = False
    """A way in for devices and programs that send their logs by themselves, by Logstash. From upstream only, too."""


class Email(Model):
    """Alerts by e-mail."""

    server: CloudName
    """Mail server."""
    port: Port = 25
    """Its port."""
    security: Literal["none", "starttls", "tls"] = "starttls"
    """How the way there is encrypted; the server has to have a certificate that the hosts trust."""
    user: CloudName | None = None
    """User of the mail server; the password is the inventory variable monitoring_email_password, in a vault. Left out:
    the server asks for none."""
    sender: EmailAddress
    """From whom they are."""
    to: list[EmailAddress] = Field(min_length=1)
    """Who is told at once."""
    escalate_to: list[EmailAddress] = Field(default_factory=list)
    """Who is told, half an hour later and then each hour, what nobody has taken up."""


class Alerts(Model):
    """Who is told of a problem, and of its end."""

    webhook: WebAddress | None = None
    """Address that gets each as a JSON object by POST."""
    email: Email | None = None
    """People who get each by e-mail."""


class Monitoring(Service):
    """Monitoring, and who hears of it."""

    alerts: Alerts = Alerts()
    """Who is told of problems; nobody is by default."""


class Services(Model):
    """What runs on the cluster, and beside it."""

    demo: Demo = Demo()
    """The demo application."""
    registry: Registry = Registry()
    """The registry of container images."""
    logging: Logging = Logging()
    """Logs of all hosts and containers, kept and searched by Elasticsearch."""
    monitoring: Monitoring = Monitoring()
    """Monitoring of all hosts and services by Zabbix."""

    def beside(self) -> dict[str, Service]:
        """The services on hosts of their own that are enabled, by name."""
        return {name: part for name, part in self if isinstance(part, Service) and part.enabled}


class BackupTarget(Model):
    """A place for backups that all control-plane hosts can reach."""

    type: Literal["directory", "s3", "swift"]
    """What it is: a directory of a file system that the hosts share, S3 object storage, or OpenStack's Swift."""
    path: CloudName
    """The directory; or the bucket or container, with a prefix if wanted. It has to be there."""
    options: dict[RcloneOption, str] = Field(default_factory=dict)
    """How an object store is reached, as rclone's options for it, such as endpoint and access_key_id; what is secret
    belongs into the inventory variable backup_target_secrets, in a vault."""


class Backup(Model):
    """Backups of the control plane: etcd, certificates, keys."""

    schedule: OnCalendar | None = None
    """When the hosts make one by themselves, as systemd's OnCalendar; left out: only `dougong backup` does."""
    target: BackupTarget | None = None
    """Where they are kept; left out: the state folder of the machine on which `dougong backup` is called."""
    keep: int = Field(default=14, ge=1, le=10000)
    """How many stay; the oldest goes when a new one has been read back."""
    volumes: bool = False
    """Whether each backup takes a snapshot of every volume that applications have claimed. Cinder keeps a deleted
    claim's volume until the last snapshot of it is gone."""
    recipients: list[AgeRecipient] = Field(default_factory=list)
    """Further public keys of age: whoever has one of the private keys can open the backups, as the key in the state
    folder can."""


class Quota(Model):
    """What a tenant may take of the cluster in all."""

    cpu: int = Field(default=4, ge=1, le=100_000)
    """Requested processor cores."""
    memory: int = Field(default=8, ge=1, le=1_000_000)
    """Requested memory, and its limit, in GiB."""
    storage: int = Field(default=20, ge=0, le=1_000_000)
    """Requested volumes in GiB."""
    pods: int = Field(default=50, ge=1, le=100_000)
    """Number of pods."""
    load_balancers: int = Field(default=0, ge=0, le=1000)
    """Number of services of type LoadBalancer, each of which costs one in the cloud."""


class Tenant(Model):
    """Who shares the cluster: a namespace of the tenant's name with rights, limits and walls."""

    groups: list[Subject] = Field(default_factory=list)
    """Groups, as the API server knows them, whose people work in the namespace; tenant:NAME is one in any case."""
    users: list[Subject] = Field(default_factory=list)
    """The same for single users."""
    quota: Quota = Quota()
    """What it may take in all."""
    pod_security: Literal["restricted", "baseline"] = "restricted"
    """Pod Security Standard that its pods must meet; baseline admits images that run as root."""
    signed_images: bool = False
    """Whether its pods may only have images of the registry that `dougong images sign` has signed."""


class State(Model):
    """Where Pulumi keeps what it knows of the installation."""

    backend: Backend | None = None
    """Pulumi backend URL; left out: a folder in the state folder of this machine."""
    secrets_provider: SecretsProvider = "passphrase"
    """What encrypts secrets in the state: a generated passphrase in the state folder, or a key service."""


class Platform(Model):
    """One installation: cloud, network, hosts, orchestrator, services."""

    name: DnsLabel
    """Name of the installation; everything in the cloud is named after it."""
    cloud: Cloud
    """The OpenStack project."""
    network: Network
    """The tenant network."""
    pools: dict[DnsLabel, Pool] = Field(min_length=1)
    """The hosts, in pools by name."""
    load_balancers: LoadBalancers = LoadBalancers()
    """The load balancers."""
    orchestrator: Kubernetes
    """What schedules containers."""
    network_plugin: Calico
    """What connects containers."""
    services: Services = Services()
    """What runs on top."""
    backup: Backup = Backup()
    """How it is backed up."""
    tenants: dict[DnsLabel, Tenant] = Field(default_factory=dict)
    """Who shares the cluster, by name, which is the name of the namespace, too."""
    state: State = State()
    """Where the state is kept."""

    _source: Source | None = PrivateAttr(default=None)

    @property
    def source(self) -> Source:
        """The file that this was read from, for findings that come up later and need a line.

        Raises:
            ValueError: it was not read from a file.
        """
        if self._source is None:
            raise ValueError("this platform was not read from a file")
        return self._source
