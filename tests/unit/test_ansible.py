"""ansible-runner's events become progress, results and errors: with a real Ansible on this machine."""

from __future__ import annotations

import os
import signal
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dougong import ansible, paths, runs
from dougong.errors import DougongError

Playbook = Callable[[str], str]


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playbook:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("CI", "true")

    def write(tasks: str) -> str:
        path = tmp_path / "playbook.yml"
        head = "- name: Test\n  hosts: all\n  connection: local\n  gather_facts: false\n  tasks:\n"
        path.write_text(head + textwrap.indent(textwrap.dedent(tasks), "    "))
        return str(path)

    return write


def run(path: str, **options: object) -> ansible.PlaybookResult:
    return ansible.run("lab", path, inventory=hosts(path), **options)  # type: ignore[arg-type]  # passed through


def hosts(path: str) -> str:
    inventory = Path(path).with_name("hosts.yml")
    inventory.write_text("all: {hosts: {one: , two: }}\n")
    return str(inventory)


def test_changes_statistics_and_the_record(playbook: Playbook, tmp_path: Path) -> None:
    path = playbook(
        f"""
        - name: Same everywhere
          ansible.builtin.debug:
            msg: hello
        - name: Write a file
          ansible.builtin.copy:
            content: "hello\\n"
            dest: "{tmp_path}/{{{{ inventory_hostname }}}}"
            mode: "0600"
        """
    )
    with runs.start("up", "lab") as recorder, recorder.phase("hosts"):
        result = run(path)
    assert {(change.host, change.task) for change in result.changed} == {
        ("one", "Write a file"),
        ("two", "Write a file"),
    }
    assert result.stats["one"]["ok"] == 2
    assert result.tasks == 2
    assert not result.failed
    phase = runs.find("lab", "last").phase("hosts")
    assert [step.name for step in phase.steps] == ["Same everywhere", "Write a file"]
    assert sorted(phase.steps[1].changed) == ["one", "two"]
    assert phase.commands == [f"ansible-playbook -i {hosts(path)} {path}"]
    assert "Write a file" in recorder.log_path.read_text()

    with runs.start("up", "lab") as recorder, recorder.phase("hosts"):
        assert run(path).changed == []


@pytest.mark.parametrize("size", [2, 500_000])
def test_a_copied_file_is_as_old_as_its_arrival(playbook: Playbook, tmp_path: Path, size: int) -> None:
    """Services start again for files that came after their start: the age of the source must not hide that."""
    source = tmp_path / "source"
    source.write_bytes(b"x" * size)
    os.utime(source, (0, 0))
    task = f'- name: Copy\n  ansible.builtin.copy: {{src: {source}, dest: {tmp_path}/copy, mode: "0600"}}\n'
    run(playbook(task), limit="one")
    assert time.time() - (tmp_path / "copy").stat().st_mtime < 300


def test_check_mode_gives_diffs_and_touches_nothing(playbook: Playbook, tmp_path: Path) -> None:
    path = playbook(
        f"""
        - name: Write a file
          ansible.builtin.copy:
            content: "after\\n"
            dest: "{tmp_path}/target"
            mode: "0600"
        """
    )
    (tmp_path / "target").write_text("before\n")
    with runs.start("plan", "lab") as recorder, recorder.phase("hosts"):
        result = run(path, check=True, diff=True, limit="one")
    assert "-before\n+after" in result.changed[0].diff
    assert list(result.stats) == ["one"]
    assert (tmp_path / "target").read_text() == "before\n"
    command = f"ansible-playbook -i {hosts(path)} --check --diff --limit one {path}"
    assert runs.find("lab", "last").phase("hosts").commands == [command]


def test_a_failure_names_host_task_and_reason(playbook: Playbook) -> None:
    path = playbook(
        """
        - name: Fail in a loop
          ansible.builtin.command: "sh -c 'echo {{ item }} is bad >&2; exit 1'"
          loop: [apple, pear]
          changed_when: false
          when: inventory_hostname == 'two'
        """
    )
    with pytest.raises(DougongError) as caught:
        run(path)
    assert "failed on 1 host\n" in caught.value.message
    assert "two failed at: Fail in a loop" in caught.value.message
    assert "apple: non-zero return code" in caught.value.message
    assert "pear is bad" in caught.value.message
    assert "run the same command again" in caught.value.remedy


def test_a_reason_that_is_kept_secret_is_said_to_be(playbook: Playbook) -> None:
    path = playbook(
        """
        - name: Fail with a password
          ansible.builtin.fail:
            msg: the password is apple
          no_log: true
        """
    )
    with pytest.raises(DougongError) as caught:
        run(path)
    assert "apple" not in caught.value.message
    assert "it works with secrets, so Ansible keeps the reason back" in caught.value.message


def test_what_a_playbook_rescues_is_no_failure(playbook: Playbook) -> None:
    path = playbook(
        """
        - name: Try
          block:
            - name: Fail
              ansible.builtin.fail:
                msg: as expected
          rescue:
            - name: Go on
              ansible.builtin.debug:
                msg: rescued
        """
    )
    result = run(path)
    assert result.failed == []
    assert result.stats["one"]["rescued"] == 1


def test_an_unreachable_host_is_told_from_a_failed_one(playbook: Playbook, tmp_path: Path) -> None:
    path = playbook("- name: Ping\n  ansible.builtin.ping:\n")
    Path(path).write_text(Path(path).read_text().replace("connection: local", "connection: ssh"))
    # Nothing listens on the discard port of the loopback interface.
    variables = {"ansible_host": "127.0.0.1", "ansible_port": 9}
    with pytest.raises(DougongError) as caught:
        ansible.run("lab", path, inventory=hosts(path), limit="one", extra_vars=variables)
    assert "one cannot be reached at: Ping" in caught.value.message
    assert "dougong ssh one" in caught.value.remedy


def test_a_playbook_that_cannot_start_says_why(playbook: Playbook) -> None:
    path = playbook("- name: Wrong\n  no.such.module:\n")
    with pytest.raises(DougongError, match=r"could not be run(.|\n)*no\.such\.module"):
        run(path)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Whoever starts the tests in the background may have them ignore or block Ctrl-C."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_ansible_and_is_passed_on(
    playbook: Playbook, tmp_path: Path, number: signal.Signals
) -> None:
    path = playbook(
        f"""
        - name: Begin
          ansible.builtin.file:
            path: "{tmp_path}/begun"
            state: touch
            mode: "0600"
        - name: Take long
          ansible.builtin.command: sleep 300
          changed_when: false
        """
    )

    def press() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.1)
        time.sleep(0.5)
        os.kill(os.getpid(), number)

    threading.Thread(target=press, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), runs.start("up", "lab") as recorder, recorder.phase("hosts"):
        run(path, limit="one")
    assert time.monotonic() - started < 60
    assert runs.find("lab", "last").phase("hosts").state == "interrupted"


def test_nothing_is_left_in_the_repository(playbook: Playbook) -> None:
    before = set(paths.ROOT.iterdir())
    run(playbook("- name: Ping\n  ansible.builtin.ping:\n"))
    assert set(paths.ROOT.iterdir()) - before <= {paths.ROOT / ".ansible"}
