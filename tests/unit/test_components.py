"""The components, declared to an OpenStack in memory."""

from itertools import pairwise

import pulumi
import pytest

from dougong.components.data_volumes import DataVolume, DataVolumes, DataVolumesArgs
from dougong.components.key_pair import KeyPair, KeyPairArgs
from dougong.components.load_balancer import Listener, LoadBalancer, LoadBalancerArgs
from dougong.components.network import Network, NetworkArgs
from dougong.components.node_pool import AntiAffinity, NodePool, NodePoolArgs
from dougong.components.security_groups import SecurityGroups, SecurityGroupsArgs
from tests.cloud_mocks import Cloud, declare

VOLUMES = [
    DataVolume(name="etcd", size=2, type="fast", mount="/var/lib/etcd", filesystem="ext4"),
    DataVolume(name="data", size=10, type=None, mount="/srv/data", filesystem="xfs"),
]


def pool_args(
    count: int = 2,
    external_network: str | None = None,
    anti_affinity: AntiAffinity = "preferred",
    availability_zones: tuple[str, ...] = (),
    allowed_addresses: tuple[str, ...] = (),
) -> NodePoolArgs:
    return NodePoolArgs(
        role="worker",
        count=count,
        image_id="image",
        flavor="m1",
        key_name="key",
        network_id="network",
        subnet_id="subnet",
        security_group_ids=["node", "worker"],
        external_network=external_network,
        anti_affinity=anti_affinity,
        availability_zones=availability_zones,
        allowed_addresses=allowed_addresses,
        volumes=VOLUMES[:1],
    )


def declared_pool(args: NodePoolArgs) -> Cloud:
    cloud = Cloud()

    def program() -> pulumi.Output[None]:
        pool = NodePool("test-worker", "worker", args)
        return pool.hosts.apply(lambda hosts: cloud.exports.update(hosts=hosts))

    return declare(program, cloud)


class TestNetwork:
    @staticmethod
    def declared(mtu: int | None = None) -> Cloud:
        cloud = Cloud()

        def program() -> pulumi.Output[None]:
            args = NetworkArgs(cidr="10.1.0.0/24", external_network_id="public", dns_servers=["10.77.0.1"], mtu=mtu)
            network = Network("test", args)
            return pulumi.Output.all(mtu=network.mtu, router_id=network.router_id).apply(cloud.exports.update)

        return declare(program, cloud)

    def test_router_connects_the_subnet_with_the_outside(self) -> None:
        cloud = self.declared()
        assert cloud.of_type("Router")["test"].inputs["externalNetworkId"] == "public"
        interface = cloud.of_type("RouterInterface")["test"]
        assert interface.inputs == {"routerId": "test-id", "subnetId": "test-id"}

    def test_subnet(self) -> None:
        subnet = self.declared().of_type("Subnet")["test"].inputs
        assert subnet == {
            "name": "test",
            "networkId": "test-id",
            "cidr": "10.1.0.0/24",
            "ipVersion": 4,
            "dnsNameservers": ["10.77.0.1"],
        }

    def test_mtu_is_the_clouds_unless_given(self) -> None:
        assert "mtu" not in self.declared().of_type("Network")["test"].inputs
        assert self.declared().exports["mtu"] == 1442
        assert self.declared(mtu=9000).of_type("Network")["test"].inputs["mtu"] == 9000

    def test_children_are_parented_to_the_component(self) -> None:
        cloud = self.declared()
        parents = {known.name: known.request.parent for known in cloud.resources if known.type != COMPONENT_NETWORK}
        assert all(parent.endswith(f"{COMPONENT_NETWORK}::test") for parent in parents.values())


COMPONENT_NETWORK = "dougong:network:Network"


