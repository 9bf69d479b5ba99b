"""CoAP clients that others wrote: aiocoap in this process, libcoap's `coap-client` as a child."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiocoap
from aiocoap import resource

LIBCOAP: Final = "coap-client-notls"
LIBCOAP_DTLS: Final = "coap-client-openssl"
# A busy two-core machine; a peer that takes longer has failed.
PATIENCE_S: Final = 60


class Sensor(resource.ObservableResource):  # type: ignore[misc]  # aiocoap has no types
    """One resource of a device, as text."""

    def __init__(self, value: bytes) -> None:
        super().__init__()
        self.value = value

    def change(self, value: bytes) -> None:
        """Notifies whoever observes it."""
        self.value = value
        self.updated_state()

    async def render_get(self, _request: aiocoap.Message) -> aiocoap.Message:
        """Read and Observe."""
        return aiocoap.Message(payload=self.value, content_format=0)

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        """Write and Write-Attributes, which has nothing but queries."""
        if request.payload or not request.opt.uri_query:
            self.value = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)


class Aiocoap:
    """An aiocoap context that asks the server and serves a few resources to it."""

    def __init__(self, context: aiocoap.Context, uri: str) -> None:
        self._context = context
        self._uri = uri

    async def ask(self, code: aiocoap.Code, path: str, payload: bytes = b"", **options: int) -> aiocoap.Message:
        """Asks, in blocks where that is needed, and returns the answer whatever its code."""
        message = aiocoap.Message(code=code, uri=f"{self._uri}{path}", payload=payload, **options)
        async with asyncio.timeout(PATIENCE_S):
            return await self._context.request(message).response

    async def register(self, endpoint: str, binding: str, links: bytes = b"</1/0>,</3/0>,</3303/0>") -> aiocoap.Message:
        """Registers; the answer."""
        path = f"/rd?ep={endpoint}&lt=300&lwm2m=1.1&b={binding}"
        return await self.ask(aiocoap.POST, path, links, content_format=40)


@asynccontextmanager
async def aiocoap_peer(uri: str, resources: dict[str, resource.Resource]) -> AsyncIterator[Aiocoap]:
    """A client of the server at `uri` over the transport that the URI says, with resources by their paths."""
    site = resource.Site()
    for path, one in resources.items():
        site.add_resource(path.strip("/").split("/"), one)
    transports = ["tcpclient"] if uri.startswith("coap+tcp") else ["udp6"]
    bind = None if uri.startswith("coap+tcp") else ("::", 0)
    context = await aiocoap.Context.create_server_context(site, bind=bind, transports=transports)
    try:
        yield Aiocoap(context, uri)
    finally:
        await context.shutdown()


async def libcoap(uri: str, method: str = "get", *arguments: str, payload: bytes = b"") -> str:
    """What `coap-client` says about one request, its messages included."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(payload)
        file.flush()
        given = ("-f", file.name) if payload else ()
        process = await asyncio.create_subprocess_exec(
            *(
                LIBCOAP_DTLS if uri.startswith("coaps") else LIBCOAP,
                "-v",
                "7",
                "-B",
                "20",
                "-m",
                method,
                *arguments,
                *given,
                uri,
            ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(PATIENCE_S):
            said, _ = await process.communicate()
    return said.decode(errors="replace")
