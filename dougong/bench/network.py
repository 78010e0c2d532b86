"""Latency and throughput of the pod network's paths, against that of the hosts' own network in the same run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dougong import ansible, artifacts, cloud, environment, progress, runs
from dougong.artifacts import catalogue
from dougong.bench.samples import Samples
from dougong.errors import DougongError
from dougong.platform import Platform
from dougong.runs import Recorder

NAMESPACE = "network-bench"
PLAYBOOK = "playbooks/bench-network.yml"
# As in roles/network_bench.
_PORTS = {"iperf3": 15201, "sockperf": 15202}
_HOST_PORTS = {"iperf3": 15203, "sockperf": 15204}

RUNS = 3
_SECONDS = 2
# TCP starts slowly: iperf3 leaves the first second out, sockperf warms up by itself.
_WARM_UP_SECONDS = 1
_BALANCER_PATIENCE_SECONDS = 120.0

BASE = "host to host"


@dataclass(frozen=True)
class NetworkPath:
    """From a client's pod to an address; the ports are those of its iperf3 and sockperf servers."""

    name: str
    client: str
    address: str
    ports: Mapping[str, int]


@dataclass
class Result:
    """What one path is like: round trips in microseconds (medians), throughput in bits per second."""

    path: NetworkPath
    round_trips: list[float] = field(default_factory=list)
    throughputs: list[float] = field(default_factory=list)


@dataclass
class Measurement:
    """All paths, the hosts' own first; and the paths that could not be measured, with the reason."""

    results: list[Result]
    left_out: dict[str, str]


Exec = Callable[[str, list[str]], str]


def measure(name: str) -> Measurement:
    """Start servers and clients, measure each path RUNS times in turn, and remove everything.

    Args:
        name: the environment.

    Raises:
        DougongError: the pods do not start, or a tool failed.
    """
    with runs.start("bench network", name, phases=("artifacts", "pods", "measure", "remove")) as run:
        run.tell_steps = False
        platform = environment.platform(name)
        with run.phase("artifacts"):
            artifacts.ensure(catalogue.default().members("network-bench"), progress.of_artifacts(run))
            run.summary("the tools are in the cache")
        with _pods(name, run), run.phase("measure"):
            kubectl = Kubectl(environment.variables(name, platform))
            found, left_out = paths(kubectl, platform)
            results = rounds(found, kubectl.execute, run)
            run.summary(f"{len(found)} paths, {RUNS} times each")
    return Measurement(results, left_out)


@contextmanager
def _pods(name: str, run: Recorder) -> Iterator[None]:
    """The pods are there, and are gone afterwards, whatever happens in between."""
    try:
        with run.phase("pods"):
            ansible.run(name, PLAYBOOK)
        yield
    finally:
        with run.phase("remove"):
            ansible.run(name, PLAYBOOK, extra_vars={"network_bench_state": "absent"})