class TestSecurityGroups:
    @staticmethod
    def rules(pod_cidr: str | None = None) -> dict[str, tuple[object, ...]]:
        args = SecurityGroupsArgs(
            cidr="10.1.0.0/24", access=["192.0.2.0/24"], pod_cidr=pod_cidr, node_ports={"http": 30080}
        )
        cloud = declare(lambda: SecurityGroups("test", args), Cloud())
        return {
            name: (
                rule.inputs["securityGroupId"],
                rule.inputs["remoteIpPrefix"],
                rule.inputs.get("protocol"),
                rule.inputs.get("portRangeMin"),
                rule.inputs.get("portRangeMax"),
            )
            for name, rule in cloud.of_type("SecGroupRule").items()
        }

    def test_rules_are_these_and_no_others(self) -> None:
        assert self.rules() == {
            "test-node-cluster": ("test-node-id", "10.1.0.0/24", None, None, None),
            "test-node-ssh-192.0.2.0/24": ("test-node-id", "192.0.2.0/24", "tcp", 22, 22),
            "test-node-icmp-192.0.2.0/24": ("test-node-id", "192.0.2.0/24", "icmp", None, None),
            "test-control-plane-api-192.0.2.0/24": ("test-control-plane-id", "192.0.2.0/24", "tcp", 6443, 6443),
            "test-worker-http": ("test-worker-id", "0.0.0.0/0", "tcp", 30080, 30080),
        }

    def test_pods_on_the_wire_may_pass(self) -> None:
        added = self.rules(pod_cidr="10.244.0.0/16").keys() - self.rules().keys()
        assert added == {"test-node-pods"}


class TestKeyPair:
    def test_public_key_without_the_line_end(self) -> None:
        cloud = declare(lambda: KeyPair("test", KeyPairArgs(public_key="ssh-ed25519 AAAA comment\n")), Cloud())
        assert cloud.of_type("Keypair")["test"].inputs == {"name": "test", "publicKey": "ssh-ed25519 AAAA comment"}


class TestNodePool:
    def test_instances_have_ports_and_no_networks(self) -> None:
        for name, instance in declared_pool(pool_args()).of_type("Instance").items():
            assert instance.inputs["networks"] == [{"port": f"{name}-id"}]
            assert "securityGroups" not in instance.inputs

    def test_ports_carry_the_security_groups(self) -> None:
        ports = declared_pool(pool_args()).of_type("Port")
        assert list(ports) == ["test-worker-0", "test-worker-1"]
        assert all(port.inputs["securityGroupIds"] == ["node", "worker"] for port in ports.values())

    def test_only_pods_on_the_wire_get_allowed_addresses(self) -> None:
        [overlay] = declared_pool(pool_args(count=1)).of_type("Port").values()
        [plain] = declared_pool(pool_args(count=1, allowed_addresses=("10.244.0.0/16",))).of_type("Port").values()
        assert overlay.inputs["allowedAddressPairs"] == []
        assert plain.inputs["allowedAddressPairs"] == [{"ipAddress": "10.244.0.0/16"}]

    def test_a_new_image_key_or_first_boot_does_not_replace_a_host(self) -> None:
        for instance in declared_pool(pool_args()).of_type("Instance").values():
            assert {"imageId", "userData", "keyPair"} <= set(instance.request.ignoreChanges)

    @pytest.mark.parametrize(("wanted", "policy"), [("required", "anti-affinity"), ("preferred", "soft-anti-affinity")])
    def test_anti_affinity_is_a_server_group(self, wanted: AntiAffinity, policy: str) -> None:
        cloud = declared_pool(pool_args(anti_affinity=wanted))
        assert cloud.of_type("ServerGroup")["test-worker"].inputs["policies"] == policy
        for instance in cloud.of_type("Instance").values():
            assert instance.inputs["schedulerHints"] == [{"group": "test-worker-id"}]

    def test_no_anti_affinity_is_no_server_group(self) -> None:
        cloud = declared_pool(pool_args(anti_affinity="none"))
        assert not cloud.of_type("ServerGroup")
        assert all("schedulerHints" not in instance.inputs for instance in cloud.of_type("Instance").values())

    def test_hosts_are_spread_over_the_zones_in_turn(self) -> None:
        cloud = declared_pool(pool_args(count=5, availability_zones=("a", "b")))
        zones = [instance.inputs["availabilityZone"] for _, instance in sorted(cloud.of_type("Instance").items())]
        assert zones == ["a", "b", "a", "b", "a"]
        assert [host["zone"] for host in cloud.exports["hosts"]] == zones

    def test_floating_ips_only_on_request(self) -> None:
        assert not declared_pool(pool_args()).of_type("FloatingIp")
        addresses = declared_pool(pool_args(external_network="public")).of_type("FloatingIp")
        assert addresses["test-worker-1"].inputs["portId"] == "test-worker-1-id"

    def test_hosts_output(self) -> None:
        [host] = declared_pool(pool_args(count=1, external_network="public")).exports["hosts"]
        assert host == {
            "name": "test-worker-0",
            "pool": "worker",
            "role": "worker",
            "index": 0,
            "address": "10.1.0.3",
            "public_address": "public-test-worker-0",
            "zone": "nova",
            "server_id": "test-worker-0-id",
            "volumes": [
                {
                    "name": "etcd",
                    "id": "test-worker-0-etcd-id",
                    "device": "/dev/vdb",
                    "size": 2,
                    "mount": "/var/lib/etcd",
                    "filesystem": "ext4",
                }
            ],
        }

    def test_host_without_floating_ip_says_so(self) -> None:
        [host] = declared_pool(pool_args(count=1)).exports["hosts"]
        assert host["public_address"] is None


