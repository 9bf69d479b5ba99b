"""Updates of devices."""

from datetime import timedelta

import httpx

from shoal.bff import heard
from tests.unit.api.company import Company

FORM = {"name": "sensor", "version": "2.9.0", "kind": "firmware"}
FILE = {"file": ("sensor.bin", b"image" * 100)}
OBJECTS = ("/3/0", "/5/0")


async def artifact(admin: httpx.AsyncClient) -> str:
    return str((await admin.post("/artifacts", data=FORM, files=FILE)).json()["id"])


async def test_an_update_is_started_followed_and_stopped(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(objects=OBJECTS)
    path = f"/devices/{device.id}/updates"

    started = await admin.post(path, json={"artifact": await artifact(admin), "delivery": "pull"})
    listed = await admin.get(path)
    stopped = await admin.post(f"{path}/{started.json()['id']}:cancel")

    said = heard.Update.model_validate(started.json())
    assert started.status_code == 201, started.text
    assert (said.name, said.version, said.size, said.by) == ("sensor", "2.9.0", 500, "administrator of the test")
    assert [one["id"] for one in listed.json()["items"]] == [said.id]
    assert stopped.json()["state"] == "cancelled"
    assert (await admin.get(f"{path}/{said.id}")).json()["state"] == "cancelled"


async def test_a_device_that_never_spoke_is_updated_when_it_does(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.installation.create_device(company.tenant, "cam-new")

    started = await admin.post(f"/devices/{device.id}/updates", json={"artifact": await artifact(admin)})

    said = heard.Update.model_validate(started.json())
    assert started.status_code == 201, started.text
    assert (said.state, said.reason) == ("waiting", "it is not registered")


async def test_one_update_of_a_device_runs_at_a_time(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(objects=OBJECTS)
    wish = {"artifact": await artifact(admin)}
    await admin.post(f"/devices/{device.id}/updates", json=wish)

    answer = await admin.post(f"/devices/{device.id}/updates", json=wish)

    assert (answer.status_code, answer.json()["type"]) == (409, "conflict")


async def test_what_cannot_be_updated_is_refused(company: Company, admin: httpx.AsyncClient) -> None:
    known = await company.registered(objects=OBJECTS)
    chosen = await artifact(admin)

    path = f"/devices/{known.id}/updates"
    carried = await admin.post(path, json={"artifact": chosen, "delivery": "pigeon"})
    both = await admin.post(path, json={"artifact": chosen, "roll_back": "cmp-00000000"})
    neither = await admin.post(path, json={})
    for_ever = await admin.post(path, json={"artifact": chosen, "soak_s": 1e9})
    unknown = await admin.post(path, json={"roll_back": "cmp-00000000"})
    nothing = await admin.post(f"/devices/{known.id}/updates", json={"artifact": "art-00000000"})
    nonsense = await admin.post(f"/devices/{known.id}/updates", json={"artifact": "latest"})

    assert [answer.status_code for answer in (carried, both, neither, for_ever)] == [422] * 4
    assert (nothing.status_code, nonsense.status_code, unknown.status_code) == (404, 400, 404)


async def test_an_update_says_how_it_goes_and_cannot_be_undone_before_it_took_effect(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered(objects=OBJECTS)
    path = f"/devices/{device.id}/updates"
    wish = {"artifact": await artifact(admin), "delivery": "push", "soak_s": 60}
    started = (await admin.post(path, json=wish)).json()
    early = await admin.post(path, json={"roll_back": started["id"]})
    company.clock.advance(timedelta(seconds=1))
    await company.reports(device, {"/5/0/3": 0, "/5/0/5": 0, "/3/0/3": "1.0"})

    going = (await admin.get(f"{path}/{started['id']}")).json()

    assert (early.status_code, early.json()["type"]) == (409, "conflict")
    assert "it goes on: stop it instead" in early.json()["title"]
    assert (going["state"], going["delivery"], going["over"]) == ("downloading", "push", "coaps")
    assert (going["can_roll_back"], going["undoes"], going["previous_version"]) == (False, None, None)
    [command] = [one for one in await company.commands.of_device(company.tenant, device.id) if one.path == "/5/0/0"]
    assert command.body is not None
    assert b'"from":0' in command.body


async def test_an_update_is_found_at_its_own_device_only(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered(objects=OBJECTS)
    other = await company.device("oxy-2")
    started = await admin.post(f"/devices/{device.id}/updates", json={"artifact": await artifact(admin)})
    update = started.json()["id"]

    assert (await admin.get(f"/devices/{other.id}/updates/{update}")).status_code == 404
    assert (await admin.post(f"/devices/{other.id}/updates/{update}:cancel")).status_code == 404


async def test_neither_a_viewer_nor_another_tenant_updates_a_device(
    company: Company, admin: httpx.AsyncClient, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    device = await company.registered(objects=OBJECTS)
    wish = {"artifact": await artifact(admin)}
    path = f"/devices/{device.id}/updates"

    assert (await viewer.post(path, json=wish)).status_code == 403
    assert (await stranger.post(path, json=wish)).status_code == 404
    assert (await stranger.get(path)).status_code == 404
    assert (await viewer.get(path)).json()["items"] == []
