"""An LwM2M client in a few lines, good enough to be the agent on a Linux camera.

    async with Device("oxy-0417", "coaps://127.0.0.1:5684", identity="oxy-0417", key=key) as device:
        device.set("/3/0/9", 87)
        await device.registered()
        await device.send("/3/0/9")

It registers, renews and comes back by itself; reads, writes, discovery and observations are served from its tree by the
core. All devices of an event loop share one thread.
"""

import asyncio
import base64
import inspect
import itertools
import json
import secrets
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import ClassVar, Final, Literal, Self, TypeAlias, TypeVar

from shoal._core import DeviceConfig, DeviceHost, DeviceOccurrence
from shoal.errors import DeviceFault, Rejected, Unavailable
from shoal.lwm2m.objects import Objects, known_objects
from shoal.lwm2m.path import Path

Scalar: TypeAlias = bool | int | float | str | bytes | None
OnWrite: TypeAlias = Callable[[str, Scalar], Awaitable[None] | None]
OnExecute: TypeAlias = Callable[[str, Mapping[str, str]], Awaitable[None] | None]
OnProgress: TypeAlias = Callable[[int, int | None], None]
OnReceiving: TypeAlias = Callable[[str, int], None]

_T = TypeVar("_T")

# How long one call into the core waits; its end is told at once.
WAIT_S: Final = 1.0
# What one call takes from the core: a burst of a few hundred devices.
OCCURRENCES_PER_CALL_MAX: Final = 1_024
DEFAULT_TIMEOUT: Final = timedelta(seconds=100)  # RFC 7252 §4.8.2: one exchange may take 93 s (MAX_TRANSMIT_WAIT)


@dataclass
class Begun:
    """What came of a file whose fetch broke off. Give it to the next fetch, which goes on there and keeps it up to date.

    It means something only together with its ETag: of another file it is thrown away.
    """

    data: bytes = b""
    etag: bytes | None = None


