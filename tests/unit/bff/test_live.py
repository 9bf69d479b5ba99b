import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from shoal.bff.api import connect
from shoal.bff.application import create_application
from shoal.bff.logins import STREAMS_PER_LOGIN_MAX
from shoal.clock import FakeClock
from tests.unit.bff.conftest import NOW, Pages
from tests.unit.bff.fake_api import EMAIL, PASSWORD, PEOPLE, TOKEN, Live, create_fake_api
from tests.unit.bff.fake_farm import make_farm


@asynccontextmanager
async def served(application: FastAPI) -> AsyncIterator[str]:
    """Over a socket: in one process, a stream would be held back until its end."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_level="error", timeout_graceful_shutdown=0))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


class Browser:
    """A browser that is logged in, and what it may see of the other side."""

    def __init__(self, client: httpx.AsyncClient, live: Live) -> None:
        self.client = client
        self.live = live

    @asynccontextmanager
    async def stream(self, headers: dict[str, str] | None = None, after: str = "") -> AsyncIterator[AsyncIterator[str]]:
        query = {"after": after} if after else {}
        async with self.client.stream("GET", "/bff/live", headers=headers, params=query) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            yield answer.aiter_lines()


@pytest.fixture
async def browser(assets: Path) -> AsyncIterator[Browser]:
    farm = make_farm(NOW)
    farm.clock = lambda: NOW
    api = create_fake_api(farm, heartbeat_s=0.05)
    async with served(api) as upstream, connect(upstream) as client:
        pages = create_application(client, assets, secret=b"s", clock=FakeClock(NOW))
        async with served(pages) as address, httpx.AsyncClient(base_url=address, trust_env=False) as outside:
            await outside.post("/bff/login", json={"email": EMAIL, "password": PASSWORD})
            yield Browser(outside, api.state.live)


async def until(lines: AsyncIterator[str], wanted: str) -> list[str]:
    seen = []
    async for line in lines:
        seen.append(line)
        if line.startswith(wanted):
            return seen
    raise AssertionError(f"no {wanted} in {seen}")


async def test_a_change_reaches_the_page_as_the_api_said_it(browser: Browser) -> None:
    async with browser.stream() as lines:
        seen = await until(lines, ": connected")
        browser.live.tell("alert", alert="alr-1", farm="frm-1")
        seen += await until(lines, "data:")

    assert seen[0] == "retry: 2000"
    assert "event: alert" in seen
    assert "id: 1-1" in seen
    assert '"alert": "alr-1"' in seen[-1]


async def test_heartbeats_pass_so_that_the_page_knows_it_is_connected(browser: Browser) -> None:
    async with browser.stream() as lines:
        await until(lines, ": heartbeat")


@pytest.mark.parametrize(("headers", "after"), [({"Last-Event-ID": "1-41"}, ""), ({}, "1-41")])
async def test_a_page_that_was_away_goes_on_where_it_was(browser: Browser, headers: dict[str, str], after: str) -> None:
    async with browser.stream(headers, after) as lines:
        await until(lines, ": connected")

    assert browser.live.resumed_after == "1-41"


async def test_one_login_cannot_hold_all_connections(browser: Browser) -> None:
    async with asyncio.TaskGroup() as group:
        enough = asyncio.Event()
        open_now = asyncio.Barrier(STREAMS_PER_LOGIN_MAX + 1)

        async def hold() -> None:
            async with browser.stream() as lines:
                await until(lines, ": connected")
                await open_now.wait()
                await enough.wait()

        for _ in range(STREAMS_PER_LOGIN_MAX):
            group.create_task(hold())
        await open_now.wait()
        refused = await browser.client.get("/bff/live")
        enough.set()

    assert refused.status_code == 400
    assert "too many streams" in refused.json()["title"]


async def test_a_page_that_leaves_gives_its_connection_to_the_api_back(browser: Browser) -> None:
    async with browser.stream() as lines:
        await until(lines, ": connected")

    await asyncio.wait_for(browser.live.left.wait(), timeout=10)


async def test_without_an_api_there_is_no_stream_and_the_page_is_told(ida: Pages) -> None:
    ida.link.is_cut = True

    answer = await ida.browser.get("/bff/live")

    assert answer.status_code == 503
    assert answer.json()["type"] == "unavailable"


async def test_a_session_that_ended_at_the_api_ends_here_too(ida: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PEOPLE, TOKEN)

    answer = await ida.browser.get("/bff/live")

    assert answer.status_code == 401
    assert answer.json()["type"] == "logged-out"
