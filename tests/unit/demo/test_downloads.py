"""How the demo fetches over HTTP, against a server that does what RFC 9110 §14 says, and against one that does not."""

from collections.abc import AsyncIterator

import httpx
import pytest

from shoal.demo import downloads
from shoal.demo.downloads import fetch_by_http
from shoal.errors import DeviceFault
from shoal.lwm2m.state import Begun

URI = "https://shoal.example/api/v1/downloads/x"
FILE = bytes(range(250)) * 20


class Origin:
    """A server with one file. It lets go of the link after `cut_after` bytes of an answer."""

    def __init__(self, etag: str = '"v1"', cut_after: int | None = None, status: int | None = None) -> None:
        self.etag = etag
        self.cut_after = cut_after
        self.status = status
        self.asked: list[tuple[str | None, str | None]] = []

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        wanted, if_range = request.headers.get("range"), request.headers.get("if-range")
        self.asked.append((wanted, if_range))
        if self.status is not None:
            return httpx.Response(self.status)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and if_range == self.etag else 0
        if start >= len(FILE):
            return httpx.Response(416)
        status = 206 if start else 200
        return httpx.Response(status, headers={"ETag": self.etag}, content=self._body(FILE[start:]))

    async def _body(self, rest: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(rest), 100):
            if self.cut_after is not None and at >= self.cut_after:
                raise httpx.ReadError("the link is cut")
            yield rest[at : at + 100]


async def test_a_file_comes_whole_in_one_piece() -> None:
    origin, begun = Origin(), Begun()

    assert await fetch_by_http(URI, begun, origin.client()) == FILE
    assert origin.asked == [(None, None)]


async def test_what_came_before_the_link_was_lost_is_not_asked_for_again() -> None:
    begun = Begun()
    with pytest.raises(DeviceFault) as caught:
        await fetch_by_http(URI, begun, Origin(cut_after=1_000).client())
    assert (caught.value.code, begun.data, begun.etag) == (None, FILE[:1_000], b'"v1"')

    origin = Origin()
    assert await fetch_by_http(URI, begun, origin.client()) == FILE
    assert origin.asked == [("bytes=1000-", '"v1"')]


async def test_of_another_file_all_is_fetched() -> None:
    begun = Begun(b"something else", b'"v0"')

    assert await fetch_by_http(URI, begun, Origin().client()) == FILE
    assert begun.etag == b'"v1"'


async def test_a_file_that_is_here_already_is_not_fetched() -> None:
    assert await fetch_by_http(URI, Begun(FILE, b'"v1"'), Origin().client()) == FILE


@pytest.mark.parametrize("status", [403, 404, 410, 503])
async def test_a_refusal_carries_its_status(status: int) -> None:
    with pytest.raises(DeviceFault) as caught:
        await fetch_by_http(URI, Begun(), Origin(status=status).client())

    assert caught.value.code == str(status)


async def test_a_file_without_end_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "BYTES_MAX", 1_000)

    with pytest.raises(DeviceFault, match="more than 1000 bytes"):
        await fetch_by_http(URI, Begun(), Origin().client())
