"""The environment of an installation: variables, passphrase, SSH key."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dougong import environment, paths, private, ssh
from dougong.errors import DougongError


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "dougong"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_variables_lead_the_tools_to_one_installation(state: Path) -> None:
    found = environment.variables("lab")

    assert found["PULUMI_BACKEND_URL"] == f"file://{state}/lab/pulumi"
    assert (state / "lab" / "pulumi").is_dir()
    assert found["PULUMI_STACK"] == "lab"
    assert found["OS_CLOUD"] == "lab"
    assert found["KUBECONFIG"] == str(state / "lab" / "kubeconfig")
    assert Path(found["ANSIBLE_CONFIG"]).is_file()


def test_the_virtual_environment_is_first_on_path_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(Path(sys.prefix) / "bin")
    monkeypatch.setenv("PATH", f"/usr/bin:{own}:/bin")

    assert environment.variables("lab")["PATH"] == f"{own}:/usr/bin:/bin"


def test_a_backend_in_platform_yml_replaces_the_folder(state: Path, tmp_path: Path) -> None:
    wanted = environment.platform("lab")
    shared = wanted.model_copy(update={"state": wanted.state.model_copy(update={"backend": "s3://states"})})

    assert environment.variables("lab", shared)["PULUMI_BACKEND_URL"] == "s3://states"
    assert not (state / "lab" / "pulumi").exists()


def test_the_passphrase_is_made_once_and_for_the_owner_only() -> None:
    file = Path(environment.variables("lab")["PULUMI_CONFIG_PASSPHRASE_FILE"])
    first = file.read_text()

    environment.variables("lab")

    assert file.read_text() == first
    assert len(first) >= 32
    assert mode(file) == 0o600


def test_environments_do_not_share_a_passphrase() -> None:
    files = [Path(environment.variables(name)["PULUMI_CONFIG_PASSPHRASE_FILE"]) for name in ("lab", "production")]

    assert len({file.read_text() for file in files}) == 2


def test_exports_survive_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin:/tmp/with space; echo $HOME")

    shown = subprocess.run(
        ["sh", "-c", f'{environment.exports("lab")}\nprintf %s "$PATH"'], capture_output=True, text=True, check=True
    )

    assert shown.stdout == environment.variables("lab")["PATH"]


def test_an_unknown_environment_is_explained_with_those_there_are() -> None:
    with pytest.raises(DougongError, match="no environment 'nowhere'") as caught:
        environment.variables("nowhere")

    assert "lab" in caught.value.remedy
    assert "production" in caught.value.remedy


def test_the_key_is_made_once_and_ssh_accepts_it() -> None:
    key = ssh.ensure_key("lab")
    content = key.read_bytes()

    assert ssh.ensure_key("lab").read_bytes() == content
    assert key == paths.ssh_key("lab")
    assert mode(key) == 0o600
    derived = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True).stdout
    assert key.with_suffix(".pub").read_text().split()[:2] == derived.split()[:2]


def test_a_lost_public_key_is_made_again_from_the_private_one() -> None:
    public = ssh.ensure_key("lab").with_suffix(".pub")
    content = public.read_text()
    public.unlink()

    ssh.ensure_key("lab")

    assert public.read_text() == content


def test_a_broken_key_is_refused_instead_of_replaced() -> None:
    key = paths.ssh_key("lab")
    key.parent.mkdir(parents=True)
    key.write_text("rubbish")

    with pytest.raises(DougongError, match="not an SSH private key"):
        ssh.ensure_key("lab")

    assert key.read_text() == "rubbish"


def test_of_many_writers_one_wins_and_nothing_partial_is_left(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "one"
    contents = [bytes([65 + number]) * 100_000 for number in range(8)]

    with ThreadPoolExecutor() as pool:
        created = list(pool.map(lambda content: private.create(file, content), contents))

    assert created.count(True) == 1
    assert file.read_bytes() == contents[created.index(True)]
    assert [left.name for left in file.parent.iterdir()] == ["one"]
