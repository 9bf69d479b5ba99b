"""The pages about trust, over the invented farm."""

from tests.unit.bff.conftest import Pages


async def test_the_security_log_is_shown_page_by_page_and_filtered(ida: Pages) -> None:
    first = await ida.screen("security")
    second = await ida.screen("security", cursor=first["next"])
    wrong = await ida.screen("security", reason="wrong_key")
    found = await ida.screen("security", q="oxy-501")

    assert (len(first["items"]), len(second["items"]), second["next"]) == (50, 9, None)
    assert [(one["title"], one["count"], one["who"]) for one in wrong["items"]] == [("Wrong key", 14, "oxy-0418")]
    assert [one["address"] for one in found["items"]] == ["10.0.0.9"]
    assert {"reason": "wrong_key", "title": "Wrong key"} in first["reasons"]


async def test_who_is_not_logged_in_sees_none_of_it(pages: Pages) -> None:
    assert (await pages.browser.get("/bff/screens/security")).status_code == 401
