"""The machine's own mirror, told for another suite."""

from pathlib import Path

import pytest

from dougong import debian
from dougong.errors import DougongError

STANZAS = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://old.example/debian
Suites: bookworm
Components: main
Enabled: no
"""
LINES = """\
# deb http://commented.example/debian bookworm main
deb [signed-by=/etc/apt/keyrings/x.gpg] http://mirror.example/debian bookworm main  # ours
deb-src http://mirror.example/debian bookworm main
deb http://vendor.example/apt stable main
"""


def test_both_formats_are_read() -> None:
    assert debian.deb822(STANZAS) == [
        ("http://mirror.example/debian", "bookworm", "main contrib"),
        ("http://mirror.example/debian", "bookworm-updates", "main contrib"),
        ("http://mirror.example/security", "bookworm-security", "main"),
    ]
    assert debian.one_line(LINES) == [
        ("http://mirror.example/debian", "bookworm", "main"),
        ("http://vendor.example/apt", "stable", "main"),
    ]


def test_another_suite_comes_from_the_same_mirrors_and_vendors_stay_out() -> None:
    assert debian.translate(debian.deb822(STANZAS) + debian.one_line(LINES), "bookworm", "trixie") == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/security trixie-security main",
    ]


def test_a_machine_without_a_debian_mirror_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(debian, "_entries", lambda etc: debian.one_line(LINES.splitlines()[-1]))
    with pytest.raises(DougongError, match="no Debian source for") as caught:
        debian.mirror("trixie")
    assert "add one" in caught.value.remedy
