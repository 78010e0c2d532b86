"""What roles zabbix_server, zabbix_agent and zabbix_configuration leave: asked of the API, and tried."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from testinfra.host import Host

from dougong import credentials
from tests.entry_point import play
from tests.zabbix_client import HOST, PROBLEM_SECONDS, Zabbix, until, webhook


@pytest.fixture(scope="module")
def password() -> str:
    return credentials.get(Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]), "zabbix/Admin")


@pytest.fixture(scope="module")
def zabbix(host: Host, password: str) -> Zabbix:
    return Zabbix(host.check_output, password)


@pytest.mark.parametrize("unit", ["zabbix-server", "zabbix-agent2", "postgresql@17-main", "php8.4-fpm", "nginx"])
def test_services_run_now_and_at_boot(host: Host, unit: str) -> None:
    service = host.service(unit)
    assert service.is_running
    assert service.is_enabled


def test_the_database_has_no_listener_and_asks_nobody_for_a_password(host: Host) -> None:
    assert not host.socket("tcp://5432").is_listening
    assert "PASSWORD'] = ''" in host.file("/etc/zabbix/zabbix.conf.php").content_string
    assert host.run("runuser -u nobody -- psql --username zabbix zabbix -c 'SELECT 1'").failed


def test_the_password_that_everybody_knows_is_not_admins(host: Host) -> None:
    with pytest.raises(AssertionError, match="Incorrect user name or password"):
        Zabbix(host.check_output, "zabbix")


def ask_database(host: Host, query: str) -> str:
    answer: str = host.check_output("runuser -u zabbix -- psql zabbix --tuples-only --no-align -c %s", query)
    return answer


def test_history_and_the_audit_log_are_partitioned(host: Host) -> None:
    assert ask_database(host, "SELECT count(*) FROM timescaledb_information.hypertables") == "9"
    wrong = "SELECT count(*) FROM auditlog WHERE abs(clock - cuid_timestamp(auditid)) > 1"
    assert ask_database(host, wrong) == "0", "each line is in the partition of its time"


def test_the_housekeeper_finds_all_its_partitions(host: Host) -> None:
    said = "journalctl --unit zabbix-server --output cat --boot"
    before = len(host.check_output(said).splitlines())
    host.check_output("zabbix_server --runtime-control housekeeper_execute")

    def new() -> str:
        return "\n".join(host.check_output(said).splitlines()[before:])

    until(lambda: "housekeeper [deleted" in new(), 60, "it has been through")
    assert "query failed" not in new()


def test_pages_are_served_by_the_platforms_certificate_and_hide_their_parts(host: Host) -> None:
    assert host.check_output("curl --silent --output /dev/null --write-out %{http_code} https://10.78.0.101/") == "200"
    for hidden in ("/conf/maintenance.inc.php", "/include/config.inc.php", "/local/README", "/vendor/autoload.php"):
        ask = f"curl --silent --output /dev/null --write-out '%{{http_code}}' https://10.78.0.101{hidden}"
        assert host.check_output(ask) == "403", hidden
    assert host.run("curl --silent --max-time 3 http://10.78.0.101:8080/").failed, "without TLS from outside"


def test_the_host_has_come_by_itself_into_the_groups_of_the_inventory(zabbix: Zabbix) -> None:
    (found,) = until(
        lambda: zabbix(
            "host.get",
            filter={"host": [HOST]},
            selectHostGroups=["name"],
            selectParentTemplates=["host"],
            output="extend",
        ),
        60,
        "the host has registered",
    )
    groups = {group["name"] for group in found["hostgroups"]}
    assert {"Dougong", "Dougong/services", "Dougong/zabbix", "Dougong/haproxy"} <= groups
    templates = {template["host"] for template in found["parentTemplates"]}
    assert {"Dougong Linux", "Dougong HAProxy", "Dougong Zabbix"} <= templates
    assert (found["tls_connect"], found["tls_accept"]) == ("2", "2"), "by the key alone"


def test_values_arrive(zabbix: Zabbix) -> None:
    until(lambda: zabbix.values("haproxy: runs") == ["1"], PROBLEM_SECONDS, "the unit's state")
    until(lambda: zabbix.values("Zabbix pages: answers") == ["1"], PROBLEM_SECONDS, "a health page")


def test_haproxys_statistics_arrive(zabbix: Zabbix) -> None:
    found = until(
        lambda: zabbix.values("HAProxy pages/self: state"), 2 * PROBLEM_SECONDS, "a server of a backend was discovered"
    )
    assert found == ["UP"]


def test_the_end_of_a_certificate_is_known_when_the_agent_has_started(host: Host, zabbix: Zabbix) -> None:
    host.check_output("systemctl restart zabbix-agent2")
    (end,) = until(lambda: zabbix.values("Zabbix pages: end of the certificate"), PROBLEM_SECONDS, "the certificate")
    assert 300 < (int(end) - time.time()) / 86400 < 366


def ask_agent(host: Host, options: str) -> str:
    answer: str = host.run(f"timeout 10 zabbix_get --host 10.78.0.101 --key agent.ping {options}").stdout
    return answer.strip()


def test_an_agent_answers_who_has_the_key_alone(host: Host) -> None:
    name = host.check_output("sed -n s/^TLSPSKIdentity=//p /etc/zabbix/zabbix_agent2.conf")
    host.check_output("openssl rand -hex 32 > /root/other.psk")
    by_key = f"--tls-connect psk --tls-psk-identity {name} --tls-psk-file"
    assert ask_agent(host, "") != "1"
    assert ask_agent(host, f"{by_key} /root/other.psk") != "1"
    assert ask_agent(host, f"{by_key} /etc/zabbix/agent.psk") == "1"


# As role kubernetes_metrics leaves them on a node.
MEASURES: dict[str, dict[str, Any]] = {
    "kubelet": {"pods": 7, "evictions": 0, "volumes": [{"namespace": "shop", "claim": "data", "used_percent": 95.5}]},
    "api-server": {"requests": 100, "server_errors": 0, "in_flight": 3, "refused": 0, "timed": 90, "seconds": 1},
}


@pytest.fixture(scope="module")
def another_host(host: Host) -> Iterator[str]:
    """A second agent, as on a control plane that has just been made; nothing of Kubernetes runs there but the notes."""
    for name, told in MEASURES.items():
        note = json.dumps({"at": int(time.time()), "answers": 1, **told})
        host.check_output(f"mkdir -p /run/dougong/metrics; echo %s >/run/dougong/metrics/{name}.json", note)
    name = "molecule-monitoring-new"
    settings = {
        "Hostname": name,
        "HostMetadata": ",all,cluster,control_plane,",
        "ListenPort": "10150",
        "PidFile": "/run/zabbix/new.pid",
        "ControlSocket": "/run/zabbix/new.sock",
        "PersistentBufferFile": "/run/zabbix/new.db",
    }
    edits = "; ".join(f"s|^{option}=.*|{option}={value}|" for option, value in settings.items())
    host.check_output("sed %s /etc/zabbix/zabbix_agent2.conf > /etc/zabbix/new.conf", edits)
    host.check_output("echo ListenPort=10150 >> /etc/zabbix/new.conf")
    host.check_output(
        "systemd-run --unit=another-agent --uid=zabbix zabbix_agent2 --config /etc/zabbix/new.conf --foreground"
    )
    yield name
    host.run("systemctl stop another-agent")


def test_a_new_host_appears_within_a_minute(zabbix: Zabbix, another_host: str) -> None:
    (found,) = until(
        lambda: zabbix("host.get", filter={"host": [another_host]}, selectHostGroups=["name"]), 60, "the host is known"
    )
    assert {"Dougong", "Dougong/cluster", "Dougong/control_plane"} <= {group["name"] for group in found["hostgroups"]}


def test_a_stopped_service_is_told_and_so_is_its_return(host: Host, zabbix: Zabbix) -> None:
    with webhook(host) as heard:

        def told(status: str) -> list[dict[str, str]]:
            return [each for each in heard() if (each["status"], each["problem"]) == (status, "haproxy does not run")]

        host.check_output("systemctl stop haproxy")
        try:
            (problem,) = until(lambda: told("PROBLEM"), PROBLEM_SECONDS, "the webhook hears of the problem")
            assert (problem["host"], problem["severity"]) == (HOST, "High")
            assert "systemctl status haproxy.service" in problem["remedy"]
            assert zabbix.problems("haproxy does not run")
        finally:
            host.check_output("systemctl start haproxy")
        (end,) = until(lambda: told("RESOLVED"), PROBLEM_SECONDS, "the webhook hears of its end")
    assert end["event"] == problem["event"]
    assert not zabbix.problems("haproxy does not run")


# After what takes its time: by now there are values of several minutes.
def test_what_components_say_of_themselves_is_known(host: Host, zabbix: Zabbix, another_host: str) -> None:
    for item, value in {
        "kubelet: pods": "7",
        "API server: requests at this moment": "3",
        "Volume shop/data: used": "95.5",
    }.items():
        # An agent that starts tells at once what it would tell within a minute; a volume is discovered first.
        host.check_output("systemctl restart another-agent")
        assert until(partial(zabbix.values, item), PROBLEM_SECONDS, item) == [value]
    full = "The volume shop/data is nearly full"
    (problem,) = until(lambda: zabbix.problems(full), PROBLEM_SECONDS, full)
    assert problem["severity"] == "3"
    # What is computed waits for a rate, and that for two values.
    of_files = {"filter": {"state": "1", "type": "18"}, "search": {"key_": "metrics."}}
    assert zabbix("item.get", host=another_host, output=["error"], **of_files) == []


def test_a_host_that_is_removed_is_forgotten(host: Host, zabbix: Zabbix, another_host: str) -> None:
    host.check_output("systemctl stop another-agent")
    play(os.environ, "zabbix_configuration", "forget", zabbix_configuration_forgotten_hosts=[another_host])
    assert not zabbix("host.get", filter={"host": [another_host]})


def test_the_dashboard_shows_the_platform_in_a_browser(zabbix: Zabbix, password: str) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine: apt-get install chromium")
    (dashboard,) = zabbix("dashboard.get", filter={"name": "Platform"}, output=["dashboardid"])
    # As on a screen on the wall: without menus.
    page = f"zabbix.php?action=dashboard.view&dashboardid={dashboard['dashboardid']}&kiosk=1"
    login = urlencode({"name": "Admin", "password": password, "enter": "Sign in", "request": page})
    folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
    picture = folder / "dashboard.png"
    picture.unlink(missing_ok=True)
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--window-size=1600,1080"),
        # Widgets ask for their content when the page is there.
        *(f"--user-data-dir={folder}/chromium", "--virtual-time-budget=30000"),
    ]
    shown = subprocess.run(
        [chromium, *options, f"--screenshot={picture}", "--dump-dom", f"https://10.78.0.101/index.php?{login}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout
    assert "Is each part at work?" in shown
    # What a widget has drawn, by its program and the API; in the page itself there are only the names of widgets.
    assert "postgresql@17-main" in shown
    assert "Locale for language" not in shown
    assert picture.stat().st_size > 20_000


@pytest.mark.drill
def test_a_unit_that_nobody_has_named_fails_and_is_told(host: Host, zabbix: Zabbix) -> None:
    problem = "Units have failed"
    host.run("systemd-run --unit=nightly-work false")
    # It tells at once what it would tell after five minutes.
    host.check_output("systemctl restart zabbix-agent2")
    (found,) = until(lambda: zabbix.problems(problem), PROBLEM_SECONDS, "it is known")
    assert "nightly-work.service" in found["name"]
    host.check_output("systemctl reset-failed nightly-work && systemctl restart zabbix-agent2")
    until(lambda: not zabbix.problems(problem), PROBLEM_SECONDS, "it is over")


@pytest.mark.drill
def test_an_old_backup_is_a_problem_and_none_yet_is_not(host: Host, zabbix: Zabbix) -> None:
    schedule = "/etc/systemd/system/dougong-zabbix-backup.timer"
    problem = "Backup of the monitoring: the last one is older"

    def tell(schedule_made: str) -> None:
        host.check_output("touch --date %s %s", schedule_made, schedule)
        # It tells at once what it would tell after ten minutes.
        host.check_output("systemctl restart zabbix-agent2")

    host.check_output("rm --force /var/lib/dougong/backup/zabbix.json")
    tell("now")
    last = "Backup of the monitoring: time of the last one"
    until(lambda: zabbix.values(last) == ["0"], PROBLEM_SECONDS, "there is none")
    assert not zabbix.problems(problem), "the first one is not due"
    tell("4 days ago")
    until(lambda: zabbix.problems(problem), PROBLEM_SECONDS, "it should have been made")
    tell("now")
    until(lambda: not zabbix.problems(problem), PROBLEM_SECONDS, "another schedule, for which to wait")


def test_a_restore_returns_to_the_backup(zabbix: Zabbix, host: Host, password: str) -> None:
    def macros(api: Zabbix) -> set[str]:
        return {macro["macro"] for macro in api("usermacro.get", globalmacro=True)}

    before, after = f"{{$BEFORE{int(time.time())}}}", "{$AFTER}"
    zabbix("usermacro.createglobal", macro=before, value="1")
    assert host.service("dougong-zabbix-backup.timer").is_enabled
    assert host.service("dougong-zabbix-backup.timer").is_running
    host.check_output("systemctl start dougong-zabbix-backup.service")
    assert time.time() - host.file("/var/lib/dougong/backup/zabbix.json").mtime.timestamp() < 600
    zabbix("usermacro.createglobal", macro=after, value="1")
    play(os.environ, "zabbix_server", "restore")
    restored = Zabbix(host.check_output, password)
    assert before in macros(restored)
    assert after not in macros(restored)
    test_history_and_the_audit_log_are_partitioned(host)
    host.check_output("systemctl restart zabbix-agent2")
    until(lambda: restored.values("haproxy: runs"), PROBLEM_SECONDS, "values arrive again")


@pytest.mark.drill
def test_without_a_target_the_controller_keeps_some_and_gives_them_back(host: Host, password: str) -> None:
    folder = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "zabbix"
    folder.mkdir(exist_ok=True)
    old = [folder / f"zabbix-2020010{day}T000000Z.dump" for day in (1, 2)]
    for file in old:
        file.touch()
    play(os.environ, "zabbix_server", "backup", zabbix_server_backup_target={})
    kept = sorted(folder.glob("zabbix-*.dump"))
    assert (len(kept), kept[0]) == (2, old[1]), "the oldest has gone"
    assert kept[-1].read_bytes().startswith(b"PGDMP"), "pg_dump's own form"
    assert not host.file("/var/lib/dougong/backup/zabbix.dump").exists

    later = "{$LATER}"
    Zabbix(host.check_output, password)("usermacro.createglobal", macro=later, value="1")
    # On a host that has a target, too, whose backups are others.
    play(os.environ, "zabbix_server", "restore", zabbix_server_backup_file=str(kept[-1]))
    restored = Zabbix(host.check_output, password)
    assert later not in {macro["macro"] for macro in restored("usermacro.get", globalmacro=True)}
    assert host.service("dougong-zabbix-backup.timer").is_running


@pytest.mark.drill
def test_another_key_reaches_agents_and_server(host: Host, password: str) -> None:
    key = os.urandom(32).hex()
    play(os.environ, "zabbix_agent", "main", zabbix_agent_key=key)
    play(os.environ, "zabbix_configuration", "main", zabbix_configuration_key=key)
    zabbix, began = Zabbix(host.check_output, password), time.time()
    until(lambda: zabbix.measured("haproxy: runs", began), PROBLEM_SECONDS, "values arrive by the new key")


CLOUD = """
import http.server, json
class Cloud(http.server.BaseHTTPRequestHandler):
    def answer(self, status, content, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        credential = asked["auth"]["identity"]["application_credential"]
        if credential != {"id": "id", "secret": "secret"}:
            return self.answer(401, {})
        def service(name, type, url):
            return {"name": name, "type": type, "endpoints": [{"interface": "public", "region": "R", "url": url}]}
        catalog = [
            service("nova", "compute", "http://127.0.0.1:9998/compute"),
            service("octavia", "load-balancer", "http://127.0.0.1:9998/lb"),
            service("cinder", "block-storage", "http://127.0.0.1:9998/broken"),
            service("glance", "image", "http://127.0.0.1:9/"),
        ]
        self.answer(201, {"token": {"catalog": catalog}}, X_Subject_Token="token")
    def do_GET(self):
        if self.headers["X-Auth-Token"] != "token":
            return self.answer(500, {})
        if self.path == "/lb/v2.0/lbaas/loadbalancers":
            well = {"operating_status": "ONLINE", "provisioning_status": "ACTIVE"}
            new = {"operating_status": "OFFLINE", "provisioning_status": "PENDING_CREATE"}
            place = {"vip_address": "192.0.2.9", "vip_port_id": "port"}
            return self.answer(200, {"loadbalancers": [
                {"id": "1", "name": "api", **place, **well},
                {"id": "2", "name": "api", "vip_address": None, "vip_port_id": None, **well},
                {"id": "3", "name": "new", "vip_address": None, "vip_port_id": None, **new},
            ]})
        self.answer(503 if self.path == "/broken" else 200, {})
http.server.ThreadingHTTPServer(("127.0.0.1", 9998), Cloud).serve_forever()
"""


@pytest.fixture
def cloud(host: Host) -> Iterator[Callable[[str], Any]]:
    """The script that asks a cloud, before one with a service that is broken and one that is away."""
    script = (
        Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "roles/zabbix_configuration/files/openstack.js"
    ).read_text()
    host.check_output("systemd-run --unit=cloud python3 -c %s", CLOUD)
    host.check_output("printf %%s %s > /run/openstack.js", script)

    def ask(secret: str) -> Any:
        parameters = json.dumps({"url": "http://127.0.0.1:9998/v3/", "id": "id", "secret": secret})
        return host.run("zabbix_js --script /run/openstack.js --param %s --timeout 30", parameters)

    until(lambda: host.socket("tcp://127.0.0.1:9998").is_listening, 30, "the cloud listens")
    yield ask
    host.run("systemctl stop cloud")


def test_a_clouds_apis_and_load_balancers_are_seen(cloud: Callable[[str], Any]) -> None:
    seen = json.loads(cloud("secret").stdout)
    assert {each["name"]: each["up"] for each in seen["endpoints"]} == {
        "nova": 1,
        "octavia": 1,
        "cinder": 0,
        "glance": 0,
    }
    assert seen["balancers"] == [
        {"id": "1", "name": "api", "operating": "ONLINE", "provisioning": "ACTIVE"},
        {"id": "3", "name": "new", "operating": "OFFLINE", "provisioning": "PENDING_CREATE"},
    ], "what is deleted and listed again is none"


def test_a_credential_that_has_ended_is_an_error(cloud: Callable[[str], Any]) -> None:
    answer = cloud("another")
    assert "Keystone answers 401" in answer.stdout + answer.stderr


def test_what_is_removed_runs_no_more_and_keeps_its_data(host: Host) -> None:
    for role in ("zabbix_agent", "zabbix_server"):
        play(os.environ, role, "remove")
        assert not host.file(f"/etc/ansible/facts.d/{role}.fact").exists
    for unit in ("zabbix-agent2", "zabbix-server", "php8.4-fpm", "dougong-zabbix-backup.timer"):
        assert not host.service(unit).is_running, unit
    assert not host.file("/etc/zabbix/agent.psk").exists
    assert host.run("curl --silent --insecure https://10.78.0.101/").failed
    assert host.file("/var/lib/postgresql/17/main/PG_VERSION").exists
