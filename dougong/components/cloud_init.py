"""What a host is told at its first boot; everything after that is Ansible's."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

TEMPLATE = Path(__file__).with_name("user_data.yml.j2")


@cache
def _template() -> Template:
    # The result is YAML for cloud-init, not HTML: there is nothing to escape.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    return environment.from_string(TEMPLATE.read_text())


def user_data(host: str) -> str:
    """Cloud-init user data of a host.

    Args:
        host: its name.

    Raises:
        jinja2.UndefinedError: the template asks for something that is not given.
    """
    return _template().render(host=host)
