"""An LwM2M client in a few lines, good enough to be the agent on a Linux camera.

    async with Device("oxy-0417", "coaps://127.0.0.1:5684", identity="oxy-0417", key=key) as device:
        device.set("/3/0/9", 87)
        await device.registered()
        await device.send("/3/0/9")

It registers, renews and comes back by itself; what a server asks is served from its tree by the core. What is measured,
and what may be refused, is asked about while the server waits. All devices of a loop share one thread.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path as FilePath
from types import TracebackType
from typing import Literal, Protocol, Self

from shoal._core import DeviceConfig, DeviceHost, DeviceOccurrence
from shoal.errors import Rejected, Unavailable
from shoal.lwm2m.about import ERROR_CODE, NO_ERROR, About, DeviceObject, binding
from shoal.lwm2m.certificates import Certificate, proof
from shoal.lwm2m.factory import factory_account, server_object, without_accounts
from shoal.lwm2m.host import Host
from shoal.lwm2m.journal import Journal, Recorded
from shoal.lwm2m.objects import Objects, known_objects
from shoal.lwm2m.orders import DEFAULT_TIMEOUT, Orders
from shoal.lwm2m.owner import Check, Maker, OnExecute, OnReceiving, OnRemoved, OnValue, OnWrite, Owner, Source
from shoal.lwm2m.path import Path
from shoal.lwm2m.remembered import Remembered
from shoal.lwm2m.renewal import Renewal
from shoal.lwm2m.renewing import Answer, Renewing
from shoal.lwm2m.sending import Answer as Sent
from shoal.lwm2m.sending import Sending
from shoal.lwm2m.value import Scalar, decoded, encoded_at


class Attachable(Protocol):
    """Something that lives in a device: an object."""

    def attach(self, device: "Device") -> object:
        """Sets its values there, and asks to be told and asked about them."""


class Device(Orders):
    """One LwM2M client. Set values before or while it runs; the tree is what was set.

    `enclosure` is the id of the enclosure it says it is in; `enclosure_via` how: a CoAP option on Register and Update
    (`enclosure_option` is its number), a query parameter of Register, or the Placement object. `identity` and `key` are
    the pre-shared key; or it shows a `certificate`. Without either it speaks plain CoAP. Where the server is
    `coaps+tcp://` or `coap+tcp://`, it keeps a connection, and makes a new one when that breaks. With `renewal` it gets its
    certificates by itself, the first one by its key. `version` is the newest
    LwM2M version that it speaks: with a server that does not know it, it falls back. Its objects live below `root`. `objects`
    say what its values are, when that is more than this build knows: see `load_objects`. With `bootstrap`, `server` is a
    bootstrap server that says whom it is to register with: see docs/python.md. `about` is what it says of itself (object 3),
    as far as the program does not set that. `state` is a file that keeps what servers
    wrote, made, deleted and set, and what was recorded and not sent yet, over a restart. It is read when the device
    starts: `Rejected` if it is damaged, and the caller may take it away. So is at once whatever else makes no sense.
    """

    def __init__(
        self,
        endpoint: str,
        server: str,
        *,
        identity: str | None = None,
        key: bytes | None = None,
        certificate: Certificate | None = None,
        renewal: Renewal | None = None,
        version: Literal["1.0", "1.1", "1.2"] = "1.1",
        root: str = "/",
        lifetime: timedelta = timedelta(hours=24),
        queue_mode: bool = False,
        awake_window: timedelta = timedelta(seconds=93),
        enclosure: str | None = None,
        enclosure_via: Literal["option", "query", "object"] = "object",
        enclosure_option: int | None = None,
        attributes: Mapping[str, str] | None = None,
        objects: Objects | None = None,
        bootstrap: bool = False,
        about: About | None = None,
        state: FilePath | None = None,
        journal: Journal | None = None,
    ) -> None:
        if enclosure_via == "option" and enclosure is not None and enclosure_option is None:
            raise Rejected("enclosure_option", "the number of the CoAP option is missing")
        super().__init__(endpoint)
        self._objects = objects or known_objects()
        claimed = {"enclosure": enclosure} if enclosure is not None and enclosure_via == "query" else {}
        queries = {**(attributes or {}), **claimed}
        if not 0 <= lifetime.total_seconds() < 1 << 32:
            raise Rejected("lifetime", f"{lifetime}, expected 0 to 2^32-1 seconds")
        self._configured = partial(
            DeviceConfig,
            endpoint=endpoint,
            server=server,
            version=version,
            root=root,
            lifetime_s=int(lifetime.total_seconds()),
            queue_mode=queue_mode,
            awake_window_s=awake_window.total_seconds(),
            queries=list(queries.items()),
            enclosure=enclosure if enclosure_via == "option" else None,
            enclosure_option=enclosure_option,
            bootstraps=bootstrap,
        )
        try:
            self._config = self._configured(**proof(identity, key, certificate))
        except ValueError as error:
            raise Rejected("device", str(error)) from error
        self._key = identity, key
        self._renewing = None if renewal is None else self._renewed(renewal, certificate, bootstrap=bootstrap)
        self._renewal: asyncio.Task[None] | None = None
        known = factory_account(server, identity, key, certificate) if bootstrap else server_object(server, lifetime)
        self._values: dict[str, Scalar] = known
        if enclosure is not None and enclosure_via == "object":
            self._values["/26241/0/0"] = enclosure
        self._guards: dict[tuple[str, str], None] = {}
        self._declared: set[int] = set()
        self._owner = Owner(endpoint, self._set, self._objects)
        modes = binding(server, version, queue_mode=queue_mode, bootstrap=bootstrap)
        self._device_object = DeviceObject(
            about or About(), modes, self._owner, no_error=self._no_error, take_back=self.take_back
        )
        self.journal = Journal() if journal is None else journal
        self._remembered = Remembered(state, self.journal, self._objects)
        self._sending = Sending(endpoint, self.journal, self._registered, self._report, self._remembered.recorded)
        self.is_awake = True  # whether it listens: False in queue mode, while it sleeps

    async def __aenter__(self) -> Self:
        if self._renewing is not None:
            self._config = self._proving(self._renewing.begin())
        self._host = Host.of_running_loop()
        handle = self._host.join(self, self._config, self._objects)
        self._handle = handle
        try:
            await self._prepare(handle)
        except BaseException:
            self._stop()
            raise
        self._host.core.start(handle)
        for path, value in self._remembered.written_values().items():
            self._owner.tell(Path.parse(path), value)
        self._owner.measure_on()
        self._sending.go_on()
        if self._renewing is not None:
            self._renewal = asyncio.create_task(self._renewing.run(), name=f"certificates of {self.endpoint}")
        return self

    def _renewed(self, renewal: Renewal, certificate: Certificate | None, *, bootstrap: bool) -> Renewing:
        if bootstrap:
            raise Rejected("renewal", "a bootstrap server says what the device proves itself with")
        if self._key == (None, None) and certificate is None:
            raise Rejected("renewal", "it begins with a certificate, or with a key")
        if certificate is None and not renewal.authorities:
            raise Rejected("renewal", "nobody vouches for the server: the authorities are missing")
        return Renewing(self.endpoint, renewal, certificate, self)

    def _proving(self, certificate: Certificate | None) -> DeviceConfig:
        return self._configured(**(proof(*self._key, None) if certificate is None else proof(None, None, certificate)))

    async def ask(self, path: str, request: bytes) -> Answer:
        """Asks the server for a certificate; part of `renewal`."""
        return await self._asked(path, request)

    async def prove(self, certificate: Certificate | None) -> None:
        """Changes over to another certificate, or back to its key; part of `renewal`."""
        await self._proves(self._proving(certificate))

    async def is_registered(self, within: timedelta) -> bool:
        """Whether the server has accepted the registration, or does so within this time."""
        with contextlib.suppress(Unavailable):
            await self.registered(within)
        return self._registered.is_set()

    async def _prepare(self, handle: int) -> None:
        """Tells the core what the owner has set up so far, and what servers had changed before a restart."""
        core, remembered = self._host.core, self._remembered
        remembered.read()
        for object_id in self._declared:
            core.declare(handle, object_id)
        for gone in remembered.gone():
            self._lose(gone)
        if accounts := remembered.accounts():
            self._values = without_accounts(self._values) | accounts
        self._values |= self._device_object.begin(self._values, remembered.values())
        for guard in DeviceObject.GUARDS:
            self._guard(*guard)
        for path, value in self._values.items():
            self._put(handle, path, value)
        for instance, values in remembered.made().items():
            await self._owner.make_again(instance, values)
        for path, value in remembered.values().items():
            self._put(handle, path, value)
            self._values[path] = value
            self._owner.note_value(Path.parse(path), value)
        await self._owner.measure_first(self._values)
        for path, queries in remembered.attributes().items():
            core.attributes(handle, path, queries)
        for path, operations in self._guards:
            core.guard(handle, path, operations)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        await self._remembered.close()

    def _stop(self) -> None:
        handle, self._handle = self._running(), None
        self._host.leave(handle)
        self._registered.clear()
        self._owner.stop()
        self._sending.stop()
        if self._renewal is not None:
            self._renewal.cancel()
        self._forget_orders()

    @property
    def certificate_expires_at(self) -> datetime | None:
        """With `renewal`: when the certificate ends that lets it in; None while that is its key."""
        return None if self._renewing is None else self._renewing.expires_at

    def add(self, instance: "Attachable") -> None:
        """Puts an object of a Python class into the tree (`shoal.lwm2m.classes`)."""
        instance.attach(self)

    def set(self, path: str, value: Scalar) -> None:
        """Sets a resource, and makes it when it is not there; whoever observes it is told when the attributes say so.

        Raises:
            Rejected: no resource, or not a value of its type. Of a device that does not run yet, when it is started.
        """
        self._set(path, value)
        self._device_object.give_way(Path.parse(path))

    def _set(self, path: str, value: Scalar) -> None:
        name = str(Path.parse(path))
        if self._handle is not None:
            self._put(self._handle, name, value)
        self._values[name] = value
        self._remembered.owner_set(name, value)

    def _put(self, handle: int, path: str, value: Scalar) -> None:
        try:
            self._host.core.set(handle, path, encoded_at(path, value, self._objects), self._objects.core)
        except ValueError as error:
            raise Rejected(path, str(error).removeprefix(f"{path}: ")) from error

    def unset(self, path: str) -> None:
        """Takes away a resource or a whole instance; the server and whoever observes it are told."""
        self.take_back(path)
        self._remembered.owner_unset(Path.parse(path))
        self._device_object.give_way(Path.parse(path))

    def take_back(self, path: str) -> None:
        """The same of an instance that is not made after all; what is kept of it from before a restart stays."""
        above = Path.parse(path)
        if self._handle is not None:
            self._host.core.unset(self._handle, str(above))
        self._drop(above)

    def _no_error(self) -> None:
        """A server executed Reset Error Code, and the program leaves that to us."""
        for error in [at for at in map(Path.parse, self._values) if ERROR_CODE.contains(at) and at != NO_ERROR]:
            self._owner.removed(error)
            self.unset(str(error))
        self.set(str(NO_ERROR), 0)
        self._owner.note_value(NO_ERROR, 0)

    def _lose(self, above: Path) -> None:
        """A server took this away."""
        self._owner.removed(above)
        self._drop(above)

    def _drop(self, above: Path) -> None:
        self._values = {at: value for at, value in self._values.items() if not above.contains(Path.parse(at))}
        if above.resource is None:
            self._owner.forget(above)
            self._guards = {guard: None for guard in self._guards if not above.contains(Path.parse(guard[0]))}

    def keep(self, path: str) -> None:
        """With `state`, what the owner sets at this path is kept over a restart, as what servers write is."""
        self._remembered.keep(str(Path.parse(path)))

    def on_value(self, path: str, told: OnValue) -> None:
        """Calls `told(path, value)` when a value at or beneath `path` comes from a server, or from before a restart."""
        self._owner.on_value.append((Path.parse(path), told))

    def on_write(self, path: str, told: OnWrite) -> None:
        """Calls `told(path, value)` after a server wrote something at or beneath `path`.

        With `state`, what was written before a restart is told again when the device starts.
        """
        self._owner.on_write.append((Path.parse(path), told))

    def on_receiving(self, path: str, told: OnReceiving) -> None:
        """Calls `told(path, bytes)` while a server writes something large at or beneath `path`, block by block."""
        self._owner.on_receiving.append((Path.parse(path), told))

    def on_execute(self, path: str, told: OnExecute) -> None:
        """Calls `told(path, arguments)` after a server executed something at or beneath `path`.

        What can be executed stands in the definitions; it needs no value, only its instance must be there.
        """
        self._owner.on_execute.append((Path.parse(path), told))

    def on_removed(self, path: str, told: OnRemoved) -> None:
        """Calls `told(path)` after a server took away something at or beneath `path`: it deleted an instance or a value
        of several, or replaced what was around it."""
        self._owner.on_removed.append((Path.parse(path), told))

    def check(self, path: str, check: Check) -> None:
        """Calls `check(asked)` before a server writes, makes, deletes or executes something at or beneath `path`.

        The server waits for it. Raise `Refusal` to refuse; after a minute it is refused with 5.03.
        """
        self._owner.checks.append((Path.parse(path), check))
        self._guard(path, "WE")

    def source(self, path: str, source: Source) -> None:
        """Measures a resource when somebody wants it: `source()` is called when a server reads or observes it, when it is
        sent, and every `epmax` while it is observed. Between that, observers see the last value: call `measure` to tell
        them of another."""
        self._owner.sources[Path.parse(path)] = source
        self._guard(path, "R")

    def measure_every(self, path: str, every: timedelta) -> None:
        """Asks the source of a resource again and again, so that observers hear of changes nobody asked about."""
        self._owner.every[Path.parse(path)] = every
        if self._handle is not None:
            self._owner.measure_on()

    async def measure(self, path: str = "/") -> None:
        """Asks the sources at, above or beneath a path, now. What they raise is raised."""
        await self._owner.measure(path)

    def makes(self, object_id: int, maker: Maker) -> None:
        """Lets servers make instances of an object: `maker(path, values)` fills each before the server hears of it.

        `values` are what the server gave; they are set afterwards. Raise `Refusal` to refuse.
        """
        self._owner.makers[object_id] = maker
        self._declared.add(object_id)
        if self._handle is not None:
            self._host.core.declare(self._handle, object_id)
        self._guard(f"/{object_id}", "W")

    def _guard(self, path: str, operations: str) -> None:
        guard = (str(Path.parse(path)), operations)
        if guard not in self._guards and self._handle is not None:
            self._host.core.guard(self._handle, *guard)
        self._guards[guard] = None

    async def send(self, *paths: str) -> None:
        """Sends the values at these paths, now; returns when the server has stored them (2.04).

        Nothing is kept of what could not be sent: use `record` for readings that must arrive.

        Raises:
            DeviceFault: the server refused, or did not answer in time.
        """
        for path in paths:
            await self._owner.measure(path)
        await self._ask("send", lambda handle, number: self._host.core.send(handle, number, list(paths)))

    def record(self, path: str, value: Scalar, at: datetime | None = None) -> None:
        """Sends a reading as soon as that can be done: with the time at which it was true, after those before it.

        While the server cannot be reached or says 5.03, readings are kept in `journal`, and with `state` over a restart.
        Beyond its bounds the oldest make room. The tree is not touched: `set` is for what a server may read.

        Raises:
            Rejected: no resource, or not a value of its type.
        """
        name = str(Path.parse(path))
        content = encoded_at(name, value, self._objects)
        try:
            DeviceHost.check(name, content, self._objects.core)
        except ValueError as error:
            raise Rejected(path, str(error).removeprefix(f"{name}: ")) from error
        self.journal.add(Recorded(name, content, time.time() if at is None else at.timestamp()))
        self._remembered.recorded()
        if self._handle is not None:
            self._sending.go_on()

    async def flush(self, timeout: timedelta = DEFAULT_TIMEOUT) -> None:
        """Waits until a server has stored all that was recorded.

        Raises:
            Unavailable: not within the time; what is left goes on waiting.
        """
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._sending.all_sent()
        except TimeoutError as error:
            raise Unavailable("server", self._sending.reason or "readings are still waiting") from error

    async def _report(self, batch: list[tuple[str, bytes, float]]) -> Sent:
        try:
            done = await self._done(
                lambda handle, number: self._host.core.report(handle, number, batch, self._objects.core),
                next(self._numbers),
            )
        except ValueError as error:  # kept by a program that knew another definition
            return Sent("4.00", str(error))
        return Sent(done.code, done.detail or "", done.retry_after_s)

    def take(self, occurrence: DeviceOccurrence) -> None:
        """What the core tells of this device; runs in the event loop."""
        match occurrence.kind:
            case "registered":
                self._refusal = ""
                self._registered.set()
            case "refused":
                self._refusal = " ".join(word for word in (occurrence.code, occurrence.detail) if word)
            case "unregistered":
                self._registered.clear()
            case "awake" | "asleep":
                self.is_awake = occurrence.kind == "awake"
            case "receiving":
                self._owner.receiving(occurrence)
            case "progress":
                if told := self._on_progress.get(occurrence.number or 0):
                    self._owner.run("a fetch", told, occurrence.bytes or 0, occurrence.size)
            case "done":
                self._settle(occurrence)
            case _:
                self._take_change(occurrence)

    def _take_change(self, occurrence: DeviceOccurrence) -> None:
        """What a server does to the tree, or wants to."""
        path = Path.parse(occurrence.path) if occurrence.path not in {None, "/"} else None
        match occurrence.kind:
            case "asked":
                self._owner.run(occurrence.path or "", self._decide, occurrence)
            case "wanted":
                self._owner.measure_soon(occurrence.path or "/")
            case "executed":
                self._owner.executed(occurrence)
            case "accounts":
                self._remembered.accounts_changed(json.loads(occurrence.value or b"{}"))
                self._values = without_accounts(self._values) | self._remembered.accounts()
            case "written" if path is not None:
                value = decoded(path, json.loads(occurrence.value or b"null"), self._objects)
                self._values[str(path)] = value
                self._remembered.written(str(path), value)
                self._device_object.written(path)
                self._owner.note_value(path, value)
                self._owner.tell(path, value)
            case "created" if path is not None:
                for name, value in json.loads(occurrence.value or b"{}").items():
                    self._values[name] = decoded(Path.parse(name), value, self._objects)
                beneath = {at: value for at, value in self._values.items() if path.contains(Path.parse(at))}
                self._remembered.created(path, beneath)
            case "removed" if path is not None:
                self._lose(path)
                self._remembered.removed(path)
            case "attributes" if path is not None:
                self._remembered.attributes_set(path, occurrence.detail or "")

    async def _decide(self, occurrence: DeviceOccurrence) -> None:
        refusal = await self._owner.consider(occurrence)
        if self._handle is not None:
            code, reason = (None, "") if refusal is None else (refusal.code, refusal.reason)
            self._host.core.decide(self._handle, occurrence.number or 0, code, reason)