class TestDataVolumes:
    @staticmethod
    def declared(protect: bool = True) -> Cloud:
        args = DataVolumesArgs(instance_id="server", volumes=VOLUMES, protect=protect)
        return declare(lambda: DataVolumes("host-0", args), Cloud())

    def test_volumes(self) -> None:
        volumes = self.declared().of_type("Volume")
        assert volumes["host-0-etcd"].inputs["volumeType"] == "fast"
        assert volumes["host-0-etcd"].inputs["size"] == 2
        assert "volumeType" not in volumes["host-0-data"].inputs

    @pytest.mark.parametrize("protect", [True, False])
    def test_protection(self, protect: bool) -> None:
        assert all(volume.request.protect is protect for volume in self.declared(protect).of_type("Volume").values())

    def test_attached_one_after_another(self) -> None:
        second = self.declared().of_type("VolumeAttach")["host-0-data"]
        assert "openstack:compute/volumeAttach:VolumeAttach::host-0-etcd" in second.dependencies


class TestLoadBalancer:
    @staticmethod
    def declared(provider: str = "ovn", external_network: str | None = "public") -> Cloud:
        args = LoadBalancerArgs(
            provider="ovn" if provider == "ovn" else "amphora",
            subnet_id="subnet",
            listeners=[
                Listener(name="http", port=80, member_port=30080),
                Listener(name="https", port=443, member_port=30443),
            ],
            members=["10.1.0.3", "10.1.0.4"],
            external_network=external_network,
            access=["192.0.2.0/24"],
        )
        return declare(lambda: LoadBalancer("test", args), Cloud())

    def test_children_are_made_one_after_another(self) -> None:
        cloud = self.declared()
        kinds = ("Listener", "Pool", "Members", "Monitor")
        chain = [cloud.of_type("LoadBalancer")["test"]]
        chain += [cloud.of_type(kind)[name] for name in ("test-http", "test-https") for kind in kinds]
        for earlier, later in pairwise(chain):
            assert earlier.urn in later.dependencies, f"{later.urn} does not wait for {earlier.urn}"

    def test_each_has_time_enough(self) -> None:
        for known in self.declared().resources:
            if known.type.startswith("openstack:loadbalancer/"):
                assert known.request.customTimeouts.create == "30m"

    def test_every_pool_is_watched(self) -> None:
        cloud = self.declared()
        watched = {monitor.inputs["poolId"] for monitor in cloud.of_type("Monitor").values()}
        assert watched == {"test-http-id", "test-https-id"}
        assert all(monitor.inputs["type"] == "TCP" for monitor in cloud.of_type("Monitor").values())

    def test_members_go_to_the_node_port(self) -> None:
        members = self.declared().of_type("Members")["test-https"].inputs["members"]
        assert members == [
            {"address": "10.1.0.3", "protocolPort": 30443, "subnetId": "subnet"},
            {"address": "10.1.0.4", "protocolPort": 30443, "subnetId": "subnet"},
        ]

    def test_ovn_can_balance_by_source_only_and_has_no_allowed_cidrs(self) -> None:
        cloud = self.declared("ovn")
        assert {pool.inputs["lbMethod"] for pool in cloud.of_type("Pool").values()} == {"SOURCE_IP_PORT"}
        assert all("allowedCidrs" not in listener.inputs for listener in cloud.of_type("Listener").values())

    def test_amphora_restricts_the_listeners(self) -> None:
        cloud = self.declared("amphora")
        assert {pool.inputs["lbMethod"] for pool in cloud.of_type("Pool").values()} == {"ROUND_ROBIN"}
        assert all(lis.inputs["allowedCidrs"] == ["192.0.2.0/24"] for lis in cloud.of_type("Listener").values())

    def test_floating_ip_of_the_vip(self) -> None:
        assert self.declared().of_type("FloatingIp")["test"].inputs["portId"] == "test-vip-port-id"
        assert not self.declared(external_network=None).of_type("FloatingIp")
