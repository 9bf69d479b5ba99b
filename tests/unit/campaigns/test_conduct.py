"""What a step decided is carried out in one transaction: commands, the update, and what others are told."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from shoal.campaigns import store
from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.conduct import TIME_TO_LIVE_MAX, TIME_TO_LIVE_MIN, Conductor
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.links import Links
from shoal.campaigns.neighbours import FileServer, Request
from shoal.campaigns.step import COMMANDS_REMEMBERED_MAX
from shoal.campaigns.update import (
    Ask,
    FetchFrom,
    Purpose,
    Push,
    Step,
    Trigger,
    Undo,
    Update,
    UpdateState,
    moved,
)
from shoal.errors import Conflict
from shoal.events.campaign import UpdateChanged
from shoal.events.topics import CAMPAIGN
from shoal.storage.database import Transaction
from tests.harness.installation import START, Installation

FACTS = DeviceFacts(device="dev-1", tenant="ten-1", farm="frm-1", report_every_s=60, secure=True)
UPDATE = Update(
    id="cmp-1",
    tenant="ten-1",
    farm="frm-1",
    enclosure=None,
    device="dev-1",
    endpoint="cam-1",
    artifact="art-1",
    kind=ArtifactKind.MODEL,
    name="fish-count",
    version="2.1.0",
    size=1_000,
    path="/fw/x",
    by="usr-1",
    created_at=START,
    since=START,
    deadline=START + timedelta(days=1),
)
EVERY: Final[dict[str, Any]] = {"device": None, "farm": None, "states": (), "after": None, "limit": 10}
READ = Ask(Purpose.POLL_STATE, "read", "/5/0/3")


def no_file(sha256: str) -> Path:
    raise AssertionError("only who starts an update looks for its file")


def address(facts: DeviceFacts) -> str:
    return "coaps://192.0.2.1:5684/" if facts.secure else "coap://192.0.2.1"


class Queue:
    """Takes requests and gives each a number; full on demand."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.is_full = False

    async def __call__(self, tx: Transaction, request: Request) -> str:
        if self.is_full:
            raise Conflict("dev-1", "32 commands wait for it already")
        self.requests.append(request)
        return f"cmd-{len(self.requests)}"


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def conductor(queue: Queue) -> Conductor:
    return Conductor(queue, FileServer(address=address, file=no_file))


async def carry(
    shoal: Installation, conductor: Conductor, before: Update | None, step: Step, facts: DeviceFacts = FACTS
) -> Update:
    async with shoal.database.transaction() as tx:
        return await conductor.carry_out(tx, before, step, facts, 0, shoal.clock.now())


async def told(shoal: Installation) -> list[UpdateChanged]:
    return [event for event in await shoal.events(CAMPAIGN) if isinstance(event, UpdateChanged)]


async def test_an_update_is_written_with_the_commands_that_it_gave(
    shoal: Installation, conductor: Conductor, queue: Queue
) -> None:
    update = await carry(shoal, conductor, None, Step(UPDATE, (READ, FetchFrom())))

    read, write = queue.requests
    assert update.commands == {"cmd-1": Purpose.POLL_STATE, "cmd-2": Purpose.ADDRESS}
    assert await store.one_update(shoal.database, "ten-1", "cmp-1") == update
    assert (read.operation, read.path, read.body, read.by, read.farm) == ("read", "/5/0/3", None, "usr-1", "frm-1")
    assert (write.operation, write.path, write.body) == ("write", "/5/0/1", {"value": "coaps://192.0.2.1:5684/fw/x"})
    [event] = await told(shoal)
    assert (event.state, event.was, event.key, event.size) == ("waiting", None, "cmp-1", 1_000)


async def test_the_address_depends_on_how_the_device_is_connected(
    shoal: Installation, conductor: Conductor, queue: Queue
) -> None:
    plain = msgspec.structs.replace(FACTS, secure=False)

    await carry(shoal, conductor, None, Step(UPDATE, (FetchFrom(),)), plain)

    assert queue.requests[0].body == {"value": "coap://192.0.2.1/fw/x"}


@pytest.mark.parametrize(
    ("every_s", "poll", "move"),
    [
        (60, timedelta(minutes=2), timedelta(minutes=5)),
        (1, TIME_TO_LIVE_MIN, timedelta(seconds=5)),
        (20 * 86_400, TIME_TO_LIVE_MAX, TIME_TO_LIVE_MAX),
    ],
)
async def test_a_question_lives_until_the_one_after_next_and_within_what_the_queue_takes(
    shoal: Installation, conductor: Conductor, queue: Queue, every_s: float, poll: timedelta, move: timedelta
) -> None:
    facts = msgspec.structs.replace(FACTS, report_every_s=every_s)

    await carry(shoal, conductor, None, Step(UPDATE, (READ, FetchFrom())), facts)

    assert [request.time_to_live for request in queue.requests] == [poll, move]


