"""What operators see of a cluster: one command and one alert, followed through numbers, logs and traces."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
import yaml

from shoal.lwm2m import Device
from tests.harness.cluster import Cluster
from tests.harness.collector import Collector, Seen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="module")]

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"
KEY: Final = bytes.fromhex("00112233445566778899aabbccddeeff")
PASSWORD: Final = "a hundred salmon upstream"
SMTP_PASSWORD: Final = "herring-under-a-fur-coat"
CLICK: Final = "click-on-read-1"


@dataclass
class Story:
    """What was done, and everything secret that took part in it."""

    cluster: Cluster
    collector: Collector
    secrets: dict[str, str] = field(default_factory=dict)
    device: str = ""
    alert: str = ""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Story]:
    with Collector() as collector:
        cluster = Cluster(tmp_path_factory.mktemp("watched"), health_processes=1)
        cluster.settings = {
            "SHOAL_LOG_FORMAT": "json",
            "SHOAL_LOG_LEVEL": "debug",
            "SHOAL_OTEL_ENDPOINT": collector.url,
            "SHOAL_OTEL_SHARE": "1",
            "SHOAL_SMTP_HOST": "127.0.0.1",
            "SHOAL_SMTP_PASSWORD": SMTP_PASSWORD,
            # Spans leave soon enough for a test.
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }
        try:
            await cluster.start()
            told = Story(cluster, collector)
            await tell(told)
            yield told
        finally:
            await cluster.stop()


async def tell(story: Story) -> None:
    """A person logs in, reads a device's battery with one click; then the battery runs low."""
    cluster = story.cluster
    farm = await cluster.post("/farms", {"name": "North"})
    pen = await cluster.post(f"/farms/{farm['id']}/enclosures", {"name": "Pen 4", "kind": "pen"})
    body = {"endpoint": "s-17", "kind": "sensor", "enclosure": pen["id"]}
    security = {"mode": "psk", "identity": "s-17", "key": KEY.hex()}
    story.device = (await cluster.post("/devices", body | {"security": security}))["id"]
    other = await cluster.post("/devices", {"endpoint": "s-18", "security": {"mode": "psk", "identity": "s-18"}})
    await cluster.post("/contacts", {"name": "Kari", "email": "kari@farm.example"})

    async with Device("s-17", cluster.coaps, identity="s-17", key=KEY) as device:
        device.set("/3/0/9", 80)
        await device.registered(timedelta(seconds=60))
        await cluster.until(lambda: is_known(story))
        password = await click(story)
        device.set("/3/0/9", 20)
        for _ in range(3):
            await device.send("/3/0/9")
        story.alert = (await cluster.until(lambda: alert_of(story)))["id"]
        await cluster.until(lambda: told(story))
        with pytest.raises(AssertionError):
            await cluster.get("/devices/dev-0000000")

    story.secrets |= {
        "a device's key that was given": KEY.hex(),
        "a device's key that was made": other["security"]["key"],
        "the person's password": password,
        "a token": (await cluster.api()).headers["Authorization"].removeprefix("Bearer "),
        "the database's password": cluster.postgres.password,
        "the mail server's password": SMTP_PASSWORD,
    }


async def click(story: Story) -> str:
    """Comes in at the pages by the link of the first start, and reads the battery; the password."""
    cluster = story.cluster
    found = re.search(r"/welcome#(\S+)", cluster.log_of("api").read_text())
    assert found is not None
    joining = {"secret": found[1], "email": "ida@farm.example", "name": "Ida", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=cluster.pages, verify=cluster.verify, timeout=60) as browser:
        login = await browser.post("/bff/join", json=joining)
        assert login.status_code == 200, login.text
        story.secrets |= {"a CSRF token": login.json()["csrf"], "a cookie": next(iter(browser.cookies.values()))}
        read = await browser.post(
            f"/bff/actions/devices/{story.device}/read",
            json={"path": "/3/0/9"},
            headers={"X-Shoal-CSRF": login.json()["csrf"], "X-Request-Id": CLICK},
        )
    assert read.json()["value"] == 80, read.text
    assert read.headers["X-Request-Id"] == CLICK
    return PASSWORD


