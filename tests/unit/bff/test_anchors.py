"""Whose certificates count, over the invented farm: what is shown, and what reaches the API."""

import json
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding

from shoal.authority.authority import pem_of
from shoal.authority.issuing import Curve, root
from tests.unit.bff.conftest import NOW, Pages
from tests.unit.bff.fake_anchors import NEW, OLD
from tests.unit.bff.fake_api import VIEWER_EMAIL


async def test_all_anchors_are_one_answer_with_who_stands_on_them_and_who_waits(ida: Pages) -> None:
    shown = await ida.screen("trust")

    assert [(one["name"], one["state"], one["devices"]) for one in shown["anchors"]] == [
        ("Aqualux cameras", "unproved", 0),
        ("Nordvik devices", "trusted", 3),
        ("Nordvik devices", "trusted", 214),
        ("Tidemark", "trusted", 38),
        ("Tidemark, old", "retired", 0),
    ]
    assert (shown["elsewhere"], shown["unseen"]) == (2, 1)
    assert [(one["authority"], one["successor"]) for one in shown["anchors"][1:4]] == [
        (OLD, f"Nordvik devices ({NEW})"),
        (NEW, ""),
        ("", ""),
    ]
    assert shown["anchors"][1]["subject"] == f"serialNumber={OLD},CN=Nordvik devices"
    assert shown["anchors"][0]["proof"]["challenge"].startswith("shoal-proof-")
    assert len(shown["waiting"]) == 2
    assert shown["has_more_waiting"] is False


async def test_who_may_not_know_of_the_own_authorities_sees_the_anchors_all_the_same(pages: Pages) -> None:
    await pages.log_in(VIEWER_EMAIL)

    shown = await pages.screen("trust")

    assert len(shown["anchors"]) == 5
    assert {one["authority"] for one in shown["anchors"]} == {""}
    assert (await pages.browser.get("/bff/screens/authorities")).status_code == 403


async def test_an_api_that_is_away_is_not_taken_for_one_without_authorities(ida: Pages) -> None:
    ida.link.is_cut = True

    assert (await ida.browser.get("/bff/screens/trust")).status_code == 503


async def test_an_authority_is_taken_in_changed_and_removed(ida: Pages) -> None:
    pem = pem_of(_certificate("Havbruk"))
    made = await ida.do("actions/trust-anchors", {"name": "Havbruk", "certificate": pem, "zero_touch": "admit"})
    key = made.json()["id"]
    changed = {"name": "Havbruk AS", "zero_touch": "approve", "kind": "camera"}
    answer = await ida.browser.put(
        f"/bff/actions/trust-anchors/{key}", json=changed, headers={"X-Shoal-CSRF": ida.csrf}
    )

    assert (made.status_code, answer.status_code) == (201, 204)
    first = (await ida.screen("trust"))["anchors"][0]
    assert {name: first[name] for name in ("id", "state", *changed)} == {"id": key, "state": "unproved"} | changed
    assert (await ida.do(f"actions/trust-anchors/{key}/remove")).status_code == 204
    assert {one["id"]: one["state"] for one in (await ida.screen("trust"))["anchors"]}[key] == "retired"
    refused = await ida.do("actions/trust-anchors", {"name": "x", "certificate": "none"})
    assert (refused.status_code, refused.json()["title"].split(":")[0]) == (400, "certificate")


async def test_an_answer_is_sent_as_what_it_is(ida: Pages) -> None:
    async def sent(answer: str) -> dict[str, str]:
        await ida.do("actions/trust-anchors/tra-AQV00005/prove", {"answer": answer})
        said: dict[str, str] = json.loads(ida.link.carried[-1].content)
        return said

    assert await sent("  MEUCIQ==\n") == {"signature": "MEUCIQ=="}
    pem = pem_of(_certificate("Somebody"))
    assert await sent(pem) == {"certificate": pem.strip()}


async def test_who_waits_is_approved_once(ida: Pages) -> None:
    first = (await ida.screen("trust"))["waiting"][0]
    path = f"actions/devices/{first['device']}/credentials/{first['credential']}/approve"

    assert (await ida.do(path, {"enclosure": None})).status_code == 204
    assert (await ida.do(path, {"enclosure": None})).status_code == 409
    assert len((await ida.screen("trust"))["waiting"]) == 1


def _certificate(name: str) -> bytes:
    return root(name, "1", Curve.P256, timedelta(days=30), NOW).certificate.public_bytes(Encoding.DER)