async def test_a_device_with_too_much_to_do_is_asked_later(
    shoal: Installation, conductor: Conductor, queue: Queue
) -> None:
    queue.is_full = True

    update = await carry(shoal, conductor, None, Step(UPDATE, (READ,)))

    assert update.commands == {}
    assert update.deadline is not None


async def test_only_so_many_commands_are_remembered(shoal: Installation, conductor: Conductor) -> None:
    update = await carry(shoal, conductor, None, Step(UPDATE, (READ,) * (COMMANDS_REMEMBERED_MAX + 3)))

    assert list(update.commands) == [f"cmd-{n}" for n in range(4, COMMANDS_REMEMBERED_MAX + 4)]


async def test_others_hear_of_states_and_of_every_twentieth_part(shoal: Installation, conductor: Conductor) -> None:
    update = await carry(shoal, conductor, None, Step(UPDATE))
    fetching = moved(update, Trigger.BEGIN, START, "", timedelta(minutes=5))
    update = await carry(shoal, conductor, update, Step(fetching))
    for done in range(0, 201, 10):
        update = await carry(shoal, conductor, update, Step(msgspec.structs.replace(update, bytes=done)))

    events = await told(shoal)
    assert [(event.state, event.was, event.bytes) for event in events] == [
        ("waiting", None, 0),
        ("downloading", "waiting", 0),
        ("downloading", None, 50),
        ("downloading", None, 100),
        ("downloading", None, 150),
        ("downloading", None, 200),
    ]
    assert len({event.id for event in events}) == len(events)
    assert (await store.one_update(shoal.database, "ten-1", "cmp-1")).bytes == 200


async def test_what_is_the_same_is_neither_written_nor_told(shoal: Installation, conductor: Conductor) -> None:
    update = await carry(shoal, conductor, None, Step(UPDATE))
    async with shoal.database.transaction() as tx:
        changes = tx.changes
        await conductor.carry_out(tx, update, Step(update), FACTS, 0, START)

        assert tx.changes == changes


async def test_the_last_command_of_an_update_that_is_over_is_given_and_forgotten(
    shoal: Installation, conductor: Conductor, queue: Queue
) -> None:
    update = await carry(shoal, conductor, None, Step(UPDATE))

    ended = await carry(shoal, conductor, update, Step(moved(update, Trigger.CANCEL, START, "by usr-1"), (READ,)))

    assert len(queue.requests) == 1
    assert (ended.state, ended.commands) == (UpdateState.CANCELLED, {})


@pytest.mark.parametrize(
    ("facts", "avoids_web", "begins"),
    [
        ({"protocols": (1, 3)}, False, "https://farm.example/api/v1/downloads/cmp-1/x/"),
        ({"protocols": (1, 3)}, True, "coaps://192.0.2.1:5684/fw/x"),
        ({"protocols": (0, 1)}, False, "coaps://192.0.2.1:5684/fw/x"),
    ],
)
async def test_a_device_that_can_is_told_an_address_of_our_web_server(
    shoal: Installation, queue: Queue, facts: dict[str, Any], avoids_web: bool, begins: str
) -> None:
    links = Links(b"k" * 32, "https://farm.example")
    files = FileServer(address=address, file=no_file, links=links)
    update = msgspec.structs.replace(UPDATE, avoids_web=avoids_web)

    told = await carry(
        shoal, Conductor(queue, files), None, Step(update, (FetchFrom(),)), msgspec.structs.replace(FACTS, **facts)
    )

    assert queue.requests[0].body is not None
    assert str(queue.requests[0].body["value"]).startswith(begins)
    assert told.over == begins.partition(":")[0]


async def test_a_push_names_the_file_and_the_byte_to_begin_with(
    shoal: Installation, conductor: Conductor, queue: Queue
) -> None:
    update = await carry(shoal, conductor, None, Step(UPDATE, (Push(4_096),)))

    [request] = queue.requests
    assert (request.operation, request.path, request.body) == ("write", "/5/0/0", {"file": "/fw/x", "from": 4_096})
    assert (update.over, list(update.commands.values())) == ("coaps", [Purpose.PACKAGE])


async def test_a_way_back_that_is_gone_asks_for_a_person(shoal: Installation, conductor: Conductor) -> None:
    update = await carry(shoal, conductor, None, Step(msgspec.structs.replace(UPDATE, state=UpdateState.TRIAL)))
    ill = Step(moved(update, Trigger.FAIL, START, "it is not well"), (Undo(),))

    ended = await carry(shoal, conductor, update, ill)

    assert ended.state is UpdateState.NEEDS_ATTENTION
    assert ended.reason == "it is not well. It cannot: there is no such artifact"
    assert len((await store.list_updates(shoal.database, "ten-1", **EVERY)).items) == 1
