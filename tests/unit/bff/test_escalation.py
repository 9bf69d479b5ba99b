"""What people write down about who is told reaches the API, with the version that they have seen."""

from typing import Any

import httpx

from tests.unit.bff.conftest import Pages
from tests.unit.bff.fake_duty import HOOK, IDA, JON, KARI, NIGHT, PEN

STEPS = [{"after_s": 0, "contacts": [IDA]}, {"after_s": 300, "contacts": ["everybody"], "at_once": True}]
OLA = {"name": "Ola", "min_severity": "high", "methods": [{"channel": "email", "address": "ola@n.example"}]}


async def ask(pages: Pages, method: str, path: str, body: Any = None) -> httpx.Response:
    return await pages.browser.request(method, f"/bff/actions/{path}", json=body, headers={"X-Shoal-CSRF": pages.csrf})


async def test_a_policy_is_written_changed_ordered_and_removed(ida: Pages) -> None:
    made = (await ask(ida, "POST", "policies", {"name": "New", "steps": STEPS})).json()["id"]
    changed = await ask(ida, "PUT", f"policies/{made}?seen=1", {"name": "Newer", "steps": STEPS, "repeat": 2})
    ordered = await ask(ida, "POST", "policies/order", {"policies": [made, NIGHT, PEN]})

    names = [policy["name"] for policy in (await ida.screen("escalation"))["policies"]]
    assert names == ["Newer", "Night shift", "Oxygen, Pen 4", "Default"]
    removed = await ask(ida, "DELETE", f"policies/{made}?seen=2")

    assert [answer.status_code for answer in (changed, ordered, removed)] == [200, 204, 204]
    assert len((await ida.screen("escalation"))["policies"]) == 3


async def test_what_somebody_else_changed_is_not_overwritten(ida: Pages) -> None:
    late = await ask(ida, "PUT", f"policies/{NIGHT}?seen=7", {"name": "Mine", "steps": STEPS})

    assert (late.status_code, late.json()["type"]) == (412, "outdated")
    assert (await ask(ida, "DELETE", f"contacts/{KARI}?seen=7")).status_code == 412


async def test_the_reason_of_a_refusal_reaches_the_page(ida: Pages) -> None:
    refused = await ask(ida, "POST", "policies", {"name": "New", "steps": [{"after_s": 0, "contacts": []}]})

    assert (refused.status_code, "nobody" in refused.json()["title"]) == (400, True)


async def test_contacts_are_written_tried_and_removed(ida: Pages) -> None:
    made = (await ask(ida, "POST", "contacts", OLA)).json()["id"]
    changed = await ask(ida, "PUT", f"contacts/{made}?seen=1", OLA | {"name": "Ola Aas"})
    tried = await ask(ida, "POST", f"contacts/{made}/test")

    shown = next(each for each in (await ida.screen("escalation"))["contacts"] if each["id"] == made)
    assert (changed.status_code, tried.status_code) == (200, 204)
    assert (shown["name"], shown["version"], shown["methods"][0]["delivered_at"] is not None) == ("Ola Aas", 2, True)
    assert (await ask(ida, "DELETE", f"contacts/{made}?seen=2")).status_code == 204


async def test_the_secret_of_a_webhook_is_in_one_answer_and_in_no_screen(ida: Pages) -> None:
    written = {"name": "Siren", "url": "https://hooks.example/"}
    made = (await ask(ida, "POST", "channels", written)).json()
    rotated = (await ask(ida, "POST", f"channels/{made['id']}/rotate?seen=1")).json()

    assert made["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert "whsec" not in (await ida.browser.get("/bff/screens/escalation")).text
    changed = await ask(ida, "PUT", f"channels/{HOOK}?seen=3", {"name": "Night phone", "url": written["url"]})
    assert (changed.status_code, changed.json()["secret"]) == (200, "")
    assert (await ask(ida, "POST", f"channels/{HOOK}/test", {})).status_code == 204
    assert (await ask(ida, "POST", "channels/email/test", {"address": "k@n.example"})).status_code == 204
    assert (await ask(ida, "DELETE", f"channels/{made['id']}?seen=2")).status_code == 204


async def test_nothing_is_written_without_proof_that_the_page_is_ours(ida: Pages) -> None:
    ida.csrf = "stale"

    for method, path in (("POST", "policies/order"), ("DELETE", f"contacts/{JON}?seen=1")):
        assert (await ask(ida, method, path, {"policies": []})).status_code == 403
