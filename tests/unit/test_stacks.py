"""What dougong.stacks does without a cloud: events, summaries, locks, explanations, pending operations."""

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.automation import EngineEvent

from dougong import paths, stacks
from dougong.errors import DougongError
from dougong.stacks import ResourceEvent, explain, locks, pending, urn
from dougong.stacks.events import Translator

INSTANCE = "urn:pulumi:lab::dougong-cluster::dougong:compute:NodePool$openstack:compute/instance:Instance::lab-worker-0"
COMPONENT = "urn:pulumi:lab::dougong-cluster::dougong:cluster:Cluster$dougong:compute:NodePool::lab-worker"


def engine(kind: str, **content: Any) -> EngineEvent:
    return EngineEvent.from_json({"sequence": 1, "timestamp": 1, kind: content})


def step(name: str, operation: str, which: str = INSTANCE, **more: Any) -> EngineEvent:
    metadata = {"op": operation, "urn": which, "type": urn.type_of(which), "provider": ""}
    return engine(name, metadata=metadata, **more)


class TestUrn:
    def test_parts(self) -> None:
        assert urn.type_of(INSTANCE) == "openstack:compute/instance:Instance"
        assert urn.kind_of(INSTANCE) == "Instance"
        assert urn.name_of(INSTANCE) == "lab-worker-0"


class TestSummary:
    def test_in_words(self) -> None:
        assert stacks.summary({"create": 3, "same": 17}) == "3 created, 17 unchanged"
        assert stacks.summary({"create-replacement": 1, "delete-replaced": 1, "replace": 1}) == "1 replaced"
        assert stacks.summary({}) == "nothing there"

    @pytest.mark.parametrize(
        ("changes", "differs"),
        [({"same": 20}, False), ({"same": 20, "read": 1}, False), ({"same": 20, "update": 1}, True), ({}, False)],
    )
    def test_differs(self, changes: stacks.Changes, differs: bool) -> None:
        assert stacks.differs(changes) is differs


class TestEvents:
    @staticmethod
    def translated(*events: EngineEvent) -> tuple[list[ResourceEvent], Translator]:
        seen: list[ResourceEvent] = []
        translator = Translator(seen.append)
        for event in events:
            translator(event)
        return seen, translator

    def test_a_resource_begins_and_ends(self) -> None:
        [begin, end], _ = self.translated(step("resourcePreEvent", "create"), step("resOutputsEvent", "create"))
        assert (begin.status, begin.op, begin.name) == ("started", "create", "lab-worker-0")
        assert (end.status, end.type) == ("done", "openstack:compute/instance:Instance")
        assert end.changes
        assert end.seconds >= 0

    def test_unchanged_is_no_change(self) -> None:
        [event], _ = self.translated(step("resOutputsEvent", "same"))
        assert not event.changes

    def test_components_are_not_in_the_cloud(self) -> None:
        assert self.translated(step("resourcePreEvent", "create", COMPONENT))[0] == []

    def test_a_failure_says_why(self) -> None:
        complaint = engine("diagnosticEvent", message="No valid host\n", color="", severity="error", urn=INSTANCE)
        [_, failed], translator = self.translated(
            step("resourcePreEvent", "create"), complaint, step("resOpFailedEvent", "create", status=1, steps=1)
        )
        assert failed.status == "failed"
        assert failed.diagnostics == ("No valid host",)
        assert translator.complaints == {INSTANCE: ["No valid host"]}

    def test_only_mandatory_violations_stop(self) -> None:
        policy = {"color": "", "policyPackName": "dougong", "policyPackVersion": "1", "policyPackVersionTag": "1"}
        _, translator = self.translated(
            *(
                engine("policyEvent", message=f"{level} finding", policyName="rule", enforcementLevel=level, **policy)
                for level in ("advisory", "mandatory")
            )
        )
        assert translator.violations == ["mandatory finding [rule]"]


