from tests.unit.bff.conftest import Pages


async def test_long_answers_travel_packed(ida: Pages) -> None:
    answer = await ida.browser.get("/bff/screens/fleet", headers={"Accept-Encoding": "gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["farms_total"] == 9


async def test_the_schema_and_its_pages_are_not_served(pages: Pages) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        answer = await pages.browser.get(path)

        assert "<title>Shoal</title>" in answer.text


async def test_files_are_only_ever_read(pages: Pages) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert (await pages.browser.request(method, "/assets/index-4f2a.js")).status_code == 405


async def test_the_first_page_can_be_asked_for_by_its_head(pages: Pages) -> None:
    answer = await pages.browser.head("/")

    assert answer.status_code == 200
    assert answer.content == b""
