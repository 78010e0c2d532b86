"""A first look at the machine: what it has, what it lacks, what will be fetched or built, and how long that takes."""

from __future__ import annotations

import os
import platform as machine
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dougong import artifacts, console, environment, paths
from dougong.artifacts import catalogue
from dougong.artifacts.cache import Cache
from dougong.artifacts.fetch import Settings
from dougong.platform import Platform

# What the embedded OpenStack with the default inventory was seen to take: 4.3 GB for its services, 4 hosts of
# 1 to 2 GB at work, and room for a compiler.
_MEMORY_GIB = 14
# Base image, guest image, three disks, caches of compilers: 20 GiB were seen to go in a cold run. A lab that is there
# has taken its part already, and wants room to work.
_DISK_GIB = 40
_DISK_OF_A_LAB_GIB = 10
_CORES = 2

# A registry that has not answered by then would make a build painful, too.
_REGISTRY_SECONDS = 20

# Each is tried in a network namespace of its own, which goes with the command: the machine's network is not touched.
_NETWORK_FEATURES = {
    "VXLAN": "ip link add probe type vxlan id 1 dstport 4789",
    "bridge": "ip link add probe type bridge",
    "veth": "ip link add probe type veth peer name eborp",
    "nftables": "nft add table inet probe",
    "IP sets": "nft 'add table inet probe; add set inet probe s { type ipv4_addr; }'",
    "tun": "ip tuntap add dev probe mode tap",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `failed` stops `dougong up`, a `warning` does not."""

    state: Literal["ok", "warning", "failed"]
    name: str
    detail: str
    remedy: str = ""


def examine(name: str) -> bool:
    """Look at the machine and show what was found.

    Args:
        name: the environment that is to be built: only the embedded OpenStack wants much of the machine.

    Returns:
        Whether `dougong up` can work.

    Raises:
        DougongError: platform.yml is invalid.
    """
    described = environment.platform(name)
    findings = [*_software(), *_artifacts(described)]
    if described.cloud.embedded:
        findings += [*_size(), *_kernel()]
    console.findings([(finding.state, finding.name, finding.detail, finding.remedy) for finding in findings])
    failed = sum(finding.state == "failed" for finding in findings)
    console.out().print()
    console.out().print("This machine will do: dougong up" if not failed else f"{failed} things are in the way.")
    return not failed


def _software() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok", "python", f"{version} in {Path(sys.prefix)}")
    for program, reason in (
        ("podman", "the embedded OpenStack and the tests run in containers"),
        ("mmdebstrap", "images of machines are made from Debian packages"),
        ("ssh", "hosts are reached by SSH"),
        ("git", "run records name the revision"),
    ):
        found = shutil.which(program)
        yield (
            Finding("ok", program, _version(program))
            if found
            else Finding("failed", program, f"missing: {reason}", "./setup installs it (requirements.apt)")
        )


def _version(program: str) -> str:
    words = [program, "-V"] if program == "ssh" else [program, "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    numbers = re.search(r"\d+\.[\w.]+", done.stdout or done.stderr)
    return numbers[0] if numbers else "of an unknown version"


def _size() -> Iterator[Finding]:
    yield (
        Finding("ok", "user", "root")
        if os.geteuid() == 0
        else Finding("failed", "user", "not root: the embedded OpenStack needs privileged containers", "sudo make up")
    )
    cores = os.cpu_count() or 1
    yield _enough("cores", cores, _CORES, "", "slower, but it works", hard=False)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield _enough("memory", round(memory), _MEMORY_GIB, " GiB", "use a larger machine, or a real cloud")
    folder = next(folder for folder in (paths.cache(), *paths.cache().parents) if folder.exists())
    free = shutil.disk_usage(folder).free / 2**30
    # What roles/lab_host keeps while there is a lab.
    wanted = _DISK_OF_A_LAB_GIB if (paths.state() / "openstack" / "sysctls.json").exists() else _DISK_GIB
    yield _enough("disk", round(free), wanted, f" GiB free below {folder}", "make room, or set XDG_CACHE_HOME")


def _enough(name: str, there: int, wanted: int, unit: str, remedy: str, *, hard: bool = True) -> Finding:
    if there >= wanted:
        return Finding("ok", name, f"{there}{unit}")
    return Finding("failed" if hard else "warning", name, f"{there}{unit}; {wanted} are wanted", remedy)


def _kernel() -> Iterator[Finding]:
    release = machine.release()
    yield Finding("ok", "kernel", release)
    filesystems = Path("/proc/filesystems").read_text().split()
    lacking = [name for name in ("overlay", "ext4") if name not in filesystems]
    lacking += [name for name in ("loop-control", "net/tun", "fuse") if not Path("/dev", name).exists()]
    if os.geteuid() == 0:
        for name, command in _NETWORK_FEATURES.items():
            words = ["unshare", "--net", "sh", "-c", command]
            if subprocess.run(words, capture_output=True, check=False).returncode != 0:
                lacking.append(name)
    if lacking:
        yield Finding(
            "failed",
            "kernel has no",
            ", ".join(lacking),
            f"a kernel with these, or their modules for {release}: modprobe",
        )
    else:
        yield Finding("ok", "kernel has", f"overlay, ext4, loop, fuse, {', '.join(_NETWORK_FEATURES)}")


def _artifacts(described: Platform) -> Iterator[Finding]:
    """What `up` has still to get. Nothing is asked of the network: a closed one may take minutes to say so."""
    known, cache = catalogue.default(), Cache()
    wanted = [known.get(spec) for spec in artifacts.for_platform(described)]
    missing = [item for item in wanted if not cache.get(item, catalogue.target(), known.definition(item))]
    if not missing:
        yield Finding("ok", "artifacts", f"all {len(wanted)} are in the cache ({paths.cache()})")
        return
    sources = Settings.from_environment().sources
    minutes = max(1, round(known.build_seconds(missing) / (os.cpu_count() or 1) / 60))
    ways = []
    if "official" in sources:
        ways.append("fetched from upstream")
    if "build" in sources:
        ways.append(f"built from Go modules and Debian packages, about {minutes} min on this machine")
    yield Finding(
        "ok", "artifacts", f"{len(missing)} of {len(wanted)} are to be had: {', or '.join(ways) or 'from nowhere'}"
    )
    if "build" in sources:
        yield from _registries()


def _registries() -> Iterator[Finding]:
    """Whether what builds are made from can be had, asked through the clients as they are configured here."""
    if shutil.which("go") is None:
        remedy = "install Go 1.21 or later; it fetches the version that a build asks for"
        yield Finding("warning", "go", "missing: what upstream does not hand out cannot be built here", remedy)
    else:
        # Any module does; this one is among those that are built.
        yield _asked(
            "go modules", ["go", "list", "-m", "-f", "{{.Version}}", "golang.org/x/sync@latest"], "go env GOPROXY"
        )
    yield _asked("debian", ["apt-get", "--quiet", "--quiet", "update"], "/etc/apt/sources.list*")


def _asked(name: str, words: list[str], setting: str) -> Finding:
    try:
        subprocess.run(words, cwd="/", capture_output=True, text=True, check=True, timeout=_REGISTRY_SECONDS)
    except (FileNotFoundError, subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1]
        return Finding("warning", name, f"cannot be reached: {said}", f"look at {setting}")
    return Finding("ok", name, "can be reached")