class TestExplain:
    @pytest.mark.parametrize(
        ("says", "remedy"),
        [
            ("No valid host was found. There are not enough hosts available.", "anti_affinity"),
            ("Quota exceeded for instances: Requested 1, but already used 10 of 10 instances", "quota show"),
            ("VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'.", "quota show"),
            ("Load Balancer abc is immutable and cannot be updated. 409 PENDING_UPDATE", "still busy"),
            ("LoadBalancer x: Error waiting for loadbalancer: unexpected state 'ERROR'", "loadbalancer status show"),
            ("Volume x: Error waiting for it: unexpected state 'error', wanted target 'available'", "volume show"),
            ("Instance x: Error waiting for instance: unexpected state 'ERROR'", "server show"),
            ("Cannot 'attach_volume' instance x while it is in vm_state building", "still at work"),
            ("Expected HTTP response code [201], but got 409 instead: key pair 'lab' already exists", "pulumi import"),
            ("Your query returned no results. Please change your search criteria", "external_network"),
            ("unable to load clouds.yaml: no clouds.yml file found: file does not exist", "dougong lab up"),
            ("dial tcp 10.77.0.2:5000: connect: connection refused", "dougong lab status"),
            ("the stack is currently locked by 1 lock(s)", "wait for the other run"),
            ("something that nobody has seen before", "--verbose"),
        ],
    )
    def test_remedies(self, says: str, remedy: str) -> None:
        assert remedy in explain.remedy(says, "lab", "lab")

    def failure(self, complaints: dict[str, list[str]], violations: tuple[str, ...] = ()) -> DougongError:
        return explain.failure("pulumi up", complaints, violations, "the raw output", cloud="lab", environment="lab")

    def test_what_and_where(self) -> None:
        said_twice = [
            "1 error occurred:\n\t* No valid host was found.",
            "sdk-v2/provider2.go:571: sdk.helper_schema: No valid host was found.: provider=openstack@5.5.3",
        ]
        error = self.failure({INSTANCE: said_twice, "": ["update failed"]})
        assert error.message == "pulumi up failed\n  Instance lab-worker-0: No valid host was found."

    def test_of_a_traceback_the_last_line(self) -> None:
        text = 'Traceback (most recent call last):\n  File "x"\npulumi.errors.RunError: no network yet'
        assert self.failure({"": [text]}).message == "pulumi up failed\n  no network yet"

    def test_without_a_diagnosis_the_raw_output(self) -> None:
        assert "the raw output" in self.failure({}).message

    def test_policy_comes_first(self) -> None:
        error = self.failure({"": ["preview failed"]}, ("ssh: lets everybody in [ssh-from-everywhere]",))
        assert (
            error.message == "pulumi up is refused by the policy pack\n  ssh: lets everybody in [ssh-from-everywhere]"
        )


