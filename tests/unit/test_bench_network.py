"""What the tools print becomes numbers, and numbers become ratios."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dougong import runs
from dougong.bench import cli, network
from dougong.bench.network import BASE, Measurement, NetworkPath, Result
from dougong.bench.samples import Samples
from dougong.errors import DougongError

SOCKPERF = """
sockperf: ====> avg-rtt=61.245 (std-dev=18.031)
sockperf: Summary: Round trip is 61.245 usec
sockperf: Total 31873 observations; each percentile contains 318.73 observations
sockperf: ---> <MAX> observation =  941.120
sockperf: ---> percentile 99.000 =  104.310
sockperf: ---> percentile 50.000 =   58.271
sockperf: ---> <MIN> observation =   31.048
"""
IPERF3 = json.dumps({"end": {"sum_sent": {"bits_per_second": 2e9}, "sum_received": {"bits_per_second": 1.9e9}}})


def test_samples() -> None:
    samples = Samples([3.0, 1.0, 2.0])
    assert (samples.median, samples.spread, samples.against(Samples([4.0]))) == (2.0, 1.0, 0.5)


def test_what_the_tools_print_is_understood() -> None:
    assert network.round_trip(SOCKPERF) == 58.271
    assert network.throughput(IPERF3) == 1.9e9
    with pytest.raises(DougongError, match="has not said a median"):
        network.round_trip("sockperf: ERROR: No messages were received from the server.")


def test_each_path_is_measured_in_turn_from_its_client() -> None:
    paths = [
        NetworkPath(BASE, "host-client", "10.1.0.5", {"iperf3": 1, "sockperf": 2}),
        NetworkPath("pod to pod", "client", "10.244.0.5", {"iperf3": 3, "sockperf": 4}),
    ]
    asked: list[tuple[str, str, str]] = []

    def execute(pod: str, words: list[str]) -> str:
        target = next(word for word in words if word.startswith(("--ip=", "--client=")))
        asked.append((pod, words[0], target.partition("=")[2]))
        return SOCKPERF if words[0] == "sockperf" else IPERF3

    results = network.rounds(paths, execute, runs.current())
    one_round = [
        ("host-client", "sockperf", "10.1.0.5"),
        ("host-client", "iperf3", "10.1.0.5"),
        ("client", "sockperf", "10.244.0.5"),
        ("client", "iperf3", "10.244.0.5"),
    ]
    assert asked == one_round * network.RUNS
    assert [result.round_trips for result in results] == [[58.271] * network.RUNS] * 2


@pytest.fixture
def measured() -> Measurement:
    base = Result(NetworkPath(BASE, "a", "b", {}), [50.0, 40.0, 60.0], [2e9, 2e9, 1e9])
    pods = Result(NetworkPath("pod to pod, across nodes", "a", "b", {}), [75.0, 100.0, 75.0], [1.5e9, 1e9, 1.6e9])
    return Measurement([base, pods], {"pod to load balancer": "there is none"})


def test_ratios_are_those_of_medians(measured: Measurement) -> None:
    data: dict[str, Any] = cli.as_data(measured)
    base, pods = data["paths"]
    assert (base["round_trip_ratio"], base["throughput_ratio"]) == (1.0, 1.0)
    assert (pods["round_trip_ratio"], pods["throughput_ratio"]) == (1.5, 0.75)
    assert (base["round_trip_spread"], pods["runs"]["round_trip_us"]) == (0.4, [75.0, 100.0, 75.0])
    assert data["left_out"] == {"pod to load balancer": "there is none"}


def test_the_table_has_each_path_and_the_reason_of_what_is_left_out(
    measured: Measurement, capsys: pytest.CaptureFixture[str]
) -> None:
    cli._show(measured)
    said = capsys.readouterr().out
    assert "1.50" in said
    assert "0.75" in said
    assert "pod to load balancer: there is none" in said
