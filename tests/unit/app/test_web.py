"""Which application answers, on which address, and when a change is answered."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from shoal.app.web import Doorman, Settled, WebServer, listen, url_of
from shoal.errors import Unavailable


def said(text: str) -> ASGIApp:
    return PlainTextResponse(text)


def asking(application: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://shoal")


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/api/v1/devices", "api"),
        ("/api", "api"),
        ("/healthz", "api"),
        ("/readyz", "api"),
        ("/metrics", "api"),
        ("/", "pages"),
        ("/apiary", "pages"),
        ("/bff/live", "pages"),
        ("/devices/dev-1", "pages"),
    ],
)
async def test_the_path_decides_who_answers(path: str, who: str) -> None:
    async with asking(Doorman(said("api"), said("pages"))) as client:
        assert (await client.get(path)).text == who


async def test_a_change_is_answered_when_those_who_must_know_know_and_a_look_at_once() -> None:
    settled: list[str] = []

    async def settle() -> None:
        settled.append("yes")

    async with asking(Settled(said("done"), settle)) as client:
        await client.get("/api/v1/devices")
        assert settled == []

        await client.post("/api/v1/devices")
        assert settled == ["yes"]


async def test_what_was_refused_makes_nobody_look_for_changes() -> None:
    settled: list[str] = []

    async def settle() -> None:
        settled.append("yes")

    async with asking(Settled(PlainTextResponse("who?", status_code=401), settle)) as client:
        assert (await client.post("/api/v1/devices")).status_code == 401

    assert settled == []


async def test_a_change_is_answered_also_when_those_who_must_know_are_away() -> None:
    async def away() -> None:
        raise Unavailable("database", "locked")

    async with asking(Settled(said("done"), away)) as client:
        assert (await client.post("/api/v1/devices")).text == "done"


async def test_a_server_that_leaves_ends_live_streams_at_once_and_waits_for_other_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shoal.app.web.GOODBYE_S", 600)
    goes_on = asyncio.Event()

    async def stream() -> AsyncIterator[bytes]:
        yield b": connected\n\n"
        await asyncio.Event().wait()

    async def file() -> AsyncIterator[bytes]:
        yield b"one"
        await goes_on.wait()
        yield b"two"

    opened = listen("127.0.0.1:0")
    url = url_of(opened)
    doorman = Doorman(
        StreamingResponse(file(), media_type="text/csv"), StreamingResponse(stream(), media_type="text/event-stream")
    )
    serving = asyncio.create_task(WebServer(doorman, opened).run())
    async with (
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", "/live") as live,
        client.stream("GET", "/api/v1/file") as whole,
    ):
        said, cut = live.aiter_raw(), whole.aiter_raw()
        assert (await anext(said), await anext(cut)) == (b": connected\n\n", b"one")

        serving.cancel()

        assert [block async for block in said] == []
        goes_on.set()
        assert [block async for block in cut] == [b"two"]
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_server_serves_until_it_is_cancelled_and_frees_its_port() -> None:
    opened = listen("127.0.0.1:0")
    url = url_of(opened)
    serving = asyncio.create_task(WebServer(said("hello"), opened).run())
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).text == "hello"

    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving

    listen(url.removeprefix("http://")).close()


async def caller(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["client"][0])(scope, receive, send)


@pytest.mark.parametrize(
    ("trusted", "seen"), [(("127.0.0.1",), "192.0.2.7"), (("127.0.0.0/8",), "192.0.2.7"), (("10.0.0.1",), "127.0.0.1")]
)
async def test_only_a_trusted_proxy_says_where_a_request_comes_from(trusted: tuple[str, ...], seen: str) -> None:
    opened = listen("127.0.0.1:0")
    serving = asyncio.create_task(WebServer(caller, opened, trusted_proxies=trusted).run())
    async with httpx.AsyncClient() as client:
        answer = await client.get(url_of(opened), headers={"X-Forwarded-For": "192.0.2.7"})
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving

    assert answer.text == seen


def test_a_taken_address_is_named_with_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"

        with pytest.raises(Unavailable, match=f"{taken}: Address already in use") as refused:
            listen(taken)

    assert "--web" in refused.value.remedy


def test_an_ipv6_address_is_a_url_in_brackets() -> None:
    with listen("[::1]:0") as opened:
        assert url_of(opened, "https").startswith("https://[::1]:")
