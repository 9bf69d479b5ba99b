import httpx
import pytest

from tests.unit.bff.conftest import Pages


async def test_what_the_api_says_no_with_reaches_the_page_unchanged(ida: Pages) -> None:
    answer = await ida.do(f"actions/devices/{ida.farm.devices[0]['id']}/execute", {"path": "/5/0/2"})

    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert (said["type"], said["code"], said["detail"]) == ("device-refused", "4.05", "method not allowed")


async def test_when_the_api_is_away_each_screen_says_so(ida: Pages) -> None:
    ida.link.is_cut = True

    for path in ("screens/fleet", "screens/alerts", "screens/devices", "screens/frame", "me"):
        answer = await ida.browser.get(f"/bff/{path}")

        assert answer.status_code == 503, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "unavailable"


async def test_when_the_api_is_back_nobody_has_to_log_in_again(ida: Pages) -> None:
    ida.link.is_cut = True
    await ida.browser.get("/bff/screens/fleet")

    ida.link.is_cut = False

    assert (await ida.browser.get("/bff/screens/fleet")).status_code == 200


async def test_what_cannot_be_understood_is_named_by_its_field(ida: Pages) -> None:
    answer = await ida.do("actions/devices/dev-1/read", {"path": "not a path"})

    assert answer.status_code == 422
    assert answer.json()["type"] == "invalid"
    assert [error["field"] for error in answer.json()["errors"]] == ["body.path"]


async def test_a_thing_that_is_not_there_stays_not_found(ida: Pages) -> None:
    answer = await ida.browser.get("/bff/screens/devices/dev-0000000")

    assert answer.status_code == 404
    assert answer.json()["type"] == "not-found"


async def test_a_no_names_the_request_that_it_answers_and_that_of_the_api_is_the_same(ida: Pages) -> None:
    path = f"/bff/actions/devices/{ida.farm.devices[0]['id']}/execute"
    headers = {"X-Request-Id": "case-0815", "X-Shoal-CSRF": ida.csrf}

    answer = await ida.browser.post(path, json={"path": "/5/0/2"}, headers=headers)

    assert answer.headers["X-Request-Id"] == "case-0815"


async def test_a_fault_of_ours_is_a_problem_that_can_be_found(ida: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(ida.application.state.bff.logins, "find", fails)
    transport = httpx.ASGITransport(ida.application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://pages.example") as browser:
        answer = await browser.get("/bff/me", headers={"X-Request-Id": "case-4711", "Cookie": "shoal=x"})

    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"] == answer.json()["request"] == "case-4711"
    assert "a fault of ours" not in answer.text
