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


def test_ssh_speaks_strong_algorithms_only(host: Host) -> None:
    effective = dict(line.split(" ", 1) for line in host.check_output("sshd -T").splitlines() if " " in line)
    offered = ",".join(effective[name] for name in ("ciphers", "macs", "kexalgorithms"))
    assert not [weak for weak in ("sha1", "cbc", "md5", "arcfour", "nistp") if weak in offered]
    assert effective["clientaliveinterval"] == "300"


def test_security_updates_have_their_window_and_nothing_else_changes_by_itself(host: Host) -> None:
    window = host.check_output("systemctl show apt-daily-upgrade.timer --property=TimersCalendar")
    assert "OnCalendar=*-*-* 03:00:00" in window
    assert "06:00:00" not in window, "Debian's own time is replaced"
    assert host.service("apt-daily-upgrade.timer").is_enabled
    settings = host.check_output("apt-config dump")
    assert 'Unattended-Upgrade::Automatic-Reboot "false"' in settings
    origins = [line for line in settings.splitlines() if line.startswith("Unattended-Upgrade::Origins-Pattern::")]
    assert len(origins) == 1
    assert "Debian-Security" in origins[0]


def test_unattended_upgrades_accepts_its_configuration(host: Host) -> None:
    run = host.run("unattended-upgrade --dry-run --debug")
    assert run.rc == 0, run.stderr
    assert (
        "Allowed origins are: origin=Debian,codename=trixie-security,label=Debian-Security" in run.stdout + run.stderr
    )


def test_memory_does_not_end_in_files(host: Host) -> None:
    if host.run("systemd-detect-virt --container").rc != 0:
        assert host.check_output("systemctl show --property=DefaultLimitCORE") == "DefaultLimitCORE=0"
        assert host.sysctl("fs.suid_dumpable") == 0
    assert host.sysctl("net.ipv4.conf.all.accept_redirects") == 0
