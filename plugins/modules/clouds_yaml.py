#!/usr/bin/python
"""Ansible module: entries of clouds.yaml; everything else in the file, comments included, stays as it is."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ruamel.yaml import YAML

DOCUMENTATION = """
module: clouds_yaml
short_description: Entries of a clouds.yaml
description:
  - Adds, corrects or removes entries and leaves all others alone. The file is readable by its owner only.
options:
  path:
    description: The file.
    type: path
    required: true
  present:
    description: Entries by name.
    type: dict
    default: {}
  absent:
    description: Names of entries to remove. A file without any entry left is removed.
    type: list
    elements: str
    default: []
"""


def converge(text: str, present: dict[str, Any], absent: list[str]) -> str:
    """The new text of a clouds.yaml; empty when no entry is left."""
    yaml = YAML()
    yaml.width = 1000
    document = yaml.load(text) or {}
    clouds = document.setdefault("clouds", {})
    before = {name: clouds.get(name) for name in [*present, *absent]}
    for name in absent:
        clouds.pop(name, None)
    clouds.update(present)
    if before == {**dict.fromkeys(absent), **present}:
        return text
    if not clouds and set(document) == {"clouds"}:
        return ""
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(temporary).rename(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "present": {"type": "dict", "default": {}, "no_log": True},
            "absent": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    before = path.read_text() if path.exists() else ""
    after = converge(before, module.params["present"], module.params["absent"])
    private = not before or path.stat().st_mode & 0o077 == 0
    if not module.check_mode:
        if after != before:
            if after:
                write(path, after)
            else:
                path.unlink()
        elif not private:
            path.chmod(0o600)
    module.exit_json(changed=after != before or not private)


if __name__ == "__main__":
    main()
