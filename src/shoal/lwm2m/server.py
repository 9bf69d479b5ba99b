"""An LwM2M server in a few lines: events come as an async iterator, operations are awaited.

    async with Server("coaps://127.0.0.1:5684", credentials={"oxy-0417": key}) as server:
        async for event in server.events():
            if isinstance(event, Registered):
                print(await server.read(event.endpoint, "/3/0/9"))

What a device reported counts as acknowledged once the caller asked for the next event: until then its answer waits, and
when the caller is slower than the devices for long, they are told to come back later (5.03) and keep their data. While a
request is under way, what arrives is acknowledged at once: no device can be asked before its registration was answered.
"""

import asyncio
import hashlib
import itertools
import json
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path as FilePath
from types import TracebackType
from typing import Any, Final, Self

from shoal.errors import DeviceFault, Rejected, Unavailable
from shoal.lwm2m.bodies import Resources, Value, Values, by_path, failures, json_of, resources, to_write, words_of
from shoal.lwm2m.certificates import AUTHORITY, Certificate, Credential, admission
from shoal.lwm2m.conduct import Conduct
from shoal.lwm2m.dataplane import Answer, DataPlane, DeviceEntry
from shoal.lwm2m.objects import Objects, known_objects
from shoal.lwm2m.path import Path
from shoal.lwm2m.server_events import ServerEvent, event_of
from shoal.lwm2m.value import Scalar

# Events that wait for a caller who is slow; beyond it devices hear 5.03. A minute of a thousand devices at 10 s.
EVENTS_WAITING_MAX: Final = 10_000
# One core call takes at most this many events: a page of the core.
EVENTS_PER_BATCH_MAX: Final = 8_192
# An ETag has 1 to 8 bytes (RFC 7252 §5.10.6).
ETAG_BYTES: Final = 8
# How long the last answers may take to leave when the server is closed: they are on their way already.
CLOSING_TAKES_MAX_S: Final = 2.0
DEFAULT_TIMEOUT: Final = timedelta(seconds=100)  # RFC 7252 §4.8.2: one exchange may take 93 s (MAX_TRANSMIT_WAIT)
# A device that never answers a composite is known for it after one exchange, and then asked otherwise.
COMPOSITE_TIMEOUT: Final = 2 * DEFAULT_TIMEOUT


