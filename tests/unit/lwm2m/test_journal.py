"""Readings that wait: bounded, in order, in batches."""

from shoal.lwm2m.journal import BATCH_BYTES_MAX, BATCH_READINGS_MAX, Journal, Recorded


def reading(number: int, value: bytes = b"1") -> Recorded:
    return Recorded("/3303/0/5700", value, float(number))


def times(journal: Journal) -> list[float]:
    return [kept.at for kept in journal]


def test_batches_come_in_order_and_go_when_they_were_sent() -> None:
    journal = Journal()
    for number in range(BATCH_READINGS_MAX + 3):
        journal.add(reading(number))

    first = journal.batch()
    assert journal.batch() == first, "nothing is gone before it was sent"
    journal.sent(first)

    assert len(first) == BATCH_READINGS_MAX
    assert [kept.at for kept in journal.batch()] == [50.0, 51.0, 52.0]
    assert journal.dropped == 0


def test_the_oldest_make_room_by_number_and_by_bytes() -> None:
    few, small = Journal(readings_max=3), Journal(bytes_max=300)
    for number in range(5):
        few.add(reading(number))
        small.add(reading(number, b"x" * 100))

    assert (times(few), few.dropped) == ([2.0, 3.0, 4.0], 2)
    assert (times(small), small.dropped) == ([3.0, 4.0], 3)
    small.add(reading(9, b"x" * 1_000))
    assert times(small) == [9.0], "one is kept, however long it is"


def test_a_long_text_goes_alone() -> None:
    journal = Journal()
    for number, length in enumerate((10, BATCH_BYTES_MAX, 10)):
        journal.add(reading(number, b"x" * length))

    sizes = []
    while len(journal):
        batch = journal.batch()
        sizes.append(len(batch))
        journal.sent(batch)

    assert sizes == [1, 1, 1]


def test_what_made_room_while_it_was_on_its_way_is_not_looked_for() -> None:
    journal = Journal(readings_max=2)
    journal.add(reading(1))
    batch = journal.batch()
    journal.add(reading(2))
    journal.add(reading(3))

    journal.sent(batch)

    assert times(journal) == [2.0, 3.0]


def test_what_no_server_takes_is_counted() -> None:
    journal = Journal()
    journal.add(reading(1))
    journal.refused(journal.batch())

    assert (len(journal), journal.dropped) == (0, 1)


def test_readings_of_before_a_restart_come_first() -> None:
    journal = Journal(readings_max=3)
    journal.add(reading(9))

    journal.begin_with([reading(number) for number in (1, 2, 3)])

    assert times(journal) == [2.0, 3.0, 9.0]
