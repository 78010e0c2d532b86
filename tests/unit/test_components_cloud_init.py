"""User data, compared with files that a person can read."""

from pathlib import Path

import pytest
import yaml
from jinja2 import UndefinedError

from dougong.components import cloud_init

GOLDEN = Path(__file__).parent / "golden"


def test_user_data_is_the_golden_file() -> None:
    assert cloud_init.user_data("lab-worker-0") == (GOLDEN / "user_data.lab-worker-0.yml").read_text()


def test_user_data_is_cloud_config() -> None:
    text = cloud_init.user_data("lab-worker-0")
    assert text.startswith("#cloud-config\n")
    content = yaml.safe_load(text)
    assert content["hostname"] == "lab-worker-0"
    assert content["ssh_pwauth"] is False


def test_a_forgotten_value_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.write_text("{{ host }} {{ forgotten }}")
    monkeypatch.setattr(cloud_init, "TEMPLATE", template)
    cloud_init._template.cache_clear()
    with pytest.raises(UndefinedError, match="forgotten"):
        cloud_init.user_data("host")
    cloud_init._template.cache_clear()
