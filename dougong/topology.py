"""A picture of an installation: who comes in where, what balances the load, which hosts there are, what they carry.

One graph is made from platform.yml, and from the stack's outputs where there are some; Mermaid and SVG are two ways of
writing it down. Pools of many hosts are drawn short.
"""

import html
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import networkx as nx

from dougong.errors import DougongError
from dougong.platform import Platform, Pool

Graph = nx.DiGraph  # nodes: kind, title, lines, parent; edges: label

SHOWN = 4
"""Hosts of a pool that are drawn; of more, the first ones and a number."""

# Kind → fill and border. Dark text on light fills, readable on white and on a dark page.
COLOURS = {
    "person": ("#f8fafc", "#64748b"),
    "external": ("#e2e8f0", "#475569"),
    "network": ("#f0f9ff", "#0284c7"),
    "load-balancer": ("#fef3c7", "#d97706"),
    "control-plane": ("#e0e7ff", "#4f46e5"),
    "worker": ("#dcfce7", "#16a34a"),
    "services": ("#f3e8ff", "#9333ea"),
    "bastion": ("#fee2e2", "#dc2626"),
    "host": ("#ffffff", "#94a3b8"),
    "more": ("#ffffff", "#94a3b8"),
}
GROUPS = ("network", "control-plane", "worker", "services", "bastion")


def graph(platform: Platform, outputs: Mapping[str, Any] | None = None) -> "nx.DiGraph[str]":
    """The installation as a graph.

    Args:
        platform: what is wanted.
        outputs: outputs of stacks/cluster; without them the picture has no addresses.

    Returns:
        Nodes have `kind`, `title`, `lines` and `parent` (the group they are drawn in, or ""); edges have a `label`.
    """
    found = outputs or {}
    drawn: nx.DiGraph[str] = nx.DiGraph(title=platform.name, caption=_caption(platform))
    _add(drawn, "users", "person", "Users")
    _add(drawn, "operators", "person", "Operators", [", ".join(map(str, platform.network.access))])
    _add(drawn, "external", "external", platform.cloud.external_network, ["external network", "floating IPs"])
    mtu = found.get("mtu") or platform.network.mtu
    network = ["tenant network", str(platform.network.cidr), *([f"MTU {mtu}"] if mtu else [])]
    _add(drawn, "network", "network", platform.name, network)
    for name, pool in platform.pools.items():
        _add_pool(drawn, platform, name, pool, found)
    _add_load_balancers(drawn, platform, found)
    _connect_people(drawn, platform)
    return drawn


def mermaid(platform: Platform, outputs: Mapping[str, Any] | None = None) -> str:
    """The picture as a Mermaid flowchart, which GitHub and GitLab draw.

    Args:
        platform, outputs: as in `graph`.
    """
    return "\n".join(_mermaid(graph(platform, outputs))) + "\n"


def svg(platform: Platform, outputs: Mapping[str, Any] | None = None) -> str:
    """The picture as SVG, drawn by Graphviz.

    Args:
        platform, outputs: as in `graph`.

    Raises:
        DougongError: Graphviz is not installed.
    """
    return draw(dot(graph(platform, outputs)), "svg").decode()


