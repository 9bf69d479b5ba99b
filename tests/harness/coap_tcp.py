"""CoAP over TCP by hand (RFC 8323 §3.2): an encoder and a decoder that share nothing with the core."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

# A busy two-core machine; whoever waits this long has failed.
PATIENCE_S: Final = 60

CSM, PING, PONG, RELEASE, ABORT = "7.01", "7.02", "7.03", "7.04", "7.05"
OBSERVE, LOCATION_PATH, URI_PATH, CONTENT_FORMAT, URI_QUERY, ACCEPT, BLOCK2, BLOCK1 = 6, 8, 11, 12, 15, 17, 23, 27


@dataclass(frozen=True)
class Message:
    """One message; options by number, in order."""

    code: str
    token: bytes = b""
    options: Sequence[tuple[int, bytes]] = ()
    payload: bytes = b""

    def values(self, number: int) -> list[bytes]:
        """The values of an option."""
        return [value for other, value in self.options if other == number]

    def encode(self) -> bytes:
        """As it travels."""
        rest, before = b"", 0
        for number, value in self.options:
            delta, more_delta = _nibble(number - before)
            length, more_length = _nibble(len(value))
            rest += bytes([delta << 4 | length]) + more_delta + more_length + value
            before = number
        rest += b"\xff" + self.payload if self.payload else b""
        length, more = _nibble(len(rest))
        major, minor = self.code.split(".")
        return bytes([length << 4 | len(self.token)]) + more + bytes([int(major) << 5 | int(minor)]) + self.token + rest


def _nibble(number: int) -> tuple[int, bytes]:
    if number < 13:  # RFC 7252 §3.1
        return number, b""
    if number < 269:
        return 13, bytes([number - 13])
    return 14, (number - 269).to_bytes(2, "big")


@dataclass
class Peer:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[Message] = field(default_factory=list)

    async def say(self, *messages: Message) -> None:
        """Sends messages."""
        await self.say_bytes(b"".join(message.encode() for message in messages))

    async def say_bytes(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self, *codes: str) -> Message:
        """The next message; of one of these codes, where some are given.

        Raises:
            asyncio.IncompleteReadError: the connection ended.
        """
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self._read()
                self.heard.append(message)
                if not codes or message.code in codes:
                    return message

    async def is_over(self) -> bool:
        """Waits until the server has closed the connection."""
        try:
            while True:
                await self.hear()
        except (asyncio.IncompleteReadError, ConnectionError):
            return True

    async def _read(self) -> Message:
        first = (await self.reader.readexactly(1))[0]
        extension, base = {13: (1, 13), 14: (2, 269), 15: (4, 65_805)}.get(first >> 4, (0, first >> 4))
        length = base + int.from_bytes(await self.reader.readexactly(extension), "big")
        code = (await self.reader.readexactly(1))[0]
        token = await self.reader.readexactly(first & 15)
        return Message(f"{code >> 5}.{code & 31:02}", token, *_options(await self.reader.readexactly(length)))


def _options(rest: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    options, number = [], 0
    while rest and rest[0] != 0xFF:  # the marker of the payload
        delta, length, rest = rest[0] >> 4, rest[0] & 15, rest[1:]
        delta, rest = _extended(delta, rest)
        length, rest = _extended(length, rest)
        number += delta
        options.append((number, rest[:length]))
        rest = rest[length:]
    return options, rest[1:]


def _extended(nibble: int, rest: bytes) -> tuple[int, bytes]:
    match nibble:
        case 13:
            return 13 + rest[0], rest[1:]
        case 14:
            return 269 + int.from_bytes(rest[:2], "big"), rest[2:]
    return nibble, rest


@asynccontextmanager
async def connected(uri: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """A connection to `coap+tcp://HOST:PORT`, or under `tls` to `coaps+tcp://`, over which nothing was said yet."""
    parts = urlsplit(uri)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=tls)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


def register(endpoint: str, *queries: str, links: bytes = b"</1/0>,</3/0>", token: bytes = b"r") -> Message:
    """A Register with binding T."""
    named = [f"ep={endpoint}", "lt=300", "lwm2m=1.1", "b=T", *queries]
    options = [(URI_PATH, b"rd"), (CONTENT_FORMAT, b"\x28"), *((URI_QUERY, query.encode()) for query in named)]
    return Message("0.02", token, options, links)
