"""The documentation's links lead somewhere, and its tables are tables."""

import itertools
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from dougong import paths

PAGES = sorted([*paths.ROOT.glob("*.md"), *paths.ROOT.glob("docs/**/*.md"), *paths.ROOT.glob("roles/*/README.md")])


def anchors(page: Path) -> set[str]:
    """The headings' anchors, by the rule of the sites that show Markdown."""
    tokens = MarkdownIt().parse(page.read_text())
    headings = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(paths.ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    parsed = MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text())
    tokens = [child for block in parsed for child in block.children or () if child.type in ("link_open", "image")]
    for target in [str(token.attrs.get("href") or token.attrs.get("src")) for token in tokens]:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{target}: no such file"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(paths.ROOT)))
def test_rows_of_tables_have_the_columns_of_their_head(page: Path) -> None:
    columns = 0
    for number, line in enumerate(page.read_text().splitlines(), 1):
        # A bar within code is written with a backslash, too.
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (columns and cells) or cells == columns, f"line {number}: {cells - 1} columns, {columns - 1} above"
        columns = cells
