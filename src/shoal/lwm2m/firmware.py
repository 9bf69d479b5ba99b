"""Object 5 (Firmware Update) of a device: it takes an image by pull or push, goes on where it was, and installs it.

    firmware = Firmware(device, install)
    async with device: ...

What an image is, only the owner knows: `install(image)` installs it and says with which result of object 5; then `boot`
is called, when that has been written down. What came of an image survives a reboot, and `resume` goes on with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from shoal.errors import DeviceFault
from shoal.lwm2m.device import Begun, Device

PACKAGE: Final = "/5/0/0"
PACKAGE_URI: Final = "/5/0/1"
UPDATE: Final = "/5/0/2"
STATE: Final = "/5/0/3"
RESULT: Final = "/5/0/5"
PROTOCOLS: Final = "/5/0/8"
DELIVERY: Final = "/5/0/9"


class State(IntEnum):
    """Resource 3 (OMA LwM2M Core 1.1 §E.6)."""

    IDLE = 0
    DOWNLOADING = 1
    DOWNLOADED = 2
    UPDATING = 3


class Result(IntEnum):
    """Resource 5: how the last update ended."""

    INITIAL = 0
    SUCCESS = 1
    CONNECTION_LOST = 4
    INTEGRITY_FAILED = 5
    URI_INVALID = 7
    UPDATE_FAILED = 8
    PROTOCOL_UNSUPPORTED = 9


class Protocol(IntEnum):
    """Resource 8: what the device can fetch by."""

    COAP = 0
    COAPS = 1
    HTTP = 2
    HTTPS = 3
    COAP_TCP = 4


class Method(IntEnum):
    """Resource 9: who moves the bytes."""

    PULL = 0
    PUSH = 1
    BOTH = 2


Install: TypeAlias = Callable[[bytes], Awaitable[Result]]
Boot: TypeAlias = Callable[[], None]
# Fetches over HTTP what is missing of a file and returns all of it; raises DeviceFault when the link is lost, with what
# came until then in `begun`.
FetchWeb: TypeAlias = Callable[[str, Begun], Awaitable[bytes]]


class Firmware:
    """The firmware object of one device. Make it before the device starts.

    `fetch_web` is how it fetches over HTTP(S); without it such an address is refused with result 9.
    """

    def __init__(
        self,
        device: Device,
        install: Install,
        *,
        boot: Boot = lambda: None,
        method: Method = Method.BOTH,
        protocols: Sequence[Protocol] = (Protocol.COAP, Protocol.COAPS),
        fetch_web: FetchWeb | None = None,
    ) -> None:
        self._device = device
        self._install = install
        self._boot = boot
        self._fetch_web = fetch_web
        self._uri = ""
        self._image: bytes | None = None
        self._begun = Begun()
        self._fetching: asyncio.Task[None] | None = None
        self.state = State.IDLE
        self.result = Result.INITIAL
        self.show(State.IDLE, Result.INITIAL)
        # What is written there is taken and not shown: the resource cannot be read.
        device.set(PACKAGE, b"")
        for number, protocol in enumerate(protocols):
            device.set(f"{PROTOCOLS}/{number}", int(protocol))
        device.set(DELIVERY, int(method))
        device.on_receiving(PACKAGE, lambda _, __: self._receiving())
        device.on_write(PACKAGE, self._package_written)
        device.on_write(PACKAGE_URI, self._uri_written)
        device.on_execute(UPDATE, lambda _, __: self._update())

    @property
    def fetched(self) -> int:
        """Bytes of the image that came, as far as that is known before it is whole."""
        return len(self._image if self._image is not None else self._begun.data)

    def show(self, state: State, result: Result) -> None:
        """Goes into a state; observers are told."""
        self.state, self.result = state, result
        self._device.set(RESULT, int(result))
        self._device.set(STATE, int(state))

    def resume(self) -> None:
        """Goes on with a download that a reboot broke off."""
        if self.state is State.DOWNLOADING and self._uri:
            self._fetch()

    def _uri_written(self, path: str, value: object) -> None:
        del path
        self._uri = str(value)
        # §E.6: an empty URI brings the object back to Idle.
        self._reset()
        if self._uri:
            self.show(State.DOWNLOADING, Result.INITIAL)
            self._fetch()

    def _receiving(self) -> None:
        if self.state is State.IDLE:
            self._uri = ""
            self.show(State.DOWNLOADING, Result.INITIAL)

    def _package_written(self, path: str, value: object) -> None:
        del path
        self._reset()
        # §E.6: a NUL byte brings the object back to Idle.
        if isinstance(value, bytes) and value not in {b"", b"\0"}:
            self._image = value
            # It is in the device now; the resource keeps nothing.
            self._device.set(PACKAGE, b"")
            self.show(State.DOWNLOADED, Result.INITIAL)

    def _reset(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
        self._fetching, self._image = None, None
        self.show(State.IDLE, Result.INITIAL)

    def _fetch(self) -> None:
        self._fetching = asyncio.get_running_loop().create_task(self._fetch_it(self._uri))

    async def _fetch_it(self, uri: str) -> None:
        scheme = urlsplit(uri).scheme
        try:
            if scheme in {"coap", "coaps", "coap+tcp"}:
                image = await self._device.fetch(uri, begun=self._begun)
            elif scheme in {"http", "https"} and self._fetch_web is not None:
                image = await self._fetch_web(uri, self._begun)
            else:
                self.show(State.IDLE, Result.PROTOCOL_UNSUPPORTED)
                return
        except DeviceFault as fault:
            if fault.detail == "power lost":
                return  # the state is in flash, and `resume` goes on
            # A CoAP server that has just been started may not know the file yet: that is worth another try.
            is_refused = fault.code is not None and scheme in {"http", "https"}
            self.show(State.IDLE, Result.URI_INVALID if is_refused else Result.CONNECTION_LOST)
            return
        self._image, self._begun = image, Begun()
        self.show(State.DOWNLOADED, Result.INITIAL)

    async def _update(self) -> None:
        if self._image is None:
            return
        self.show(State.UPDATING, Result.INITIAL)
        result = await self._install(self._image)
        self._image, self._uri = None, ""
        self.show(State.IDLE, result)
        self._boot()