async def is_known(story: Story) -> bool:
    """Whether the inventory has heard that the device is there."""
    return (await story.cluster.get(f"/devices/{story.device}"))["registration"] is not None


async def alert_of(story: Story) -> Any:
    alerts = (await story.cluster.get("/alerts", device=story.device))["items"]
    return next((alert for alert in alerts if alert["condition"] == "battery_low"), None)


async def told(story: Story) -> bool:
    return bool(story.collector.trace_with("notify by dashboard"))


def names_of(spans: list[Seen]) -> list[tuple[str, str]]:
    return [(span.service, span.name) for span in spans]


# -- traces -----------------------------------------------------------------------------------------------------------


async def test_a_click_is_one_trace_from_the_pages_to_the_devices_answer(story: Story) -> None:
    async def complete() -> list[Seen]:
        spans = story.collector.trace_with("pages POST", request_id=CLICK)
        return spans if {"api GET", "device answers", "pages POST"} <= {span.name for span in spans} else []

    spans = await story.cluster.until(complete)

    by_name = {span.name: span for span in spans}
    assert sorted(names_of(spans)) == [
        ("shoal-api", "api GET"),
        ("shoal-gateway", "command waits"),
        ("shoal-gateway", "device answers"),
        ("shoal-web", "pages POST"),
    ]
    page, api = by_name["pages POST"], by_name["api GET"]
    waits, answers = by_name["command waits"], by_name["device answers"]
    assert (page.parent, api.parent) == ("", page.id)
    assert waits.parent == answers.parent == api.id
    assert page.start_ns <= api.start_ns <= waits.start_ns <= waits.end_ns <= answers.end_ns <= page.end_ns
    assert api.facts["http.route"] == "/devices/{device}/objects/{path:path}"
    assert answers.facts["outcome"] == "answered"


async def test_a_datagram_is_one_trace_from_the_condition_to_the_message(story: Story) -> None:
    async def complete() -> list[Seen]:
        spans = story.collector.trace_with("health condition-opened", condition="battery_low")
        return spans if "notify by email" in {span.name for span in spans} else []

    spans = await story.cluster.until(complete)

    by_name = {span.name: span for span in spans}
    condition, alert = by_name["health condition-opened"], by_name["alert"]
    assert (condition.service, condition.parent, condition.facts["cause"]) == ("shoal-health", "", "datagram")
    assert condition.facts["device"] == story.device
    assert (alert.service, alert.parent) == ("shoal-alerts", condition.id)
    for channel in ("notify by dashboard", "notify by email"):
        assert (by_name[channel].service, by_name[channel].parent) == ("shoal-alerts", alert.id)
    # No mail server is there.
    assert by_name["notify by email"].facts["outcome"] == "try_again"


async def test_a_reading_that_changes_nothing_is_no_span(story: Story) -> None:
    assert {span.name for span in story.collector.spans if span.service == "shoal-health"} <= {
        "health condition-opened",
        "health condition-changed",
        "health condition-closed",
    }


# -- numbers ----------------------------------------------------------------------------------------------------------


async def test_every_number_of_the_dashboard_and_of_the_rules_is_there(story: Story) -> None:
    shown = "\n".join([await story.cluster.numbers(name) for name in story.cluster.processes])
    known = {"up", *re.findall(r"^# TYPE (\S+) ", shown, re.MULTILINE)}
    # Prometheus names the parts of a histogram after it.
    known |= {f"{name}_{part}" for name in known for part in ("bucket", "count", "sum")}
    dashboard = json.loads((DEPLOY / "grafana" / "shoal.json").read_text())
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]

    named = {name for text in asked for name in re.findall(r"\b(?:shoal|process)_[a-z_]+|\bup\b", text)}

    assert len(named) > 25
    assert named - known == set()