class Device:
    """One LwM2M client. Set values before or while it runs; the tree is what was set.

    `enclosure` is the id of the enclosure it says it is in; `enclosure_via` how: a CoAP option on Register and Update
    (`enclosure_option` is its number), a query parameter of Register, or the Placement object.
    `identity` and `key` are the pre-shared key; without them it speaks plain CoAP.
    `objects` say what its values are, when that is more than this build knows: see `load_objects`.
    """

    def __init__(
        self,
        endpoint: str,
        server: str,
        *,
        identity: str | None = None,
        key: bytes | None = None,
        lifetime: timedelta = timedelta(hours=24),
        queue_mode: bool = False,
        awake_window: timedelta = timedelta(seconds=93),
        enclosure: str | None = None,
        enclosure_via: Literal["option", "query", "object"] = "object",
        enclosure_option: int | None = None,
        attributes: Mapping[str, str] | None = None,
        objects: Objects | None = None,
    ) -> None:
        if (identity is None) != (key is None):
            raise Rejected("key", "identity and key belong together")
        if enclosure_via == "option" and enclosure is not None and enclosure_option is None:
            raise Rejected("enclosure_option", "the number of the CoAP option is missing")
        self.endpoint = endpoint
        self._objects = objects or known_objects()
        queries = dict(attributes or {})
        if enclosure is not None and enclosure_via == "query":
            queries["enclosure"] = enclosure
        self._config = DeviceConfig(
            endpoint=endpoint,
            server=server,
            identity=None if identity is None else identity.encode(),
            key=key,
            lifetime_s=int(lifetime.total_seconds()),
            queue_mode=queue_mode,
            awake_window_s=awake_window.total_seconds(),
            queries=list(queries.items()),
            enclosure=enclosure if enclosure_via == "option" else None,
            enclosure_option=enclosure_option,
        )
        self._values: dict[str, Scalar] = {}
        if enclosure is not None and enclosure_via == "object":
            self._values["/26241/0/0"] = enclosure
        self._handle: int | None = None
        self._on_write: list[tuple[Path, OnWrite]] = []
        self._on_execute: list[tuple[Path, OnExecute]] = []
        self._on_receiving: list[tuple[Path, OnReceiving]] = []
        self._on_progress: dict[int, OnProgress] = {}
        self._waiting: dict[int, asyncio.Future[DeviceOccurrence]] = {}
        self._numbers = itertools.count(1)
        self._registered = asyncio.Event()
        self._refusal = ""
        self._tasks: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Self:
        self._host = _Host.of_running_loop()
        handle = self._host.join(self, self._config, self._objects)
        self._handle = handle
        try:
            for path, value in self._values.items():
                self._put(handle, path, value)
        except BaseException:
            self._stop()
            raise
        self._host.core.start(handle)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        handle, self._handle = self._running(), None
        self._host.leave(handle)
        self._registered.clear()
        for task in self._tasks:
            task.cancel()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(Unavailable("device", "it was stopped"))

    def set(self, path: str, value: Scalar) -> None:
        """Sets a resource, and makes it when it is not there; whoever observes it is told when the attributes say so.

        Raises:
            Rejected: no resource, or not a value of its type. Of a device that does not run yet, when it is started.
        """
        name = str(Path.parse(path))
        if self._handle is not None:
            self._put(self._handle, name, value)
        self._values[name] = value

    def _put(self, handle: int, path: str, value: Scalar) -> None:
        try:
            self._host.core.set(handle, path, _encoded(value), self._objects.core)
        except ValueError as error:
            raise Rejected(path, str(error)) from error

    def on_write(self, path: str, told: OnWrite) -> None:
        """Calls `told(path, value)` after a server wrote something at or beneath `path`."""
        self._on_write.append((Path.parse(path), told))

    def on_receiving(self, path: str, told: OnReceiving) -> None:
        """Calls `told(path, bytes)` while a server writes something large at or beneath `path`, block by block."""
        self._on_receiving.append((Path.parse(path), told))

    def on_execute(self, path: str, told: OnExecute) -> None:
        """Calls `told(path, arguments)` after a server executed something at or beneath `path`.

        What can be executed stands in the definitions; it needs no value, only its instance must be there.
        """
        self._on_execute.append((Path.parse(path), told))

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

    async def send(self, *paths: str) -> None:
        """Sends the values at these paths, now; returns when the server has stored them (2.04).

        Raises:
            DeviceFault: the server refused, or did not answer in time.
        """
        await self._ask("send", lambda handle, number: self._host.core.send(handle, number, list(paths)))

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
        try:
            done = await self._done(
                lambda handle, number: self._host.core.fetch(handle, number, uri, _taken_up(begun)), number
            )
        finally:
            self._on_progress.pop(number, None)
        if begun is not None:
            begun.data, begun.etag = done.data or b"", done.etag
        self._check(done, "fetch")
        return done.data or b""

    def claim(self, enclosure: str | None) -> None:
        """Says from now on, by the CoAP option, that it is in another enclosure; with the next Update."""
        self._host.core.claim(self._running(), enclosure)

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

    def _take(self, occurrence: DeviceOccurrence) -> None:
        """What the core tells of this device; runs in the event loop."""
        match occurrence.kind:
            case "registered":
                self._refusal = ""
                self._registered.set()
            case "refused":
                self._refusal = " ".join(word for word in (occurrence.code, occurrence.detail) if word)
            case "unregistered":
                self._registered.clear()
            case "written":
                self._tell_written(occurrence)
            case "executed":
                self._tell_executed(occurrence)
            case "receiving" | "progress":
                self._tell_progress(occurrence)
            case "done":
                future = self._waiting.get(occurrence.number or 0)
                if future is not None and not future.done():
                    future.set_result(occurrence)

    def _tell_progress(self, occurrence: DeviceOccurrence) -> None:
        if occurrence.kind == "progress":
            if told := self._on_progress.get(occurrence.number or 0):
                told(occurrence.bytes or 0, occurrence.size)
            return
        path = Path.parse(occurrence.path or "")
        for above, receiving in self._on_receiving:
            if above.contains(path):
                receiving(str(path), occurrence.bytes or 0)

    def _tell_written(self, occurrence: DeviceOccurrence) -> None:
        path = Path.parse(occurrence.path or "")
        value: Scalar = json.loads(occurrence.value or b"null")
        resource = self._objects.resource_at(path)
        if isinstance(value, str) and resource is not None and resource.type == "opaque":
            value = base64.b64decode(value)
        for above, told in self._on_write:
            if above.contains(path):
                self._run(told, str(path), value)

    def _tell_executed(self, occurrence: DeviceOccurrence) -> None:
        path = Path.parse(occurrence.path or "")
        arguments: Mapping[str, str] = json.loads(occurrence.value or b"{}")
        for above, told in self._on_execute:
            if above.contains(path):
                self._run(told, str(path), arguments)

    def _run(self, told: Callable[[str, _T], Awaitable[None] | None], path: str, what: _T) -> None:
        """Calls the owner's function. What it raises is reported as the event loop reports it, and stops nobody else."""
        try:
            result = told(path, what)
        except Exception as error:  # noqa: BLE001  # the owner's code: anything may come
            context = {"message": f"{self.endpoint}: the handler of {path} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            return
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(result)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class _Host:
    """The core's thread of the devices of one event loop, and the thread that carries what it tells to that loop.

    It lives as long as one of its devices.
    """

    _by_loop: ClassVar[dict[asyncio.AbstractEventLoop, "_Host"]] = {}

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.core = DeviceHost(secrets.randbits(63))
        self._loop = loop
        self._devices: dict[int, Device] = {}
        self._is_over = False
        threading.Thread(target=self._pump, name="lwm2m-devices", daemon=True).start()

    @classmethod
    def of_running_loop(cls) -> "_Host":
        loop = asyncio.get_running_loop()
        # Loops that were closed with devices running: nobody can leave them any more.
        for closed in [other for other in cls._by_loop if other.is_closed()]:
            cls._by_loop.pop(closed)._end()  # noqa: SLF001  # its own
        if loop not in cls._by_loop:
            cls._by_loop[loop] = cls(loop)
        return cls._by_loop[loop]

    def join(self, device: Device, config: DeviceConfig, objects: Objects) -> int:
        handle = self.core.add(config, objects.core)
        self._devices[handle] = device
        return handle

    def leave(self, handle: int) -> None:
        self._devices.pop(handle, None)
        self.core.remove(handle)
        if not self._devices:
            self._by_loop.pop(self._loop, None)
            self._end()

    def _end(self) -> None:
        self._is_over = True
        self.core.close()

    def _pump(self) -> None:
        while not self._is_over:
            occurrences = self.core.next_occurrences(OCCURRENCES_PER_CALL_MAX, WAIT_S)
            if occurrences:
                with suppress(RuntimeError):  # the loop was closed meanwhile: nobody is left to be told
                    self._loop.call_soon_threadsafe(self._hand_out, occurrences)

    def _hand_out(self, occurrences: list[DeviceOccurrence]) -> None:
        for occurrence in occurrences:
            if (device := self._devices.get(occurrence.handle)) is not None:
                device._take(occurrence)  # noqa: SLF001  # the host is the device's other half


def _taken_up(begun: Begun | None) -> tuple[bytes, bytes] | None:
    return None if begun is None or begun.etag is None else (begun.data, begun.etag)


def _encoded(value: Scalar) -> bytes:
    if isinstance(value, bytes):
        return json.dumps({"opaque": value.hex()}).encode()
    return json.dumps(value).encode()
