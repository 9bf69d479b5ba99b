"""Times and JSON survive the way into a table and back."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from sqlalchemy import Column, Table, Text, insert, select

from shoal.storage.tables import Json, Timestamp, metadata, milliseconds, moment
from tests.harness.databases import fresh_database


class Shape(msgspec.Struct):
    width: int


shapes = Table(
    "test_shapes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Timestamp),
    Column("plain", Json),
    Column("shape", Json(Shape)),
)


async def test_a_row_comes_back_as_it_went_in() -> None:
    database = await fresh_database()
    at = datetime(2026, 11, 24, 2, 30, 0, 123_000, tzinfo=timezone(timedelta(hours=1)))
    row = {"id": "a", "at": at, "plain": {"list": [1, None, "æ"]}, "shape": Shape(3)}

    async with database.transaction() as tx:
        await tx.execute(insert(shapes), row)
        await tx.execute(insert(shapes), {"id": "b"})
    async with database.reading() as connection:
        full, empty = (await connection.execute(select(shapes).order_by(shapes.c.id))).all()
    await database.close()

    assert full == ("a", at, {"list": [1, None, "æ"]}, Shape(3))
    assert full.at.tzinfo is UTC
    assert empty == ("b", None, None, None)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        milliseconds(datetime(2026, 1, 1))  # noqa: DTZ001


def test_moments_before_1970_work_as_well() -> None:
    early = datetime(1969, 12, 31, 23, 59, 59, 1000, tzinfo=UTC)

    assert moment(milliseconds(early)) == early
