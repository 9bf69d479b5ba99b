"""The pages about trust, over the invented farm."""

import json

from tests.unit.bff.conftest import Pages
from tests.unit.bff.fake_trust import arrives


async def test_the_security_log_is_shown_page_by_page_and_filtered(ida: Pages) -> None:
    first = await ida.screen("security")
    second = await ida.screen("security", cursor=first["next"])
    wrong = await ida.screen("security", reason="wrong_key")
    found = await ida.screen("security", q="oxy-501")

    assert (len(first["items"]), len(second["items"]), second["next"]) == (50, 10, None)
    assert [(one["title"], one["count"], one["who"]) for one in wrong["items"]] == [("Wrong key", 14, "oxy-0418")]
    assert [one["address"] for one in found["items"]] == ["10.0.0.9"]
    assert {"reason": "wrong_key", "title": "Wrong key"} in first["reasons"]


async def test_who_is_not_logged_in_sees_none_of_it(pages: Pages) -> None:
    assert (await pages.browser.get("/bff/screens/security")).status_code == 401


ASKED = {"endpoint": "oxy-0501", "kind": "sensor", "identity": "oxy-0501"}


async def test_a_device_is_made_with_the_key_of_its_code_which_nobody_shows_again(ida: Pages) -> None:
    pen = ida.farm.enclosures[0]

    answer = await ida.do("actions/devices", ASKED | {"key": "aa" * 16, "enclosure": pen["id"]})

    assert answer.status_code == 201, answer.text
    assert answer.json() == {
        "id": "dev-NEW0001",
        "endpoint": "oxy-0501",
        "mode": "psk",
        "identity": "oxy-0501",
        "key": "",
    }
    sent = json.loads(ida.link.carried[-1].content)
    assert sent["security"] == {"mode": "psk", "identity": "oxy-0501", "key": "aa" * 16}
    assert sent["enclosure"] == pen["id"]
    assert "aa" * 16 not in str(ida.link.carried[-1].url)


async def test_a_key_that_was_generated_is_shown_once(ida: Pages) -> None:
    answer = await ida.do("actions/devices", ASKED)

    assert answer.json()["key"] == "00112233445566778899aabbccddeeff"
    assert "key" not in await ida.screen("devices/dev-NEW0001/arrival")


async def test_what_the_api_refuses_is_said_in_its_words(ida: Pages) -> None:
    assert (await ida.do("actions/devices", ASKED | {"endpoint": "oxy-0418"})).json()["title"].startswith("oxy-0418:")
    assert (await ida.do("actions/devices", ASKED | {"kind": "boat"})).status_code == 422


async def test_how_far_a_new_device_has_come_is_told_step_by_step(ida: Pages) -> None:
    pen = ida.farm.enclosures[0]
    await ida.do("actions/devices", ASKED | {"enclosure": pen["id"]})

    made = await ida.screen("devices/dev-NEW0001/arrival")
    assert (made["registered_at"], made["refused"], made["enclosure_name"]) == (None, None, pen["name"])
    assert "oxy-501" in {one["who"] for one in made["strangers"]}, "perhaps it is this one, with a typing error"

    arrives(ida.farm, "oxy-0501")
    here = await ida.screen("devices/dev-NEW0001/arrival")
    assert here["registered_at"] is not None
    assert (here["place_state"], here["claimed"], here["strangers"]) == ("agreed", pen["name"], [])


async def test_every_enclosure_can_be_chosen_beneath_its_farm(ida: Pages) -> None:
    farms = (await ida.screen("places"))["farms"]

    assert [farm["name"] for farm in farms] == [farm["name"] for farm in ida.farm.farms]
    assert sum(len(farm["enclosures"]) for farm in farms) == len(ida.farm.enclosures)


async def test_the_credentials_of_a_device_are_shown_with_their_state_and_how_it_was_refused(ida: Pages) -> None:
    key = ida.farm.device("oxy-0418")["id"]

    shown = await ida.screen(f"devices/{key}/credentials")

    assert [one["state"] for one in shown["items"]] == ["next", "retiring", "revoked"]
    assert (shown["alive"], shown["endpoint"], shown["refused"]["title"]) == (2, "oxy-0418", "Wrong key")


async def test_what_ends_soon_is_named_by_its_device(ida: Pages) -> None:
    shown = await ida.screen("credentials")

    assert [(one["endpoint"], one["mode"]) for one in shown["items"]] == [("oxy-0418", "psk"), ("oxy-0419", "x509")]
    assert [one["ends_soon"] for one in shown["items"]] == [False, True], "who retires is meant to end"


async def test_a_new_key_is_shown_once_and_one_that_was_given_never(ida: Pages) -> None:
    path = f"actions/devices/{ida.farm.device('oxy-0418')['id']}/credentials"

    made = await ida.do(path, {"overlap_s": 604_800, "identity": "oxy-0418-c"})
    given = await ida.do(path, {"overlap_s": 0, "key": "aa" * 16})

    assert (made.status_code, made.json()["key"], made.json()["identity"]) == (
        201,
        "ffeeddccbbaa99887766554433221100",
        "oxy-0418-c",
    )
    assert given.json()["key"] == ""
    assert json.loads(ida.link.carried[-1].content) == {
        "mode": "psk",
        "overlap_s": 0,
        "until": "seen",
        "identity": None,
        "key": "aa" * 16,
    }


async def test_the_last_credential_goes_only_by_a_deliberate_word(ida: Pages) -> None:
    device = ida.farm.device("oxy-0419")["id"]
    path = f"actions/devices/{device}/credentials/crd-00000004/revoke"

    assert (await ida.do(path, {})).status_code == 409
    assert (await ida.do(path, {"last": True})).status_code == 204

    assert [one["state"] for one in (await ida.screen(f"devices/{device}/credentials"))["items"]] == ["revoked"]


async def test_a_device_that_came_by_itself_is_approved_where_it_says_it_is(ida: Pages) -> None:
    device, pen = ida.farm.device("oxy-0419"), ida.farm.enclosures[0]
    device["claim"] = {"enclosure": pen["id"], "name": pen["name"], "farm_name": "Nordvik", "via": "query"}
    [credential] = [one for one in ida.farm.credentials if one["device"] == device["id"]]
    credential["state"] = "waiting"
    path = f"actions/devices/{device['id']}/credentials/{credential['id']}/approve"

    shown = await ida.screen(f"devices/{device['id']}/credentials")
    assert (shown["items"][0]["state"], shown["alive"]) == ("waiting", 0)
    assert (shown["claim"]["enclosure"], shown["claim"]["name"]) == (pen["id"], pen["name"])

    assert (await ida.do(path, {"enclosure": pen["id"]})).status_code == 204
    assert json.loads(ida.link.carried[-1].content) == {"enclosure": pen["id"]}
    assert (await ida.do(path, {"enclosure": None})).status_code == 409
