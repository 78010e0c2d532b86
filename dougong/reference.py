"""docs/reference/roles.md: every variable of every role, from the roles' own argument_specs.

`python -m dougong.reference` writes it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dougong.paths import ROOT

TARGET = ROOT / "docs" / "reference" / "roles.md"
_MARKUP = re.compile(r"\b[CI]\(([^)]*)\)")
_HEAD = """# Roles

Every variable of every role. This page is made from `roles/*/meta/argument_specs.yml` by `python -m dougong.reference`;
Ansible checks what it is given against the same files.
"""


def _paragraphs(text: str | list[str]) -> str:
    """A description in Markdown: Ansible's C(code) and I(option) become `code`."""
    return _MARKUP.sub(r"`\1`", text if isinstance(text, str) else "\n\n".join(text))


def _options(options: dict[str, dict[str, Any]], prefix: str = "") -> Iterator[str]:
    """A line of the table for each option, suboptions below their own."""
    for name, option in options.items():
        kind = option.get("type", "str")
        if "elements" in option:
            kind += f" of {option['elements']}"
        default = "**required**" if option.get("required") else f"`{option['default']}`" if "default" in option else ""
        choices = f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}." if "choices" in option else ""
        description = _paragraphs(option["description"]).replace("\n\n", " ").rstrip(".")
        yield f"| `{prefix}{name}` | {kind} | {default} | {description}.{choices} |"
        yield from _options(option.get("options", {}), f"{prefix}{name}.")


def _role(file: Path) -> Iterator[str]:
    entries: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text())["argument_specs"]
    yield f"\n## {file.parents[1].name}\n"
    shown: list[dict[str, Any]] = []
    for name, entry in entries.items():
        if entry in shown:
            continue
        shown.append(entry)
        names = ", ".join(f"`{other}`" for other, same in entries.items() if same == entry)
        yield (
            f"**{entry['short_description']}.** Entry points: {names}.\n"
            if name == "main"
            else (f"\n### Entry point {names}\n\n{entry['short_description']}.\n")
        )
        if "description" in entry:
            yield _paragraphs(entry["description"]) + "\n"
        if entry.get("options"):
            yield "| variable | type | default | meaning |\n| --- | --- | --- | --- |"
            yield from _options(entry["options"])


def roles() -> str:
    """The page as Markdown."""
    files = sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))
    return _HEAD + "\n".join(line for file in files for line in _role(file)) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(roles())