class TestLocks:
    @pytest.fixture
    def lock(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        folder = paths.pulumi_backend("test") / ".pulumi/locks/organization/dougong-cluster/test"
        folder.mkdir(parents=True)
        return folder / "0.json"

    @staticmethod
    def take(lock: Path, pid: int, host: str = socket.gethostname()) -> None:
        lock.write_text(
            json.dumps({"pid": pid, "username": "me", "hostname": host, "timestamp": "2026-01-01T00:00:00Z"})
        )

    def test_of_a_dead_process_is_removed(self, lock: Path) -> None:
        dead = subprocess.Popen(["true"])
        dead.wait()
        self.take(lock, dead.pid)
        assert locks.remove_stale("test", "dougong-cluster") == [dead.pid]
        assert not lock.exists()

    def test_of_a_reused_number_is_removed(self, lock: Path) -> None:
        self.take(lock, os.getpid())  # alive, but not pulumi
        assert locks.remove_stale("test", "dougong-cluster") == [os.getpid()]

    def test_of_a_pulumi_at_work_is_kept(self, lock: Path, tmp_path: Path) -> None:
        pulumi = tmp_path / "pulumi"
        pulumi.write_bytes(Path("/bin/sleep").read_bytes())
        pulumi.chmod(0o755)
        with subprocess.Popen([pulumi, "60"]) as working:
            try:
                while Path(f"/proc/{working.pid}/comm").read_text().strip() != "pulumi":
                    time.sleep(0.01)  # the kernel names a process a moment after Popen has returned
                self.take(lock, working.pid)
                with pytest.raises(DougongError, match=f"locked by process {working.pid}"):
                    locks.remove_stale("test", "dougong-cluster")
            finally:
                working.kill()
        assert lock.exists()

    def test_of_another_machine_is_kept(self, lock: Path) -> None:
        self.take(lock, 1, host="elsewhere")
        with pytest.raises(DougongError, match="on elsewhere"):
            locks.remove_stale("test", "dougong-cluster")
        assert lock.exists()

    def test_without_a_backend_there_is_none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        assert locks.remove_stale("test", "dougong-cluster") == []


class TestPending:
    def test_only_what_was_being_made(self) -> None:
        resource = {"urn": INSTANCE, "type": urn.type_of(INSTANCE), "inputs": {"name": "lab-worker-0"}}
        state = {
            "pending_operations": [
                {"resource": resource, "type": kind} for kind in ("creating", "deleting", "updating")
            ]
        }
        assert pending.creates(state) == [(INSTANCE, "openstack:compute/instance:Instance", {"name": "lab-worker-0"})]
        assert pending.creates({}) == []

    def test_settled_state_has_what_exists_and_forgets_the_rest(self) -> None:
        def being_made(name: str) -> dict[str, Any]:
            return {"resource": {"urn": name, "type": "t", "inputs": {"a": 1, "__defaults": []}}, "type": "creating"}

        state = {"resources": [{"urn": "there"}], "pending_operations": [being_made("made"), being_made("not made")]}
        settled = pending.settle(state, {"made": "id"})
        assert settled["pending_operations"] == []
        assert [resource["urn"] for resource in settled["resources"]] == ["there", "made"]
        assert settled["resources"][1]["id"] == "id"
        assert settled["resources"][1]["outputs"] == {"a": 1, "id": "id"}
        assert len(state["pending_operations"]) == 2

    @staticmethod
    def cloud(**listings: Any) -> Any:
        return SimpleNamespace(
            current_project_id="project",
            compute=SimpleNamespace(**listings),
            network=SimpleNamespace(**listings),
            load_balancer=SimpleNamespace(**listings),
        )

    @pytest.mark.parametrize(
        ("names", "found"), [(["other", "wanted"], "id-1"), (["other"], None), (["wanted", "wanted"], None)]
    )
    def test_by_name_if_there_is_exactly_one(self, names: list[str], found: str | None) -> None:
        servers = [SimpleNamespace(id=f"id-{index}", name=name) for index, name in enumerate(names)]
        cloud = self.cloud(servers=lambda: servers)
        assert pending.find(cloud, "openstack:compute/instance:Instance", {"name": "wanted"}) == found

    def test_a_rule_by_its_content(self) -> None:
        def made(identifier: str, port: int) -> SimpleNamespace:
            return SimpleNamespace(
                id=identifier,
                protocol="tcp",
                port_range_min=port,
                port_range_max=port,
                remote_ip_prefix="192.0.2.0/24",
                direction="ingress",
            )

        cloud = self.cloud(security_group_rules=lambda security_group_id: [made("http", 80), made("ssh", 22)])
        inputs = {
            "securityGroupId": "group",
            "direction": "ingress",
            "protocol": "tcp",
            "portRangeMin": 22,
            "portRangeMax": 22,
            "remoteIpPrefix": "192.0.2.0/24",
        }
        assert pending.find(cloud, "openstack:networking/secGroupRule:SecGroupRule", inputs) == "ssh"

    def test_an_attachment_by_its_ends(self) -> None:
        attachments = [SimpleNamespace(volume_id="volume")]
        cloud = self.cloud(volume_attachments=lambda server: attachments)
        inputs = {"instanceId": "server", "volumeId": "volume"}
        assert pending.find(cloud, "openstack:compute/volumeAttach:VolumeAttach", inputs) == "server/volume"

    def test_what_is_unknown_is_not_found(self) -> None:
        assert pending.find(self.cloud(), "openstack:dns/zone:Zone", {"name": "zone"}) is None

    def test_a_credential_whose_secret_nobody_has_is_removed(self) -> None:
        mine = [SimpleNamespace(id=f"id-{name}", name=name, project_id="project") for name in ("lab", "other")]
        removed: list[str] = []
        connection: Any = SimpleNamespace(
            current_user_id="me",
            current_project_id="project",
            identity=SimpleNamespace(
                application_credentials=lambda user: mine,
                delete_application_credential=lambda user, credential: removed.append(credential.id),
            ),
        )
        kind = "openstack:identity/applicationCredential:ApplicationCredential"
        assert pending.discard(connection, kind, {"name": "lab"})
        assert removed == ["id-lab"]
        assert not pending.discard(connection, "openstack:compute/instance:Instance", {"name": "lab"})
        assert removed == ["id-lab"]
