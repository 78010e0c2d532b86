"""The picture of an installation: what is in it, and that both ways of drawing it are well-formed."""

import re
import shutil
from xml.etree import ElementTree

import networkx as nx
import pytest
from installation import outputs

from dougong import paths, topology
from dougong.errors import DougongError
from dougong.platform import Platform, load

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def lab() -> Platform:
    return load(paths.platform_file("lab"))


@pytest.fixture
def production() -> Platform:
    return load(paths.platform_file("production"))


def lines(graph: "nx.DiGraph[str]", node: str) -> list[str]:
    found: list[str] = graph.nodes[node]["lines"]
    return found


def test_every_host_is_in_its_pool_with_what_it_carries(lab: Platform) -> None:
    graph = topology.graph(lab, outputs(lab))

    hosts = {node: data["parent"] for node, data in graph.nodes(data=True) if data["kind"] == "host"}
    assert hosts == {
        "lab-control-plane-0": "pool-control-plane",
        "lab-worker-0": "pool-worker",
        "lab-worker-1": "pool-worker",
        "lab-services-0": "pool-services",
    }
    assert lines(graph, "lab-worker-0") == ["10.1.0.11 · 172.24.4.11 · nova", "data 2 GiB  /srv/data"]


def test_traffic_goes_from_people_through_load_balancers_to_pools(production: Platform) -> None:
    graph = topology.graph(production, outputs(production))

    assert nx.shortest_path(graph, "users", "pool-worker-memory") == ["users", "external", "apps", "pool-worker-memory"]
    assert graph.edges["apps", "pool-worker"]["label"] == "30080 demo, 30443"
    assert graph.edges["external", "apps"]["label"] == "172.24.4.5:80, 443"
    assert graph.edges["api", "pool-control-plane"]["label"] == "6443"
    assert not graph.has_edge("external", "pool-worker"), "hosts behind the bastion are not reached from outside"
    assert graph.edges["pool-bastion", "pool-worker"]["label"] == "SSH"


def test_before_the_first_up_the_picture_shows_what_is_wanted(lab: Platform) -> None:
    graph = topology.graph(lab)

    assert lines(graph, "lab-worker-0") == ["data 2 GiB  /srv/data"]
    assert graph.edges["external", "api"]["label"] == ":6443"


def test_large_pools_are_drawn_short(production: Platform) -> None:
    graph = topology.graph(production)

    assert graph.nodes["pool-worker-more"]["title"] == "3 more"
    assert "prod-worker-2" in graph
    assert "prod-worker-3" not in graph


def test_without_listeners_there_is_no_load_balancer_for_applications(lab: Platform) -> None:
    none = lab.load_balancers.model_copy(update={"apps": []})

    graph = topology.graph(lab.model_copy(update={"load_balancers": none}))

    assert "apps" not in graph
    assert "api" in graph


def test_mermaid_is_well_formed(production: Platform) -> None:
    text = topology.mermaid(production, outputs(production))

    declared = set(re.findall(r"^ *(?:subgraph )?(\w+)(?:\[|\(\[)", text, re.MULTILINE))
    used = {node for edge in re.findall(r"^  (\w+) -->(?:\|[^|]*\|)? (\w+)$", text, re.MULTILINE) for node in edge}
    assert used <= declared
    # The network, and in it the pools.
    begun, ended = (re.findall(pattern, text, re.MULTILINE) for pattern in (r"^ *subgraph ", r"^ *end$"))
    assert len(begun) == len(ended) == 1 + len(production.pools)
    assert all(line.count('"') % 2 == 0 for line in text.splitlines())


def test_names_cannot_break_out_of_the_picture(lab: Platform) -> None:
    cloud = lab.cloud.model_copy(update={"external_network": 'a"b<c>&\\'})
    strange = lab.model_copy(update={"cloud": cloud})

    assert "a#quot;b#lt;c#gt;&" in topology.mermaid(strange)
    if shutil.which("dot"):
        assert 'a"b<c>&\\' in "".join(ElementTree.fromstring(topology.svg(strange)).itertext())  # noqa: S314 - our own


@pytest.mark.skipif(not shutil.which("dot"), reason="needs Graphviz")
def test_svg_shows_all_names(production: Platform) -> None:
    root = ElementTree.fromstring(topology.svg(production, outputs(production)))  # noqa: S314 - our own

    assert root.tag == f"{SVG}svg"
    words = {text.text.replace("\N{NO-BREAK SPACE}", " ").strip() for text in root.iter(f"{SVG}text") if text.text}
    assert {"Users", "Operators", "internet", "prod-control-plane-2", "prod-worker-memory-0", "3 more"} <= words
    assert "10.20.0.16 · az-3" in words


def test_without_graphviz_the_remedy_is_told(lab: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(DougongError, match="Graphviz") as caught:
        topology.svg(lab)

    assert "apt-get install graphviz" in caught.value.remedy
