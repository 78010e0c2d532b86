#!/usr/bin/python
"""Module `files`: several small files at once."""

import os
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: files
author: Dougong
short_description: Several small files at once
description:
  - Writes the configuration files of a component in one step. A task of C(ansible.builtin.template) for each of them
    takes four round trips to the host, and on the many runs that change nothing most of the time.
  - Missing folders are made (0755). A file is replaced as a whole, or not at all.
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      dest: {description: Where, type: path, required: true}
      content: {description: "What, as a rule by lookup('ansible.builtin.template', …)", type: str, required: true}
      mode: {description: Mode, type: str, default: "0644"}
      validate: {description: Command that checks a file before it is put in place; %s is its path, type: str}
"""

EXAMPLES = """
- files:
    files:
      - dest: /etc/containerd/config.toml
        content: "{{ lookup('ansible.builtin.template', 'config.toml.j2') }}"
"""

RETURN = """
changed_files: {description: Paths of what changed, type: list, elements: str, returned: always}
"""


def read(path: str) -> str | None:
    """What is in a file; None if there is none."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # plain modules of the host's Python are enough
            return file.read()
    except FileNotFoundError:
        return None


def write(module: AnsibleModule, file: dict[str, Any]) -> None:
    """Check the new content and put it in place in one step."""
    folder = os.path.dirname(file["dest"])  # noqa: PTH120
    os.makedirs(folder, mode=0o755, exist_ok=True)  # noqa: PTH103
    handle, path = tempfile.mkstemp(dir=folder)
    module.add_cleanup_file(path)
    with os.fdopen(handle, "w", encoding="utf-8") as new:
        new.write(file["content"])
    if file["validate"]:
        code, out, err = module.run_command(file["validate"] % path)
        if code != 0:
            module.fail_json(msg=f"{file['dest']} would be refused: {err or out}")
    os.chmod(path, int(file["mode"], 8))  # noqa: PTH101
    module.atomic_move(path, file["dest"])


def main() -> None:
    """Compare each file with what is wanted; write what differs."""
    options = {
        "dest": {"type": "path", "required": True},
        "content": {"type": "str", "required": True},
        "mode": {"type": "str", "default": "0644"},
        "validate": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={"files": {"type": "list", "elements": "dict", "required": True, "options": options}},
        supports_check_mode=True,
    )
    changed, diffs = [], []
    for file in module.params["files"]:
        before = read(file["dest"])
        same = before == file["content"]
        if not same and not module.check_mode:
            write(module, file)
        exists = same or not module.check_mode
        if not same or (exists and module.set_mode_if_different(file["dest"], file["mode"], False)):
            changed.append(file["dest"])
            diffs.append({"before_header": file["dest"], "after_header": file["dest"],
                          "before": before or "", "after": file["content"]})
    module.exit_json(changed=bool(changed), changed_files=changed, diff=diffs)


if __name__ == "__main__":
    main()
