"""The tenant's own authorities, over the invented farm."""

import json

from tests.unit.bff.conftest import Pages
from tests.unit.bff.fake_anchors import NEW, OLD


async def test_an_authority_shows_what_it_issued_by_its_end(ida: Pages) -> None:
    living = await ida.screen(f"authorities/{NEW}")
    soon = await ida.screen(f"authorities/{NEW}", show="soon")
    one = await ida.screen(f"authorities/{NEW}", q="oxy-0419")
    old = await ida.screen(f"authorities/{OLD}")
    all_of_old = await ida.screen(f"authorities/{OLD}", show="all")

    assert (len(living["certificates"]), living["next"], living["authority"]["devices"]) == (50, "50", 214)
    assert [(each["subject"], each["state"]) for each in soon["certificates"]][:2] == [
        ("oxy-0417", "good"),
        ("oxy-0418", "revoked"),
    ]
    assert all(each["ends_soon"] for each in soon["certificates"] if each["state"] == "good")
    assert [each["subject"] for each in one["certificates"]] == ["oxy-0419"]
    assert [each["subject"] for each in old["certificates"]] == ["oxy-0409"]
    assert [each["subject"] for each in all_of_old["certificates"]] == ["oxy-0401", "oxy-0409"]
    rest = await ida.screen(f"authorities/{NEW}", cursor=living["next"])
    assert (len(rest["certificates"]), rest["certificates"][-1]["usage"]) == (11, "server")


async def test_there_is_no_authority_that_is_nobodys(ida: Pages) -> None:
    answer = await ida.browser.get("/bff/screens/authorities/aut-00000000")

    assert (answer.status_code, answer.json()["type"]) == (404, "not-found")


async def test_one_is_made_gives_way_and_is_retired(ida: Pages) -> None:
    made = await ida.do("actions/authorities", {"name": "North", "years": 20})
    assert json.loads(ida.link.carried[-1].content) == {"name": "North", "lifetime_s": 631_152_000, "under": None}
    key = made.json()["id"]
    next_ = (await ida.do(f"actions/authorities/{key}/roll-over", {})).json()["id"]

    known = {one["id"]: one for one in (await ida.screen("authorities"))["authorities"]}
    assert (known[key]["state"], known[key]["successor"]["id"], known[next_]["state"]) == ("retiring", next_, "current")
    assert (await ida.do(f"actions/authorities/{key}/retire")).status_code == 204
    assert {one["id"]: one["state"] for one in (await ida.screen("authorities"))["authorities"]}[key] == "retired"
    assert (await ida.do("actions/authorities", {"name": "x", "years": 41})).status_code == 422


async def test_a_certificate_is_taken_back_with_its_reason(ida: Pages) -> None:
    first = (await ida.screen(f"authorities/{NEW}"))["certificates"][0]

    answer = await ida.do(f"actions/certificates/{first['id']}/revoke", {"reason": "keyCompromise"})

    assert answer.status_code == 204
    again = (await ida.screen(f"authorities/{NEW}"))["certificates"][0]
    assert (again["state"], again["reason"], again["ends_soon"]) == ("revoked", "keyCompromise", False)
