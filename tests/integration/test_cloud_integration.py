"""What runs on the cluster uses the cloud beneath: load balancers and volumes that nobody declared."""

from __future__ import annotations

import pytest
import requests

from tests.cluster_probe import Cluster, eventually
from tests.integration.harness import Installation
from tests.integration.shop import Shop

# Applications are in use while somebody runs `dougong up`.
pytestmark = pytest.mark.usefixtures("again")

TEXT = "written before the move"

# OVN makes a load balancer in 3 s, then its children one after another.
_LOAD_BALANCER_SECONDS = 120


def ask(shop: Shop) -> str | None:
    """What the application answers behind its load balancer; None when nobody does."""
    address = shop.address()
    if address is None:
        return None
    try:
        return requests.get(f"http://{address}/index.html", timeout=3).text.strip()
    except requests.RequestException:
        return None


def test_nodes_know_their_servers(api: Cluster, installation: Installation) -> None:
    servers = {host["name"]: host for host in installation.outputs["hosts"]}
    for node in api.get("nodes")["items"]:
        server = servers[node["metadata"]["name"]]
        assert node["spec"]["providerID"] == f"openstack:///{server['server_id']}"
        assert node["metadata"]["labels"]["topology.kubernetes.io/zone"] == server["zone"]
        pool = installation.platform.pools[server["pool"]]
        assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == pool.flavor


def test_first_storage_class_is_the_default(api: Cluster, installation: Installation) -> None:
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = api.get("storageclasses")["items"]
    defaults = [item["metadata"]["name"] for item in classes if item["metadata"]["annotations"][mark] == "true"]
    assert defaults == [installation.platform.orchestrator.cloud_integration.storage_classes[0].name]


def test_a_service_gets_a_load_balancer_that_answers_from_outside(shop: Shop) -> None:
    shop.execute(f"echo {TEXT} >/data/index.html && sync")
    assert eventually(lambda: ask(shop) == TEXT, _LOAD_BALANCER_SECONDS)


def test_a_volume_follows_its_pod_to_another_node(shop: Shop, workers: list[str]) -> None:
    shop.execute(f"echo {TEXT} >/data/index.html && sync")
    shop.run_on(workers[1])
    assert shop.execute("cat /data/index.html").strip() == TEXT
    assert eventually(lambda: ask(shop) == TEXT)


def test_a_volume_grows_while_it_is_used(shop: Shop) -> None:
    shop.grow("2Gi")
    kibibytes = "df -k /data | tail -n 1 | awk '{print $2}'"
    assert eventually(lambda: int(shop.execute(kibibytes)) > 1900 * 1024, 120)


def test_a_snapshot_becomes_a_volume_with_the_same_files(shop: Shop) -> None:
    shop.execute(f"echo {TEXT} >/data/index.html && sync")
    shop.snapshot("yesterday")
    shop.execute("echo changed since >/data/index.html")
    shop.restore("yesterday")
    assert shop.execute("cat /data/index.html", "pod/yesterday").strip() == TEXT
