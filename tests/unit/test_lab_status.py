"""What `dougong lab status` says of a lab that cannot be looked at."""

from types import SimpleNamespace

import pytest

from dougong import lab
from dougong.check import Check
from dougong.errors import DougongError


def test_a_part_that_cannot_be_looked_at_is_a_finding_and_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Check:
        raise DougongError("mariadb: connection refused", "wait")

    monkeypatch.setattr(lab, "running", lambda: True)
    monkeypatch.setattr(lab, "_cell", away)
    for part in ("units", "route", "guard", "disk"):
        monkeypatch.setattr(lab, f"_{part}", lambda part=part: Check(part, True, "is well"))
    monkeypatch.setattr(lab, "_cloud", lambda: [Check("keystone", True, "lets us in")])

    checks = {check.name: check for check in lab.status()}
    assert checks["cell"] == Check("cell", False, "mariadb: connection refused", "wait")
    assert [name for name, check in checks.items() if check.ok] == [
        "container",
        "units",
        "route",
        "guard",
        "disk",
        "keystone",
    ]


@pytest.mark.parametrize(
    ("state", "heard", "down"),
    [
        ("up", "2026-11-21T06:10:00.000000", False),
        ("up", "2026-11-21T06:09:00.000000", True),  # before the restart
        ("up", None, True),  # never
        ("down", "2026-11-21T06:10:00.000000", True),
    ],
)
def test_a_service_is_up_when_it_has_reported_since_the_lab_started(
    monkeypatch: pytest.MonkeyPatch, state: str, heard: str | None, down: bool
) -> None:
    monkeypatch.setattr(lab, "_command", lambda *words: '"2026-11-21T06:09:46.555107835Z"')
    services = [SimpleNamespace(binary="nova-compute", state=state, updated_at=heard)]
    assert lab._down(services) == (["nova-compute"] if down else [])
