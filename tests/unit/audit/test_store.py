"""The audit log: written with the change, read in pages, kept for a while."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shoal.access.decision import Subject
from shoal.access.policy import Role
from shoal.audit.entry import act_of
from shoal.audit.store import Audit
from shoal.errors import Rejected
from shoal.ids import TenantId
from shoal.storage.database import Database
from tests.harness.databases import fresh_database

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
OURS, THEIRS = TenantId("ten-OURS0000"), TenantId("ten-THEIRS00")


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


@pytest.fixture
def audit(database: Database) -> Audit:
    return Audit(database)


async def write(
    audit: Audit, path: str, *, at: datetime = NOW, by: str = "usr-1", tenant: TenantId = OURS, method: str = "PATCH"
) -> None:
    subject = Subject(tenant=tenant, role=Role.ADMINISTRATOR, id=by, name="Kari")
    async with audit._database.transaction() as tx:
        await audit.write(tx, subject, act_of(method, path), at=at, address="192.0.2.1", before={"a": 1}, after=None)


async def test_an_entry_comes_back_as_it_was_written(audit: Audit) -> None:
    await write(audit, "/farms/frm-00000001")

    [entry] = await audit.entries(OURS)

    assert (entry.tenant, entry.at, entry.by, entry.by_name, entry.address) == (OURS, NOW, "usr-1", "Kari", "192.0.2.1")
    assert entry.act == act_of("PATCH", "/farms/frm-00000001")
    assert (entry.before, entry.after) == ({"a": 1}, None)
    assert await audit.entries(THEIRS) == []


async def test_what_is_rolled_back_leaves_no_entry(audit: Audit, database: Database) -> None:
    subject = Subject(tenant=OURS, role=Role.ADMINISTRATOR, id="usr-1", name="Kari")

    async def broken() -> None:
        async with database.transaction() as tx:
            await audit.write(tx, subject, act_of("POST", "/farms"), at=NOW, address="")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await broken()

    assert await audit.entries(OURS) == []


async def test_entries_are_found_by_who_what_and_when(audit: Audit) -> None:
    await write(audit, "/farms/frm-00000001")
    await write(audit, "/farms/frm-00000002", by="tok-1", at=NOW + timedelta(minutes=1))
    await write(audit, "/devices/dev-00000001", at=NOW + timedelta(minutes=2), method="DELETE")

    async def found(**wanted: object) -> list[str]:
        return [entry.act.path for entry in await audit.entries(OURS, **wanted)]  # type: ignore[arg-type]

    assert await found(by="tok-1") == ["/farms/frm-00000002"]
    assert await found(thing="dev-00000001") == ["/devices/dev-00000001"]
    assert await found(resource="farms") == ["/farms/frm-00000002", "/farms/frm-00000001"]
    assert await found(action="delete") == ["/devices/dev-00000001"]
    assert await found(since=NOW + timedelta(minutes=1), until=NOW + timedelta(minutes=2)) == ["/farms/frm-00000002"]
    with pytest.raises(Rejected, match="limit"):
        await audit.entries(OURS, limit=501)


async def test_pages_hold_each_entry_once_also_of_one_moment(audit: Audit) -> None:
    for number in range(7):
        await write(audit, f"/farms/frm-0000000{number}", at=NOW + timedelta(seconds=number // 3))

    seen: list[str] = []
    before = None
    while page := await audit.entries(OURS, before=before, limit=2):
        seen += [entry.act.path[-1] for entry in page]
        before = (page[-1].at, page[-1].id)

    assert seen == list("6543210")


async def test_what_is_too_old_is_deleted_in_pieces(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.audit.store.FORGOTTEN_PER_ROUND_MAX", 2)
    for days in (400, 390, 380, 1):
        await write(audit, f"/farms/frm-{days:08}", at=NOW - timedelta(days=days))

    assert [await audit.forget(NOW, timedelta(days=365)) for _ in range(3)] == [2, 1, 0]
    assert len(await audit.entries(OURS)) == 1
