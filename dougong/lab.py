"""The embedded OpenStack: all of it in one container on this machine, made by playbooks/lab.yml.

Servers are libvirt-lxc containers unless told otherwise: they boot in seconds and run at native speed, and they are NOT
isolated from this machine (root in a server can become root here). docs/lab.md says what follows from that.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import openstack
import typer
import yaml
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from dougong import ansible, console, paths, runs
from dougong.check import Check
from dougong.errors import DougongError
from dougong.runs import lock

INVENTORY = "inventories/localhost.yml"
ENVIRONMENT = "lab"
# Below this (GiB) the next server or image may fill the disk, and then every service fails in its own way.
MINIMUM_FREE_GIB = 5
# Seconds for one question to an API that shares two cores with everything else.
API_TIMEOUT = 20
# Seconds in which what the roles have started must have reported; seen: 12.
SETTLING = 60
# What no waiting mends.
_NOT_BY_WAITING = ("container", "route", "guard", "disk")

NOT_ISOLATED = "servers are containers and NOT isolated from this machine"


class VirtType(StrEnum):
    """What servers are: containers (fast, not isolated), emulated machines (slow), or virtual machines."""

    LXC = "lxc"
    QEMU = "qemu"
    KVM = "kvm"


@cache
def settings() -> dict[str, Any]:
    """The addresses and names of the lab, from the file in which the playbooks read them."""
    data: dict[str, Any] = yaml.safe_load((paths.ROOT / "playbooks/vars/lab.yml").read_text())
    return data


@contextmanager
def _alone(command: str) -> Iterator[runs.Recorder]:
    """The lab is one per machine: no two runs may work on it, whatever environments they are for."""
    with (
        lock.exclusive("openstack", command),
        runs.start(command, ENVIRONMENT, phases=("lab",)) as run,
        run.phase("lab"),
    ):
        yield run


def up(virt_type: VirtType | None = None) -> None:
    """Start the lab, or make it what its roles say; a second run changes nothing.

    Args:
        virt_type: what servers are; None for what playbooks/vars/lab.yml says.

    Raises:
        DougongError: a role failed, or something is not healthy afterwards.
    """
    with _alone("lab up") as run:
        extra = {"lab_virt_type": virt_type.value} if virt_type else None
        result = ansible.run(ENVIRONMENT, "playbooks/lab.yml", inventory=INVENTORY, extra_vars=extra)
        wrong = settled(SETTLING)
        if wrong:
            lines = "; ".join(f"{check.name}: {check.detail}" for check in wrong)
            raise DougongError(f"the lab is up but not healthy: {lines}", "\n".join(check.remedy for check in wrong))
        changed = len(result.changed)
        run.summary(f"{changed} changed; {NOT_ISOLATED}" if changed else "no change, healthy")


def down(*, purge: bool = False) -> None:
    """Remove the lab and all that is in it, and put this machine back as it was.

    Args:
        purge: the base image and the guest images go, too; the next `up` builds them again, in about 5 minutes.

    Raises:
        DougongError: something refused to go.
    """
    with _alone("lab down") as run:
        extra = {"lab_purge": True} if purge else None
        result = ansible.run(ENVIRONMENT, "playbooks/lab-down.yml", inventory=INVENTORY, extra_vars=extra)
        run.summary("removed" if result.changed else "there was none")


def running() -> bool:
    """Whether the lab's container runs."""
    if not shutil.which("podman"):
        return False
    return _command("podman", "container", "ls", "--quiet", f"--filter=name=^{settings()['lab_container']}$") != ""


def status() -> list[Check]:
    """Look at each part of the lab for real; the first part that is missing hides those that need it."""
    if not running():
        return [Check("container", False, "does not run", "dougong lab up")]
    checks = [Check("container", True, f"{settings()['lab_container']} runs at {settings()['lab_address']}")]
    with ThreadPoolExecutor() as pool:
        checks += pool.map(_look, ("units", "route", "guard", "disk", "cell"), (_units, _route, _guard, _disk, _cell))
    return checks + _cloud()


