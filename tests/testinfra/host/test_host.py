"""What role `host` leaves on a host, seen from outside the role."""

from testinfra.host import Host


def test_pods_can_be_routed(host: Host) -> None:
    assert host.sysctl("net.ipv4.ip_forward") == 1


def test_settings_survive_a_restart(host: Host) -> None:
    lines = host.file("/etc/sysctl.d/90-dougong.conf").content_string.splitlines()
    assert "net.ipv4.ip_forward = 1" in lines
    settings = [line for line in lines if line and not line.startswith("#")]
    reasons = [line for line in lines if line.startswith("# ")]
    assert len(reasons) >= len(settings), "each setting is explained"


def test_settings_of_a_shared_kernel_are_left_alone(host: Host) -> None:
    if host.run("systemd-detect-virt --container").rc != 0:
        assert host.sysctl("vm.overcommit_memory") == 1
    else:
        assert "vm.overcommit_memory" not in host.file("/etc/sysctl.d/90-dougong.conf").content_string


def test_root_is_shared(host: Host) -> None:
    assert host.check_output("findmnt --noheadings --output PROPAGATION /").strip() == "shared"


def test_passwords_and_root_are_refused_by_ssh(host: Host) -> None:
    effective = host.check_output("sshd -T").splitlines()
    assert {"permitrootlogin no", "passwordauthentication no", "x11forwarding no"} <= set(effective)


def test_nothing_failed(host: Host) -> None:
    assert host.check_output("systemctl list-units --state=failed --plain --no-legend") == ""


def test_data_volume_is_mounted_with_its_file_system(host: Host) -> None:
    mount = host.mount_point("/srv/data")
    assert mount.exists
    assert mount.filesystem == "ext4"
    assert "noatime" in mount.options


def test_data_volume_is_mounted_at_boot(host: Host) -> None:
    with_mount = host.run("umount /srv/data && systemctl restart container-mounts && mountpoint /srv/data")
    assert with_mount.rc == 0, with_mount.stderr
