import pytest

from shoal.bff.context import cookie_name
from tests.unit.bff.conftest import Pages

WRITES = ["actions/alerts/alr-00A7K2/acknowledge", "logout"]


@pytest.mark.parametrize("path", WRITES)
async def test_a_write_without_the_pages_token_is_refused(ida: Pages, path: str) -> None:
    missing = await ida.browser.post(f"/bff/{path}", json={"note": ""})
    wrong = await ida.browser.post(f"/bff/{path}", json={"note": ""}, headers={"X-Shoal-CSRF": "0" * 64})

    assert missing.status_code == wrong.status_code == 403
    assert missing.json()["type"] == "forbidden"


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_write_that_another_site_sent_is_refused_even_with_the_token(ida: Pages, path: str, site: str) -> None:
    answer = await ida.browser.post(
        f"/bff/{path}", json={"note": ""}, headers={"X-Shoal-CSRF": ida.csrf, "Sec-Fetch-Site": site}
    )

    assert answer.status_code == 403


async def test_nobody_sees_a_screen_without_a_login(pages: Pages) -> None:
    for path in ("me", "screens/fleet", "screens/frame", "screens/alerts", "live"):
        answer = await pages.browser.get(f"/bff/{path}")

        assert answer.status_code == 401, path
        assert answer.json()["type"] == "logged-out"
    assert pages.link.carried == []


async def test_every_call_of_the_api_carries_the_token_of_who_asks(ida: Pages) -> None:
    ida.link.carried.clear()

    await ida.screen("fleet")

    assert {request.headers["authorization"] for request in ida.link.carried} == {"Bearer token-of-ida"}


def test_the_cookie_is_bound_to_the_host_where_browsers_allow_it() -> None:
    assert cookie_name(is_secure=True).startswith("__Host-")
    assert not cookie_name(is_secure=False).startswith("__Host-")
