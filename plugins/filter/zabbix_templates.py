"""Filter `zabbix_templates`: what is to be watched, as data, in Zabbix' own format for import.

A template is written in the words of that format, and may leave out what follows by itself: identifiers, types and the
items and triggers that every service needs alike: its unit, its health page, the end of its certificate, numbers out of
a file on the host, the age of its backup.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

Native = dict[str, Any]

FORMAT_VERSION = "7.0"
GROUP = "Templates/Dougong"
# A restart takes a second or two, and nobody wants to hear of it.
_DOWN_TWICE = "max({item},#2)=0"
_INTERVAL = "30s"
_DEFAULT_INTERVAL = "1m"
_HOURLY = "1h"
_SECONDS_PER_DAY = 86400
# Where role kubernetes_metrics leaves a file for each component, once a minute.
_MEASURES = "/run/dougong/metrics"
_MEASURES_OLD_SECONDS = 300
_BACKUPS = "/var/lib/dougong/backup"
_TIMERS = "/etc/systemd/system"


def identifier(*names: str) -> str:
    """The UUID of a thing by its names: the same in each run, so that an import finds what it made before.

    Zabbix wants version 4, which is random; the digits of a hash are as good.
    """
    digits = hashlib.sha256("\0".join(names).encode()).hexdigest()
    return f"{digits[:12]}4{digits[13:16]}a{digits[17:32]}"


def zabbix_templates(
    templates: Mapping[str, Mapping[str, Any]], macros: Mapping[str, str], scripts: Mapping[str, str]
) -> Native:
    """The templates, ready for import.

    Args:
        templates: template → its content in the words of Zabbix' export, and beside them `units` (systemd units),
            `pages` (name → URL on the host that answers 2xx when all is well), `certificates` (name → host,port),
            `measures` (component → `file` of role kubernetes_metrics, and `items` with the `path` in it; `rate` makes
            of a count what comes in a second), `times` (name → the file whose time it is), `backups` (what → `file`,
            which is touched when one is done, and the `timer` that makes them), and for an item of type SCRIPT
            `script`, the name of its text.
        macros: values for macros of the templates, by name.
        scripts: texts of scripts, by name.

    Raises:
        KeyError: a macro is in no template, or there is no such script.
    """
    present = {macro["macro"] for content in templates.values() for macro in content.get("macros", [])}
    if unknown := set(macros) - present:
        raise KeyError(
            f"no template has the macro {', '.join(sorted(unknown))}; there are {', '.join(sorted(present))}"
        )
    filled = {name: _with_backups(_with_values(content, macros, scripts)) for name, content in templates.items()}
    # A trigger of several items stands beside the templates in this format, and not in one of them.
    spanning = [
        _trigger(name, "", trigger) for name, content in filled.items() for trigger in content.pop("triggers", [])
    ]
    return {
        "zabbix_export": {
            "version": FORMAT_VERSION,
            "template_groups": [{"uuid": identifier("group", GROUP), "name": GROUP}],
            "templates": [_template(name, content) for name, content in filled.items()],
            **({"triggers": spanning} if spanning else {}),
        }
    }


def _with_values(content: Mapping[str, Any], macros: Mapping[str, str], scripts: Mapping[str, str]) -> Native:
    """A template with this installation's values of its macros, and with its scripts."""
    filled = dict(content)
    if "macros" in filled:
        # As an export has them: in order, and an empty value is none.
        filled["macros"] = [
            {**macro, "value": value} if value else {key: part for key, part in macro.items() if key != "value"}
            for macro in sorted(filled["macros"], key=itemgetter("macro"))
            for value in [macros.get(macro["macro"], macro["value"])]
        ]
    if "items" in filled:
        filled["items"] = [
            {**{key: value for key, value in item.items() if key != "script"}, "params": scripts[item["script"]]}
            if "script" in item
            else item
            for item in filled["items"]
        ]
    return filled


def _with_backups(content: Native) -> Native:
    """A template with the times of each backup, and a trigger that looks at both of them."""
    filled = dict(content)
    for what, backup in filled.pop("backups", {}).items():
        last, scheduled = f"{_BACKUPS}/{backup['file']}", f"{_TIMERS}/{backup['timer']}"
        times = {f"{what}: time of the last one": last, f"{what}: time of its schedule": scheduled}
        filled["times"] = {**filled.get("times", {}), **times}
        filled["triggers"] = [_old(what, _time_key(last), _time_key(scheduled)), *filled.get("triggers", [])]
    return filled


