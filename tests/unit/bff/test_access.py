"""People and policies, as the pages see and write them."""

from tests.unit.bff.conftest import Pages
from tests.unit.bff.fake_access import IDA, KARI, make_access
from tests.unit.bff.fake_api import VIEWER_EMAIL

SENTENCE = {"effect": "deny", "who_kind": "everybody", "operations": ["execute"], "paths": ["/3/*"]}


async def test_the_screen_says_who_may_what_where(pages: Pages) -> None:
    make_access(pages.farm)
    await pages.log_in()

    screen = await pages.screen("access")

    assert [(one["name"], one["is_you"]) for one in screen["people"]] == [
        ("Ida Vik", True),
        ("Kari Moe", False),
        ("Vera Lund", False),
    ]
    farm = pages.farm.farms[0]
    assert screen["people"][1]["places"] == [{"id": farm["id"], "name": farm["name"]}]
    assert screen["places"][0] == {"id": farm["id"], "name": farm["name"]}
    assert screen["policies"][0]["says"] == f"Kari Moe may write /3303/* at {farm['name']}"
    assert screen["tokens"][0]["name"] == "Feed scales"
    assert [role["role"] for role in screen["roles"]][:2] == ["administrator", "operator"]


async def test_who_may_not_administer_is_told_so(pages: Pages) -> None:
    make_access(pages.farm)
    await pages.log_in(VIEWER_EMAIL)

    answer = await pages.browser.get("/bff/screens/access")

    assert answer.status_code == 403
    assert pages.farm.refused == ["/api/v1/users"], "the security log counts one look, not one for each question"
    assert (await pages.browser.get("/bff/me")).json()["may"] == ["read"]


async def test_an_administrator_asks_about_anybody_and_other_servers_and_all_others_about_themselves(
    pages: Pages,
) -> None:
    make_access(pages.farm)
    await pages.log_in()
    for server in ("1002", "102", "*"):
        await pages.do("actions/access-policies", SENTENCE | {"who_kind": "server", "who_id": server})

    screen = await pages.screen("askable")
    await pages.log_in(VIEWER_EMAIL)
    of_a_viewer = await pages.screen("askable")

    assert [one["name"] for one in screen["people"]] == ["Kari Moe", "Vera Lund"]
    assert [one["name"] for one in screen["tokens"]] == ["Feed scales"]
    assert [one["id"] for one in screen["servers"]] == ["server:102", "server:1002", "server:*"]
    assert of_a_viewer == {"people": [], "tokens": [], "servers": [], "places": screen["places"]}


async def test_a_sentence_is_previewed_written_changed_and_forgotten(pages: Pages) -> None:
    make_access(pages.farm)
    await pages.log_in()

    preview = (await pages.do("actions/access-policies/preview", SENTENCE)).json()
    made = await pages.do("actions/access-policies", SENTENCE)
    headers = {"X-Shoal-CSRF": pages.csrf}
    changed = await pages.browser.put(
        "/bff/actions/access-policies/pol-ACCESS09?seen=1", json=SENTENCE | {"effect": "allow"}, headers=headers
    )
    stale = await pages.browser.put("/bff/actions/access-policies/pol-ACCESS09?seen=1", json=SENTENCE, headers=headers)
    gone = await pages.browser.delete("/bff/actions/access-policies/pol-ACCESS01?seen=1", headers=headers)

    assert (preview["says"], preview["lose"]) == ("Everybody may not execute /3/* everywhere", 2)
    assert [answer.status_code for answer in (made, changed, stale, gone)] == [204, 204, 412, 204]
    assert [(row["id"], row["effect"]) for row in pages.farm.access] == [
        ("pol-ACCESS02", "deny"),
        ("pol-ACCESS09", "allow"),
    ]


async def test_people_are_added_and_changed_and_nobody_locks_themselves_out(pages: Pages) -> None:
    make_access(pages.farm)
    await pages.log_in()
    new = {"email": "ola@nordvik.example", "name": "Ola", "role": "viewer", "password": "saltwater and salmon"}

    added = await pages.do("actions/people", new)
    person = {"name": "Kari Moe", "role": "operator", "places": []}
    headers = {"X-Shoal-CSRF": pages.csrf}
    changed = await pages.browser.put(f"/bff/actions/people/{KARI}", json=person, headers=headers)
    locked = await pages.browser.put(f"/bff/actions/people/{IDA}", json=person, headers=headers)

    assert (added.status_code, changed.status_code, locked.status_code) == (204, 204, 409)
    assert [(user["name"], user["role"]) for user in pages.farm.users[1:]] == [
        ("Kari Moe", "operator"),
        ("Vera Lund", "viewer"),
        ("Ola", "viewer"),
    ]


async def test_why_is_asked_about_oneself_or_another(pages: Pages) -> None:
    make_access(pages.farm)
    await pages.log_in()

    yes = await pages.screen("why", operation="execute", path="/3/0/5")
    no = await pages.screen("why", operation="execute", path="/3/0/5", subject=KARI, place=pages.farm.farms[0]["id"])

    assert yes["is_allowed"]
    assert (no["is_allowed"], no["says"]) == (False, "No: Technicians may not execute /3/0/5 everywhere.")
    assert no["because"][0]["bearing"] == "denies"


async def test_every_route_of_the_pages_takes_a_login_and_every_write_its_token(pages: Pages) -> None:
    """The walk over the pages' routes: what is no way in answers nobody, and writes for nobody else's page."""
    make_access(pages.farm)
    paths = pages.application.openapi()["paths"]
    ways_in = {"/bff/login", "/bff/invitation", "/bff/join"}
    walked = 0
    for path, methods in paths.items():
        for method in methods:
            address = path.replace("{", "").replace("}", "")
            answer = await pages.browser.request(method, address, json={})
            if path not in ways_in:
                walked += 1
                assert answer.status_code in {401, 403}, (method, path, answer.status_code)
    assert walked > 40
    await pages.log_in()
    writes = 0
    for path, methods in paths.items():
        for method in set(methods) - {"get"}:
            if path not in ways_in:
                writes += 1
                answer = await pages.browser.request(method, path.replace("{", "").replace("}", ""), json={})
                assert answer.status_code == 403, (method, path, answer.status_code)
    assert writes > 20
