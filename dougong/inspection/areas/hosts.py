"""The machines: disks, clock, kernel settings, units, memory."""

from __future__ import annotations

from collections.abc import Iterator

from dougong.inspection.evidence import Disk, Evidence, Host, Memory
from dougong.inspection.finding import Finding, critical, info, warning

# kubelet's defaults: it collects images at 85 % and evicts pods when 10 % of the disk or 5 % of its inodes are left.
_DISK_WARNING, _DISK_CRITICAL = 0.85, 0.90
_INODES_LEFT_WARNING, _INODES_LEFT_CRITICAL = 0.10, 0.05
# kubelet evicts at 100 MiB; the kernel begins to look for memory long before.
_MEMORY_LEFT_WARNING, _MEMORY_LEFT_CRITICAL = 0.10, 0.03
# Share of a minute in which something waited for memory: more is felt by every process.
_WAITED_WARNING = 10.0
# etcd complains of a difference of one second; tokens and leases are off by as much.
_CLOCK_WARNING, _CLOCK_CRITICAL = 1.0, 30.0


def judge(evidence: Evidence) -> Iterator[Finding]:
    for name, host in evidence.hosts.items():
        if host.unreachable:
            yield critical(
                name,
                f"cannot be looked at: {host.unreachable}",
                f"does it run? openstack server show {name}; openstack console log show {name}",
            )
            continue
        for disk in host.disks:
            yield from _disk(name, disk)
        if host.memory:
            yield from _memory(name, host.memory, host.container)
        yield from _settings(name, host)
        yield from _clock(name, host)
        for unit in host.failed_units:
            yield warning(name, f"the unit {unit} has failed", f"systemctl status {unit}; journalctl -u {unit} -n 50")


def _disk(name: str, disk: Disk) -> Iterator[Finding]:
    if disk.error:
        yield critical(name, f"{disk.mount} cannot be read: {disk.error}", f"dmesg | tail; umount -l {disk.mount}")
        return
    # As df(1) says it: what is reserved for root counts as neither used nor available.
    share = disk.used / max(disk.used + disk.available, 1)
    what = "memory file system" if disk.tmpfs else "disk"
    remedy = f"du -xh --max-depth=2 {disk.mount} | sort -h | tail; unused images: crictl rmi --prune"
    if share >= _DISK_WARNING:
        make = critical if share >= _DISK_CRITICAL else warning
        yield make(name, f"{what} {disk.mount} is {share:.0%} full, {_bytes(disk.available)} left", remedy)
    if disk.inodes and (left := disk.inodes_free / disk.inodes) <= _INODES_LEFT_WARNING:
        make = critical if left <= _INODES_LEFT_CRITICAL else warning
        files = f"du -x --inodes --max-depth=2 {disk.mount} | sort -n | tail"
        yield make(name, f"{what} {disk.mount} has {left:.0%} of its inodes left ({disk.inodes_free})", files)


def _memory(name: str, memory: Memory, container: bool) -> Iterator[Finding]:
    left = memory.available / max(memory.total, 1)
    remedy = "who takes it: systemd-cgtop -m -n 1; kubectl top pods -A; give pods limits or the pool a larger flavor"
    if left <= _MEMORY_LEFT_WARNING:
        make = critical if left <= _MEMORY_LEFT_CRITICAL else warning
        yield make(name, f"{left:.0%} of memory is available ({_bytes(memory.available)})", remedy)
    # A system container sees the swap and the waiting of the machine below it, which is not its own.
    if container:
        return
    if memory.waited_percent is not None and memory.waited_percent >= _WAITED_WARNING:
        yield warning(name, f"something waited for memory {memory.waited_percent:.0f} % of the last minute", remedy)
    if memory.swap_total:
        yield warning(
            name,
            f"swap is on ({_bytes(memory.swap_used)} of {_bytes(memory.swap_total)} used): memory limits of pods lie",
            "swapoff -a, and take it out of /etc/fstab; dougong up does both",
        )


def _settings(name: str, host: Host) -> Iterator[Finding]:
    if host.sysctls is None:
        yield warning(name, "/etc/sysctl.d/90-dougong.conf is not there: nothing has set the kernel up", "dougong up")
        return
    for setting in host.sysctls:
        if setting.found != setting.wanted:
            yield warning(
                name,
                f"{setting.name} is {setting.found or 'unknown to the kernel'}, not {setting.wanted}",
                "systemctl restart systemd-sysctl; if it comes back: grep -r /etc/sysctl.d, or a program sets it",
            )


def _clock(name: str, host: Host) -> Iterator[Finding]:
    remedy = "timedatectl timesync-status; systemctl restart systemd-timesyncd; is UDP port 123 open?"
    offsets = [server.offset for server in host.api_servers if server.offset]
    # Zero may lie within the bounds; if not, the nearer one is what is certain.
    apart = max((_least(*offset) for offset in offsets), default=0.0)
    if apart > _CLOCK_WARNING:
        make = critical if apart > _CLOCK_CRITICAL else warning
        yield make(name, f"its clock is {apart:.1f} s or more away from a control plane's", remedy)
    elif host.clock_synchronized is False and not host.container:
        yield info(name, "its clock follows no time server (yet)", remedy)


def _least(low: float, high: float) -> float:
    return 0.0 if low <= 0 <= high else min(abs(low), abs(high))


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def seen(evidence: Evidence) -> str:
    hosts = [host for _, host in evidence.seen()]
    shares = [disk.used / max(disk.used + disk.available, 1) for host in hosts for disk in host.disks if not disk.error]
    settings = sum(len(host.sysctls or []) for host in hosts)
    fullest = f"disks at most {max(shares, default=0):.0%} full"
    return f"{len(hosts)} of {len(evidence.hosts)} looked at; {fullest}; {settings} kernel settings"
