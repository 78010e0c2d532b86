"""Whether an installation is there and healthy, from the cloud up to the application's answer."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kubernetes.client import CoreV1Api

from dougong import (
    application,
    cluster_api,
    console,
    environment,
    hands,
    inventory,
    lab,
    logs,
    monitoring,
    paths,
    registry,
    runs,
    stacks,
)
from dougong.check import Check
from dougong.errors import DougongError
from dougong.images import admission
from dougong.platform import Platform

# A host in the lab answers in 0.3 s; one across an ocean in 2 s.
_SSH_TIMEOUT_SECONDS = 8


def status(name: str) -> bool:
    """Look at everything and show it.

    Returns:
        Whether all is well.
    """
    well = True
    option = "" if name == "lab" else f" -e {name}"
    with runs.silent():
        for finding in look(name):
            state = "ok" if finding.ok else "failed"
            console.findings([(state, f"{finding.name:<13}", finding.detail, finding.remedy)])
            well = well and finding.ok
    console.out().print()
    console.out().print(
        "healthy" if well else f"not healthy; dougong up{option} puts right what differs from platform.yml"
    )
    return well


def look(name: str) -> Iterator[Check]:
    """The findings one after another, as they are made."""
    platform = environment.platform(name)
    yield Check("platform.yml", True, f"valid: {sum(pool.count for pool in platform.pools.values())} hosts wanted")
    if platform.cloud.embedded:
        checks = lab.status()
        wrong = [check for check in checks if not check.ok]
        yield from (Check("lab", False, f"{check.name}: {check.detail}", check.remedy) for check in wrong)
        if wrong:
            return
        yield Check("lab", True, f"{len(checks)} checks passed")
    try:
        outputs = inventory.read_outputs(name, platform)
    except inventory.NoStackError as missing:
        yield Check("stacks", False, missing.message, missing.remedy)
        return
    for stack in stacks.ORDER:
        yield _stack(name, stack)
    known = inventory.build(platform, name, outputs)
    hosts = [_host(name, host, answer) for host, answer in _ask_all(known)]
    yield from (finding for finding in hosts if not finding.ok)
    reached = sum(finding.ok for finding in hosts)
    wanted = sum(pool.count for pool in platform.pools.values())
    yield Check("hosts", reached == wanted, f"{reached} of {wanted} answer by SSH")
    yield from _cluster(name, platform)
    signed = [tenant for tenant, wanted in platform.tenants.items() if wanted.signed_images]
    if signed and paths.kubeconfig(name).exists():
        yield admission.check(name, signed)
    if platform.services.registry.enabled:
        yield registry.check(name, known)
    if platform.services.logging.enabled:
        yield logs.check(name, platform, known)
    if platform.services.monitoring.enabled:
        yield monitoring.check(name, known)
    if address := application.url(platform, outputs):
        answers, detail = application.ask(address)
        yield Check("application", answers, detail, "" if answers else "kubectl -n demo get pods,endpoints -o wide")


def _stack(name: str, stack: str) -> Check:
    try:
        changes = stacks.preview(name, stack)
    except DougongError as error:
        return Check(f"stack {stack}", False, error.message, error.remedy)
    differs = stacks.differs(changes)
    return Check(
        f"stack {stack}",
        not differs,
        f"differs from platform.yml: {stacks.summary(changes)}" if differs else stacks.summary(changes),
        f"pulumi -C stacks/{stack} preview --diff --stack {name}" if differs else "",
    )


def _ask_all(known: inventory.Inventory) -> Iterable[tuple[str, subprocess.CompletedProcess[str]]]:
    def ask(host: str) -> tuple[str, subprocess.CompletedProcess[str]]:
        options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={_SSH_TIMEOUT_SECONDS}"]
        words = hands.ssh_words(known, host, options, ["systemctl", "is-system-running"])
        return host, subprocess.run(words, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(max_workers=50) as pool:
        return list(pool.map(ask, known.hosts))


def _host(name: str, host: str, answer: subprocess.CompletedProcess[str]) -> Check:
    if answer.returncode == 255:  # ssh(1): its own failure, not the command's
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Check(host, False, f"cannot be reached: {reason}", f"openstack console log show {host}")
    state = answer.stdout.strip()
    if state not in ("running", "starting"):
        return Check(host, False, f"systemd says: {state}", f"dougong ssh -e {name} {host} -- systemctl --failed")
    return Check(host, True, state)


def _cluster(name: str, platform: Platform) -> Iterator[Check]:
    if not paths.kubeconfig(name).exists():
        yield Check("nodes", False, "there is no kubeconfig yet", "dougong up")
        return
    api = CoreV1Api(cluster_api.connect(paths.kubeconfig(name)))
    try:
        nodes: list[Any] = api.list_node(_request_timeout=10).items
        pods: list[Any] = api.list_pod_for_all_namespaces(_request_timeout=10).items
    except cluster_api.REFUSALS as error:
        reason = f"the API server does not answer: {getattr(error, 'reason', error)}"
        yield Check("nodes", False, reason, "kubectl get --raw '/readyz?verbose'")
        return
    wanted = sum(pool.count for pool in platform.pools.values() if pool.role in ("control-plane", "worker"))
    bad = [(node.metadata.name, trouble) for node in nodes if (trouble := _node_trouble(node))]
    yield from (Check("nodes", False, f"{node}: {why}", f"kubectl describe node {node}") for node, why in bad)
    ready = len(nodes) - len(bad)
    yield Check("nodes", ready == wanted, f"{ready} of {wanted} are Ready")
    bad = [(f"-n {pod.metadata.namespace} {pod.metadata.name}", why) for pod in pods if (why := _pod_trouble(pod))]
    yield from (Check("pods", False, f"{pod}: {why}", f"kubectl describe pod {pod}") for pod, why in bad)
    yield Check("pods", not bad, f"{len(pods) - len(bad)} of {len(pods)} are at work")


def _node_trouble(node: Any) -> str:
    ready = next((condition for condition in node.status.conditions if condition.type == "Ready"), None)
    if ready is None:
        return "its kubelet has never reported"
    return "" if ready.status == "True" else str(ready.message)


def _pod_trouble(pod: Any) -> str:
    if pod.status.phase == "Succeeded":
        return ""
    for container in pod.status.container_statuses or []:
        if not container.ready:
            waiting = container.state.waiting
            return f"container {container.name}: {waiting.reason if waiting else 'not ready'}"
    return "" if pod.status.phase == "Running" else str(pod.status.phase)
