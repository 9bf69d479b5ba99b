"""What a question to the database finds is what the decision would let one open."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, MetaData, Table, Text, create_engine, insert, select

from shoal.access.decision import Layer, Reach, Zone
from shoal.storage.reach import within

things = Table("things", MetaData(), Column("farm", Text), Column("enclosure", Text), Column("device", Text))
ROWS = [
    (farm, enclosure, device)
    for farm in (None, "frm-1", "frm-2")
    for enclosure in (None, "enc-1", "enc-2")
    for device in (None, "dev-1", "dev-2")
]
zones = st.builds(
    Zone,
    farm=st.sampled_from([None, "frm-1", "frm-2"]),
    enclosure=st.sampled_from([None, "enc-1", "enc-2"]),
    device=st.sampled_from([None, "dev-1", "dev-2"]),
)
some = st.lists(zones, max_size=3).map(tuple)
reaches = st.lists(st.builds(Layer, within=some, but=some), min_size=1, max_size=2).map(lambda one: Reach(tuple(one)))


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as opened:
        things.create(opened)
        opened.execute(insert(things), [dict(zip(("farm", "enclosure", "device"), row, strict=True)) for row in ROWS])
        yield opened
    engine.dispose()


@given(reach=reaches)
def test_rows_are_those_that_are_covered(connection: Connection, reach: Reach) -> None:
    condition = within(reach, things.c.farm, things.c.enclosure, things.c.device)

    found = {tuple(row) for row in connection.execute(select(things).where(condition))}

    assert found == {row for row in ROWS if reach.covers(*row)}
