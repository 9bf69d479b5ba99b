import gzip
from pathlib import Path

import pytest

from shoal.bff.assets import FOR_EVER, Assets
from tests.unit.bff.conftest import Pages


async def test_a_file_whose_name_changes_with_its_content_is_kept_for_ever(pages: Pages) -> None:
    answer = await pages.browser.get("/assets/index-4f2a.js")

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == FOR_EVER
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["/", "/alerts", "/devices/dev-1/update", "/devices?q=a.b"])
async def test_each_address_of_the_application_gets_its_first_page_fresh(pages: Pages, path: str) -> None:
    answer = await pages.browser.get(path)

    assert answer.status_code == 200
    assert "<title>Shoal</title>" in answer.text
    assert answer.headers["cache-control"] == "no-cache"


async def test_browsers_that_can_get_the_packed_file(assets: Path) -> None:
    pages = Assets(assets)

    packed = pages.answer("assets/index-4f2a.js", "br, gzip")
    plain = pages.answer("assets/index-4f2a.js", "identity")

    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert "content-encoding" not in plain.headers
    assert (
        gzip.decompress((assets / "assets/index-4f2a.js.gz").read_bytes())
        == (assets / "assets/index-4f2a.js").read_bytes()
    )


async def test_a_file_is_packed_once_and_not_again(pages: Pages) -> None:
    answer = await pages.browser.get("/assets/index-4f2a.js", headers={"Accept-Encoding": "gzip"})

    assert answer.headers.get_list("content-encoding") == ["gzip"]
    assert answer.text.startswith("console.log")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "//secret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/%00",
    ],
)
async def test_nothing_outside_the_folder_is_ever_sent(pages: Pages, path: str) -> None:
    answer = await pages.browser.get(path)

    assert "not for anybody" not in answer.text


def test_a_link_out_of_the_folder_is_not_followed(assets: Path) -> None:
    (assets / "way-out.txt").symlink_to(assets.parent / "secret.txt")

    assert Assets(assets)._file("way-out.txt") is None


@pytest.mark.parametrize("path", ["/bff/nothing", "/api/v1/devices", "/assets/index-gone.js"])
async def test_what_is_no_page_is_not_answered_with_one(pages: Pages, path: str) -> None:
    answer = await pages.browser.get(path)

    assert answer.status_code == 404
    assert "<title>" not in answer.text


async def test_no_other_site_may_frame_us_or_bring_scripts(pages: Pages) -> None:
    for path in ("/", "/bff/me", "/assets/index-4f2a.js", "/bff/nothing"):
        headers = (await pages.browser.get(path)).headers
        policy = headers["content-security-policy"].split("; ")

        assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert not any("unsafe" in rule for rule in policy)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


async def test_answers_about_people_and_devices_are_kept_nowhere(ida: Pages) -> None:
    answer = await ida.browser.get("/bff/screens/fleet")

    assert answer.headers["cache-control"] == "no-store"


def test_without_built_pages_it_says_how_to_build_them(tmp_path: Path) -> None:
    answer = Assets(tmp_path).answer("", "")

    assert answer.status_code == 503
    assert b"make build" in bytes(answer.body)
