"""Charts, last values and timelines, from a real database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from shoal.errors import Rejected
from shoal.history import store
from shoal.history.readings import Sample
from shoal.history.store import (
    LINES_MAX,
    POINTS_MAX,
    READINGS_KEPT,
    TIMELINE_KEPT,
    History,
    LastValue,
    mark_forgotten,
    readings,
    timeline,
    write_last_values,
    write_samples,
    write_timeline,
)
from shoal.storage.database import Database
from tests.harness.databases import fresh_database

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
PATH = "/3303/0/5700"
MINUTE = timedelta(minutes=1)


def sample(minutes: float, value: float | str, *, device: str = "dev-1", path: str = PATH) -> Sample:
    number, text = (None, value) if isinstance(value, str) else (value, None)
    return Sample(device, path, NOON + minutes * MINUTE, number, text, value)


def row(number: int, *, minutes: float = 0, device: str = "dev-1", kind: str = "status") -> dict[str, object]:
    return {
        "id": f"e-{number:03}",
        "tenant_id": "ten-1",
        "device_id": device,
        "time": NOON + minutes * MINUTE,
        "kind": kind,
        "says": f"Line {number}",
        "detail": {"number": number},
    }


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    opened = await fresh_database()
    yield opened
    await opened.close()


@pytest.fixture
def history(database: Database) -> History:
    return History(database)


async def keep(database: Database, *samples: Sample) -> None:
    async with database.transaction() as tx:
        await write_samples(tx, samples)
        await write_last_values(tx, samples)


async def tell(database: Database, *rows: dict[str, object]) -> None:
    async with database.transaction() as tx:
        await write_timeline(tx, rows)


async def test_a_chart_folds_readings_into_marks_and_leaves_gaps(database: Database, history: History) -> None:
    await keep(database, *(sample(m, m) for m in (0, 1, 2, 3, 30, 59)), sample(4, "broken"), sample(60, 60))

    marks = await history.chart("dev-1", PATH, NOON, NOON + 60 * MINUTE, 6)

    assert [((mark.time - NOON) / MINUTE, mark.min, mark.mean, mark.max, mark.count) for mark in marks] == [
        (0, 0, 1.5, 3, 4),
        (30, 30, 30, 30, 1),
        (59, 59, 59, 59, 1),
    ]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(minutes=st.sets(st.integers(0, 200), max_size=40), points=st.integers(1, 50), length=st.integers(1, 300))
async def test_a_chart_has_at_most_so_many_marks_and_counts_every_reading_once(
    database: Database, history: History, minutes: set[int], points: int, length: int
) -> None:
    device = f"dev-{hash((frozenset(minutes), points, length))}"
    await keep(database, *(sample(m, m, device=device) for m in minutes))

    marks = await history.chart(device, PATH, NOON, NOON + length * MINUTE, points)

    assert len(marks) <= points
    assert sum(mark.count for mark in marks) == len([m for m in minutes if m < length])
    assert [mark.time for mark in marks] == sorted(mark.time for mark in marks)
    assert all(mark.min <= mark.mean <= mark.max for mark in marks)


@pytest.mark.parametrize(
    ("until", "points"), [(NOON, 10), (NOON - MINUTE, 10), (NOON + MINUTE, 0), (NOON + MINUTE, POINTS_MAX + 1)]
)
async def test_a_chart_of_nothing_is_rejected(history: History, until: datetime, points: int) -> None:
    with pytest.raises(Rejected):
        await history.chart("dev-1", PATH, NOON, until, points)


async def test_the_same_reading_again_changes_nothing(database: Database, history: History) -> None:
    await keep(database, sample(1, 8.1))
    await keep(database, sample(1, 8.1))

    [mark] = await history.chart("dev-1", PATH, NOON, NOON + 60 * MINUTE, 6)
    assert mark.count == 1


async def test_the_newest_value_stands_in_whatever_order_they_come(database: Database, history: History) -> None:
    await keep(database, sample(5, 5))
    await keep(database, sample(3, 3))
    await keep(database, sample(1, "1.4", path="/3/0/3"), sample(9, 9, device="dev-2"))

    assert await history.last_values("dev-1") == [
        LastValue("/3/0/3", "1.4", NOON + MINUTE),
        LastValue(PATH, 5, NOON + 5 * MINUTE),
    ]
    found = await history.last_values_of(["dev-1", "dev-2", "dev-3"], [PATH])
    assert {key: value.value for key, value in found.items()} == {("dev-1", PATH): 5, ("dev-2", PATH): 9}
    assert await history.last_values_of([], [PATH]) == {}


async def test_the_kind_of_a_value_is_that_of_the_newest(database: Database, history: History) -> None:
    told = sample(0, "AAEC", path="/49000/0/3")
    await keep(database, msgspec.structs.replace(told, kind="opaque"), sample(0, "3303:0", path="/49000/0/4"))
    assert [(one.value, one.kind) for one in await history.last_values("dev-1")] == [
        ("AAEC", "opaque"),
        ("3303:0", None),
    ]

    await keep(database, sample(1, "calm", path="/49000/0/3"))

    assert (await history.last_values("dev-1"))[0] == LastValue("/49000/0/3", "calm", NOON + MINUTE)


async def test_a_timeline_is_read_page_by_page_newest_first(database: Database, history: History) -> None:
    # Three at each moment: the id decides among them.
    await tell(database, *(row(n, minutes=n // 3) for n in range(10)), row(99, device="dev-2"))

    seen: list[str] = []
    before = None
    for _ in range(4):
        page = await history.timeline("dev-1", before, 4)
        seen += [line.says for line in page]
        before = (page[-1].time, page[-1].id) if page else before

    assert page == []
    assert seen == [f"Line {n}" for n in range(9, -1, -1)]


async def test_lines_are_filtered_by_kind_and_told_once(database: Database, history: History) -> None:
    await tell(database, row(1), row(2, kind="alert"), row(2, kind="alert"))
    await tell(database, row(1))

    [line] = await history.timeline("dev-1", None, 50, ["alert"])

    assert (line.says, line.detail) == ("Line 2", {"number": 2})
    assert len(await history.timeline("dev-1", None, 10 * LINES_MAX)) == 2


async def count(database: Database, table: object) -> int:
    async with database.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]


async def test_what_is_too_old_goes_in_pieces_and_the_rest_stays(
    database: Database, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FORGOTTEN_ROWS_MAX", 3)
    await keep(database, *(sample(m, m) for m in range(10)))
    await tell(database, *(row(n, minutes=n) for n in range(10)))
    later = NOON + READINGS_KEPT + 8 * MINUTE
    assert READINGS_KEPT == TIMELINE_KEPT

    pieces = []
    while deleted := await history.forget(later):
        pieces.append(deleted)

    assert max(pieces) <= 6
    assert await count(database, readings) == await count(database, timeline) == 2
    assert [value.value for value in await history.last_values("dev-1")] == [9]


async def test_the_past_of_a_removed_device_goes_and_that_of_others_stays(database: Database, history: History) -> None:
    await keep(database, sample(1, 1), sample(2, 2), sample(1, 1, device="dev-2"))
    await tell(database, row(1), row(2, device="dev-2"))
    async with database.transaction() as tx:
        await mark_forgotten(tx, {"dev-1"})
        await mark_forgotten(tx, {"dev-1"})

    while await history.forget(NOON):
        pass

    assert await history.last_values("dev-1") == []
    assert await history.timeline("dev-1", None, 50) == []
    assert len(await history.last_values("dev-2")) == len(await history.timeline("dev-2", None, 50)) == 1
    assert await count(database, readings) == 1


async def test_devices_are_found_by_what_they_said_among_those_that_count(database: Database, history: History) -> None:
    said = {"dev-0": "TM-20", "dev-1": "tm-2", "dev-2": "TM-21", "dev-3": "TM-2", "dev-4": "XTM-2", "dev-5": "TM-22"}
    await keep(database, *(sample(0, text, device=device, path="/3/0/2") for device, text in said.items()))
    await keep(database, sample(0, "TM-2", device="dev-6", path="/3/0/3"))
    columns = store.last_values.c
    among = select(columns.device_id).where(columns.device_id.not_in(["dev-0", "dev-3"])).distinct()

    found = await history.devices_with("/3/0/2", "Tm-2", among, 2)

    assert list(found.items()) == [("dev-1", "tm-2"), ("dev-2", "TM-21")]
