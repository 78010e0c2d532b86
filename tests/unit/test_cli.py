"""The command line: exit codes, words instead of tracebacks, and no waiting for --help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dougong import cli, console, environment, hands, inventory, paths, platform, runs
from dougong.errors import DougongError

runner = CliRunner()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(console, "verbose", False)
    console.err.cache_clear()
    console.out.cache_clear()
    return tmp_path / "dougong"


def dougong(*arguments: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from dougong.cli import main; main()", *arguments],
        cwd=paths.ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def body(name: str) -> str:
        raise error

    monkeypatch.setattr(environment, "exports", body)


def test_help_is_quick_and_names_the_exit_codes() -> None:
    dougong("--help")
    started = time.monotonic()
    said = dougong("--help").stdout
    assert time.monotonic() - started < 0.5 * max(1, (os.getloadavg()[0] / (os.cpu_count() or 1)))
    assert "130" in said
    for command in (
        "doctor",
        "validate",
        "plan",
        "up",
        "status",
        "inventory",
        "ssh",
        "down",
        "runs",
        "lab",
        "artifacts",
    ):
        assert command in said


def test_help_loads_no_heavy_module() -> None:
    code = "import sys; from dougong import cli; print([m for m in sys.modules if m.startswith(sys.argv[1])])"
    for module in ("pulumi", "ansible", "openstack", "kubernetes", "pydantic"):
        done = subprocess.run([sys.executable, "-c", code, module], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


def test_wrong_usage_is_2() -> None:
    assert "No such command" in dougong("nonsense", code=2).stderr
    dougong("runs", "--limit", "0", code=2)


def test_an_invalid_platform_is_2_with_line_and_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = paths.platform_file("lab").read_text().replace("count: 2", "count: two")
    (tmp_path / "platform.yml").write_text(text)
    monkeypatch.setattr(paths, "platform_file", lambda name: tmp_path / "platform.yml")
    result = runner.invoke(cli.app, ["validate"])
    assert result.exit_code == cli.INVALID
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "count: two" in row)
    assert f"platform.yml:{line}:" in result.stderr
    assert "→" in result.stderr


def test_an_unknown_environment_is_1_and_the_known_ones_are_named() -> None:
    said = dougong("validate", "-e", "nowhere", code=1).stderr
    assert "nowhere" in said
    assert "lab, lab-ha, production" in said
    assert "Traceback" not in said
    assert "nowhere" in dougong("validate", code=1, DOUGONG_ENVIRONMENT="nowhere").stderr


def test_an_error_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    fails(monkeypatch, DougongError("the roof leaks", "mend it"))
    result = runner.invoke(cli.app, ["env"])
    assert result.exit_code == cli.FAILED
    assert result.stderr == "error: the roof leaks\n  → mend it\n"


def test_a_defect_is_one_line_and_its_traceback_is_kept(monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    fails(monkeypatch, ZeroDivisionError("by nought"))
    result = runner.invoke(cli.app, ["env"])
    assert result.exit_code == cli.FAILED
    assert "unexpected ZeroDivisionError: by nought" in result.stderr
    assert "Traceback" not in result.stderr
    assert "ZeroDivisionError: by nought" in (state / "last-error.log").read_text()
    assert "Traceback" in runner.invoke(cli.app, ["--verbose", "env"]).stderr


def test_ctrl_c_is_130_and_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fails(monkeypatch, KeyboardInterrupt())
    result = runner.invoke(cli.app, ["env"])
    assert result.exit_code == cli.INTERRUPTED
    assert "goes on where it stopped" in result.stderr


def test_env_can_be_evaluated(state: Path) -> None:
    exports = dougong("env", "lab").stdout
    done = subprocess.run(
        ["bash", "-c", f'{exports}\necho "$PULUMI_STACK $PULUMI_BACKEND_URL"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"lab file://{state}/lab/pulumi\n"


def test_schema_is_json_schema() -> None:
    assert json.loads(dougong("schema").stdout)["properties"].keys() >= {"cloud", "pools", "orchestrator"}


def test_down_asks_first() -> None:
    assert "--yes" in dougong("down", code=1).stderr


def test_topology_draws_without_an_installation() -> None:
    assert "flowchart" in dougong("topology").stdout


def test_nothing_has_escape_codes_in_a_pipe() -> None:
    for command in (["runs"], ["validate"], ["--help"], ["topology"]):
        done = dougong(*command)
        assert "\x1b" not in done.stdout + done.stderr


def test_runs_are_listed_and_shown() -> None:
    assert "no runs of 'lab' yet" in runner.invoke(cli.app, ["runs"]).stdout
    with runs.start("up", "lab") as recorder, recorder.phase("network"):
        step = recorder.step("Router lab")
        step.begin()
        step.end("changed", detail="created")
        step.finish()
    identifier = recorder.run.id
    assert identifier in runner.invoke(cli.app, ["runs"]).stdout
    shown = runner.invoke(cli.app, ["runs", "show", identifier]).stdout
    assert "network" in shown
    assert "1 changes" in shown
    record = json.loads(runner.invoke(cli.app, ["runs", "show", "last", "--json"]).stdout)
    assert record["phases"][0]["steps"][0]["changed"] == ["created"]


def test_ssh_finds_a_host_by_its_end_and_uses_the_environments_key() -> None:
    described = platform.load(paths.platform_file("lab"))
    hosts = [
        {
            "name": name,
            "pool": "worker",
            "role": "worker",
            "index": index,
            "address": f"10.1.0.{index}",
            "public_address": f"172.24.4.{index}",
            "zone": "nova",
            "volumes": [],
        }
        for index, name in enumerate(("lab-worker-0", "lab-worker-1"))
    ]
    known = inventory.build(described, "lab", {"hosts": hosts})
    assert hands.match(known, "worker-1") == "lab-worker-1"
    with pytest.raises(DougongError, match="0 hosts"):
        hands.match(known, "worker-7")
    words = hands.ssh_words(known, "lab-worker-1", [], ["uptime"])
    assert words[:3] == ["ssh", "-i", str(paths.ssh_key("lab"))]
    assert "debian@172.24.4.1" in words
    assert words[-2:] == ["--", "uptime"]
