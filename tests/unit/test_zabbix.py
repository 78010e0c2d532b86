"""Templates for Zabbix from data, hosts that follow the inventory, and the dashboard: what the API is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import yaml

from dougong import paths
from plugins.filter.zabbix_templates import identifier, zabbix_templates
from plugins.modules import zabbix_dashboard, zabbix_hosts

ROLE = paths.ROOT / "roles" / "zabbix_configuration"
TEMPLATES = yaml.safe_load((ROLE / "files" / "templates.yml").read_text())
SCRIPTS = {file.name: file.read_text() for file in (ROLE / "files").glob("*.js")}
VARIABLES = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())


def export(templates: dict[str, Any], **macros: str) -> dict[str, Any]:
    content: dict[str, Any] = zabbix_templates(templates, macros, SCRIPTS)["zabbix_export"]
    return content


def walk(node: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary in a tree."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def test_identifiers_are_of_version_4_and_stay_the_same() -> None:
    assert identifier("a", "b") == identifier("a", "b") != identifier("ab")
    assert UUID(identifier("a")).version == 4


def test_no_two_things_have_one_identifier() -> None:
    found = [node["uuid"] for node in walk(export(TEMPLATES)) if "uuid" in node]
    assert len(found) == len(set(found)) > 100


def test_every_template_can_be_linked_to_one_host() -> None:
    """Zabbix refuses a host two items of one key, and a host may have all services."""
    keys = [item["key"] for template in export(TEMPLATES)["templates"] for item in template.get("items", [])]
    assert sorted(keys) == sorted(set(keys))


def test_triggers_speak_of_items_that_there_are() -> None:
    content = export(TEMPLATES)
    items = {
        f"/{template['template']}/{item['key']}"
        for template in content["templates"]
        for rule in [template, *template.get("discovery_rules", [])]
        for item in [*rule.get("items", []), *rule.get("item_prototypes", [])]
    }
    for node in walk(content):
        if "expression" in node:
            # As far as the key's bracket or, without one, to what ends a function's argument.
            named = re.findall(r"\((/[^/]+/(?:\w[\w.]*\[(?:[^\[\]]|\[[^\]]*\])*\]|[\w.-]+))", node["expression"])
            assert named, node["expression"]
            assert set(named) <= items, node["expression"]
            assert "{item}" not in node["expression"]


def test_no_key_is_there_twice() -> None:
    """Also by a merge: Ansible, unlike PyYAML, refuses what replaces a merged key."""
    for file in (ROLE / "files").glob("*.yml"):
        assert "<<:" not in file.read_text(), file


def test_every_problem_says_what_to_do() -> None:
    triggers = [node for node in walk(export(TEMPLATES)) if "expression" in node]
    assert [trigger["name"] for trigger in triggers if len(trigger.get("description", "")) < 20] == []


def test_dependent_items_have_their_master() -> None:
    for template in export(TEMPLATES)["templates"]:
        keys = {item["key"] for item in template.get("items", [])}
        assert {node["master_item"]["key"] for node in walk(template) if "master_item" in node} <= keys


def test_every_template_that_is_linked_is_there_or_zabbix_own() -> None:
    linked = {name for names in VARIABLES["_zabbix_configuration_templates"].values() for name in names}
    assert {name for name in linked if name.startswith("Dougong")} <= set(TEMPLATES)
    assert set(TEMPLATES) - linked == {"Dougong OpenStack"}, "of the cloud, which is no host of the inventory"


def test_a_unit_is_an_item_and_a_trigger() -> None:
    (template,) = export({"Test": {"units": ["web.service"]}})["templates"]
    (item,) = template["items"]
    assert (item["name"], item["key"]) == ("web: runs", "systemd.unit.info[web.service,ActiveState]")
    assert item["type"] == "ZABBIX_ACTIVE"
    (trigger,) = item["triggers"]
    assert trigger["expression"] == "max(/Test/systemd.unit.info[web.service,ActiveState],#2)=0"


def test_what_goes_without_saying_is_left_out_as_in_an_export() -> None:
    master = {"name": "a", "key": "a", "delay": "1m"}
    dependent = {"name": "b", "key": "b", "master_item": {"key": "a"}}
    (template,) = export({"Test": {"items": [master, dependent]}})["templates"]
    assert [item.get("delay") for item in template["items"]] == [None, None]
    assert [item["type"] for item in template["items"]] == ["ZABBIX_ACTIVE", "DEPENDENT"]


def test_macros_get_the_values_of_the_installation() -> None:
    content = {"Test": {"macros": [{"macro": "{$B}", "value": "1"}, {"macro": "{$A}", "value": ""}]}}
    (template,) = zabbix_templates(content, {"{$B}": "2"}, {})["zabbix_export"]["templates"]
    assert template["macros"] == [{"macro": "{$A}"}, {"macro": "{$B}", "value": "2"}]
    with pytest.raises(KeyError, match=r"no template has the macro \{\$C\}"):
        zabbix_templates(content, {"{$C}": "2"}, {})


def test_a_secret_macro_stays_one() -> None:
    content = {"Test": {"macros": [{"macro": "{$PASSWORD}", "type": "SECRET_TEXT", "value": ""}]}}
    (template,) = zabbix_templates(content, {"{$PASSWORD}": "x"}, {})["zabbix_export"]["templates"]
    assert template["macros"] == [{"macro": "{$PASSWORD}", "type": "SECRET_TEXT", "value": "x"}]
    secrets = [macro for macro in walk(TEMPLATES) if re.search("PASSWORD|SECRET", str(macro.get("macro", "")))]
    assert [macro["macro"] for macro in secrets if macro.get("type") != "SECRET_TEXT"] == []


def test_measures_are_numbers_out_of_one_file() -> None:
    items = [{"name": "pods", "path": "pods"}, {"name": "errors", "path": "errors", "rate": True}]
    (template,) = export({"Test": {"measures": {"kubelet": {"file": "kubelet", "items": items}}}})["templates"]
    file, answers, pods, errors = template["items"]
    assert file["key"] == "vfs.file.contents[/run/dougong/metrics/kubelet.json]"
    assert {each["master_item"]["key"] for each in (answers, pods, errors)} == {file["key"]}
    assert answers["triggers"][0]["name"] == "kubelet does not tell its metrics"
    assert [step["type"] for step in pods["preprocessing"]] == ["JSONPATH"]
    assert [step["type"] for step in errors["preprocessing"]] == ["JSONPATH", "CHANGE_PER_SECOND"]
    assert (pods["key"], errors["key"]) == ("metrics.kubelet.pods", "metrics.kubelet.errors")
    assert errors["value_type"] == "FLOAT"


def test_every_measure_is_one_that_the_hosts_note() -> None:
    path = paths.ROOT / "roles" / "kubernetes_metrics" / "files" / "dougong_kubernetes_metrics.py"
    program = path.read_text()
    measures = [each for content in TEMPLATES.values() for each in content.get("measures", {}).values()]
    assert len(measures) == 8
    for measure in measures:
        assert f'"{measure["file"]}"' in program
        for item in measure["items"]:
            assert f'"{item["path"]}"' in program, item["path"]


def test_a_backups_age_is_that_of_the_last_one_or_of_its_schedule() -> None:
    content = export({"Test": {"backups": {"Backup": {"file": "x.json", "timer": "x.timer"}}}})
    last, scheduled = content["templates"][0]["items"]
    assert last["key"] == "vfs.file.time[/var/lib/dougong/backup/x.json,modify]"
    assert scheduled["key"] == "vfs.file.time[/etc/systemd/system/x.timer,modify]"
    assert {item["preprocessing"][0]["error_handler_params"] for item in (last, scheduled)} == {"0"}, "without a file"
    (trigger,) = content["triggers"]
    age = f"now()-max(last(/Test/{last['key']}),last(/Test/{scheduled['key']}))"
    assert trigger["expression"] == f"{{$BACKUP.DAYS}}>0 and {age}>{{$BACKUP.DAYS}}*86400"


def test_the_timers_of_backups_are_those_of_the_roles() -> None:
    units = {file.name.removesuffix(".j2") for file in (paths.ROOT / "roles").glob("*/templates/*.timer.j2")}
    watched = set(re.findall(r"/etc/systemd/system/([\w-]+\.timer)", str(export(TEMPLATES))))
    assert len(watched) == 4
    assert watched <= units


def test_a_host_as_it_should_be_is_left_alone() -> None:
    host = {"groups": ["Dougong", "Dougong/workers"], "templates": ["Linux"]}
    lacks, excess = zabbix_hosts.differences(host, host, "Dougong", {"Linux"})
    assert not lacks
    assert not excess


def test_groups_and_templates_follow_the_inventory_and_others_stay() -> None:
    present = {"groups": ["Dougong", "Dougong/registry", "Dougongs", "Printers"], "templates": ["Registry", "Printer"]}
    wanted = {"groups": ["Dougong", "Dougong/workers"], "templates": ["Linux"]}
    lacks, excess = zabbix_hosts.differences(present, wanted, "Dougong", {"Linux", "Registry"})
    assert (lacks.groups, lacks.templates) == ({"Dougong/workers"}, {"Linux"})
    assert (excess.groups, excess.templates) == ({"Dougong/registry"}, {"Registry"})


def test_a_dashboards_fields_are_typed_by_what_they_are() -> None:
    fields = {"groupids.0": {"group": "Dougong"}, "show": 3, "reference": "ABCDE"}
    wanted = [{"widgets": [{"type": "problems", "x": 0, "y": 0, "width": 9, "height": 3, "fields": fields}]}]
    ((page),) = zabbix_dashboard.native(wanted, lambda name: "7" if name == "Dougong" else "")
    assert [(field["type"], field["value"]) for field in page["widgets"][0]["fields"]] == [
        ("2", "7"),
        ("0", "3"),
        ("1", "ABCDE"),
    ]


def test_a_dashboard_is_the_same_with_the_identifiers_of_the_api_and_another_one_with_another_field() -> None:
    pages = zabbix_dashboard.native(
        yaml.safe_load((ROLE / "files" / "dashboard.yml").read_text()), lambda name: str(len(name))
    )
    told = [
        {
            **page,
            "dashboard_pageid": "1",
            "widgets": [{**widget, "widgetid": "2"} for widget in reversed(page["widgets"])],
        }
        for page in pages
    ]
    assert zabbix_dashboard.comparable(told) == zabbix_dashboard.comparable(pages)
    told[0]["widgets"][0]["fields"] = []
    assert zabbix_dashboard.comparable(told) != zabbix_dashboard.comparable(pages)


def test_widgets_do_not_overlap() -> None:
    for page in yaml.safe_load((ROLE / "files" / "dashboard.yml").read_text()):
        places = [
            (x, y)
            for widget in page["widgets"]
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        ]
        assert len(places) == len(set(places))
        assert max(x for x, _ in places) < 72, "Zabbix 7.0's grid"
