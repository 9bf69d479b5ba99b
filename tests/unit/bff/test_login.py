from datetime import timedelta
from pathlib import Path

import httpx

from shoal.bff.application import create_application
from shoal.clock import FakeClock
from tests.unit.bff.conftest import NOW, Link, Pages
from tests.unit.bff.fake_api import EMAIL, PASSWORD, TOKEN, VIEWER_EMAIL, create_fake_api
from tests.unit.bff.fake_farm import make_farm


async def test_a_login_says_who_somebody_is_and_keeps_the_token_away_from_the_browser(pages: Pages) -> None:
    answer = await pages.log_in()

    assert answer.status_code == 200
    said = answer.json()
    assert (said["user"], said["role"], said["tenant"]) == ("Ida Vik", "operator", "Nordvik Seafarms")
    assert TOKEN not in answer.text
    assert TOKEN not in str(answer.headers)


async def test_scripts_cannot_read_the_cookie_and_other_sites_do_not_get_it(pages: Pages) -> None:
    answer = await pages.log_in()

    name, *rules = answer.headers["set-cookie"].lower().split("; ")
    assert name.startswith("shoal=")
    assert {"httponly", "samesite=lax", "path=/", f"max-age={12 * 3600}"} <= set(rules)


async def test_over_tls_the_cookie_is_bound_to_this_host(assets: Path) -> None:
    farm = make_farm(NOW)
    farm.clock = lambda: NOW
    async with httpx.AsyncClient(transport=Link(create_fake_api(farm)), base_url="http://api.example") as api:
        secure = create_application(api, assets, secret=b"s", clock=FakeClock(NOW), is_secure=True)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(secure), base_url="https://pages.example"
        ) as browser:
            answer = await browser.post("/bff/login", json={"email": EMAIL, "password": PASSWORD})
            me = await browser.get("/bff/me")

    assert answer.headers["set-cookie"].startswith("__Host-shoal=")
    assert "secure" in answer.headers["set-cookie"].lower()
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert me.status_code == 200


async def test_a_wrong_password_and_an_unknown_person_look_alike(pages: Pages) -> None:
    wrong = await pages.log_in(password="freshwater")
    unknown = await pages.log_in(email="nobody@nordvik.example")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert "set-cookie" not in wrong.headers


async def test_a_login_from_another_sites_page_is_refused(pages: Pages) -> None:
    answer = await pages.browser.post(
        "/bff/login", json={"email": EMAIL, "password": PASSWORD}, headers={"Sec-Fetch-Site": "cross-site"}
    )

    assert answer.status_code == 403
    assert pages.link.carried == []


async def test_logging_out_makes_the_cookie_worthless(ida: Pages) -> None:
    cookie = dict(ida.browser.cookies)

    answer = await ida.do("logout")

    assert answer.status_code == 204
    assert not ida.browser.cookies
    ida.browser.cookies.update(cookie)
    assert (await ida.browser.get("/bff/me")).status_code == 401


async def test_logging_out_ends_the_session_at_the_api(ida: Pages) -> None:
    await ida.do("logout")

    assert ida.farm.left == [TOKEN]


async def test_a_viewer_may_leave_too(pages: Pages) -> None:
    await pages.log_in(VIEWER_EMAIL)

    assert (await pages.do("logout")).status_code == 204


async def test_somebody_who_leaves_while_the_api_is_away_has_left(ida: Pages) -> None:
    ida.link.is_cut = True

    answer = await ida.do("logout")

    assert answer.status_code == 204
    assert not ida.browser.cookies


async def test_logging_in_again_ends_the_login_before(ida: Pages) -> None:
    before = dict(ida.browser.cookies)

    await ida.log_in()

    assert dict(ida.browser.cookies) != before
    assert ida.farm.left == [TOKEN]


async def test_a_login_ends_when_its_session_does(ida: Pages) -> None:
    ida.clock.advance(timedelta(hours=12))

    answer = await ida.browser.get("/bff/me")

    assert answer.status_code == 401
    assert answer.json()["type"] == "logged-out"


async def test_a_password_that_would_cost_too_much_to_hash_never_reaches_the_api(pages: Pages) -> None:
    answer = await pages.log_in(password="x" * 1_025)

    assert answer.status_code == 422
    assert pages.link.carried == []


async def test_the_api_hears_where_the_browser_is(ida: Pages) -> None:
    await ida.do("logout")

    assert [request.headers["X-Forwarded-For"] for request in ida.link.carried if request.method != "GET"] == [
        "127.0.0.1",
        "127.0.0.1",
    ]


async def test_how_long_to_wait_after_wrong_passwords_reaches_the_browser(assets: Path) -> None:
    wait = {"type": "too-many-attempts", "title": "login: too many wrong passwords", "status": 429, "retry_after_s": 30}
    transport = httpx.MockTransport(lambda _: httpx.Response(429, json=wait))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.example") as api:
        application = create_application(api, assets, secret=b"of the test", clock=FakeClock())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://pages") as browser:
            answer = await browser.post("/bff/login", json={"email": EMAIL, "password": PASSWORD})

    assert (answer.status_code, answer.headers["Retry-After"], answer.json()) == (429, "30", wait)


KARI = {"name": "Kari Nord", "email": "kari@nordvik.example", "password": "long enough"}


async def test_a_link_is_looked_at_and_lets_its_holder_in(pages: Pages) -> None:
    seen = await pages.browser.post("/bff/invitation", json={"secret": "shoal_first"})
    answer = await pages.browser.post("/bff/join", json={"secret": "shoal_first", **KARI})
    me = await pages.browser.get("/bff/me")

    assert (seen.json()["tenant"], seen.json()["role"]) == ("Nordvik Seafarms", "administrator")
    assert answer.status_code == me.status_code == 200
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "shoal_" not in answer.text
    # A way in that another site could open for somebody would be a trap.
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert (await pages.browser.post("/bff/join", json={}, headers=foreign)).status_code in {403, 422}


async def test_a_link_that_is_over_lets_nobody_in(pages: Pages) -> None:
    await pages.browser.post("/bff/join", json={"secret": "shoal_first", **KARI})
    pages.browser.cookies.clear()

    again = await pages.browser.post("/bff/join", json={"secret": "shoal_first", **KARI})

    assert (again.status_code, again.json()["type"]) == (404, "invitation-over")
    assert (await pages.browser.get("/bff/me")).status_code == 401
