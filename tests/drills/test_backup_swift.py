"""Backups in Swift: rclone against a real Swift that asks a real Keystone, both in the lab.

A lab that is not there is made, and removed at the end; one that is there keeps the Swift that it gets here.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openstack
import pytest
from backup_program import LeadingEtcd, check_store, configuration, keypair, load
from openstack.connection import Connection

from dougong import ansible, lab, paths
from tests.drills.harness import dougong

# Seen for rclone's attempts to reach a port that is closed: 23 s for a list, 71 s for a file.
_GIVEN_UP_SECONDS = 240


@dataclass(frozen=True)
class Credential:
    """An application credential of a user who has one role in the project, and with it Keystone's address."""

    auth: str
    id: str
    secret: str


def proxy(order: str) -> None:
    """Start or stop what answers for Swift."""
    container = lab.settings()["lab_container"]
    subprocess.run(["podman", "exec", container, "systemctl", order, "swift-proxy.service"], check=True)


@pytest.fixture(scope="module")
def owner() -> Iterator[Connection]:
    """A member of the project, to whom its account in Swift belongs; the container `vault` is there."""
    with ExitStack() as stack:
        if not lab.running():
            stack.callback(dougong, "lab", "down")
            dougong("lab", "up")
        ansible.run(lab.ENVIRONMENT, "tests/drills/swift.yml", inventory=lab.INVENTORY)
        connection = openstack.connect(cloud="lab")
        connection.object_store.create_container("vault")
        yield connection


@pytest.fixture(scope="module")
def credentials(owner: Connection) -> Iterator[dict[str, Credential]]:
    """By role in the project: `reader` may do nothing in Swift but what the access list of `vault` allows."""
    project, auth = owner.current_project_id, owner.config.auth["auth_url"]
    found = {}
    with ExitStack() as stack:
        # Without their types: openstacksdk's are those of Keystone's versions 2 and 3 at once.
        admin: Any = stack.enter_context(openstack.connect(cloud="lab-admin"))
        for role in ("reader", "member"):
            name, password = f"backup-{role}", secrets.token_urlsafe()
            user = admin.identity.create_user(name=name, password=password, domain_id="default")
            stack.callback(admin.identity.delete_user, user)
            granted = admin.identity.find_role(role, ignore_missing=False)
            admin.identity.assign_project_role_to_user(project, user, granted)
            if role == "reader":
                listed = f"{project}:{user.id}"
                owner.object_store.set_container_metadata("vault", read_ACL=listed, write_ACL=listed)
            user_himself: Any = stack.enter_context(
                openstack.connect(
                    load_yaml_config=False,
                    load_envvars=False,
                    auth_url=auth,
                    username=name,
                    password=password,
                    user_domain_id="default",
                    project_id=project,
                )
            )
            made = user_himself.identity.create_application_credential(user, "backup")
            found[role] = Credential(auth, made.id, made.secret)
        yield found


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Gives a host's configuration; rclone.conf is made by the role's own template and variables."""

    def make(credential: Credential, path: str = "vault/prod") -> dict[str, Any]:
        options = {"auth": credential.auth, "application_credential_id": credential.id}
        target = {"type": "swift", "path": path, "options": options}
        (variables := tmp_path / "variables.json").write_text(
            json.dumps(
                {
                    "backup_target": target,
                    "backup_target_secrets": {"application_credential_secret": credential.secret},
                }
            )
        )
        host = configuration(tmp_path, keypair(tmp_path / "identity.txt"), target)
        role = paths.ROOT / "roles" / "backup"
        subprocess.run(
            [
                *(f"{sys.prefix}/bin/ansible", "localhost", f"--inventory={lab.INVENTORY}"),
                "--module-name=ansible.builtin.template",
                f"--args=src={role}/templates/rclone.conf.j2 dest={host['rclone']} mode=0600",
                *(f"--extra-vars=@{role}/vars/main.yml", f"--extra-vars=@{variables}"),
            ],
            cwd=paths.ROOT,
            check=True,
        )
        return host

    return make


@pytest.mark.parametrize("role", ["reader", "member"])
def test_a_backup_is_stored_read_back_listed_and_brought(
    credentials: dict[str, Credential], configure: Callable[..., dict[str, Any]], tmp_path: Path, role: str
) -> None:
    check_store(load().target(configure(credentials[role], f"vault/{role}")), tmp_path)


@pytest.mark.parametrize("role", ["reader", "member"])
def test_a_container_that_is_not_there_is_refused_and_not_made(
    owner: Connection, credentials: dict[str, Credential], configure: Callable[..., dict[str, Any]], role: str
) -> None:
    program = load()
    with pytest.raises(program.BackupError, match="valut has to be there") as caught:
        program.target(configure(credentials[role], "valut/prod"))
    assert credentials[role].secret not in str(caught.value)
    assert [container.name for container in owner.object_store.containers()] == ["vault"]


def test_a_wrong_secret_is_refused(
    credentials: dict[str, Credential], configure: Callable[..., dict[str, Any]]
) -> None:
    program = load()
    with pytest.raises(program.BackupError, match="Authorization Failed") as caught:
        program.target(configure(replace(credentials["reader"], secret="hunter2")))
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def host(
    credentials: dict[str, Credential], configure: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """The configuration of a host whose member of etcd leads; Swift is up again afterwards."""
    monkeypatch.setattr(load(), "Etcd", LeadingEtcd)
    yield configure(credentials["reader"], f"vault/{secrets.token_hex(4)}")
    proxy("start")


@pytest.mark.parametrize("moment", ["before", "meanwhile"])
def test_while_swift_is_away_backups_fail_and_afterwards_they_work(
    host: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    program = load()
    monkeypatch.setattr(program, "KUBERNETES", tmp_path)
    spool = Path(host["spool"])
    first = program.create(host, True, "root")
    noted = (spool / "last.json").read_text()

    if moment == "before":
        proxy("stop")
    else:
        monkeypatch.setattr(LeadingEtcd, "meanwhile", staticmethod(lambda: proxy("stop")))
    begun = time.monotonic()
    with pytest.raises(program.BackupError, match="connection refused"):
        program.create(host, True, "root")
    seconds = time.monotonic() - begun
    print(f"\ngiven up after {seconds:.0f} s")
    assert seconds < _GIVEN_UP_SECONDS
    assert [file.name for file in spool.iterdir()] == ["last.json"]
    assert (spool / "last.json").read_text() == noted

    monkeypatch.setattr(LeadingEtcd, "meanwhile", staticmethod(lambda: None))
    proxy("start")
    second = program.create(host, True, "root")
    assert [each["id"] for each in program.listing(program.target(host), "blue")] == [first["id"], second["id"]]
    assert json.loads((spool / "last.json").read_text()) == second