def _template(name: str, content: Native) -> Native:
    items = [
        *(_unit(name, unit) for unit in content.pop("units", [])),
        *(_page(name, page, url) for page, url in content.pop("pages", {}).items()),
        *(_certificate(name, what, where) for what, where in content.pop("certificates", {}).items()),
        *(item for what, measure in content.pop("measures", {}).items() for item in _measures(what, measure)),
        *(_time(what, file) for what, file in content.pop("times", {}).items()),
        *content.pop("items", []),
    ]
    rules = content.pop("discovery_rules", [])
    # Zabbix exports a template without any of these parts rather than with an empty one, and compares so.
    parts = {
        "items": [_item(name, dict(item)) for item in items],
        "discovery_rules": [_rule(name, dict(rule)) for rule in rules],
        "valuemaps": [_state(name)],
    }
    return {
        "uuid": identifier(name),
        "template": name,
        "name": name,
        "groups": [{"name": GROUP}],
        **content,
        **{part: value for part, value in parts.items() if value},
    }


def _item(template: str, item: Native) -> Native:
    """An item with what is left out: where it comes from, how often, and who it is."""
    item.setdefault("type", "DEPENDENT" if "master_item" in item else "ZABBIX_ACTIVE")
    item.setdefault("delay", _INTERVAL)
    # An export leaves out what goes without saying, and a comparison with one takes it for a difference.
    if item["type"] == "DEPENDENT" or item["delay"] == _DEFAULT_INTERVAL:
        del item["delay"]
    if item.get("value_type") in ("TEXT", "CHAR", "LOG"):
        item.setdefault("trends", "0")
    triggers = [_trigger(template, item["key"], trigger) for trigger in item.pop("triggers", [])]
    return {"uuid": identifier(template, item["key"]), **item, **({"triggers": triggers} if triggers else {})}


def _trigger(template: str, key: str, trigger: Native) -> Native:
    """A trigger; `{item}` in its expressions is the item below which it stands, `{template}` the template."""
    place = {"item": f"/{template}/{key}", "template": template}
    trigger = dict(trigger)
    for part in ("expression", "recovery_expression"):
        if part in trigger:
            trigger[part] = _fill(trigger[part], place)
    return {"uuid": identifier(template, key, trigger["name"]), **trigger}


def _fill(text: str, place: Mapping[str, str]) -> str:
    """str.format would trip over the braces of Zabbix' macros."""
    for name, value in place.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _rule(template: str, rule: Native) -> Native:
    prototypes = [_prototype(template, dict(item)) for item in rule.pop("item_prototypes")]
    return {"uuid": identifier(template, rule["key"]), **rule, "item_prototypes": prototypes}


def _prototype(template: str, item: Native) -> Native:
    made = _item(template, item)
    if "triggers" in made:
        made["trigger_prototypes"] = made.pop("triggers")
    return made


def _state(template: str) -> Native:
    mappings = [{"value": "0", "newvalue": "down"}, {"value": "1", "newvalue": "up"}]
    return {"uuid": identifier(template, "valuemap"), "name": "State", "mappings": mappings}


def _up(name: str, key: str, javascript: str, trigger: Native, component: str) -> Native:
    """An item that is 1 when all is well and 0 otherwise, also where the agent finds nothing at all."""
    return {
        "name": name,
        "key": key,
        "valuemap": {"name": "State"},
        "preprocessing": [
            {
                "type": "CHECK_NOT_SUPPORTED",
                "parameters": ["-1"],
                "error_handler": "CUSTOM_VALUE",
                "error_handler_params": "nothing",
            },
            {"type": "JAVASCRIPT", "parameters": [javascript]},
        ],
        "tags": [{"tag": "component", "value": component}, {"tag": "state", "value": "up"}],
        "triggers": [{"expression": _DOWN_TWICE, "priority": "HIGH", **trigger}],
    }


def _unit(template: str, unit: str) -> Native:
    name = unit.removesuffix(".service")
    return _up(
        f"{name}: runs",
        f"systemd.unit.info[{unit},ActiveState]",
        'return value === "active" ? 1 : 0',
        {
            "name": f"{name} does not run",
            "description": f"On the host: systemctl status {unit}; journalctl --unit {unit} --since -15min",
        },
        name,
    )


def _page(template: str, name: str, url: str) -> Native:
    return _up(
        f"{name}: answers",
        f"web.page.get[{url}]",
        r"return /^HTTP\/[0-9.]+ 2/.test(value) ? 1 : 0",
        {"name": f"{name} does not answer", "description": f"On the host: curl --insecure --include {url}"},
        name,
    )


