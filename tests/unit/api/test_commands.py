"""Commands: what was asked, and what became of it."""

from typing import Any

import httpx
import pytest

from shoal.api.commands import nested
from shoal.bff import heard
from shoal.commands.command import Trigger
from shoal.commands.store import Mark
from shoal.ids import CommandId
from tests.unit.api.company import Company


async def asked(company: Company, admin: httpx.AsyncClient, path: str = "/1/0/3", value: int = 600) -> dict[str, Any]:
    """A command that waits for a sleeper."""
    devices = (await admin.get("/devices")).json()["items"]
    if not devices:
        await company.registered(queue_mode=True)
        await company.falls_asleep()
        devices = (await admin.get("/devices")).json()["items"]
    answer = await admin.put(f"/devices/{devices[0]['id']}/objects{path}", json={"value": value})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def marked(company: Company, command: dict[str, Any], trigger: Trigger, **more: Any) -> None:
    found = await company.commands.command(company.tenant, CommandId(command["id"]))
    async with company.installation.database.transaction() as tx:
        await company.commands.mark(tx, Mark(number=found.number, trigger=trigger, at=company.clock.now(), **more))


async def test_the_pages_read_a_command_with_what_it_writes(company: Company, admin: httpx.AsyncClient) -> None:
    command = await asked(company, admin)

    said = heard.Command.model_validate((await admin.get(f"/commands/{command['id']}")).json())

    assert (said.operation, said.path, said.state, said.value) == ("write", "/1/0/3", "queued", 600)
    assert said.expected_at is not None


async def test_a_waiting_command_is_called_back(company: Company, admin: httpx.AsyncClient) -> None:
    command = await asked(company, admin)

    answer = await admin.delete(f"/commands/{command['id']}")
    again = await admin.delete(f"/commands/{command['id']}")

    assert (answer.status_code, again.status_code) == (204, 409)
    assert (await admin.get(f"/commands/{command['id']}")).json()["state"] == "cancelled"


async def test_a_command_that_has_left_is_not_called_back(company: Company, admin: httpx.AsyncClient) -> None:
    command = await asked(company, admin)
    await marked(company, command, Trigger.SEND)

    answer = await admin.delete(f"/commands/{command['id']}")

    assert (answer.status_code, answer.json()["type"], answer.json()["state"]) == (409, "conflict", "sent")


async def test_a_read_shows_what_was_read(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()
    command = (await admin.get(f"/devices/{device.id}/objects/3/0/9")).json()
    await marked(company, command, Trigger.ANSWER, answer=b'{"content":[{"path":"/3/0/9","value":87}]}')

    said = (await admin.get(f"/commands/{command['id']}")).json()

    assert (said["state"], said["value"], said["expected_at"]) == ("answered", 87, None)


async def test_a_refusal_comes_with_its_code(company: Company, admin: httpx.AsyncClient) -> None:
    command = await asked(company, admin)
    await marked(company, command, Trigger.REFUSE, code="4.05", detail="method not allowed")

    said = heard.Command.model_validate((await admin.get(f"/commands/{command['id']}")).json())

    assert (said.state, said.code, said.detail) == ("refused", "4.05", "method not allowed")


async def test_a_command_that_was_lost_counts_as_expired(company: Company, admin: httpx.AsyncClient) -> None:
    command = await asked(company, admin)
    await marked(company, command, Trigger.SEND)
    await marked(company, command, Trigger.TIME_OUT)

    said = (await admin.get(f"/commands/{command['id']}")).json()

    assert (said["state"], said["detail"]) == ("expired", "the device did not answer")


async def test_the_commands_of_a_device_come_newest_first_in_pages(company: Company, admin: httpx.AsyncClient) -> None:
    commands = [await asked(company, admin, value=number) for number in range(3)]
    await admin.delete(f"/commands/{commands[0]['id']}")
    path = f"/devices/{commands[0]['device']}/commands"

    first = (await admin.get(path, params={"limit": 2})).json()
    second = (await admin.get(path, params={"limit": 2, "cursor": first["next"]})).json()
    waiting = (await admin.get(path, params={"unfinished": "true"})).json()

    assert [one["value"] for one in (*first["items"], *second["items"])] == [2, 1, 0]
    assert [one["value"] for one in waiting["items"]] == [2, 1]


@pytest.mark.parametrize("cursor", ["x", "-1", "9" * 40, "٣"])
async def test_a_cursor_that_is_none_of_ours_is_refused(
    company: Company, admin: httpx.AsyncClient, cursor: str
) -> None:
    device = await company.device()

    answer = await admin.get(f"/devices/{device.id}/commands", params={"cursor": cursor})

    assert (answer.status_code, answer.json()["type"]) == (400, "invalid")


async def test_only_who_may_write_calls_a_write_back(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    command = await asked(company, admin)
    path = f"/commands/{command['id']}"

    assert (await viewer.get(path)).status_code == 200
    assert (await viewer.delete(path)).status_code == 403
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.delete(path)).status_code == 404
    assert (await stranger.get(f"/devices/{command['device']}/commands")).status_code == 404


@pytest.mark.parametrize(
    ("path", "content", "value"),
    [
        ("/3/0/9", [("/3/0/9", 87)], 87),
        ("/3/0/11", [("/3/0/11/0", 0), ("/3/0/11/1", 4)], {"0": 0, "1": 4}),
        ("/3/0/11", [("/3/0/11/0", 0)], {"0": 0}),
        ("/3", [("/3/0/0", "Acme"), ("/3/0/11/0", 0)], {"0": {"0": "Acme", "11": {"0": 0}}}),
        ("/3/0", [], {}),
    ],
)
def test_what_was_read_is_shown_by_what_was_asked(path: str, content: list[tuple[str, Any]], value: Any) -> None:
    assert nested(path, [{"path": at, "value": said} for at, said in content]) == value


def test_a_device_that_contradicts_itself_breaks_nothing() -> None:
    content = [{"path": "/3/0/11", "value": 1}, {"path": "/3/0/11/0", "value": 2}]

    assert nested("/3/0", content) is not None


async def test_attributes_that_wait_are_shown_by_their_names(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()

    waits = await admin.post(f"/devices/{device.id}:send-attributes", json={"path": "/3", "attributes": {"pmin": 60}})

    assert waits.status_code == 202
    assert (waits.json()["operation"], waits.json()["value"]) == ("write_attributes", {"pmin": 60})
