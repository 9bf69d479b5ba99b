"""What campaigns ask of their neighbours is satisfied by the rooms that the composition root brings."""

from datetime import timedelta
from pathlib import Path

from shoal.app.neighbours import queue_for_campaigns
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.neighbours import FileServer, Request
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


def test_a_file_server_is_a_few_functions() -> None:
    readers: set[tuple[str, str]] = set()
    server = FileServer(
        serve=lambda path, etag, file, device: readers.add((path, device)),
        withdraw=lambda path, device: readers.discard((path, device)),
        file=Path,
        address=lambda facts: "coaps://a" if facts.secure else "coap://a",
    )

    server.serve("/fw/x", b"\x01", Path("x"), "dev-1")
    server.serve("/fw/x", b"\x01", Path("x"), "dev-2")
    server.withdraw("/fw/x", "dev-1")

    assert readers == {("/fw/x", "dev-2")}
    assert server.address(DeviceFacts(device="dev-1", tenant="ten-1", secure=True)) == "coaps://a"
