"""What role `containerd` leaves on a host."""

import json

from testinfra.host import Host


def test_service_runs_now_and_at_boot(host: Host) -> None:
    service = host.service("containerd")
    assert service.is_running
    assert service.is_enabled


def test_sandbox_image_is_pinned_and_systemd_manages_cgroups(host: Host) -> None:
    effective = host.check_output("containerd config dump")
    assert "sandbox = 'registry.k8s.io/pause:" in effective
    assert "SystemdCgroup = true" in effective


def test_container_runs_from_an_imported_image(host: Host) -> None:
    run = host.run("ctr --namespace=k8s.io run --rm dougong.local/test-tools:1.0.0 probe busybox hostname")
    assert run.rc == 0, run.stderr


def test_the_kubelet_may_not_delete_an_imported_image(host: Host) -> None:
    [image] = host.check_output("ctr --namespace=k8s.io images list name==dougong.local/test-tools:1.0.0").splitlines()[
        1:
    ]
    assert "io.cri-containerd.pinned=pinned" in image


def test_cni_plugins_are_there(host: Host) -> None:
    answer = host.run("CNI_COMMAND=VERSION /opt/cni/bin/loopback </dev/null")
    assert "1.0.0" in json.loads(answer.stdout)["supportedVersions"]
