import pytest

from tests.unit.bff.conftest import Pages
from tests.unit.bff.fake_api import VIEWER_EMAIL
from tests.unit.bff.fake_farm import FakeFarm


def awake(farm: FakeFarm) -> str:
    return str(next(d["id"] for d in farm.devices if d["status"] == "healthy" and not d["flags"]["asleep"]))


async def test_somebody_takes_an_alert_and_the_answer_says_until_when(ida: Pages) -> None:
    answer = await ida.do("actions/alerts/alr-00A7K2/acknowledge", {"note": "on my way"})

    assert answer.status_code == 200
    said = answer.json()
    assert (said["state"], said["taken_by"]) == ("acknowledged", "Ida Vik")
    assert said["taken_until"] is not None
    screen = await ida.screen("alerts/alr-00A7K2")
    assert screen["note"] == "on my way"


async def test_somebody_says_that_an_alert_is_over(ida: Pages) -> None:
    answer = await ida.do("actions/alerts/alr-00K3PD/resolve", {"note": "battery changed"})

    assert (answer.json()["state"], answer.json()["resolved_by"]) == ("resolved", "Ida Vik")


async def test_a_place_that_is_disputed_is_settled_by_one_click(ida: Pages) -> None:
    device = next(d for d in ida.farm.devices if d["place"]["state"] == "mismatch")

    answer = await ida.do(f"actions/devices/{device['id']}/accept-claim")

    assert answer.status_code == 204
    assert device["place"]["enclosure"] == device["claim"]["enclosure"]


async def test_a_claim_that_is_refused_leaves_the_device_where_the_inventory_says(ida: Pages) -> None:
    device = next(d for d in ida.farm.devices if d["place"]["state"] == "mismatch")
    before = device["place"]["enclosure"]

    await ida.do(f"actions/devices/{device['id']}/refuse-claim")

    assert (device["place"]["enclosure"], device["place"]["state"]) == (before, "agreed")


async def test_an_update_starts_with_the_artifact_that_was_chosen(ida: Pages) -> None:
    answer = await ida.do(f"actions/devices/{awake(ida.farm)}/update", {"artifact": "art-3H8V6YC"})

    said = answer.json()
    assert (said["name"], said["version"], said["state"], said["is_over"]) == ("lice-detector", "14", "waiting", False)


async def test_an_update_is_taken_back_by_another_one(ida: Pages) -> None:
    device = awake(ida.farm)
    update = (await ida.do(f"actions/devices/{device}/update", {"artifact": "art-3H8V6YC"})).json()["id"]
    ida.farm.updates[device][0]["state"] = "trial"

    back = await ida.do(f"actions/devices/{device}/updates/{update}/roll-back")

    assert back.json()["undoes"] == update
    assert ida.farm.updates[device][1]["state"] == "failed"


async def test_an_update_can_be_stopped_until_the_device_is_asked_to_install(ida: Pages) -> None:
    device = awake(ida.farm)
    update = (await ida.do(f"actions/devices/{device}/update", {"artifact": "art-3H8V6YC"})).json()["id"]

    stopped = await ida.do(f"actions/devices/{device}/updates/{update}/cancel")
    ida.farm.updates[device][0]["state"] = "installing"
    too_late = await ida.do(f"actions/devices/{device}/updates/{update}/cancel")

    assert (stopped.json()["state"], stopped.json()["is_over"]) == ("cancelled", True)
    assert too_late.status_code == 409


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("alerts/alr-00A7K2/acknowledge", {"note": ""}),
        ("alerts/alr-00A7K2/resolve", {"note": ""}),
        ("devices/DEVICE/write", {"path": "/1/0/1", "value": 1}),
        ("devices/DEVICE/execute", {"path": "/3/0/4"}),
        ("devices/DEVICE/create", {"path": "/32001"}),
        ("devices/DEVICE/delete", {"path": "/32001/0"}),
        ("devices/DEVICE/attributes", {"path": "/3/0", "attributes": {"pmin": 1}}),
        ("devices/DEVICE/observe", {"path": "/3/0/9", "observe": False, "version": 0}),
        ("devices/DEVICE/unobserve", {"path": "/3/0/9", "version": 0}),
        ("devices/DEVICE/update", {"artifact": "art-3H8V6YC"}),
        ("devices/DEVICE/updates/upd-1/cancel", None),
        ("devices/DEVICE/updates/upd-1/roll-back", None),
        ("devices/DEVICE/accept-claim", None),
        ("devices/DEVICE/refuse-claim", None),
        ("commands/cmd-5RT2K9M/cancel", None),
    ],
)
async def test_a_viewer_may_look_but_not_act(pages: Pages, path: str, body: object) -> None:
    await pages.log_in(VIEWER_EMAIL)

    answer = await pages.do(f"actions/{path.replace('DEVICE', awake(pages.farm))}", body)

    assert answer.status_code == 403
    assert answer.json()["type"] == "forbidden"
    assert next(a for a in pages.farm.alerts if a["id"] == "alr-00A7K2")["state"] == "open"
