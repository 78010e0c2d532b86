"""The reference of the roles."""

from dougong import reference
from dougong.paths import ROOT


def test_the_committed_page_is_current() -> None:
    assert reference.TARGET.read_text() == reference.roles(), "run: python -m dougong.reference"


def test_every_role_is_in_it() -> None:
    page = reference.TARGET.read_text()
    roles = {folder.name for folder in (ROOT / "roles").iterdir() if folder.is_dir()}
    assert {role for role in roles if f"\n## {role}\n" in page} == roles


def test_markup_and_suboptions_are_written_out() -> None:
    page = reference.roles()
    assert "| `host_volumes.mount` | path | **required** |" in page
    assert "C(" not in page
