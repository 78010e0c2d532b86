#!/bin/sh
# mmdebstrap's customize hook: turns the root file system in $1 into a cloud image. $2 is this folder; $3 is lxc, qemu or kvm.
set -eu
root=$1
files=$2
virt_type=$3

# The metadata service is the only data source there is: probing for others costs seconds at each boot.
cat >"$root/etc/cloud/cloud.cfg.d/90-lab.cfg" <<EOF
datasource_list: [OpenStack]
datasource:
  OpenStack: {metadata_urls: ["http://169.254.169.254"], timeout: 5, max_wait: 120, apply_network_config: false}
network: {config: disabled}
apt_preserve_sources_list: true
EOF
cat >"$root/etc/systemd/network/20-lab.network" <<EOF
[Match]
Name=e*
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
ClientIdentifier=mac
UseMTU=yes
EOF
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
echo localhost >"$root/etc/hostname"
: >"$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_*
chroot "$root" systemctl enable systemd-networkd systemd-resolved
# Timers that would use the two cores of a small machine at a moment nobody expects.
chroot "$root" systemctl disable systemd-timesyncd apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer

if [ "$virt_type" = lxc ]; then
    rm "$root/usr/sbin/init"
    install -m 755 "$files/init" "$root/usr/sbin/init"
    install -m 755 "$files/libvirt-initctl" "$root/usr/local/sbin/libvirt-initctl"
    install -m 644 "$files/libvirt-initctl.service" "$files/mount-fstab.service" "$root/etc/systemd/system/"
    chroot "$root" systemctl enable libvirt-initctl.service mount-fstab.service
    # There is no console, the root is mounted by libvirt, and modules belong to the host.
    chroot "$root" systemctl mask getty@tty1.service console-getty.service systemd-remount-fs.service \
        systemd-growfs-root.service modprobe@efi_pstore.service
    mkdir -p "$root/etc/systemd/system.conf.d"
    printf '[Manager]\nDefaultTimeoutStopSec=10s\n' >"$root/etc/systemd/system.conf.d/10-lab.conf"
    : >"$root/etc/fstab"
else
    echo 'LABEL=root / ext4 defaults,x-systemd.growfs 0 1' >"$root/etc/fstab"
    # Without a device to look at, initramfs-tools would pack every driver there is: 5 times the size and boot time.
    sed -i 's/^MODULES=.*/MODULES=list/' "$root/etc/initramfs-tools/initramfs.conf"
    printf '%s\n' virtio_pci virtio_blk virtio_net ext4 >>"$root/etc/initramfs-tools/modules"
    chroot "$root" update-initramfs -u -k all
fi
rm -f "$root"/var/lib/apt/lists/*_*
