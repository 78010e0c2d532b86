#!/usr/bin/python
"""Ansible module: how long a disk takes to make a small write durable, measured by fio, once in the life of a host."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: fsync_latency
short_description: Latency of fdatasync as etcd would feel it
description:
  - Writes as etcd writes its log, small pieces one after another, each followed by fdatasync, and keeps the result as a
    local fact. A result that is there already is returned without another measurement.
options:
  path:
    description: Folder on the disk. The file that is written there is removed.
    type: path
    required: true
  fact:
    description: File of the local fact.
    type: path
    required: true
  limit:
    description: Milliseconds. Above it the 99th percentile is worth a note.
    type: float
    required: true
"""
RETURN = """
p50_ms, p99_ms:
  description: Percentiles of the latency in milliseconds.
  type: float
samples:
  description: How many writes were measured.
  type: int
note:
  description: What to tell the person who runs it; only of a disk that is too slow.
  type: str
"""

# Block and file size are those of etcd's own advice (etcd.io/docs, "Hardware recommendations", fio): the mean size of
# an entry of its log, and enough of them. A slow disk is measured for 10 s instead of minutes: a 1000 writes will do.
COMMAND = [
    *("fio", "--name=fsync", "--rw=write", "--ioengine=sync", "--fdatasync=1", "--bs=2300", "--size=22m"),
    *("--runtime=10", "--output-format=json"),
]


def measure(module: AnsibleModule) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=module.params["path"], prefix="fsync-") as folder:
        code, out, error = module.run_command([*COMMAND, f"--directory={folder}"])
    if code:
        module.fail_json(msg=f"{' '.join(COMMAND)}: {error.strip() or out.strip()}")
    # fio may say something before the document begins.
    latency = json.loads(out[out.index("{") :])["jobs"][0]["sync"]["lat_ns"]
    return {
        "p50_ms": round(latency["percentile"]["50.000000"] / 1e6, 3),
        "p99_ms": round(latency["percentile"]["99.000000"] / 1e6, 3),
        "samples": latency["N"],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "fact": {"type": "path", "required": True},
            "limit": {"type": "float", "required": True},
        },
    )
    fact, limit = Path(module.params["fact"]), module.params["limit"]
    measured = not fact.exists()
    if measured:
        result = measure(module)
        fact.parent.mkdir(parents=True, exist_ok=True)
        fact.write_text(json.dumps(result) + "\n")
    else:
        result = json.loads(fact.read_text())
    note = {}
    if result["p99_ms"] > limit:
        text = (
            f"fdatasync takes {result['p99_ms']} ms (p99) in {module.params['path']}; etcd wants {limit:g} ms, "
            "or it loses its leader under load: give the volume a faster type, on SSDs and shared with nobody"
        )
        note = {"note": text}
    module.exit_json(changed=measured, **result, **note)


if __name__ == "__main__":
    main()