class Kubectl:
    """kubectl with the administrator's kubeconfig, in the measurement's namespace."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = environment.overlay(dict(variables))

    def __call__(self, *arguments: str) -> str:
        words = ["kubectl", f"--namespace={NAMESPACE}", *arguments]
        done = subprocess.run(
            words, env=self._variables, capture_output=True, text=True, check=False, timeout=60 + _SECONDS
        )
        if done.returncode:
            said = (done.stderr + done.stdout).strip().splitlines()[-5:]
            raise DougongError(
                f"`{shlex.join(words)}` failed\n" + "\n".join(f"  {line}" for line in said),
                f"is the path open? dougong check; by hand: {PLAYBOOK}, then the same command",
            )
        return done.stdout

    def get(self, *what: str) -> Any:
        return json.loads(self("get", *what, "--output=json"))

    def execute(self, pod: str, words: list[str]) -> str:
        return self("exec", pod, "--", *words)


def paths(kubectl: Kubectl, platform: Platform | None = None) -> tuple[list[NetworkPath], dict[str, str]]:
    """What there is to measure between the pods, and what there is not, with the reason.

    Args:
        kubectl: of the cluster.
        platform: the installation, in whose cloud the load balancer is looked for; None without a cloud.

    Raises:
        DougongError: both clients are on one node, since there is no other.
    """
    pods = {pod["metadata"]["name"]: pod for pod in kubectl.get("pods")["items"]}
    services = {service["spec"]["type"]: service for service in kubectl.get("services")["items"]}
    addresses = {name: pod["status"]["podIP"] for name, pod in pods.items()}
    service = services["ClusterIP"]["spec"]["clusterIP"]
    if pods["server"]["spec"]["nodeName"] == pods["client-across"]["spec"]["nodeName"]:
        raise DougongError("there is one node only: no path leads from one to another", "measure with two or more")
    found = [
        NetworkPath(BASE, "host-client", addresses["host-server"], _HOST_PORTS),
        NetworkPath("pod to pod, same node", "client-beside", addresses["server"], _PORTS),
        NetworkPath("pod to pod, across nodes", "client-across", addresses["server"], _PORTS),
        NetworkPath("pod to Service, across nodes", "client-across", service, _PORTS),
    ]
    balanced = "pod to load balancer"
    if "LoadBalancer" not in services or platform is None:
        return found, {balanced: "the cloud makes no load balancers for Services here"}
    address = _balancer(kubectl, platform)
    if not address:
        return found, {balanced: f"it was not there after {_BALANCER_PATIENCE_SECONDS:.0f} s"}
    return [*found, NetworkPath(balanced, "client-across", address, _PORTS)], {}


def _balancer(kubectl: Kubectl, platform: Platform) -> str | None:
    """The load balancer's address within the network, once it works.

    To its address outside kube-proxy would find a shorter way, past the load balancer, from every node.
    """
    connection = cloud.connect(platform)
    deadline = time.monotonic() + _BALANCER_PATIENCE_SECONDS
    name = f"kube_service_{platform.name}_{NAMESPACE}_loadbalancer"
    while time.monotonic() < deadline:
        balancer = connection.load_balancer.find_load_balancer(name)
        ready = kubectl.get("service", "loadbalancer")["status"]["loadBalancer"].get("ingress")
        if balancer and ready and balancer.provisioning_status == "ACTIVE":
            return str(balancer.vip_address)
        time.sleep(2)
    return None


def rounds(found: list[NetworkPath], execute: Exec, run: Recorder) -> list[Result]:
    """Measure all paths in turn, RUNS times: what disturbs the machine for a while disturbs all of them.

    Args:
        found: the paths.
        execute: runs a command in a pod and returns what it prints.
        run: told of each measurement.
    """
    results = [Result(path) for path in found]
    total = RUNS * len(found)
    for turn in range(RUNS):
        for index, result in enumerate(results):
            run.progress(turn * len(found) + index, total)
            step = run.step(f"{result.path.name}, run {turn + 1} of {RUNS}")
            step.begin()
            path = result.path
            result.round_trips.append(round_trip(execute(path.client, sockperf(path))))
            result.throughputs.append(throughput(execute(path.client, iperf3(path))))
            step.end("ok")
            step.finish()
    return results


def sockperf(path: NetworkPath) -> list[str]:
    """The command that sends a small message to and fro."""
    return [
        *("sockperf", "ping-pong", "--tcp", "--full-rtt", f"--time={_SECONDS}"),
        *(f"--ip={path.address}", f"--port={path.ports['sockperf']}"),
    ]


def iperf3(path: NetworkPath) -> list[str]:
    """The command that sends as much as there is room for."""
    return [
        *("iperf3", "--json", f"--time={_SECONDS}", f"--omit={_WARM_UP_SECONDS}"),
        *("--connect-timeout=5000", f"--client={path.address}", f"--port={path.ports['iperf3']}"),
    ]


def round_trip(printed: str) -> float:
    """The median round trip in microseconds, from what sockperf prints."""
    match = re.search(r"percentile 50\.000\s*=\s*([0-9.]+)", printed)
    if not match:
        raise DougongError(f"sockperf has not said a median:\n{printed.strip()[-500:]}", "dougong check")
    return float(match.group(1))


def throughput(printed: str) -> float:
    """Bits per second that arrived, from what iperf3 prints."""
    return float(json.loads(printed)["end"]["sum_received"]["bits_per_second"])


def samples(result: Result) -> tuple[Samples, Samples]:
    """Round trips and throughputs of a path."""
    return Samples(result.round_trips), Samples(result.throughputs)
