"""Which paths a device reports by itself: wanted by its profile, or by somebody for this one device."""

from typing import Any

import httpx

from shoal.events.device import ObservationChanged
from shoal.inventory.device import Device
from tests.unit.api.company import Company

VALUE = "/3303/0/5700"


async def tells(company: Company, device: Device, path: str, state: str, **said: Any) -> None:
    await company.hear(
        ObservationChanged(**company.head(device, f"{path}-{state}"), path=path, state=state, **said),
    )


async def test_a_path_is_observed_beside_what_the_profile_says(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()

    put = await admin.put(f"/devices/{device.id}/observations/3/0/13", json={"attributes": {"pmin": 60, "gt": 4.5}})
    listed = (await admin.get(f"/devices/{device.id}/observations")).json()["items"]

    assert put.status_code == 200
    assert put.headers["ETag"] == '"1"'
    found = {one["path"]: one for one in listed}
    assert found["/3/0/13"] == put.json()
    assert (found["/3/0/13"]["origin"], found["/3/0/13"]["by"]) == ("device", "administrator of the test")
    assert found["/3/0/13"]["attributes"] == {"pmin": 60, "gt": 4.5}
    assert (found[VALUE]["origin"], found[VALUE]["state"], found[VALUE]["by"]) == ("profile", "waiting", None)


async def test_what_the_device_does_stands_beside_what_is_wanted(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    address = f"/devices/{device.id}/observations{VALUE}"

    await tells(company, device, VALUE, "established", attributes="pmax=1800")
    well = (await admin.get(address)).json()
    await tells(company, device, VALUE, "refused", code="4.05")
    refused = (await admin.get(address)).json()

    assert (well["state"], well["taken"], well["drift"]) == ("established", {"pmax": 1800}, False)
    assert well["since"] is not None
    assert (refused["state"], refused["code"], refused["drift"]) == ("refused", "4.05", True)


async def test_what_the_profile_wants_is_switched_off_for_one_device_and_back(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.registered()
    address = f"/devices/{device.id}/observations{VALUE}"

    off = await admin.put(address, json={"observe": False})
    tree = (await admin.get(f"/devices/{device.id}/objects")).json()["items"]
    back = await admin.delete(address)
    again = (await admin.get(address)).json()

    assert (off.json()["state"], off.json()["observe"]) == ("off", False)
    observed = {one["path"]: one["observed"] for each in tree for i in each["instances"] for one in i["resources"]}
    assert (observed[VALUE], observed["/3/0/9"]) == (False, True)
    assert back.status_code == 204
    assert (again["state"], again["origin"]) == ("waiting", "profile")
    assert (await admin.delete(address)).status_code == 404


async def test_whoever_saw_an_older_version_is_told_so(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    address = f"/devices/{device.id}/observations{VALUE}"
    seen = (await admin.put(address, json={})).headers["ETag"]

    first = await admin.put(address, json={"attributes": {"pmin": 1}}, headers={"If-Match": seen})
    second = await admin.put(address, json={"attributes": {"pmin": 2}}, headers={"If-Match": seen})

    assert (first.status_code, second.status_code) == (200, 412)
    assert (await admin.get(address)).json()["attributes"] == {"pmin": 1}
    assert (await admin.delete(address, headers={"If-Match": seen})).status_code == 412


async def test_what_cannot_be_is_refused_and_changes_nothing(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    before = (await admin.get(f"/devices/{device.id}/observations")).json()
    for path, body in (
        ("3303/0/5700", {"attributes": {"pmix": 1}}),
        ("3303/0/5700", {"attributes": {"gt": "NaN"}}),
        ("3303/0/5700", {"attributes": {"lt": 9, "gt": 8}}),
        ("3303", {"attributes": {"st": 1}}),
        ("0/0/2", {}),
        ("nonsense", {}),
        ("26241/0/0", {"observe": False}),
    ):
        answer = await admin.put(f"/devices/{device.id}/observations/{path}", json=body)
        assert answer.status_code in {400, 422}, (path, body, answer.text)

    assert (await admin.get(f"/devices/{device.id}/observations")).json() == before
    assert (await admin.get(f"/devices/{device.id}/observations/3/0/99")).status_code == 404


async def test_one_device_is_asked_for_no_more_than_it_can_hold(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    answers = [
        (await admin.put(f"/devices/{device.id}/observations/3303/{number}/5700", json={})).status_code
        for number in range(65)
    ]

    assert answers[0] == 200
    assert answers[-1] in {400, 422}
    assert sorted(answers) == answers, "what does not fit is refused from the first one on"


async def test_a_viewer_sees_it_and_changes_nothing_and_a_stranger_sees_nothing(
    company: Company, viewer: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    device = await company.registered()
    listed, address = f"/devices/{device.id}/observations", f"/devices/{device.id}/observations{VALUE}"

    assert (await viewer.get(listed)).status_code == 200
    assert (await viewer.get(address)).status_code == 200
    assert (await viewer.put(address, json={})).status_code == 403
    assert (await viewer.delete(address)).status_code == 403
    for answer in (
        await stranger.get(listed),
        await stranger.get(address),
        await stranger.put(address, json={}),
        await stranger.delete(address),
    ):
        assert answer.status_code == 404


async def test_the_audit_log_has_what_it_was_before(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    address = f"/devices/{device.id}/observations{VALUE}"
    await admin.put(address, json={"attributes": {"pmin": 60}})
    await admin.put(address, json={"observe": False})
    await admin.delete(address)

    entries = (await admin.get("/audit", params={"thing": device.id})).json()["items"]

    assert [(one["action"], one["resource"], one["path"]) for one in entries[:3]] == [
        ("delete", "observations", address),
        ("set", "observations", address),
        ("set", "observations", address),
    ]
    assert entries[1]["before"] == {"observe": True, "attributes": {"pmin": 60}}
    assert entries[1]["after"] == {"observe": False, "attributes": {}}