def _certificate(template: str, name: str, where: str) -> Native:
    key = f"web.certificate.get[{where}]"
    left = f"(last({{item}})-now())/{_SECONDS_PER_DAY}"
    warning = {
        "name": f"{name}: the certificate ends in less than {{$CERTIFICATE.DAYS}} days",
        "expression": f"{left}<{{$CERTIFICATE.DAYS}}",
        "priority": "WARNING",
        "description": "dougong certificates renew; those of services are renewed by dougong up --all",
    }
    return {
        "name": f"{name}: end of the certificate",
        "key": key,
        "delay": _HOURLY,
        "units": "unixtime",
        "preprocessing": [{"type": "JSONPATH", "parameters": ["$.x509.not_after.timestamp"]}],
        "tags": [{"tag": "component", "value": name}],
        "triggers": [warning],
    }


def _measures(component: str, measure: Mapping[str, Any]) -> list[Native]:
    """The file of a component, whether it is of this minute and the component has answered, and what is in it."""
    file = measure["file"]
    tags = [{"tag": "component", "value": component}]
    master = {"key": f"vfs.file.contents[{_MEASURES}/{file}.json]"}
    told = {
        "name": f"{component}: metrics",
        **master,
        "delay": _DEFAULT_INTERVAL,
        "value_type": "TEXT",
        "history": "0",
        "preprocessing": [
            {
                "type": "CHECK_NOT_SUPPORTED",
                "parameters": ["-1"],
                "error_handler": "CUSTOM_VALUE",
                "error_handler_params": "{}",
            }
        ],
        "tags": tags,
    }
    answers = {
        "name": f"{component}: tells its metrics",
        "key": f"metrics.{file}.answers",
        "master_item": master,
        "valuemap": {"name": "State"},
        "preprocessing": [
            {
                "type": "JAVASCRIPT",
                "parameters": [
                    "var told = JSON.parse(value); "
                    f"return told.answers && Date.now() / 1000 - told.at < {_MEASURES_OLD_SECONDS} ? 1 : 0"
                ],
            }
        ],
        "tags": [*tags, {"tag": "state", "value": "up"}],
        "triggers": [
            {
                "name": f"{component} does not tell its metrics",
                # Of a host that has just come the first words are awaited.
                "expression": "max({item},10m)=0 and count({item},10m)>5",
                "priority": "WARNING",
                "description": "On the host: journalctl --unit dougong-kubernetes-metrics --since -15min",
            }
        ],
    }
    return [told, answers, *(_measured(file, dict(item), master, tags) for item in measure["items"])]


def _measured(file: str, item: Native, master: Native, tags: list[Native]) -> Native:
    """A number of a component's file; one that it does not tell is no error, for then it has not answered."""
    path = item.pop("path")
    steps: list[Native] = [
        {"type": "JSONPATH", "parameters": [f"$.{path}"], "error_handler": "DISCARD_VALUE"},
    ]
    if item.pop("rate", False):
        steps.append({"type": "CHANGE_PER_SECOND", "parameters": [""]})
        item.setdefault("value_type", "FLOAT")
    return {"key": f"metrics.{file}.{path}", "master_item": master, "preprocessing": steps, "tags": tags, **item}


def _time_key(file: str) -> str:
    return f"vfs.file.time[{file},modify]"


def _time(name: str, file: str) -> Native:
    """When a file was written; 0 without it."""
    return {
        "name": name,
        "key": _time_key(file),
        "delay": "10m",
        "units": "unixtime",
        "preprocessing": [
            {
                "type": "CHECK_NOT_SUPPORTED",
                "parameters": ["-1"],
                "error_handler": "CUSTOM_VALUE",
                "error_handler_params": "0",
            }
        ],
        "tags": [{"tag": "component", "value": "backup"}],
    }


def _old(what: str, last: str, scheduled: str) -> Native:
    """The first backup is awaited for as long as any other, from the making of the schedule on."""
    newest = f"max(last(/{{template}}/{last}),last(/{{template}}/{scheduled}))"
    return {
        "name": f"{what}: the last one is older than {{$BACKUP.DAYS}} days",
        "expression": f"{{$BACKUP.DAYS}}>0 and now()-{newest}>{{$BACKUP.DAYS}}*{_SECONDS_PER_DAY}",
        "priority": "HIGH",
        "description": "dougong backup makes one; systemctl list-timers on the host says when it was due",
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        """What Ansible asks a filter plugin for."""
        return {"zabbix_templates": zabbix_templates}
