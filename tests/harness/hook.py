"""A web server on loopback that gets webhooks: keeps what comes, answers as it is told, and can be slow or be away."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True)
class Posted:
    """One request, its headers in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return msgspec.json.decode(self.body, type=dict[str, Any])


class HookServer:
    """`answers` are used one after the other, each a status with headers; then it is 204 for ever."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.posted: list[Posted] = []
        self.answers: list[tuple[int, str]] = []
        self.body = b""
        self.hangs = False
        self._tls = tls
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts?farm=1"

    @property
    def kinds(self) -> list[str]:
        return [str(posted.event["type"]).removeprefix("shoal.alert.") for posted in self.posted]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.posted.append(Posted(head[0].split(" ")[1], headers, body))
            if self.hangs:
                await reader.read()
                return
            status, more = self.answers.pop(0) if self.answers else (204, "")
            length = "" if status == 204 else f"Content-Length: {len(self.body)}\r\n"
            writer.write(f"HTTP/1.1 {status} So\r\n{length}{more}Connection: close\r\n\r\n".encode())
            if status != 204:
                writer.write(self.body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
