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

from shoal.errors import DeviceFault, Rejected, Unavailable
from shoal.lwm2m.classes import Object, check, execute, resource, written
from shoal.lwm2m.device import Device
from shoal.lwm2m.owner import Refusal
from shoal.lwm2m.state import Begun

PACKAGE: Final = "/5/0/0"
RESULT: Final = "/5/0/5"
_COAP: Final = frozenset({"coap", "coaps", "coap+tcp", "coaps+tcp"})
_WEB: Final = frozenset({"http", "https"})


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
    FLASH_FULL = 2
    MEMORY_FULL = 3
    CONNECTION_LOST = 4
    INTEGRITY_FAILED = 5
    PACKAGE_UNSUPPORTED = 6
    URI_INVALID = 7
    UPDATE_FAILED = 8
    PROTOCOL_UNSUPPORTED = 9
    CANCELLED = 10
    DEFERRED = 11


class Protocol(IntEnum):
    """Resource 8: what the device can fetch by."""

    COAP = 0
    COAPS = 1
    HTTP = 2
    HTTPS = 3
    COAP_TCP = 4
    COAPS_TCP = 5


class Method(IntEnum):
    """Resource 9: who moves the bytes."""

    PULL = 0
    PUSH = 1
    BOTH = 2


Install: TypeAlias = Callable[[bytes], Awaitable[Result]]
Boot: TypeAlias = Callable[[], None]
# Looks at an image before anybody is told that it is here: `Result.INITIAL` if it is sound, else what is wrong with it.
Verify: TypeAlias = Callable[[bytes], Result]
# Fetches over HTTP what is missing of a file and returns all of it; raises DeviceFault when the link is lost, with what
# came until then in `begun`. Whatever else it raises ends the download as a lost link does, and is reported.
FetchWeb: TypeAlias = Callable[[str, Begun], Awaitable[bytes]]


