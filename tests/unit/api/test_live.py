"""Changes as server-sent events."""

from datetime import UTC, datetime, timedelta

from shoal.api.access import Asking
from shoal.api.changes import Reset, Told
from shoal.api.live import lines, stream
from shoal.events.device import DeviceRemoved
from tests.unit.api.company import Company

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
SOON = timedelta(milliseconds=20)


async def asking(company: Company) -> Asking:
    client = await company.client()
    return await company.asking(client)


def removed(company: Company) -> DeviceRemoved:
    return DeviceRemoved(id="e", time=NOW, device="dev-1", tenant=company.tenant)


def test_a_message_is_one_block_with_its_id() -> None:
    told = Told("e1-7", "alert", b'{"type":"alert"}')

    assert lines(told) == b'id: e1-7\nevent: alert\ndata: {"type":"alert"}\n\n'
    assert lines(Reset("e1-9")) == b"id: e1-9\nevent: reset\ndata: {}\n\n"


async def test_a_stream_begins_with_where_it_is_and_goes_on_with_what_happens(company: Company) -> None:
    watcher = company.changes.watch(company.tenant)
    blocks = stream(company.rooms, await asking(company), watcher, SOON)

    first = await anext(blocks)
    company.changes.tell(removed(company))
    second = await anext(blocks)
    third = await anext(blocks)
    await blocks.aclose()

    assert first == f"id: {watcher.after.rpartition('-')[0]}-0\n: connected\n\n".encode()
    assert b"event: place" in second
    assert b'"device":"dev-1"' in second
    assert third == b": heartbeat\n\n"


async def test_who_comes_back_loses_nothing(company: Company) -> None:
    here = company.changes.here
    company.changes.tell(removed(company))
    watcher = company.changes.watch(company.tenant, here)
    blocks = stream(company.rooms, await asking(company), watcher, SOON)

    await anext(blocks)
    missed = await anext(blocks)
    await blocks.aclose()

    assert b'"device":"dev-1"' in missed


async def test_a_stream_ends_when_its_token_counts_no_more(company: Company) -> None:
    who = await asking(company)
    blocks = stream(company.rooms, who, company.changes.watch(company.tenant), SOON)
    await anext(blocks)
    async with company.installation.database.transaction() as tx:
        await company.installation.identity.revoke_token(tx, company.tenant, who.authenticated.token.id)

    company.clock.advance(timedelta(minutes=2))

    assert [block async for block in blocks] == []


async def test_a_stream_is_for_those_with_a_token(company: Company) -> None:
    assert (await company.bearing(None).get("/events")).status_code == 401
