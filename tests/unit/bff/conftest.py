"""The pages' server over the invented farm: a browser's side of it, on a clock that stands still."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shoal.bff.application import create_application
from shoal.clock import FakeClock
from tests.unit.bff.fake_anchors import make_anchors
from tests.unit.bff.fake_api import EMAIL, PASSWORD, create_fake_api
from tests.unit.bff.fake_duty import staff
from tests.unit.bff.fake_farm import FakeFarm, make_farm
from tests.unit.bff.fake_trust import credentials, refusals

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)
PAGES = "http://pages.example"


class Link(httpx.AsyncBaseTransport):
    """The way from the pages to the API, inside this process; cut it and the API is away."""

    def __init__(self, api: FastAPI) -> None:
        self._api = httpx.ASGITransport(api)
        self.is_cut = False
        self.carried: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_cut:
            raise httpx.ConnectError("connection refused", request=request)
        self.carried.append(request)
        return await self._api.handle_async_request(request)


@dataclass
class Pages:
    """One browser in front of the pages."""

    browser: httpx.AsyncClient
    application: FastAPI
    link: Link
    farm: FakeFarm
    clock: FakeClock
    csrf: str = ""

    async def log_in(self, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
        answer = await self.browser.post("/bff/login", json={"email": email, "password": password})
        if answer.is_success:
            self.csrf = answer.json()["csrf"]
        return answer

    async def screen(self, path: str, /, **query: Any) -> Any:
        answer = await self.browser.get(f"/bff/screens/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def do(self, path: str, body: Any = None) -> httpx.Response:
        return await self.browser.post(f"/bff/{path}", json=body, headers={"X-Shoal-CSRF": self.csrf})


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """What `npm run build` leaves, in small."""
    folder = tmp_path / "assets"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Shoal</title>")
    script = b"console.log('shoal');" * 100
    (folder / "assets" / "index-4f2a.js").write_bytes(script)
    (folder / "assets" / "index-4f2a.js.gz").write_bytes(gzip.compress(script))
    (tmp_path / "secret.txt").write_text("not for anybody")
    return folder


@pytest.fixture
async def pages(assets: Path) -> AsyncIterator[Pages]:
    clock = FakeClock(NOW)
    farm = make_farm(NOW)
    staff(farm)
    farm.refusals, farm.credentials = refusals(farm), credentials(farm)
    make_anchors(farm)
    farm.clock = clock.now
    link = Link(create_fake_api(farm))
    async with httpx.AsyncClient(transport=link, base_url="http://api.example", trust_env=False) as api:
        application = create_application(api, assets, secret=b"of the test", clock=clock)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(application), base_url=PAGES, trust_env=False
        ) as browser:
            yield Pages(browser, application, link, farm, clock)


@pytest.fixture
async def ida(pages: Pages) -> Pages:
    """Ida, an operator, is logged in."""
    assert (await pages.log_in()).status_code == 200
    return pages