class Firmware(Object, id=5):
    """The firmware object of one device. Make it before the device starts.

    `fetch_web` is how it fetches over HTTP(S); without it such an address is refused with result 9. `verify` looks at an
    image once it is whole.
    """

    package: bytes = resource(0, default=b"")
    package_uri: str = resource(1, default="")
    state: int = resource(3, default=State.IDLE)
    result: int = resource(5, default=Result.INITIAL)
    protocols: list[int] = resource(8)
    delivery: int = resource(9)

    def __init__(
        self,
        device: Device,
        install: Install,
        *,
        boot: Boot = lambda: None,
        method: Method = Method.BOTH,
        protocols: Sequence[Protocol] = (Protocol.COAP, Protocol.COAPS),
        fetch_web: FetchWeb | None = None,
        verify: Verify = lambda _: Result.INITIAL,
    ) -> None:
        self._firmware_of = device
        self._install = install
        self._boot = boot
        self._fetch_web = fetch_web
        self._verify = verify
        self._image: bytes | None = None
        self._begun = Begun()
        self._fetching: asyncio.Task[None] | None = None
        super().__init__(protocols=[int(protocol) for protocol in protocols], delivery=int(method))
        device.on_receiving(PACKAGE, lambda _, __: self._receiving())
        # What came of an update is what the server asks after the reboot.
        device.keep(RESULT)
        device.add(self)

    @property
    def fetched(self) -> int:
        """Bytes of the image that came, as far as that is known before it is whole."""
        return len(self._image if self._image is not None else self._begun.data)

    def show(self, state: State, result: Result) -> None:
        """Goes into a state; observers are told."""
        self.result = result
        self.state = state

    def resume(self) -> None:
        """Goes on with a download that a reboot broke off."""
        if self.state == State.DOWNLOADING and self.package_uri:
            self._fetch()

    @check(0)
    def _may_be_given(self) -> None:
        if self.state == State.UPDATING:
            raise Refusal("4.05", "it is installing")

    @check(1)
    def _may_be_sent_to_fetch(self) -> None:
        self._may_be_given()

    @check(2)
    def _may_update(self) -> None:
        # §E.6: Update can be executed in the state Downloaded only.
        if self.state != State.DOWNLOADED:
            raise Refusal("4.05", "no image is here")

    @check(10)
    def _may_be_cancelled(self) -> None:
        if self.state not in {State.DOWNLOADING, State.DOWNLOADED}:
            raise Refusal("4.05", "there is nothing to cancel")

    @written(1)
    def _uri_written(self, uri: str) -> None:
        # §E.6: an empty URI brings the object back to Idle.
        self._reset(Result.INITIAL)
        if uri:
            self.show(State.DOWNLOADING, Result.INITIAL)
            self._fetch()

    def _receiving(self) -> None:
        if self.state == State.IDLE:
            self.package_uri = ""
            self.show(State.DOWNLOADING, Result.INITIAL)

    @written(0)
    def _package_written(self, image: bytes) -> None:
        self._reset(Result.INITIAL)
        # It is in the device now; the resource keeps nothing, and what was pulled before is not wanted any more.
        self.package, self.package_uri = b"", ""
        # §E.6: a NUL byte brings the object back to Idle.
        if image not in {b"", b"\0"}:
            self._is_here(image)

    @execute(10)
    def _cancel(self) -> None:
        self._reset(Result.CANCELLED)
        self.package_uri = ""

    def _reset(self, result: Result) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
        self._fetching, self._image = None, None
        self.show(State.IDLE, result)

    def _fail(self, result: Result) -> None:
        """The download ends without an image. Nobody begins it again but a server."""
        self.package_uri = ""
        self.show(State.IDLE, result)

    def _is_here(self, image: bytes) -> None:
        try:
            fault = Result(self._verify(image))
        except Exception:
            self._fail(Result.INTEGRITY_FAILED)
            raise
        if fault not in {Result.INITIAL, Result.SUCCESS}:
            self._fail(fault)
            return
        self._image = image
        self.show(State.DOWNLOADED, Result.INITIAL)

    def _fetch(self) -> None:
        self._fetching = asyncio.get_running_loop().create_task(self._fetch_it(self.package_uri))
        self._fetching.add_done_callback(self._report)

    def _report(self, fetching: asyncio.Task[None]) -> None:
        """Says what the owner's functions raised, where the event loop says such things."""
        if not fetching.cancelled() and (error := fetching.exception()) is not None:
            context = {"message": f"{self._firmware_of.endpoint}: its firmware was not fetched", "exception": error}
            fetching.get_loop().call_exception_handler(context)

    async def _fetch_it(self, uri: str) -> None:
        try:
            scheme = urlsplit(uri).scheme
        except ValueError:
            self._fail(Result.URI_INVALID)
            return
        try:
            if scheme in _COAP:
                image = await self._firmware_of.fetch(uri, begun=self._begun)
            elif scheme in _WEB and self._fetch_web is not None:
                image = await self._fetch_web(uri, self._begun)
            else:
                self._fail(Result.PROTOCOL_UNSUPPORTED)
                return
        except DeviceFault as fault:
            if fault.detail == "power lost":
                return  # the state is in flash, and `resume` goes on
            # A CoAP server that has just been started may not know the file yet: that is worth another try.
            is_refused = fault.code is not None and scheme in _WEB
            self._fail(Result.URI_INVALID if is_refused else Result.CONNECTION_LOST)
            return
        except Exception as error:
            if isinstance(error, Unavailable | Rejected) and scheme in _COAP:
                return  # the device was stopped, while it fetched or before it could: it goes on when it starts
            self._fail(Result.CONNECTION_LOST)
            raise
        self._begun = Begun()
        self._is_here(image)

    @execute(2)
    async def _update(self) -> None:
        if self._image is None:
            return
        self.show(State.UPDATING, Result.INITIAL)
        try:
            result = Result(await self._install(self._image))
        except Exception:
            self._image = None
            self._fail(Result.UPDATE_FAILED)
            raise
        self._image, self.package_uri = None, ""
        self.show(State.IDLE, result)
        self._boot()
