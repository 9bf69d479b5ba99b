"""The pages' own client, against the real API: the two cannot drift apart."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue

from shoal.access.policy import Role
from shoal.bff import heard
from shoal.bff.api import Api, ProblemAnswered
from shoal.bff.screens import anchors, authorities
from shoal.events.device import Claim
from shoal.inventory.device import Security
from tests.harness.authority import Authority
from tests.unit.api.company import PASSWORD, Company


@pytest.fixture
async def client(company: Company) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(company.application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as opened:
        yield opened


@pytest.fixture
async def pages(company: Company, client: httpx.AsyncClient) -> Api:
    await company.installation.identity.create_user(
        company.tenant, email="ida@nordvik.example", name="Ida Vik", role=Role.ADMINISTRATOR, password=PASSWORD
    )
    session = await Api(client).log_in("ida@nordvik.example", PASSWORD)
    return Api(client, session.token)


async def test_every_screen_finds_its_parts(company: Company, pages: Api) -> None:
    device = await company.registered(objects=("/3/0", "/5/0", "/3303/0"))
    await company.reports(device, {"/3/0/9": 87, "/3303/0/5700": 9.1})
    now = company.clock.now().isoformat()

    assert (await pages.me()).tenant == "Nordvik Seafarms"
    assert (await pages.health()).devices == 1
    assert [one.enclosure for one in await pages.coverage(farm=company.farm)] == [company.enclosure]
    assert (await pages.pipeline()).delayed_since is None
    assert [farm.id for farm in await pages.farms()] == [company.farm]
    assert (await pages.farm(company.farm)).enclosures[0].id == company.enclosure
    assert (await pages.enclosure(company.enclosure)).farm == company.farm
    assert (await pages.alerts("open", farm=company.farm, device=device.id)).total == 0
    assert (await pages.devices({"farm": company.farm, "status": "healthy", "q": "oxy", "limit": 100})).total is None
    assert (await pages.devices({"limit": 100})).total == 1
    assert (await pages.device(device.id)).endpoint == "oxy-0101"
    assert [one.object for one in await pages.objects(device.id)] == [3, 5, 3303]
    query: dict[str, str | int | None] = {
        "path": "/3303/0/5700",
        "from": "2026-10-31T00:00:00+00:00",
        "to": now,
        "points": 700,
    }
    assert (await pages.readings(device.id, query)).path == "/3303/0/5700"
    assert (await pages.timeline(device.id)).items
    assert await pages.updates(device.id) == []
    assert await pages.artifacts() == []


async def test_what_people_do_to_a_device_that_listens_is_done(company: Company, pages: Api) -> None:
    device = await company.registered()
    company.gateway.answers["read", "/3/0/9"] = {"content": [{"path": "/3/0/9", "value": 87, "type": "integer"}]}
    company.gateway.answers["write", "/1/0/3"] = {}
    company.gateway.answers["execute", "/3/0/4"] = {}

    read = await pages.ask_device("GET", device.id, "/3/0/9")
    written = await pages.ask_device("PUT", device.id, "/1/0/3", {"value": 600})
    executed = await pages.ask_device("POST", device.id, "/3/0/4", {})

    assert isinstance(read, heard.Answer)
    assert isinstance(written, heard.Answer)
    assert isinstance(executed, heard.Answer)
    assert (read.value, read.source, written.value) == (87, "device", 600)


async def test_what_people_do_to_a_sleeper_waits_and_can_be_called_back(company: Company, pages: Api) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()

    waiting = await pages.ask_device("PUT", device.id, "/1/0/3", {"value": 600})
    assert isinstance(waiting, heard.Command)
    shown = await pages.device(device.id)
    await pages.cancel_command(waiting.id)

    assert [(one.id, one.value, one.by) for one in shown.waiting] == [(waiting.id, 600, "Ida Vik")]
    assert (await pages.command(waiting.id)).state == "cancelled"
    assert (await pages.device(device.id)).waiting == []


async def test_a_claim_is_settled(company: Company, pages: Api) -> None:
    other = await company.installation.create_enclosure(company.tenant, company.farm, "Pen 2")
    device = await company.registered(claim=Claim(enclosure=other, via="option"))

    await pages.settle_claim(device.id, "accept")

    assert (await pages.device(device.id)).place.enclosure == other


async def test_a_problem_reaches_the_page_as_it_is(company: Company, pages: Api) -> None:
    device = await company.registered()
    company.gateway.answers["read", "/5/0/2"] = ("4.05", "method not allowed")

    with pytest.raises(ProblemAnswered) as refused:
        await pages.ask_device("GET", device.id, "/5/0/2")
    with pytest.raises(ProblemAnswered) as missing:
        await pages.device("dev-00000000")

    assert (refused.value.status, refused.value.problem["type"]) == (502, "device-refused")
    assert refused.value.problem["code"] == "4.05"
    assert (missing.value.status, missing.value.problem["type"]) == (404, "not-found")


async def test_who_is_told_is_written_and_read(company: Company, pages: Api) -> None:
    hook = await pages.write_channel(None, {"kind": "webhook", "name": "Phone", "url": "https://hooks.example/"})
    ways: list[JsonValue] = [{"channel": "webhook", "address": hook.id}, {"channel": "dashboard"}]
    kari = await pages.write_contact(None, {"name": "Kari", "methods": ways})
    steps: list[JsonValue] = [{"after_s": 0, "contacts": [kari.id], "channels": ["webhook"]}]
    night = await pages.write_policy(None, {"name": "Night", "steps": steps, "places": [company.farm]})

    renamed = await pages.write_policy(night.id, {"name": "Nights"}, night.version)
    with pytest.raises(ProblemAnswered) as caught:
        await pages.write_policy(night.id, {"name": "Mine"}, night.version)
    await pages.order_policies([night.id])
    rehearsed = await pages.rehearse({"severity": "high", "farm": company.farm})
    await pages.test_channel(hook.id, {})
    await pages.test_contact(kari.id)

    assert hook.secret
    assert (caught.value.status, renamed.name) == (412, "Nights")
    assert [policy.id for policy in await pages.policies()][:1] == [night.id]
    assert [(who.name, who.channels) for who in rehearsed.calls[0].who] == [("Kari", ["webhook", "dashboard"])]
    assert [way.address for way in (await pages.contacts())[0].methods] == [hook.id, ""]
    latest = next(channel.latest for channel in await pages.channels() if channel.id == hook.id)
    assert latest is not None
    assert (latest.about, latest.state) == ("test", "waiting")
    rotated = await pages.rotate_channel(hook.id, hook.version)
    await pages.remove_policy(night.id, renamed.version)
    await pages.remove_contact(kari.id, kari.version)
    await pages.remove_channel(hook.id, rotated.version)
    assert [channel.id for channel in await pages.channels()] == ["email", "dashboard"]


async def test_whose_certificates_count_is_written_and_read(
    company: Company, client: httpx.AsyncClient, pages: Api, tmp_path: Path
) -> None:
    # Certificates are judged by the true time, which is after the end of the first login.
    company.installation.clock.advance(datetime.now(UTC) - company.installation.clock.now())
    pages = Api(client, (await pages.log_in("ida@nordvik.example", PASSWORD)).token)
    maker = Authority(tmp_path, "Makers")
    foreign = await pages.add_anchor({"name": "Makers", "certificate": maker.ca.read_text(), "zero_touch": "off"})
    old = await pages.add_authority({"name": "Ours", "lifetime_s": 86_400, "under": None})
    new = await pages.roll_over_authority(old.id, {"under": None})
    device = await company.device("cam-9")
    async with company.installation.database.transaction() as tx:
        await company.installation.inventory.change_device(tx, company.tenant, device.id, security=Security.X509)
        await company.installation.credentials.remove(tx, company.tenant, device.id)
        await company.installation.credentials.introduce(tx, company.tenant, device.id, is_approved=False)

    async def shown() -> anchors.TrustScreen:
        waiting = await pages.credentials_ending({"state": "waiting", "limit": 10})
        known, use, own = await pages.anchors(), await pages.anchor_use(), await pages.authorities()
        return anchors.trust_screen(company.clock.now(), known, use, own, waiting)

    screen = await shown()
    lines = {line.authority or line.id: line for line in screen.anchors}
    assert set(lines) == {foreign.id, old.id, new.id}
    assert (lines[old.id].successor, lines[new.id].succeeds) == (f"Ours ({new.id})", f"Ours ({old.id})")
    assert lines[old.id].subject.startswith("serialNumber=")
    [waiting] = screen.waiting
    await pages.approve_credential(waiting.device, waiting.credential)
    await pages.prove_anchor(foreign.id, {"signature": maker.sign(foreign.challenge)})
    await pages.change_anchor(foreign.id, {"name": "The makers", "zero_touch": "admit", "kind": "camera"})
    screen = await shown()
    assert (screen.waiting, screen.unseen) == ([], 1)
    assert [(one.name, one.zero_touch) for one in screen.anchors if one.id == foreign.id] == [("The makers", "admit")]
    await pages.remove_anchor(foreign.id)
    await pages.retire_authority(old.id)
    assert {one.state for one in (await shown()).anchors if one.authority != new.id} == {"retired"}
    page = await pages.certificates({"authority": new.id, "expires_after": company.clock.now().isoformat(), "limit": 9})
    use = await pages.anchor_use()
    seen = authorities.authority_screen(
        company.clock.now(), new, await pages.authorities(), await pages.anchors(), use, page
    )
    assert (seen.authority.levels, seen.certificates, seen.roots) == (1, [], [])


def test_what_pages_say_about_a_refusal_is_about_one_that_there_is() -> None:
    root = Path(__file__).resolve().parents[3]
    words = (root / "web/src/features/trust/words.ts").read_text().partition("const REMEDIES")[2]
    fragments = re.findall(r'\[\s*"([^"]+)",', words.partition("\n];")[0])
    sources = "".join(path.read_text() for path in (root / "src/shoal").rglob("*.py"))

    assert len(fragments) > 10
    assert [each for each in fragments if each not in sources] == []
