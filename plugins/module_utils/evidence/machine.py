"""The machine: file systems, memory, kernel settings, units."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

# What host's role asks of the kernel is written here, with a comment for each setting.
SYSCTL_FILE = Path("/etc/sysctl.d/90-dougong.conf")
# File systems that hold data; the others are views of the kernel.
_REAL = {"ext4", "xfs", "btrfs", "overlay", "tmpfs"}
# Of pods and containers, whose file systems are counted where they come from; and of the kernel, which nobody fills.
_OTHERS = ("/run/containerd", "/var/lib/containerd/", "/var/lib/kubelet/pods", "/run/netns", "/run/credentials")
_KERNEL = ("/dev", "/sys", "/proc")
_LOOK_SECONDS = 10


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a tool and keep what it says; one that hangs has exit code 124, as with timeout(1)."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=_LOOK_SECONDS)
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", f"there is no {words[0]}")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"no answer within {_LOOK_SECONDS} s")


def is_container() -> bool:
    """Whether the host shares kernel, clock and swap with the machine below it."""
    return run("systemd-detect-virt", "--container", "--quiet").returncode == 0


def disks() -> list[dict[str, Any]]:
    """Each file system once, at its shortest mount point: bytes and inodes in all and free for users.

    `tmpfs` tells memory from a disk.
    """
    seen: dict[int, dict[str, Any]] = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split(" ")
        mount = mount.encode().decode("unicode_escape")
        if kind not in _REAL or mount.startswith(_OTHERS + _KERNEL) or Path(mount).is_file():
            continue
        try:
            device, space = Path(mount).stat().st_dev, os.statvfs(mount)
        except OSError as error:
            # A dead volume is worth telling: it is neither full nor fine.
            seen[-len(seen) - 1] = {"mount": mount, "error": error.strerror}
            continue
        if space.f_blocks and (device not in seen or len(mount) < len(seen[device]["mount"])):
            seen[device] = {
                "mount": mount,
                "tmpfs": kind == "tmpfs",
                "size": space.f_blocks * space.f_frsize,
                # As df(1) counts: what only root may use is not there for others.
                "used": (space.f_blocks - space.f_bfree) * space.f_frsize,
                "available": space.f_bavail * space.f_frsize,
                "inodes": space.f_files,
                "inodes_free": space.f_favail,
            }
    return sorted(seen.values(), key=lambda disk: str(disk["mount"]))


def memory() -> dict[str, Any]:
    """Bytes in all and available, swap in use, and the share of the last minute in which work waited for memory."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    found = {key: int(value.split()[0]) * 1024 for key, value in (line.split(":", 1) for line in lines)}
    pressure = Path("/proc/pressure/memory")
    waited = None
    if pressure.exists():  # kernels without PSI lack it
        some = dict(item.split("=") for item in pressure.read_text().splitlines()[0].split()[1:])
        waited = float(some["avg60"])
    return {
        "total": found["MemTotal"],
        "available": found["MemAvailable"],
        "swap_used": found["SwapTotal"] - found["SwapFree"],
        "swap_total": found["SwapTotal"],
        "waited_percent": waited,
    }


def sysctls() -> list[dict[str, str | None]] | None:
    """What the host's own file asks of the kernel, and what the kernel says; None without the file."""
    if not SYSCTL_FILE.exists():
        return None
    settings = []
    for line in SYSCTL_FILE.read_text().splitlines():
        name, separator, wanted = line.partition("=")
        if separator and not line.lstrip().startswith("#"):
            file = Path("/proc/sys", name.strip().replace(".", "/"))
            found = " ".join(file.read_text().split()) if file.exists() else None
            settings.append({"name": name.strip(), "wanted": wanted.strip(), "found": found})
    return settings


def failed_units() -> list[str]:
    """Units that systemd has given up."""
    listed = run("systemctl", "list-units", "--state=failed", "--no-legend", "--plain", "--full").stdout
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


def service(unit: str) -> dict[str, Any]:
    """State of a unit, how often it came back from a crash, and for how many seconds it has run."""
    names = "LoadState,ActiveState,NRestarts,ActiveEnterTimestampMonotonic"
    shown = run("systemctl", "show", f"--property={names}", unit).stdout
    found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    with Path("/proc/uptime").open() as file:
        uptime = float(file.read().split()[0])
    since = int(found.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    return {
        "loaded": found.get("LoadState") == "loaded",
        "state": found.get("ActiveState", "unknown"),
        "restarts": int(found.get("NRestarts") or 0),
        "seconds": round(uptime - since) if since else 0,
    }


def synchronized() -> bool | None:
    """Whether the clock follows a time server; None where nobody on the host could tell."""
    answer = run("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return answer.stdout.strip() == "yes" if answer.returncode == 0 and answer.stdout.strip() else None


def mtu_of(address: str) -> int | None:
    """MTU of the interface with this address."""
    listed = run("ip", "-oneline", "-4", "address", "show", "to", f"{address}/32").stdout.split()
    if len(listed) < 2:
        return None
    return int(Path("/sys/class/net", listed[1].split("@")[0], "mtu").read_text())
