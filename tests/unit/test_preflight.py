"""What the cloud lacks is told before anything is made, at the line that asks for it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from openstack.connection import Connection

from dougong import paths
from dougong.platform import Finding, Platform, PlatformError, load
from dougong.preflight import preflight

PLENTY = 1000


class Cloud:
    """A cloud that answers as openstacksdk does; it has all that inventories/lab asks for, and room."""

    def __init__(self) -> None:
        self.flavor_list = [self.flavor("dougong.small", 2, 2048, 8), self.flavor("dougong.medium", 2, 3584, 12)]
        self.image_list = [SimpleNamespace(name="debian-13", status="active", min_disk=2, min_ram=512)]
        self.network_list = [SimpleNamespace(name="public", id="public-id")]
        self.subnet_list = [SimpleNamespace(cidr="172.24.4.0/24")]
        self.type_list = [SimpleNamespace(name="standard")]
        self.provider_list = [SimpleNamespace(name="ovn")]
        self.zone_list = [
            SimpleNamespace(name="nova", state={"available": True}),
            SimpleNamespace(name="dark", state={"available": False}),
        ]
        self.servers: list[str] = []
        self.volumes: list[str] = []
        self.services = {"load-balancer"}
        self.compute_limits = dict.fromkeys(("instances", "total_cores", "total_ram"), PLENTY * 1000)
        self.volume_limits = dict.fromkeys(("max_total_volumes", "max_total_volume_gigabytes"), PLENTY)
        self.network_limits = dict.fromkeys(("floating_ips", "ports", "networks", "routers"), PLENTY)

    @staticmethod
    def flavor(name: str, vcpus: int, ram: int, disk: int) -> SimpleNamespace:
        return SimpleNamespace(name=name, vcpus=vcpus, ram=ram, disk=disk)

    def connection(self) -> Connection:
        """The parts of a connection that preflight looks at."""
        used = dict.fromkeys(("instances_used", "total_cores_used", "total_ram_used"), 0)
        volumes_used = {"total_volumes_used": 0, "total_gigabytes_used": 0}
        usage = {key: {"limit": limit, "used": 1, "reserved": 1} for key, limit in self.network_limits.items()}
        fake: Any = SimpleNamespace(
            has_service=lambda name: name in self.services,
            session=SimpleNamespace(get_project_id=lambda: "project"),
            compute=SimpleNamespace(
                flavors=lambda: self.flavor_list,
                availability_zones=lambda: self.zone_list,
                servers=lambda details: [SimpleNamespace(name=name) for name in self.servers],
                get_limits=lambda: SimpleNamespace(absolute=SimpleNamespace(**self.compute_limits, **used)),
            ),
            image=SimpleNamespace(images=lambda: self.image_list),
            network=SimpleNamespace(
                networks=lambda is_router_external: self.network_list,
                subnets=lambda network_id, ip_version: self.subnet_list,
                get_quota=lambda project, details: SimpleNamespace(**usage),
            ),
            block_storage=SimpleNamespace(
                types=lambda: self.type_list,
                volumes=lambda details: [SimpleNamespace(name=name) for name in self.volumes],
                get_limits=lambda: SimpleNamespace(absolute=SimpleNamespace(**self.volume_limits, **volumes_used)),
            ),
            load_balancer=SimpleNamespace(providers=lambda: self.provider_list),
        )
        return cast(Connection, fake)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def lab() -> Platform:
    return load(paths.platform_file("lab"))


def errors(platform: Platform, cloud: Cloud) -> tuple[Finding, ...]:
    with pytest.raises(PlatformError) as caught:
        preflight(platform, cloud.connection())
    return caught.value.findings


def line_of(text: str) -> int:
    """The first line of the lab's platform.yml with this text."""
    lines = paths.platform_file("lab").read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def test_a_cloud_that_has_everything_passes(lab: Platform, cloud: Cloud) -> None:
    assert preflight(lab, cloud.connection()) == []


def test_an_unknown_flavor_names_the_line_and_lists_what_there_is(lab: Platform, cloud: Cloud) -> None:
    cloud.flavor_list = cloud.flavor_list[:1]

    control_plane, worker, services = errors(lab, cloud)

    assert control_plane.line == line_of("flavor: dougong.medium")
    assert control_plane.where == "pools.control-plane.flavor"
    assert control_plane.message == "the cloud has no flavor 'dougong.medium'"
    assert control_plane.remedy == "It has: dougong.small (2 vCPU, 2048 MiB, 8 GB)."
    assert (worker.where, services.where) == ("pools.worker.flavor", "pools.services.flavor")


@pytest.mark.parametrize(("vcpus", "ram"), [(1, 3584), (2, 1024)])
def test_a_control_plane_that_kubeadm_would_refuse(lab: Platform, cloud: Cloud, vcpus: int, ram: int) -> None:
    cloud.flavor_list = [cloud.flavor("dougong.medium", vcpus, ram, 12)]

    (finding,) = errors(lab, cloud)

    assert finding.where == "pools.control-plane.flavor"
    assert "too little for a control plane" in finding.message


