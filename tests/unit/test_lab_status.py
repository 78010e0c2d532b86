"""What `dougong lab status` says of a lab that cannot be looked at."""

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