async def test_every_role_shows_itself_and_the_numbers_of_its_own_work(story: Story) -> None:
    cluster = story.cluster
    for name in cluster.processes:
        role = name.split("-")[0]
        assert re.search(
            rf'^shoal_info{{role="{role}",version="[^"]+"}} 1.0$', await cluster.numbers(name), re.MULTILINE
        )

    assert number(await cluster.numbers("health-0"), 'shoal_health_condition_seconds_count{cause="datagram"}') >= 1
    assert number(await cluster.numbers("gateway"), "shoal_uplink_store_seconds_count") >= 3
    assert number(await cluster.numbers("gateway"), 'shoal_core_held{what="devices"}') == 2
    gateway = await cluster.numbers("gateway")
    assert number(gateway, 'shoal_commands_total{operation="read",outcome="answered"}') == 1
    assert number(gateway, "shoal_command_trip_seconds_count") == 1
    alerts = await cluster.numbers("alerts")
    assert number(alerts, 'shoal_notification_attempt_seconds_count{channel="dashboard",outcome="sent"}') >= 1
    assert number(alerts, 'shoal_notification_attempt_seconds_count{channel="email",outcome="try_again"}') >= 1
    assert number(alerts, 'shoal_worker_handled_seconds_count{group="alerts"}') >= 1
    route = 'application="api",method="GET",route="/devices/{device}/objects/{path:path}",status="200"'
    assert number(await cluster.numbers("api"), f"shoal_http_request_seconds_count{{{route}}}") == 1
    assert number(await cluster.numbers("web"), 'shoal_neighbour_up{neighbour="api"}') == 1


async def test_no_number_is_kept_for_a_tenant_a_device_or_a_person(story: Story) -> None:
    shown = "\n".join([await story.cluster.numbers(name) for name in story.cluster.processes])

    assert re.findall(r"\b(?:ten|frm|enc|dev|usr|con|alr|cmd|tok)-[0-9A-Za-z]{8}\b", shown) == []
    assert "s-17" not in shown
    assert "Kari" not in shown


def number(shown: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", shown, re.MULTILINE)
    assert found is not None, sample
    return float(found[1])


# -- logs -------------------------------------------------------------------------------------------------------------


def lines_of(story: Story, name: str) -> list[dict[str, Any]]:
    """What a role logged; what it says at its start is for the terminal."""
    lines = story.cluster.log_of(name).read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


async def test_logs_are_one_object_a_line(story: Story) -> None:
    for name in story.cluster.processes:
        for line in lines_of(story, name):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
            assert line["level"] in {"debug", "info", "warning", "error", "critical"}
            assert line["event"]


async def test_a_request_is_found_by_its_id_in_the_logs_of_all_who_answered_it(story: Story) -> None:
    trace = story.collector.trace_with("pages POST", request_id=CLICK)[0].trace

    for name, route in (
        ("web", "/bff/actions/devices/{device_id}/read"),
        ("api", "/devices/{device}/objects/{path:path}"),
    ):
        [answered] = [
            line for line in lines_of(story, name) if line["event"] == "http.answered" and line.get("request") == CLICK
        ]
        assert (answered["route"], answered["status"], answered["trace"]) == (route, 200, trace)


async def test_nothing_secret_is_ever_logged_counted_or_traced(story: Story) -> None:
    logged = {
        # The first login is shown on the terminal, this once; it is no line of a log.
        name: "\n".join(line for line in story.cluster.log_of(name).read_text().splitlines() if "/welcome#" not in line)
        for name in story.cluster.processes
    }
    shown = {f"{name}'s numbers": await story.cluster.numbers(name) for name in story.cluster.processes}
    traced = {"spans": "\n".join(str(span) for span in story.collector.spans)}
    assert "http.answered" in logged["api"]

    for where, text in {**logged, **shown, **traced}.items():
        for what, secret in story.secrets.items():
            assert len(secret) > 8
            assert secret.lower() not in text.lower(), f"{what} stands in {where}"