def settled(seconds: float) -> list[Check]:
    """What is wrong with the lab, if it is still wrong after that time; services report every ten seconds."""
    patience = Retrying(
        retry=retry_if_result(lambda wrong: any(check.name not in _NOT_BY_WAITING for check in wrong)),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(2),
        retry_error_callback=lambda last: last.outcome and last.outcome.result(),
    )
    return patience(lambda: [check for check in status() if not check.ok])


def _look(name: str, part: Callable[[], Check]) -> Check:
    """A part that cannot even be looked at, as while the lab starts, is not well; it hides no other."""
    try:
        return part()
    except DougongError as error:
        return Check(name, False, error.message, error.remedy)


def _command(*words: str) -> str:
    """Output of a command; a failure is an error with the command's own words."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DougongError(f"{' '.join(words)}: {done.stderr.strip()}", "dougong lab up")
    return done.stdout.strip()


def _inside(script: str) -> str:
    return _command("podman", "exec", settings()["lab_container"], "sh", "-c", script)


def _units() -> Check:
    """Every unit that is enabled, or was tried, must run."""
    failed = _inside("systemctl list-units --failed --plain --no-legend | cut -d' ' -f1").split()
    enabled = _inside("systemctl list-unit-files --type=service --state=enabled --no-legend | cut -d' ' -f1").split()
    states = json.loads(_inside("systemctl list-units --all --type=service --output=json"))
    active = {unit["unit"] for unit in states if unit["active"] == "active"}
    idle = sorted({*failed, *(set(enabled) - active)})
    remedy = f"podman exec {settings()['lab_container']} journalctl -u {idle[0]} -n 50" if idle else ""
    return Check("units", not idle, f"not running: {', '.join(idle)}" if idle else f"{len(enabled)} run", remedy)


def _route() -> Check:
    target, gateway = settings()["lab_floating_range"], settings()["lab_address"]
    if f"via {gateway}" in _command("ip", "route", "show", target):
        return Check("route", True, f"{target} via {gateway}")
    return Check("route", False, f"{target} does not lead to {gateway}", "dougong lab up")


def _guard() -> Check:
    if "table inet dougong_lab" in _command("nft", "list", "tables").splitlines():
        return Check("guard", True, "packets for the lab cannot leave by the uplink")
    return Check(
        "guard", False, "packets for the lab may leave by the uplink, where strangers answer", "dougong lab up"
    )


def _disk() -> Check:
    volume = _command("podman", "volume", "inspect", "--format={{.Mountpoint}}", f"{settings()['lab_container']}-nova")
    free = shutil.disk_usage(Path(volume)).free / 2**30
    remedy = "" if free >= MINIMUM_FREE_GIB else "delete servers, volumes or images; see podman system df, too"
    return Check("disk", not remedy, f"{free:.0f} GiB free", remedy)


def _cell() -> Check:
    if int(_inside("mariadb --skip-column-names --execute='SELECT COUNT(*) FROM nova_api.host_mappings'")):
        return Check("cell", True, "nova knows its host")
    return Check(
        "cell", False, "nova does not know its host, so no server can be started", "wait 10 s, it looks for hosts"
    )


def _cloud() -> list[Check]:
    """What the APIs say, asked at the same time."""
    try:
        cloud = openstack.connect(cloud="lab-admin", api_timeout=API_TIMEOUT)
        cloud.authorize()
    except (SDKException, ClientException) as error:
        return [Check("keystone", False, f"does not let us in: {error}", "dougong lab up")]

    def ask(name: str, question: Callable[[], tuple[bool, str]]) -> Check:
        try:
            ok, detail = question()
        except (SDKException, ClientException) as error:
            ok, detail = False, f"does not answer: {error}"
        unit = f"podman exec {settings()['lab_container']} systemctl status '{name}-*'"
        return Check(name, ok, detail, "" if ok else unit)

    questions: dict[str, Callable[[], tuple[bool, str]]] = {
        "glance": lambda: _image(cloud),
        "placement": lambda: _placement(cloud),
        "nova": lambda: _nova(cloud),
        "neutron": lambda: _neutron(cloud),
        "cinder": lambda: _cinder(cloud),
        "octavia": lambda: _octavia(cloud),
    }
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(ask, questions.keys(), questions.values()))
    return [Check("keystone", True, "lets us in"), *answers]


def _image(cloud: Any) -> tuple[bool, str]:
    names = [image.name for image in cloud.image.images() if image.status == "active"]
    return bool(names), f"images: {', '.join(sorted(names))}" if names else "has no image; dougong lab up"


def _placement(cloud: Any) -> tuple[bool, str]:
    count = len(list(cloud.placement.resource_providers()))
    return count > 0, f"{count} resource provider" if count else "knows no resource provider"


def _down(services: Iterable[Any]) -> list[str]:
    """Services that do not report. "up" means heard of within a minute: after a restart that may be the time before,
    and what is asked of a service that is not there yet is lost without a word."""
    text = json.loads(_command("podman", "inspect", "--format={{json .State.StartedAt}}", settings()["lab_container"]))
    started = datetime.fromisoformat(text)
    return [
        service.binary
        for service in services
        if service.state != "up"
        or not service.updated_at
        or datetime.fromisoformat(service.updated_at).replace(tzinfo=UTC) < started
    ]


def _nova(cloud: Any) -> tuple[bool, str]:
    dead = _down(cloud.compute.services())
    hypervisors = [found for found in cloud.compute.hypervisors(details=True) if found.state == "up"]
    if dead or not hypervisors:
        return False, f"down: {', '.join(dead or ['the hypervisor'])}"
    kind = hypervisors[0].hypervisor_type
    count = sum(1 for _ in cloud.compute.servers(all_projects=True))
    return True, f"hypervisor {kind}, {count} servers" + (f"; {NOT_ISOLATED}" if kind == "LXC" else "")


def _neutron(cloud: Any) -> tuple[bool, str]:
    agents = list(cloud.network.agents())
    dead = [agent.agent_type for agent in agents if not agent.is_alive]
    return bool(agents) and not dead, f"dead: {', '.join(dead)}" if dead else f"{len(agents)} agents alive"


def _cinder(cloud: Any) -> tuple[bool, str]:
    services = list(cloud.block_storage.services())
    dead = _down(services)
    return bool(services) and not dead, f"down: {', '.join(dead)}" if dead else f"{len(services)} services up"


def _octavia(cloud: Any) -> tuple[bool, str]:
    providers = [provider.name for provider in cloud.load_balancer.providers()]
    return "ovn" in providers, f"providers: {', '.join(providers)}"


app = typer.Typer(no_args_is_help=True, help="The embedded OpenStack on this machine.")

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Ansible's own output.")]


def _be_verbose(verbose: bool) -> None:
    console.verbose = console.verbose or verbose


@app.command("up")
def up_command(
    virt_type: Annotated[VirtType | None, typer.Option(help="What servers are. lxc: fast, NOT isolated.")] = None,
    verbose: Verbose = False,
) -> None:
    """Start the OpenStack of this machine, or make it what its roles say."""
    _be_verbose(verbose)
    up(virt_type)
    console.out().print("the lab is up: openstack --os-cloud lab server list · dougong lab status")


@app.command("down")
def down_command(
    purge: Annotated[bool, typer.Option("--purge", help="Remove the built images, too.")] = False,
    verbose: Verbose = False,
) -> None:
    """Remove the OpenStack of this machine with everything in it, and leave the machine as it was."""
    _be_verbose(verbose)
    down(purge=purge)


@app.command("status")
def status_command() -> None:
    """Look at each service of the OpenStack of this machine."""
    checks = status()
    console.findings([("ok" if check.ok else "failed", check.name, check.detail, check.remedy) for check in checks])
    if not all(check.ok for check in checks):
        raise typer.Exit(3)
