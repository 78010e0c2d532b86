"""The programs below stacks/, run as Pulumi runs them, against an OpenStack in memory."""

from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from dougong import paths
from dougong.components import program
from dougong.components.cloud_credential import CloudCredential
from tests.cloud_mocks import IMAGE, Cloud, declare, run_stack

STACKS = paths.ROOT / "stacks"
LAB = paths.ROOT / "inventories" / "lab" / "platform.yml"
NETWORK_OUTPUTS = {
    "network_id": "network",
    "subnet_id": "subnet",
    "external_network_id": "external",
    "mtu": 1442,
    "security_groups": {"node": "node", "control_plane": "control-plane", "worker": "worker", "services": "services"},
}


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A platform.yml of an environment "test", to be changed; with a state folder of its own."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = paths.platform_file("test")
    file.parent.mkdir(parents=True)
    file.write_text(LAB.read_text())
    clouds = tmp_path / "clouds.yaml"
    entry = {"auth": {"auth_url": "http://keystone.test/v3", "username": "me"}, "region_name": "RegionOne"}
    clouds.write_text(yaml.safe_dump({"clouds": {"lab": entry}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    return file


def change(file: Path, *path: str, value: Any) -> None:
    content = yaml.safe_load(file.read_text())
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file.write_text(yaml.safe_dump(content, sort_keys=False))


def network() -> Cloud:
    return run_stack(STACKS / "network", Cloud())


def cluster(outputs: dict[str, Any] | None = None, *, preview: bool = False) -> Cloud:
    return run_stack(STACKS / "cluster", Cloud(network_outputs=outputs or {}), preview=preview)


@pytest.mark.usefixtures("platform")
def test_network_exports() -> None:
    assert network().exports == {
        "network_id": "lab-id",
        "subnet_id": "lab-id",
        "router_id": "lab-id",
        "external_network_id": "public-id",
        "cidr": "10.1.0.0/24",
        "mtu": 1442,
        "security_groups": {
            "node": "lab-node-id",
            "control_plane": "lab-control-plane-id",
            "worker": "lab-worker-id",
            "services": "lab-services-id",
        },
    }


def test_without_encapsulation_the_cloud_lets_pods_pass(platform: Path) -> None:
    assert "lab-node-pods" not in network().of_type("SecGroupRule")
    change(platform, "network_plugin", "encapsulation", value="None")
    assert network().of_type("SecGroupRule")["lab-node-pods"].inputs["remoteIpPrefix"] == "10.244.0.0/16"
    for port in cluster(NETWORK_OUTPUTS).of_type("Port").values():
        assert port.inputs["allowedAddressPairs"] == [{"ipAddress": "10.244.0.0/16"}]


@pytest.mark.usefixtures("platform")
def test_cluster_exports() -> None:
    exports = cluster(NETWORK_OUTPUTS).exports
    names = ["lab-control-plane-0", "lab-worker-0", "lab-worker-1", "lab-services-0"]
    assert [host["name"] for host in exports["hosts"]] == names
    assert exports["api"] == {"address": "vip-lab-api", "public_address": "public-lab-api", "port": 6443}
    assert exports["apps"] == {
        "address": "vip-lab-apps",
        "public_address": "public-lab-apps",
        "listeners": [{"name": "http", "port": 80, "node_port": 30080}],
    }
    assert exports["mtu"] == 1442


@pytest.mark.usefixtures("platform")
def test_load_balancers_lead_to_the_right_hosts() -> None:
    cloud = cluster(NETWORK_OUTPUTS)
    hosts = {host["name"]: host["address"] for host in cloud.exports["hosts"]}
    members = {
        name: [(member["address"], member["protocolPort"]) for member in known.inputs["members"]]
        for name, known in cloud.of_type("Members").items()
    }
    assert members == {
        "lab-api-kubernetes": [(hosts["lab-control-plane-0"], 6443)],
        "lab-apps-http": [(hosts["lab-worker-0"], 30080), (hosts["lab-worker-1"], 30080)],
    }


@pytest.mark.usefixtures("platform")
def test_hosts_have_the_groups_of_their_role_and_the_image() -> None:
    cloud = cluster(NETWORK_OUTPUTS)
    ports = cloud.of_type("Port")
    assert ports["lab-control-plane-0"].inputs["securityGroupIds"] == ["node", "control-plane"]
    assert ports["lab-worker-1"].inputs["securityGroupIds"] == ["node", "worker"]
    assert ports["lab-services-0"].inputs["securityGroupIds"] == ["node", "services"]
    assert all(instance.inputs["imageId"] == IMAGE for instance in cloud.of_type("Instance").values())


def test_bastion_opens_neither_the_api_nor_node_ports(platform: Path) -> None:
    pools = yaml.safe_load(platform.read_text())["pools"]
    door = {"role": "bastion", "count": 1, "flavor": "small", "floating_ip": True}
    change(platform, "pools", value={**pools, "door": door})
    change(platform, "network", "bastion", value="door")
    assert cluster(NETWORK_OUTPUTS).of_type("Port")["lab-door-0"].inputs["securityGroupIds"] == ["node"]


def test_a_services_pool_opens_the_ports_of_its_services_to_those_with_access(platform: Path) -> None:
    pools = yaml.safe_load(platform.read_text())["pools"]
    beside = {"role": "services", "count": 1, "flavor": "small", "floating_ip": True}
    change(platform, "pools", value={**pools, "beside": beside})
    change(platform, "services", value={"registry": {"enabled": True, "pool": "beside"}})
    change(platform, "network", "access", value=["192.0.2.0/24"])
    assert cluster(NETWORK_OUTPUTS).of_type("Port")["lab-beside-0"].inputs["securityGroupIds"] == ["node", "services"]
    opened = {
        (rule.inputs["remoteIpPrefix"], rule.inputs["portRangeMin"], rule.inputs["portRangeMax"])
        for name, rule in network().of_type("SecGroupRule").items()
        if rule.inputs["securityGroupId"] == "lab-services-id"
    }
    assert opened == {("192.0.2.0/24", 5000, 5000)}


def test_data_is_protected_unless_the_cloud_is_embedded(platform: Path) -> None:
    assert not any(volume.request.protect for volume in cluster(NETWORK_OUTPUTS).of_type("Volume").values())
    change(platform, "cloud", "embedded", value=False)
    volumes = cluster(NETWORK_OUTPUTS).of_type("Volume")
    assert len(volumes) == 6
    assert all(volume.request.protect for volume in volumes.values())


def test_without_listeners_there_is_no_apps_load_balancer(platform: Path) -> None:
    change(platform, "load_balancers", "apps", value=[])
    change(platform, "services", value={})
    cloud = cluster(NETWORK_OUTPUTS)
    assert list(cloud.of_type("LoadBalancer")) == ["lab-api"]
    assert cloud.exports["apps"] == {"address": None, "public_address": None, "listeners": []}


@pytest.mark.usefixtures("platform")
def test_everything_can_be_planned_before_there_is_a_network() -> None:
    cloud = cluster(preview=True)
    assert len(cloud.of_type("Instance")) == 4
    assert all("networkId" not in port.inputs for port in cloud.of_type("Port").values())


def test_nothing_is_made_without_a_network() -> None:
    with pytest.raises(pulumi.RunError, match=r"network of 'test' does not exist yet.*stacks/network"):
        declare(lambda: program.network_outputs().network_id, Cloud())


def test_errors_of_platform_yml_are_shown_without_a_traceback(platform: Path) -> None:
    change(platform, "pools", "control-plane", "count", value=2)
    with pytest.raises(pulumi.RunError, match="control-plane"):
        cluster(NETWORK_OUTPUTS)


def test_stack_must_be_called_like_an_environment() -> None:
    with pytest.raises(pulumi.RunError, match="folder below inventories"):
        run_stack(STACKS / "network", Cloud(), environment="nowhere")


@pytest.mark.usefixtures("platform")
def test_cluster_has_a_credential_of_its_own_with_no_more_than_it_needs() -> None:
    cloud = cluster(NETWORK_OUTPUTS)
    credential = cloud.of_type("ApplicationCredential")["lab"]
    assert credential.inputs["roles"] == ["member", "load-balancer_member"]
    assert cloud.exports["cloud_secret"] == "secret-of-lab"
    assert cloud.exports["cloud_access"] == {
        "auth_url": "http://keystone.test/v3",
        "region": "RegionOne",
        "certificate_authority": "",
        "insecure": False,
        "credential_id": "lab-id",
        "subnet_id": "subnet",
        "external_network_id": "external",
    }


@pytest.mark.usefixtures("platform")
def test_secret_of_the_credential_is_secret() -> None:
    seen: list[bool] = []

    async def look(credential: CloudCredential) -> None:
        seen.append(await credential.secret.is_secret())

    def program() -> pulumi.Output[None]:
        credential = CloudCredential("lab")
        return credential.secret.apply(lambda _: look(credential))

    declare(program, Cloud())
    assert seen == [True]


@pytest.mark.usefixtures("platform")
def test_credential_has_the_roles_that_the_user_has() -> None:
    cloud = Cloud(network_outputs=NETWORK_OUTPUTS, roles=("member", "reader"))
    run_stack(STACKS / "cluster", cloud)
    assert cloud.of_type("ApplicationCredential")["lab"].inputs["roles"] == ["member"]


@pytest.mark.usefixtures("platform")
def test_user_without_any_of_the_roles_is_told_so() -> None:
    cloud = Cloud(network_outputs=NETWORK_OUTPUTS, roles=("reader",))
    with pytest.raises(pulumi.RunError, match="none of the roles member, load-balancer_member, but reader"):
        run_stack(STACKS / "cluster", cloud)


def test_without_the_integration_there_is_no_credential(platform: Path) -> None:
    change(platform, "orchestrator", "cloud_integration", value={"enabled": False})
    cloud = cluster(NETWORK_OUTPUTS)
    assert cloud.of_type("ApplicationCredential") == {}
    assert "cloud_access" not in cloud.exports


@pytest.fixture
def shared(platform: Path) -> Path:
    """A platform.yml for a cloud without load balancers."""
    change(platform, "load_balancers", "provider", value="keepalived")
    change(platform, "pools", "control-plane", "count", value=3)
    return platform


@pytest.mark.usefixtures("shared")
def test_without_octavia_the_control_planes_share_an_address() -> None:
    cloud = cluster(NETWORK_OUTPUTS)
    assert not [resource for resource in cloud.resources if "loadbalancer/" in resource.type]
    address = cloud.exports["api"]["address"]
    assert cloud.exports["api"] == {"address": address, "public_address": "public-lab-shared", "port": 8443}
    assert cloud.exports["apps"]["address"] == address
    ports = cloud.of_type("Port")
    assert ports["lab-shared"].inputs["securityGroupIds"] == ["node", "control-plane"]
    allowing = {
        name for name, port in ports.items() if {"ipAddress": address} in port.inputs.get("allowedAddressPairs", [])
    }
    assert allowing == {"lab-control-plane-0", "lab-control-plane-1", "lab-control-plane-2"}


@pytest.mark.usefixtures("shared")
def test_without_octavia_the_control_planes_are_open_and_the_workers_are_not() -> None:
    rules = network().of_type("SecGroupRule")
    opened = {name: rule.inputs["portRangeMin"] for name, rule in rules.items() if "portRangeMin" in rule.inputs}
    assert opened == {
        "lab-node-ssh-0.0.0.0/0": 22,
        "lab-control-plane-api-0.0.0.0/0": 6443,
        "lab-control-plane-api-8443-0.0.0.0/0": 8443,
        "lab-control-plane-http": 80,
        "lab-services-registry-5000-0.0.0.0/0": 5000,
        "lab-services-logging-5601-0.0.0.0/0": 5601,
        "lab-services-logging-6514-0.0.0.0/0": 6514,
        "lab-services-logging-9200-0.0.0.0/0": 9200,
        "lab-services-monitoring-443-0.0.0.0/0": 443,
    }
