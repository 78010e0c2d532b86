"""platform.yml: what is refused, with which words and where; what is accepted; what is made from the model."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml

from dougong import paths
from dougong.errors import DougongError
from dougong.platform import Platform, PlatformError, json_schema, load, validate
from dougong.platform.schema import REFERENCE_FILE, SCHEMA_FILE, reference, schema_text

BROKEN = sorted((Path(__file__).parent / "platform_broken").glob("*.yml"))
ENVIRONMENTS = sorted((paths.ROOT / "inventories").glob("*/platform.yml"))

VALID = """\
name: fine
cloud: {name: prod, image: debian-13, external_network: internet}
network: {cidr: 10.1.0.0/24, access: [192.0.2.0/24]}
pools:
  cp: {role: control-plane, count: 1, flavor: large, floating_ip: true}
  w: {role: worker, count: 2, flavor: large, floating_ip: true}
orchestrator: {type: kubernetes, version: 1.36.3, pod_cidr: 10.244.0.0/16, service_cidr: 10.96.0.0/16}
network_plugin: {type: calico}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        file = tmp_path / "platform.yml"
        file.write_text(text)
        return file

    return to_file


def expectations(file: Path) -> list[tuple[int, str]]:
    """What the lines beginning with `#!` say of the first line after them."""
    expected, waiting = [], []
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        if line.startswith("#! "):
            waiting.append(line.removeprefix("#! "))
        else:
            expected += [(number, message) for message in waiting]
            waiting = []
    return expected + [(1, message) for message in waiting]  # of the file as a whole


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_findings_stand_beside_the_broken_line(file: Path) -> None:
    findings = validate(file).findings

    said = [(f.line, re.sub(r"^\S+:\d+:\d+: ", "", str(f)).replace("\n  → ", " → ")) for f in findings]
    assert said == expectations(file)
    assert said, "a broken file without a finding"
    assert all(finding.remedy for finding in findings)


@pytest.mark.parametrize("file", [file for file in BROKEN if not file.stem.startswith("warning")], ids=lambda f: f.stem)
def test_load_raises_every_error_at_once(file: Path) -> None:
    with pytest.raises(PlatformError) as caught:
        load(file)

    assert isinstance(caught.value, DougongError)
    assert list(caught.value.findings) == validate(file).errors
    for finding in caught.value.findings:
        assert f"{file.name}:{finding.line}:{finding.column}: " in str(caught.value)


def test_there_are_enough_broken_files() -> None:
    assert len(BROKEN) >= 40


def test_every_rule_has_a_broken_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from dougong.platform import rules

    silent = {rule.__name__ for rule in rules._RULES}

    def listen(rule: rules.Rule) -> rules.Rule:
        import functools

        @functools.wraps(rule)
        def wrapped(**parts: object) -> list[rules.Problem]:
            problems = list(rule(**parts))
            if problems:
                silent.discard(rule.__name__)
            return problems

        return wrapped  # type: ignore[return-value]  # a list is as good as an iterator here

    monkeypatch.setattr(rules, "_RULES", [listen(rule) for rule in rules._RULES])
    for file in BROKEN:
        validate(file)

    assert not silent


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda file: file.parent.name)
def test_committed_environments_are_valid_without_warnings(file: Path) -> None:
    assert validate(file).findings == []
    assert isinstance(load(file), Platform)
    jsonschema.validate(yaml.safe_load(file.read_text()), json_schema())


def test_a_finding_names_line_column_value_and_path(write: Write) -> None:
    file = write(VALID.replace("count: 2", "count: 0"))

    (finding,) = validate(file).findings

    assert (finding.file, finding.line, finding.column) == (file, 6, 28)
    assert (finding.where, finding.value, finding.severity) == ("pools.w.count", 0, "error")


def test_an_unknown_key_is_pointed_at_itself_and_not_at_its_value(write: Write) -> None:
    (finding,) = validate(write(VALID + "zabbix: {enabled: true}\n")).findings

    assert (finding.line, finding.column) == (9, 1)


def test_a_value_from_an_anchor_is_pointed_at_where_it_stands(write: Write) -> None:
    pools = """\
pools:
  cp: &common
    role: control-plane
    count: 1
    flavor: 7
    floating_ip: true
  w: {<<: *common, role: worker}
"""
    text = re.sub(r"pools:\n.*\n.*\n", pools, VALID)

    assert {(f.line, f.where) for f in validate(write(text)).findings} == {
        (8, "pools.cp.flavor"),
        (8, "pools.w.flavor"),
    }
    assert load(write(text.replace("flavor: 7", "flavor: large"))).pools["w"].flavor == "large"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: None, "cannot be read: No such file or directory"),
        (lambda file: file.mkdir(), "cannot be read: Is a directory"),
        (lambda file: file.write_bytes(b"name: \xff\n"), "cannot be read: not UTF-8 text"),
        (lambda file: file.write_bytes(b"name: \x00\n"), "not YAML: special characters are not allowed"),
    ],
    ids=["missing", "folder", "not-utf-8", "control-character"],
)
def test_an_unreadable_file_is_a_finding(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    file = tmp_path / "platform.yml"
    make(file)

    with pytest.raises(PlatformError, match=re.escape(message)):
        load(file)


def test_defaults_are_the_documented_ones(write: Write) -> None:
    platform = load(write(VALID))

    assert platform.cloud.user == "debian"
    assert platform.load_balancers.provider == "amphora"
    assert platform.pools["w"].anti_affinity == "preferred"
    assert platform.network_plugin.encapsulation == "VXLAN"
    assert platform.state.backend is None
    assert not platform.services.demo.enabled


def test_a_platform_survives_plain_data(write: Write) -> None:
    platform = load(write(VALID))

    plain = json.loads(json.dumps(platform.model_dump(mode="json")))

    assert plain["network"]["cidr"] == "10.1.0.0/24"
    assert Platform.model_validate(plain).model_dump() == platform.model_dump()


def test_two_readings_are_equal_and_frozen(write: Write) -> None:
    file = write(VALID)

    assert load(file) == load(file)
    with pytest.raises(ValueError, match="frozen"):
        load(file).name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("file", "text"), [(SCHEMA_FILE, schema_text()), (REFERENCE_FILE, reference())], ids=["schema", "reference"]
)
def test_what_is_made_from_the_model_is_current(file: Path, text: str) -> None:
    assert file.read_text() == text, "run `python -m dougong.platform`"


def test_every_field_is_documented() -> None:
    schema = json_schema()

    for name, part in [("Platform", schema), *schema["$defs"].items()]:
        for key, field in part["properties"].items():
            assert field.get("description"), f"{name}.{key}"


def test_the_schema_refuses_what_an_editor_can_see() -> None:
    plain = yaml.safe_load(VALID)
    plain["pools"]["Not_A_Name"] = plain["pools"].pop("w")
    plain["network"]["acces"] = []
    plain["orchestrator"]["version"] = "1.2.3"

    errors = jsonschema.Draft202012Validator(json_schema()).iter_errors(plain)

    assert {error.json_path.split(".")[1] for error in errors} == {"pools", "network", "orchestrator"}
