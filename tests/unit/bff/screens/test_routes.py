from datetime import UTC, datetime

from tests.unit.bff.conftest import NOW, Pages


async def test_the_frame_counts_what_needs_a_person(ida: Pages) -> None:
    frame = await ida.screen("frame")

    assert (frame["needs_person"], frame["delayed_since"]) == (3, None)


async def test_the_frame_says_that_monitoring_is_delayed(ida: Pages) -> None:
    ida.farm.delayed_since = NOW.isoformat()

    assert (await ida.screen("frame"))["delayed_since"] is not None


async def test_the_fleet_is_one_answer(ida: Pages) -> None:
    fleet = await ida.screen("fleet")

    assert (fleet["farms_total"], fleet["enclosures_total"], fleet["counts"]["devices"]) == (9, 84, 420)
    assert fleet["needs_person"]["alerts"][0]["headline"] == "Storholmen is dark"
    assert fleet["farms"][0]["name"] == "Storholmen"
    assert fleet["last_resolved"]["headline"] == "Supply lost, Pen 2"


async def test_a_farm_shows_its_own_and_nothing_of_others(ida: Pages) -> None:
    hellevika = next(farm["id"] for farm in ida.farm.farms if farm["name"] == "Hellevika")

    screen = await ida.screen(f"farms/{hellevika}")

    assert {device["place"]["farm"] for device in screen["devices"]} == {hellevika}
    assert {alert["place"]["farm"] for alert in screen["needs_person"]["alerts"]} == {hellevika}
    assert len(screen["enclosures"]) == 12


async def test_devices_come_page_by_page_until_all_were_seen_once(ida: Pages) -> None:
    seen, cursor = [], None
    while True:
        page = await ida.screen("devices", **({"cursor": cursor} if cursor else {}))
        seen += [device["id"] for device in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == page["total"] == page["all_total"] == 420


async def test_a_filter_counts_what_matches_and_what_there_is(ida: Pages) -> None:
    page = await ida.screen("devices", kind="camera", status="failing")

    assert (page["total"], page["all_total"]) == (1, 420)
    assert page["items"][0]["status"] == "failing"


async def test_a_device_comes_with_its_alerts_its_series_and_what_is_left_beside_it(ida: Pages) -> None:
    device = ida.farm.device("oxy-0417")

    screen = await ida.screen(f"devices/{device['id']}")

    assert screen["device"]["status"] == "silent"
    assert [alert["code"] for alert in screen["alerts"]] == ["K3PD"]
    assert screen["series"][0]["unit"] == "mg/L"
    assert screen["enclosure"]["state"] == "reduced"
    assert [command["path"] for command in screen["waiting"]] == ["/1/0/3"]


async def test_a_device_that_was_never_heard_is_a_screen_too(ida: Pages) -> None:
    fresh = next(device for device in ida.farm.devices if device["status"] == "new")

    screen = await ida.screen(f"devices/{fresh['id']}")

    assert (screen["device"]["status"], screen["series"], screen["registration"]) == ("new", [], None)
    assert (await ida.screen(f"devices/{fresh['id']}/objects"))["objects"] == []


async def test_readings_are_at_most_one_point_a_pixel_and_their_gaps_are_named(ida: Pages) -> None:
    device = ida.farm.device("oxy-0417")

    screen = await ida.screen(f"devices/{device['id']}/readings", path="/3300/0/5700", range="24h", points=144)

    assert 0 < len(screen["points"]) <= 145
    assert [gap["is_open"] for gap in screen["gaps"]] == [False, True]
    assert datetime.fromisoformat(screen["ends_at"]) == NOW.astimezone(UTC)


async def test_more_points_than_a_screen_has_are_not_asked_for(ida: Pages) -> None:
    answer = await ida.browser.get("/bff/screens/devices/dev-1/readings", params={"path": "/3/0/9", "points": 100_000})

    assert answer.status_code == 422


async def test_a_timeline_keeps_what_was_refused(ida: Pages) -> None:
    device = ida.farm.device("oxy-0417")

    items = (await ida.screen(f"devices/{device['id']}/timeline"))["items"]

    assert "refused" in {item["kind"] for item in items}


async def test_updates_say_what_runs_and_what_could_be_next(ida: Pages) -> None:
    device, updates = next(iter(ida.farm.updates.items()))

    screen = await ida.screen(f"devices/{device}/updates")

    assert (screen["running"], screen["running_model"]) == ("2.8.1", "13")
    assert len(screen["updates"]) == len(updates)
    assert len(screen["artifacts"]) == 3


async def test_the_inbox_lists_what_is_over_only_when_asked(ida: Pages) -> None:
    inbox = await ida.screen("alerts")
    over = await ida.screen("alerts", state="resolved")

    assert (inbox["needs_person"]["total"], inbox["taken"]["total"], inbox["resolved"]) == (3, 2, None)
    assert inbox["last_resolved"]["headline"] == "Supply lost, Pen 2"
    assert over["resolved"]["total"] == 1


async def test_an_alert_in_full_says_who_was_told_and_what_is_next(ida: Pages) -> None:
    screen = await ida.screen("alerts/alr-00A7K2")

    assert [line["state"] for line in screen["told"]] == ["delivered", "failed", "sent"]
    assert [(line["to"], line["state"]) for line in screen["ahead"]] == [
        ("Jon Aas", "planned"),
        ("Ida Vik and Kari Moe", "planned"),
    ]
    assert screen["alert"]["next_told"]["to"] == "Jon Aas"
    assert screen["verdict"]["evidence"]


async def test_other_servers_are_shown_of_a_device_that_has_some_and_of_no_other(ida: Pages) -> None:
    shared, alone = (device["id"] for device in ida.farm.devices[:2])
    rights = [{"server": "102", "wanted": ["read"], "found": []}]
    control = {"path": "/3/0", "state": "refused", "drift": True, "reason": "The device refused it", "rights": rights}
    said = {"shared": True, "own": 101, "servers": [101, 102], "ruled": True, "drift": True, "controls": [control]}
    ida.farm.rights[shared] = said

    others = (await ida.screen(f"devices/{shared}"))["others"]

    assert (others["own"], others["servers"], others["is_drift"]) == (101, [102], True)
    assert others["controls"][0]["rights"] == rights
    assert (await ida.screen(f"devices/{alone}"))["others"] is None
