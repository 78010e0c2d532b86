#!/usr/bin/python3
"""Snapshots of a cluster's volumes, taken for a backup: on a control-plane host, by kubectl.

    dougong-volume-snapshots BACKUP --keep COUNT

They are VolumeSnapshot objects beside their claims, made before etcd's snapshot, so that a restored cluster knows them.
A claim with the label dougong.local/backup=no is left out. Prints each claim's snapshot, or its trouble, as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

GROUP = "snapshot.storage.k8s.io"
# On snapshots the id of their backup, on a claim "no".
LABEL = "dougong.local/backup"
IS_DEFAULT = f"{GROUP}/is-default-class"
# A snapshot of Cinder's is made in seconds; one that a driver uploads somewhere takes minutes.
TIMEOUT_SECONDS = 300
POLL_SECONDS = 2


def kubectl(*words: str, stdin: str | None = None) -> str:
    """What kubectl prints, as the administrator.

    Raises:
        SystemExit: it failed; with what it said.
    """
    command = ["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=30s", *words]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"dougong-volume-snapshots: `{' '.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout


def get(*words: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(kubectl("get", *words, "--output=json"))["items"]
    return items


def class_of(driver: str, classes: list[dict[str, Any]]) -> str | None:
    """The class for a driver's volumes: its default, or the only one there is."""
    own = [each["metadata"] for each in classes if each["driver"] == driver]
    default = [each for each in own if (each.get("annotations") or {}).get(IS_DEFAULT) == "true"]
    found = default or own
    return str(found[0]["name"]) if len(found) == 1 else None


def wanted(
    claims: list[dict[str, Any]], volumes: list[dict[str, Any]], classes: list[dict[str, Any]], backup: str
) -> list[dict[str, Any]]:
    """One entry for each claim that has a volume: claim, snapshot and manifest, or trouble."""
    drivers = {each["metadata"]["name"]: (each["spec"].get("csi") or {}).get("driver") for each in volumes}
    found = []
    for claim in claims:
        if claim["status"].get("phase") != "Bound":
            continue
        namespace, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
        driver = drivers[claim["spec"]["volumeName"]]
        chosen = class_of(driver, classes) if driver else None
        if not chosen:
            trouble = f"{driver or 'its storage'} has no VolumeSnapshotClass of its own, or several and no default"
            found.append({"claim": f"{namespace}/{name}", "trouble": trouble})
            continue
        snapshot = f"{name}-{backup.rpartition('-')[2].lower()}"
        manifest = {
            "apiVersion": f"{GROUP}/v1",
            "kind": "VolumeSnapshot",
            "metadata": {"name": snapshot, "namespace": namespace, "labels": {LABEL: backup}},
            "spec": {"volumeSnapshotClassName": chosen, "source": {"persistentVolumeClaimName": name}},
        }
        found.append({"claim": f"{namespace}/{name}", "snapshot": snapshot, "manifest": manifest})
    return found


def states(backup: str) -> dict[str, dict[str, Any]]:
    """namespace/name of each snapshot of a backup → its status."""
    return {
        f"{each['metadata']['namespace']}/{each['metadata']['name']}": each.get("status") or {}
        for each in get("volumesnapshots", "--all-namespaces", f"--selector={LABEL}={backup}")
    }


def wait(entries: list[dict[str, Any]], backup: str) -> None:
    """Wait until all can be used, and note the trouble of those that cannot."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        known = states(backup)
        for entry in entries:
            status = known.get(f"{entry['claim'].partition('/')[0]}/{entry['snapshot']}", {})
            said = (status.get("error") or {}).get("message") or "it is not ready"
            entry["trouble"] = "" if status.get("readyToUse") else said
        if not any(entry["trouble"] for entry in entries) or time.monotonic() > deadline:
            return
        time.sleep(POLL_SECONDS)


def prune(count: int) -> None:
    """Delete the snapshots of all but the newest backups."""
    found = get("volumesnapshots", "--all-namespaces", f"--selector={LABEL}")
    backups = sorted({each["metadata"]["labels"][LABEL] for each in found})
    for old in backups[:-count]:
        kubectl("delete", "volumesnapshots", "--all-namespaces", f"--selector={LABEL}={old}", "--wait=false")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("backup", help="id of the backup that they belong to")
    parser.add_argument("--keep", type=int, required=True, help="of how many backups they stay")
    asked = parser.parse_args()
    classes = get("volumesnapshotclasses") if served() else []
    claims = get("persistentvolumeclaims", "--all-namespaces", f"--selector={LABEL}!=no")
    found = wanted(claims, get("persistentvolumes"), classes, asked.backup)
    taken = [entry for entry in found if "manifest" in entry]
    if taken:
        items = [entry.pop("manifest") for entry in taken]
        kubectl("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        wait(taken, asked.backup)
        prune(asked.keep)
    print(json.dumps(found, indent=2))


def served() -> bool:
    """Whether the cluster knows snapshots at all."""
    return "volumesnapshots" in kubectl("api-resources", f"--api-group={GROUP}", "--output=name")


if __name__ == "__main__":
    main()