def draw(text: str, form: str) -> bytes:
    """Have Graphviz draw its own language.

    Args:
        text: in the language of Graphviz.
        form: svg, png, pdf, …

    Raises:
        DougongError: Graphviz is not installed, or refuses the text.
    """
    try:
        return subprocess.run(["dot", f"-T{form}"], input=text.encode(), capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise DougongError(
            "Graphviz, which draws the picture, is not installed.",
            "sudo apt-get install graphviz; `dougong topology` without --svg needs nothing.",
        ) from error
    except subprocess.CalledProcessError as error:
        raise DougongError(f"Graphviz could not draw the picture: {error.stderr.decode().strip()}") from error


# --- the graph --------------------------------------------------------------------------------------------------------


def _add(
    drawn: "nx.DiGraph[str]", node: str, kind: str, title: str, lines: Iterable[str] = (), *, parent: str = ""
) -> None:
    drawn.add_node(node, kind=kind, title=title, lines=list(lines), parent=parent)


def _add_pool(drawn: "nx.DiGraph[str]", platform: Platform, name: str, pool: Pool, outputs: Mapping[str, Any]) -> None:
    group = f"pool-{name}"
    carried = [service for service, wanted in platform.services.beside().items() if wanted.pool == name]
    lines = [f"{pool.count} x {pool.flavor}", *([", ".join(carried)] if carried else [])]
    _add(drawn, group, pool.role, name, lines, parent="network")
    made = {host["name"]: host for host in outputs.get("hosts", [])}
    names = [f"{platform.name}-{name}-{index}" for index in range(pool.count)]
    shown = names if len(names) <= SHOWN else names[: SHOWN - 1]
    volumes = [f"{volume.name} {volume.size} GiB  {volume.mount}" for volume in pool.volumes]
    for host in shown:
        _add(drawn, host, "host", host, [*_addresses(made.get(host)), *volumes], parent=group)
    if len(shown) < len(names):
        _add(drawn, f"{group}-more", "more", f"{len(names) - len(shown)} more", parent=group)


def _addresses(host: Mapping[str, Any] | None) -> list[str]:
    if host is None:
        return []
    return [" · ".join(filter(None, (host["address"], host["public_address"], host["zone"])))]


def _add_load_balancers(drawn: "nx.DiGraph[str]", platform: Platform, outputs: Mapping[str, Any]) -> None:
    balancer = platform.load_balancers.provider
    provider = "HAProxy, keepalived" if balancer == "keepalived" else f"Octavia, {balancer}"
    pools = platform.pools.items()
    api = outputs.get("api") or {}
    _add(drawn, "api", "load-balancer", "Kubernetes API", [provider, *_vip(api)], parent="network")
    drawn.add_edge("external", "api", label=f"{api.get('public_address') or ''}:6443")
    for name, pool in pools:
        if pool.role == "control-plane":
            drawn.add_edge("api", f"pool-{name}", label="6443")
    if platform.load_balancers.apps:
        apps = outputs.get("apps") or {}
        ports = [listener.port for listener in platform.load_balancers.apps]
        public = f"{apps.get('public_address') or ''}:{', '.join(map(str, ports))}"
        _add(drawn, "apps", "load-balancer", "Applications", [provider, *_vip(apps)], parent="network")
        drawn.add_edge("external", "apps", label=public)
        routes = ", ".join(_route(platform, name, port) for name, port in _listeners(platform))
        for name, pool in pools:
            if pool.role == "worker":
                drawn.add_edge("apps", f"pool-{name}", label=routes)


def _vip(balancer: Mapping[str, Any]) -> list[str]:
    return [balancer["address"]] if balancer.get("address") else []


def _listeners(platform: Platform) -> Iterator[tuple[str, int]]:
    for listener in platform.load_balancers.apps:
        yield listener.name, listener.node_port


def _route(platform: Platform, listener: str, port: int) -> str:
    demo = platform.services.demo
    return f"{port} demo" if demo.enabled and demo.listener == listener else str(port)


def _connect_people(drawn: "nx.DiGraph[str]", platform: Platform) -> None:
    drawn.add_edge("users", "external", label="")
    drawn.add_edge("operators", "external", label="")
    for name, pool in platform.pools.items():
        if pool.floating_ip:
            drawn.add_edge("external", f"pool-{name}", label="SSH")
        elif platform.network.bastion:
            drawn.add_edge(f"pool-{platform.network.bastion}", f"pool-{name}", label="SSH")


def _caption(platform: Platform) -> str:
    orchestrator, plugin = platform.orchestrator, platform.network_plugin
    software = (
        f"{orchestrator.type.capitalize()} {orchestrator.version} · {plugin.type.capitalize()} {plugin.encapsulation}"
    )
    return f"{software} · pods {orchestrator.pod_cidr} · services {orchestrator.service_cidr}"


def _edges(drawn: "nx.DiGraph[str]") -> Iterator[tuple[str, str, str]]:
    for start, end, data in drawn.edges(data=True):
        yield start, end, data["label"]


def _children(drawn: "nx.DiGraph[str]", parent: str) -> list[str]:
    return [node for node, data in drawn.nodes(data=True) if data["parent"] == parent]


def _first_leaf(drawn: "nx.DiGraph[str]", node: str) -> str:
    """The node itself, or the first one drawn inside of it."""
    inside = _children(drawn, node)
    return _first_leaf(drawn, inside[0]) if inside else node


# --- Mermaid ----------------------------------------------------------------------------------------------------------


def _mermaid(drawn: "nx.DiGraph[str]") -> Iterator[str]:
    yield "---"
    title = f"{drawn.graph['title']}: {drawn.graph['caption']}"
    yield f"title: {json.dumps(title, ensure_ascii=False)}"
    yield "---"
    yield "flowchart TB"
    yield from _mermaid_nodes(drawn, "", 1)
    for start, end, label in _edges(drawn):
        arrow = f'-->|"{_escape(label)}"|' if label else "-->"
        yield f"  {_id(start)} {arrow} {_id(end)}"
    for kind, (fill, border) in COLOURS.items():
        members = [_id(node) for node, data in drawn.nodes(data=True) if data["kind"] == kind]
        if members:
            yield f"  classDef {_id(kind)} fill:{fill},stroke:{border},color:#0f172a"
            yield f"  class {','.join(members)} {_id(kind)}"


def _mermaid_nodes(drawn: "nx.DiGraph[str]", parent: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for node in _children(drawn, parent):
        data = drawn.nodes[node]
        if data["kind"] in GROUPS:
            heading = _escape(" · ".join([data["title"], *data["lines"]]))
            yield f'{indent}subgraph {_id(node)}["{heading}"]'
            yield from _mermaid_nodes(drawn, node, depth + 1)
            yield f"{indent}end"
        else:
            label = "<br/>".join([f"<b>{_escape(data['title'])}</b>", *map(_escape, data["lines"])])
            opening, closing = ("([", "])") if data["kind"] == "person" else ("[", "]")
            yield f'{indent}{_id(node)}{opening}"{label}"{closing}'


def _id(name: str) -> str:
    return name.replace("-", "_")


def _escape(text: str) -> str:
    """Any text inside of a quoted label; Mermaid's entities begin with # and not with &."""
    entities = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;"}
    return "".join(entities.get(character, character) for character in text)


# --- Graphviz ---------------------------------------------------------------------------------------------------------


def dot(drawn: "nx.DiGraph[str]") -> str:
    """A graph in the language of Graphviz.

    Args:
        drawn: as `graph` returned it.
    """
    return "\n".join(_dot(drawn)) + "\n"


def _dot(drawn: "nx.DiGraph[str]") -> Iterator[str]:
    yield "digraph {"
    yield '  graph [compound=true, rankdir=TB, ranksep=0.4, nodesep=0.3, fontname="Helvetica", bgcolor=white, pad=0.3]'
    yield '  node [fontname="Helvetica", fontsize=11, fontcolor="#0f172a", shape=plain]'
    yield '  edge [fontname="Helvetica", fontsize=10, fontcolor="#334155", color="#64748b", arrowsize=0.7]'
    yield f'  labelloc=b; fontsize=11; fontcolor="#475569"; label={_string(drawn.graph["caption"])}'
    yield from _dot_nodes(drawn, "", 1)
    for start, end, label in _edges(drawn):
        # Edges of a group are drawn from and to its first node and cut off at its border.
        ends = {"ltail": start, "lhead": end}
        cut = [f'{key}="cluster_{node}"' for key, node in ends.items() if drawn.nodes[node]["kind"] in GROUPS]
        attributes = ", ".join([f"label={_string(f' {label} ')}", *cut])
        yield f'  "{_first_leaf(drawn, start)}" -> "{_first_leaf(drawn, end)}" [{attributes}]'
    yield "}"


def _dot_nodes(drawn: "nx.DiGraph[str]", parent: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for node in _children(drawn, parent):
        data = drawn.nodes[node]
        fill, border = COLOURS[data["kind"]]
        if data["kind"] in GROUPS:
            yield f'{indent}subgraph "cluster_{node}" {{'
            place = "b" if data["kind"] == "network" else "t"  # arrows come in from above
            yield f'{indent}  style="rounded,filled"; fillcolor="{fill}"; color="{border}"; margin=14'
            yield f"{indent}  labelloc={place}; labeljust=l; fontsize=11; label=<{_heading(data, border)}>"
            yield from _dot_nodes(drawn, node, depth + 1)
            if data["kind"] != "network":
                yield from _stack(_children(drawn, node), indent)
            yield f"{indent}}}"
        else:
            yield f'{indent}"{node}" [label=<{_box(data, fill, border)}>]'


def _stack(hosts: list[str], indent: str) -> Iterator[str]:
    """Hosts of a pool one below the other, in their order: Graphviz needs invisible edges for that."""
    for above, below in pairwise(hosts):
        yield f'{indent}  "{above}" -> "{below}" [style=invis, weight=100]'


def _heading(data: Mapping[str, Any], colour: str) -> str:
    facts = html.escape("   ".join(["", *data["lines"]]))
    return f'<font color="{colour}"><b>{html.escape(data["title"])}</b></font><font color="#475569">{facts}</font>'


def _box(data: Mapping[str, Any], fill: str, border: str) -> str:
    """A table with rounded corners: the title, then small lines."""
    rows = [f"<tr><td> &nbsp;<b>{html.escape(data['title'])}</b>&nbsp; </td></tr>"]
    rows += [
        f'<tr><td><font point-size="9" color="#475569">&nbsp;{html.escape(line)}&nbsp;</font></td></tr>'
        for line in data["lines"]
    ]
    style = f'style="rounded" bgcolor="{fill}" color="{border}"'
    return f'<table border="1" cellborder="0" cellspacing="0" cellpadding="3" {style}>{"".join(rows)}</table>'


def _string(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