class Server:
    """LwM2M over CoAP: DTLS (`coaps://`), TLS 1.2 and 1.3 (`coaps+tcp://`), plain (`coap://`, `coap+tcp://`). `credentials` maps endpoint names to keys, of which they are the identities, or to "x509": such a device shows a certificate with its name.

    `certificate` is the server's own, and says whose certificates devices may show; without it only keys are taken.

    `endpoints` are devices without a credential: they may use `coap://` and `coap+tcp://` listeners, and nobody checks who they are.
    `observe` are paths with attributes as queries (`("/3303/*/5700", "pmin=10")`), observed after each registration.
    `objects` say what values mean, when that is more than this build knows: see `load_objects`.
    `conduct` is how long it waits for a device, when `admit` does not say otherwise for that one.

    Raises (on entry):
        OSError: a listener's address is taken or not ours.
        Rejected: an address, a device or the certificate cannot be taken.
    """

    def __init__(
        self,
        *listen: str,
        credentials: Mapping[str, Credential] | None = None,
        certificate: Certificate | None = None,
        endpoints: Sequence[str] = (),
        observe: Sequence[tuple[str, str]] = (),
        objects: Objects | None = None,
        conduct: Conduct | None = None,
    ) -> None:
        self._listen = listen
        self._conduct = conduct or Conduct()
        self._objects = objects or known_objects()
        self._observe = tuple(observe)
        self._certificate = certificate
        self._known: dict[str, Credential | None] = {**dict.fromkeys(endpoints), **(credentials or {})}
        # What nobody has taken yet; the last event of a batch carries the batch's number.
        self._events: deque[tuple[ServerEvent, int | None]] = deque()
        self._handed_out = 0
        self._newest = 0
        self._arrived = asyncio.Event()
        self._is_over = False
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._ids = itertools.count(1)
        self._is_closing = threading.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        try:
            self._core = DataPlane(list(self._listen), boot=secrets.token_hex(4), objects=self._objects.core)
        except ValueError as error:
            raise Rejected("listen", str(error)) from error
        try:
            if self._certificate is not None:
                self.show(self._certificate)
            self.admit(self._known)
        except BaseException:
            self._core.close()
            raise
        self._thread = threading.Thread(target=self._pump, name="lwm2m-server", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._core.close)
        self._is_closing.set()
        await asyncio.to_thread(self._thread.join)
        self._core.committed(self._handed_out)
        # What nobody took was not received: devices hear 5.03 and keep it.
        for _, number in self._events:
            if number is not None:
                self._core.refused(number)
        self._events.clear()
        self._is_over = True
        self._arrived.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Unavailable("server", "it was closed"))
        await asyncio.to_thread(self._core.wait_closed, CLOSING_TAKES_MAX_S)

    @property
    def addresses(self) -> list[str]:
        """Where it listens: with the port that was found when 0 was asked for."""
        return self._core.addresses()

    def show(self, certificate: Certificate) -> None:
        """Shows another certificate from now on, and trusts its authorities instead of those before.

        Sessions of devices whose authority is gone end.

        Raises:
            Rejected: it cannot be read, or its key is another's; or an authority is none, and all others are trusted.
        """
        try:
            self._core.set_certificate(certificate.chain, certificate.key)
        except ValueError as error:
            raise Rejected("certificate", str(error)) from error
        refused = self._core.put_authorities([(AUTHORITY, der, "") for der in certificate.authorities])
        if refused:
            raise Rejected("authorities", "; ".join(f"{place}: {reason}" for place, reason in refused))

    def admit(self, devices: Mapping[str, Credential | None], conduct: Conduct | None = None) -> None:
        """Lets devices register, by their endpoint names and credentials, or changes these; None is no credential.

        `conduct` is how long these are waited for, where that is not as long as for all.

        Raises:
            Rejected: some cannot be taken in; all others were, unless a credential is neither a key nor "x509".
        """
        entries = [self._entry(name, key, conduct or self._conduct) for name, key in devices.items()]
        refused = self._core.put_devices(entries)
        if refused:
            raise Rejected("credentials", "; ".join(f"{device}: {reason}" for device, reason in refused))

    def dismiss(self, *endpoints: str) -> None:
        """Forgets devices and ends their sessions."""
        self._core.remove_devices(list(endpoints))

    def serve_file(self, name: str, file: FilePath, endpoints: Sequence[str]) -> str:
        """Lets these devices fetch a file, with progress as `Downloaded` events; answers with its path, `/fw/<name>`.

        Raises:
            OSError: the file cannot be read.
            Rejected: too many files.
        """
        with file.open("rb") as opened:
            etag = hashlib.file_digest(opened, "sha256").digest()[:ETAG_BYTES]
        try:
            self._core.put_file(name, file, etag, list(endpoints))
        except ValueError as error:
            raise Rejected(name, str(error)) from error
        return f"/fw/{name}"

    def withdraw_file(self, name: str) -> None:
        """Nobody may fetch the file any more."""
        self._core.remove_file(name)

    async def events(self) -> AsyncIterator[ServerEvent]:
        """What devices do, in order, until the server is closed. One caller at a time."""
        while not self._is_over:
            while self._events:
                event, number = self._events.popleft()
                self._handed_out = number or self._handed_out
                yield event
                if number is not None:
                    self._core.committed(number)
            if self._is_over:
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def read(self, endpoint: str, path: str, timeout: timedelta = DEFAULT_TIMEOUT) -> Scalar | dict[str, Scalar]:
        """The value of a resource; of what has parts (object, instance, several values) a dictionary by path.

        Opaque values are bytes, times are Unix seconds.

        Raises:
            DeviceFault: the device refused (with its code), did not answer in time, or is not there.
            Rejected: the request makes no sense, and no device was asked; or its answer is longer than 64 KiB.
        """
        body = await self._ask(endpoint, "read", path, None, timeout)
        content = by_path(body.get("content", []))
        parsed = Path.parse(path)
        if parsed.resource_instance is not None or (parsed.resource is not None and list(content) == [str(parsed)]):
            return content.get(str(parsed))
        return content

    async def read_composite(
        self, endpoint: str, paths: Sequence[str], timeout: timedelta = COMPOSITE_TIMEOUT
    ) -> Values:
        """The values of up to 64 paths at any level, by path, with one request (OMA LwM2M Core 1.1 §6.3.8).

        A device that knows no such request is asked path by path, and the answer is the same. What could not be read
        stands in `failed`, by path. Raises as `read`, and only if nothing could be read.
        """
        asked = {"paths": [str(Path.parse(path)) for path in paths]}
        body = await self._ask(endpoint, "read_composite", None, asked, timeout)
        return Values(by_path(body.get("content", [])), failures(body.get("failed", [])))

    async def write(
        self,
        endpoint: str,
        path: str,
        value: Value | Resources,
        timeout: timedelta = DEFAULT_TIMEOUT,
        *,
        partial: bool = False,
    ) -> None:
        """Writes a resource, or by id several of an instance (`{1: 60}`) or several values of a resource.

        It replaces what is there; with `partial`, what is not named stays. Bytes are for opaque resources. Raises as
        `read`.
        """
        body = to_write(Path.parse(path), value, self._objects)
        await self._ask(endpoint, "write_partial" if partial else "write", path, body, timeout)

    async def write_composite(
        self, endpoint: str, values: Mapping[str, Value], timeout: timedelta = COMPOSITE_TIMEOUT
    ) -> None:
        """Writes up to 64 resources by path, all or none, with one request (OMA LwM2M Core 1.1 §6.3.9).

        A device that knows no such request is asked instance by instance. That ends with the first refusal, and the
        error's detail says what was written before it. Raises as `read`.
        """
        parsed = {path: Path.parse(path) for path in values}
        asked = {
            "values": {str(parsed[path]): json_of(parsed[path], value, self._objects) for path, value in values.items()}
        }
        await self._ask(endpoint, "write_composite", None, asked, timeout)

    async def execute(self, endpoint: str, path: str, timeout: timedelta = DEFAULT_TIMEOUT, **arguments: str) -> None:
        """Executes a resource; arguments are named by their digit: `_0="x"`. Raises as `read`."""
        body = {"arguments": {name.removeprefix("_"): text for name, text in arguments.items()}} if arguments else None
        await self._ask(endpoint, "execute", path, body, timeout)

    async def create(
        self,
        endpoint: str,
        path: str,
        values: Resources,
        timeout: timedelta = DEFAULT_TIMEOUT,
    ) -> str:
        """Makes an instance of an object with these resources, by id; answers with its path.

        `/3303/7` asks for that very instance, `/3303` leaves the id to the device. Raises as `read`.
        """
        parsed = Path.parse(path)
        instance = Path(parsed.object, parsed.instance or 0)
        body: dict[str, Any] = {"resources": resources(instance, values, self._objects)}
        if parsed.instance is not None:
            body["instance"] = parsed.instance
        created = await self._ask(endpoint, "create", f"/{parsed.object}", body, timeout)
        return str(created.get("path", path))

    async def delete(self, endpoint: str, path: str, timeout: timedelta = DEFAULT_TIMEOUT) -> None:
        """Deletes an object instance, or (a client of 1.2) a resource instance. Raises as `read`."""
        await self._ask(endpoint, "delete", path, None, timeout)

    async def discover(
        self, endpoint: str, path: str, timeout: timedelta = DEFAULT_TIMEOUT, *, depth: int | None = None
    ) -> dict[str, dict[str, str]]:
        """The paths beneath `path` with their attributes. `depth`: how many levels, 0 to 3, of a client of 1.2.

        Raises as `read`.
        """
        body = await self._ask(endpoint, "discover", path, None if depth is None else {"depth": depth}, timeout)
        return {str(link["path"]): dict(link.get("attributes") or {}) for link in body.get("links", [])}

    async def write_attributes(
        self, endpoint: str, path: str, timeout: timedelta = DEFAULT_TIMEOUT, **attributes: float | bool | None
    ) -> None:
        """Says when a device is to report (OMA LwM2M Core 1.1 §5.1.2); None takes an attribute back. Raises as `read`.

        `pmin`, `pmax`, `epmin` and `epmax` are seconds, `gt`, `lt` and `st` are in the unit of the resource; `edge`, `con`
        and `hqmax` are for clients of 1.2.
        """
        # Whole numbers are whole on the wire, too: a device may not know that 10.0 seconds are 10.
        whole = {
            name: int(value) if isinstance(value, float) and value.is_integer() else value
            for name, value in attributes.items()
        }
        await self._ask(endpoint, "write_attributes", path, whole, timeout)

    async def observe(
        self,
        endpoint: str,
        *paths: str,
        timeout: timedelta = DEFAULT_TIMEOUT,
        **attributes: float | bool | None,
    ) -> Values:
        """Asks to be told of changes, which come as `Reported` events; answers with the values as they are.

        Several paths are one observation where the device can, and one each where it cannot. With attributes
        (`pmin=10`) the device is told first when to report each path. Raises as `read`.
        """
        for path in paths if attributes else ():
            await self.write_attributes(endpoint, path, timeout, **attributes)
        body = await self._about(endpoint, "observe", paths, timeout)
        return Values(by_path(body.get("content", [])), failures(body.get("failed", [])))

    async def cancel_observation(self, endpoint: str, *paths: str, timeout: timedelta = DEFAULT_TIMEOUT) -> None:
        """Ends an observation: the same paths as it began with. Raises as `read`."""
        await self._about(endpoint, "cancel_observation", paths, timeout)

    async def _about(self, endpoint: str, operation: str, paths: Sequence[str], timeout: timedelta) -> dict[str, Any]:
        if len(paths) == 1:
            return await self._ask(endpoint, operation, paths[0], None, timeout)
        asked = {"paths": [str(Path.parse(path)) for path in paths]}
        return await self._ask(endpoint, f"{operation}_composite", None, asked, max(timeout, COMPOSITE_TIMEOUT))

    async def _ask(
        self, endpoint: str, operation: str, path: str | None, body: Mapping[str, Any] | None, timeout: timedelta
    ) -> dict[str, Any]:
        """Asks a device; no path for a composite, whose body names its own."""
        at = "/" if path is None else str(Path.parse(path))
        number = next(self._ids)
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._answers[number] = answer
        # The caller may be in the middle of a batch with the registration of this very device.
        self._core.committed(self._newest)
        encoded = None if body is None else json.dumps(body).encode()
        self._core.submit([(number, endpoint, operation, at, encoded, timeout.total_seconds(), True)])
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                done = await answer
        except TimeoutError:
            raise DeviceFault(endpoint, operation, None, "no answer in time") from None
        finally:
            del self._answers[number]
            if answer.cancelled():
                self._core.cancel(number)
        if done.outcome == "answered":
            return dict(json.loads(done.body)) if done.body else {}
        if done.outcome == "refused" and done.code is None:
            raise Rejected(at, (done.detail or "the request makes no sense").removeprefix(f"{at}: "))
        raise DeviceFault(endpoint, operation, done.code, done.detail or words_of(done))

    def _pump(self) -> None:
        """Takes batches from the core until it is closed and empty. Runs in a thread of its own."""
        while True:
            batch = self._core.next_batch(EVENTS_PER_BATCH_MAX, 0.25)
            if batch is not None:
                events = [event_of(line) for _, _, body in batch.pages() for line in body.splitlines()]
                # The loop was closed without leaving the server.
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._take, batch.seq, events, batch.answers())
            elif self._is_closing.is_set() or self._loop.is_closed():
                return

    def _take(self, number: int, events: list[ServerEvent], answers: list[Answer]) -> None:
        for answer in answers:
            future = self._answers.get(answer.id)
            if future is not None and not future.done() and answer.outcome != "sent":
                future.set_result(answer)
        if not events:
            return
        if len(self._events) > EVENTS_WAITING_MAX:
            self._core.refused(number)
            return
        self._newest = number
        self._events.extend((event, None) for event in events[:-1])
        self._events.append((events[-1], number))
        self._arrived.set()
        if self._answers:
            self._core.committed(number)

    def _entry(self, name: str, credential: Credential | None, conduct: Conduct) -> DeviceEntry:
        return DeviceEntry(
            device=name,
            endpoint=name,
            credentials=admission(name, credential),
            context=f'"endpoint":{json.dumps(name)}',
            observe=self._observe,
            awake_window_s=conduct.awake_window.total_seconds(),
            grace_s=None if conduct.grace is None else conduct.grace.total_seconds(),
            ack_timeout_s=conduct.ack_timeout.total_seconds(),
            random_factor=conduct.random_factor,
            max_retransmit=conduct.max_retransmit,
        )
