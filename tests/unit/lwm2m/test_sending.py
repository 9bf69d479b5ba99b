"""The one that empties a journal: in order, and with patience."""

import asyncio

import pytest

from shoal.lwm2m.journal import Journal, Recorded
from shoal.lwm2m.sending import PAUSE_LAST_S, PAUSE_SAID_MAX_S, Answer, Sending, pause_after


@pytest.mark.parametrize(
    ("answer", "failures", "pause"),
    [
        (Answer(None), 0, 1.0),
        (Answer(None), 3, 8.0),
        (Answer(None), 1_000, PAUSE_LAST_S),
        (Answer("4.04"), 0, 1.0),
        (Answer("5.03", retry_after_s=40), 0, 40.0),
        (Answer("5.03", retry_after_s=0), 2, 4.0),
        (Answer("5.03", retry_after_s=86_400), 0, PAUSE_SAID_MAX_S),
        (Answer("5.00"), 1, 2.0),
        (Answer("4.29"), 0, 1.0),
        (Answer("4.00"), 0, None),
        (Answer("4.13"), 0, None),
    ],
)
def test_how_long_it_waits(answer: Answer, failures: int, pause: float | None) -> None:
    assert pause_after(answer, failures) == pause


class Server:
    """Says what it was told to say, and keeps what it took."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.took: list[float] = []

    async def report(self, batch: list[tuple[str, bytes, float]]) -> Answer:
        await asyncio.sleep(0)
        code = self.answers.pop(0) if self.answers else "2.04"
        if code == "2.04":
            self.took.extend(at for _, _, at in batch)
        return Answer(code, "why")


def sending(server: Server, journal: Journal, is_registered: bool = True) -> tuple[Sending, asyncio.Event, list[int]]:
    registered = asyncio.Event()
    if is_registered:
        registered.set()
    lengths: list[int] = []
    return Sending("s-1", journal, registered, server.report, lambda: lengths.append(len(journal))), registered, lengths


def recorded(count: int) -> Journal:
    journal = Journal()
    for number in range(count):
        journal.add(Recorded("/3/0/9", b"1", float(number)))
    return journal


async def test_everything_goes_in_order_and_the_journal_is_empty_afterwards() -> None:
    server, journal = Server(), recorded(120)
    sender, _, lengths = sending(server, journal)

    await sender.all_sent()

    assert server.took == [float(number) for number in range(120)]
    assert lengths == [70, 20, 0]


async def test_nothing_is_sent_without_a_registration() -> None:
    server, journal = Server(), recorded(1)
    sender, registered, _ = sending(server, journal, is_registered=False)
    sender.go_on()
    for _ in range(5):
        await asyncio.sleep(0)
    assert server.took == []

    registered.set()
    await sender.all_sent()

    assert server.took == [0.0]


async def test_what_the_server_will_never_take_makes_room_for_the_next() -> None:
    server, journal = Server("4.00"), recorded(60)
    sender, _, _ = sending(server, journal)

    await sender.all_sent()

    assert server.took == [float(number) for number in range(50, 60)]
    assert (journal.dropped, sender.reason) == (50, "")


async def test_what_could_not_be_sent_stays_when_it_is_stopped() -> None:
    server, journal = Server(None), recorded(3)
    sender, _, _ = sending(server, journal)
    sender.go_on()
    async with asyncio.timeout(20):
        while sender.reason != "why":  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0)

    sender.stop()

    assert len(journal) == 3
