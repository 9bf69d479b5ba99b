"""What a running device is told to do: orders go to the core, and what became of them comes back under their number."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeAlias

from shoal._core import DeviceConfig, DeviceOccurrence
from shoal.errors import DeviceFault, Rejected, Unavailable
from shoal.lwm2m.host import Host
from shoal.lwm2m.renewing import CERTIFICATES, REQUEST, Answer
from shoal.lwm2m.state import Begun

OnProgress: TypeAlias = Callable[[int, int | None], None]
DEFAULT_TIMEOUT: Final = timedelta(seconds=100)  # RFC 7252 §4.8.2: one exchange may take 93 s (MAX_TRANSMIT_WAIT)


class Orders:
    """The half of a `Device` that speaks to the core while it runs."""

    _host: Host

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._handle: int | None = None
        self._on_progress: dict[int, OnProgress] = {}
        self._waiting: dict[int, asyncio.Future[DeviceOccurrence]] = {}
        self._numbers = itertools.count(1)
        self._registered = asyncio.Event()
        self._refusal = ""

    async def registered(self, timeout: timedelta = DEFAULT_TIMEOUT) -> None:
        """Waits until the server accepted the registration.

        Raises:
            Unavailable: not within the time.
        """
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._registered.wait()
        except TimeoutError as error:
            reason = self._refusal or "the registration was not accepted in time"
            raise Unavailable("server", reason, "Check address, endpoint and key") from error

    def sleep(self) -> None:
        """In queue mode: stops listening now, before the awake window is over. It wakes when it has something to say."""
        self._command("sleep")(self._running(), 0)

    async def update(self) -> None:
        """Renews the registration now."""
        await self._ask("update", self._command("update"))

    async def deregister(self) -> None:
        """Says goodbye; the device stays silent until it is started again."""
        await self._ask("deregister", self._command("deregister"))

    async def fetch(self, uri: str, progress: OnProgress | None = None, begun: Begun | None = None) -> bytes:
        """Fetches a file block by block from the server it is registered with (`coaps://host:port/path`).

        With `begun` it goes on where an earlier fetch broke off; when this one does, too, that holds what came.

        Raises:
            DeviceFault: refused, gone, changed while it was fetched, or no answer.
        """
        number = next(self._numbers)
        if progress is not None:
            self._on_progress[number] = progress
        came = None if begun is None or begun.etag is None else (begun.data, begun.etag)
        try:
            done = await self._done(lambda handle, number: self._host.core.fetch(handle, number, uri, came), number)
        finally:
            self._on_progress.pop(number, None)
        if begun is not None:
            begun.data, begun.etag = done.data or b"", done.etag
        self._check(done, "fetch")
        return done.data or b""

    def claim(self, enclosure: str | None) -> None:
        """Says from now on, by the CoAP option, that it is in another enclosure; with the next Update."""
        handle = self._running()
        self._host.core.claim(handle, enclosure)

    def lose_power(self) -> None:
        """Falls silent without a goodbye, as a device does when its supply is gone. For demonstrations and tests."""
        self._registered.clear()
        self._command("lose_power")(self._running(), 0)

    def power_on(self) -> None:
        """Comes back after `lose_power` or `deregister`: a new session, a new registration."""
        self._command("power_on")(self._running(), 0)

    def rebind(self) -> None:
        """Goes on from another source port, as behind a router that forgot the old one."""
        self._command("rebind")(self._running(), 0)

    def _command(self, word: str) -> Callable[[int, int], None]:
        return lambda handle, number: self._host.core.command(handle, number, word)

    def _running(self) -> int:
        if self._handle is None:
            raise Rejected("device", "it is not running: use `async with`")
        return self._handle

    async def _ask(self, operation: str, order: Callable[[int, int], None]) -> None:
        self._check(await self._done(order, next(self._numbers)), operation)

    async def _done(self, order: Callable[[int, int], None], number: int) -> DeviceOccurrence:
        handle = self._running()
        future: asyncio.Future[DeviceOccurrence] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            order(handle, number)
            return await future
        finally:
            self._waiting.pop(number, None)

    def _check(self, done: DeviceOccurrence, operation: str) -> None:
        if done.code is None or not done.code.startswith("2."):
            raise DeviceFault(self.endpoint, operation, done.code, done.detail or "")

    async def _asked(self, path: str, request: bytes) -> Answer:
        done = await self._done(
            lambda handle, number: self._host.core.post(
                handle, number, path, request, content_format=REQUEST, accept=CERTIFICATES
            ),
            next(self._numbers),
        )
        return Answer(done.code, done.data or b"", done.detail or "", done.retry_after_s)

    async def _proves(self, config: DeviceConfig) -> None:
        await self._ask("prove", lambda handle, number: self._host.core.prove(handle, number, config))

    def _settle(self, occurrence: DeviceOccurrence) -> None:
        """An order is done."""
        future = self._waiting.get(occurrence.number or 0)
        if future is not None and not future.done():
            future.set_result(occurrence)

    def _forget_orders(self) -> None:
        """The device stops."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Unavailable("device", "it was stopped"))
