"""What campaigns ask of their neighbours is satisfied by the rooms that the composition root brings."""

from datetime import timedelta

from shoal.app.neighbours import queue_for_campaigns
from shoal.campaigns.neighbours import Request
from shoal.commands.command import Operation
from tests.harness.installation import Installation


async def test_a_request_becomes_a_command_at_its_place(shoal: Installation) -> None:
    request = Request(
        tenant="ten-1",
        farm="frm-1",
        enclosure=None,
        device="dev-1",
        operation="write",
        path="/5/0/1",
        body={"value": "coaps://127.0.0.1/fw/x"},
        time_to_live=timedelta(minutes=5),
        by="usr-1",
    )
    async with shoal.database.transaction() as tx:
        command = await queue_for_campaigns(shoal.commands)(tx, request)

    [queued] = await shoal.commands.unfinished(0)
    assert queued.id == command
    assert (queued.operation, queued.path, queued.by) == (Operation.WRITE, "/5/0/1", "usr-1")
    assert queued.body == b'{"value":"coaps://127.0.0.1/fw/x"}'
    assert (queued.place.farm, queued.place.enclosure, queued.wait_for_wake) == ("frm-1", None, True)