@pytest.mark.parametrize(
    ("attribute", "names", "where", "remedy"),
    [
        ("image_list", ["cirros"], "cloud.image", "It has: cirros."),
        ("network_list", [], "cloud.external_network", "It has no external network."),
        ("type_list", ["ssd", "hdd"], "pools.control-plane.volumes[0].type", "It has: hdd, ssd."),
        ("provider_list", ["amphora"], "load_balancers.provider", "It has: amphora."),
    ],
)
def test_what_does_not_exist(
    lab: Platform, cloud: Cloud, *, attribute: str, names: list[str], where: str, remedy: str
) -> None:
    setattr(cloud, attribute, [SimpleNamespace(name=name) for name in names])

    finding, *_ = errors(lab, cloud)

    assert (finding.where, finding.remedy) == (where, remedy)


def test_an_image_that_is_not_ready_or_too_large(lab: Platform, cloud: Cloud) -> None:
    cloud.image_list = [SimpleNamespace(name="debian-13", status="queued", min_disk=20, min_ram=0)]

    found = errors(lab, cloud)

    flavors = [f"pools.{pool}.flavor" for pool in ("control-plane", "worker", "services")]
    assert [finding.where for finding in found] == ["cloud.image", *flavors]


def test_hosts_must_not_have_the_addresses_of_floating_ips(lab: Platform, cloud: Cloud) -> None:
    cloud.subnet_list = [SimpleNamespace(cidr="10.0.0.0/8")]

    (finding,) = errors(lab, cloud)

    assert (finding.where, finding.line) == ("network.cidr", line_of("cidr:"))


def test_a_cloud_without_octavia(lab: Platform, cloud: Cloud) -> None:
    cloud.services = set()

    (finding,) = errors(lab, cloud)

    assert "no load balancers" in finding.message


def test_zones_must_exist_and_be_available(lab: Platform, cloud: Cloud) -> None:
    zoned = lab.cloud.model_copy(update={"availability_zones": ["nova", "dark", "nowhere"]})

    found = errors(lab.model_copy(update={"cloud": zoned}), cloud)

    assert [finding.message.rpartition(" ")[2] for finding in found] == ["'dark'", "'nowhere'"]
    assert {finding.remedy for finding in found} == {"It has: nova."}


@pytest.mark.parametrize(
    ("limits", "key", "limit", "message"),
    [
        ("compute_limits", "instances", 2, "4 more servers are needed; 2 of 2 are free"),
        ("compute_limits", "total_cores", 5, "8 more vCPUs are needed; 5 of 5 are free"),
        ("compute_limits", "total_ram", 10000, "14336 more MiB of memory are needed; 10000 of 10000 are free"),
        ("network_limits", "floating_ips", 6, "6 more floating IPs are needed; 4 of 6 are free"),
        ("network_limits", "ports", 1, "6 more ports are needed; 0 of 1 are free"),
        ("network_limits", "networks", 2, "1 more networks are needed; 0 of 2 are free"),
        ("volume_limits", "max_total_volumes", 2, "6 more volumes are needed; 2 of 2 are free"),
        ("volume_limits", "max_total_volume_gigabytes", 5, "18 more GiB of volumes are needed; 5 of 5 are free"),
    ],
)
def test_quotas(lab: Platform, cloud: Cloud, *, limits: str, key: str, limit: int, message: str) -> None:
    getattr(cloud, limits)[key] = limit

    (finding,) = errors(lab, cloud)

    assert (finding.where, finding.message) == ("pools", message)


def test_no_quota_is_no_limit(lab: Platform, cloud: Cloud) -> None:
    cloud.compute_limits["total_cores"] = -1
    cloud.network_limits["ports"] = -1

    assert preflight(lab, cloud.connection()) == []


def test_what_is_there_already_needs_no_quota(lab: Platform, cloud: Cloud) -> None:
    hosts = ["lab-control-plane-0", "lab-worker-0", "lab-worker-1", "lab-services-0"]
    cloud.servers = hosts
    cloud.volumes = ["lab-control-plane-0-etcd", "lab-worker-0-data", "lab-worker-1-data"]
    cloud.volumes += [f"lab-services-0-{name}" for name in ("registry", "logs", "monitoring")]
    for limits in (cloud.compute_limits, cloud.volume_limits, cloud.network_limits):
        limits.update(dict.fromkeys(limits, 0))

    assert preflight(lab, cloud.connection()) == []


def test_everything_is_told_at_once_in_the_order_of_the_lines(lab: Platform, cloud: Cloud) -> None:
    cloud.flavor_list = []
    cloud.image_list = []
    cloud.provider_list = []
    cloud.compute_limits["instances"] = 0

    found = errors(lab, cloud)

    assert len(found) == 6
    assert [finding.line for finding in found] == sorted(finding.line for finding in found)
