#!/bin/sh
# mmdebstrap's customize hook: makes the root file system in $1 boot as a container that the roles then configure.
set -eu
root=$1

# Debian starts what it installs. Here nothing starts before the roles have configured it.
mkdir -p "$root/etc/systemd/system-preset"
printf '%s\n' 'enable logrotate.timer' 'disable *' >"$root/etc/systemd/system-preset/00-lab.preset"
chroot "$root" systemctl preset-all

# There are no consoles. udev would manage the host's devices. libvirt asks machined for the guests' cgroups, which
# machined cannot see in a container on cgroup v1; without it libvirt manages them itself.
chroot "$root" systemctl mask getty@tty1.service console-getty.service systemd-machined.service systemd-udevd.service \
    systemd-udev-trigger.service systemd-udevd-kernel.socket systemd-udevd-control.socket lxc-net.service lxc.service
rm -f "$root/usr/share/dbus-1/system-services/org.freedesktop.machine1.service"

# The default of 90 s is for machines with disks to sync.
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStopSec=10s\n' >"$root/etc/systemd/system.conf.d/10-lab.conf"

# A process in a network namespace of its own (the metadata proxies) holds a copy of all mounts. With private mounts it
# pins every server's root file system mounted at that moment: after a stop the loop device stays busy, and the next
# start mounts the same image a second time, which destroys it. Shared mounts are unmounted in the copies, too.
cat >"$root/etc/systemd/system/lab-shared-mounts.service" <<EOF
[Unit]
Description=Mounts that reach all namespaces
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/mount --make-rshared /

[Install]
WantedBy=sysinit.target
EOF
chroot "$root" systemctl enable lab-shared-mounts.service

# Loop devices for the servers' root file systems and volumes; there is no udev to make the nodes.
{
    echo 'c /dev/loop-control 0660 root disk - 10:237'
    for number in $(seq 0 255); do echo "b /dev/loop$number 0660 root disk - 7:$number"; done
} >"$root/etc/tmpfiles.d/lab-loop.conf"
