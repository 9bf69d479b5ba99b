"""How a device of the demo fetches over HTTP: it goes on where it was, if the file is still the same (RFC 9110 §14)."""

from typing import Final

import httpx

from shoal.errors import DeviceFault
from shoal.lwm2m.state import Begun

# A server that says nothing for so long is gone; the device comes back with what it has.
QUIET_S: Final = 30.0
# A model for a small camera.
BYTES_MAX: Final = 64 * 1024 * 1024


async def fetch_by_http(uri: str, begun: Begun, client: httpx.AsyncClient | None = None) -> bytes:
    """The whole file. What came is in `begun`, also when the link is lost.

    Raises:
        DeviceFault: the server refused, or the link was lost (without a code).
    """
    headers = {}
    if begun.data and begun.etag is not None:
        headers = {"Range": f"bytes={len(begun.data)}-", "If-Range": begun.etag.decode()}
    # A proxy for the outside world is not on the way.
    came = bytearray(begun.data)
    async with client or httpx.AsyncClient(timeout=QUIET_S, trust_env=False) as http:
        try:
            async with http.stream("GET", uri, headers=headers) as answer:
                if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                    return bytes(came)
                if answer.status_code not in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
                    raise DeviceFault(uri, "fetch", str(answer.status_code))
                if answer.status_code == httpx.codes.OK:
                    came.clear()
                begun.etag = answer.headers.get("etag", "").encode() or None
                async for chunk in answer.aiter_bytes():
                    came += chunk
                    if len(came) > BYTES_MAX:
                        raise DeviceFault(uri, "fetch", "413", f"more than {BYTES_MAX} bytes")
        except httpx.HTTPError as error:
            raise DeviceFault(uri, "fetch", None, type(error).__name__) from error
        finally:
            begun.data = bytes(came)
    return bytes(came)
