"""A bootstrap server in a few lines: it tells devices which server is theirs, and what that knows them by.

    accounts = {"oxy-0417": Account("coaps://192.0.2.1:5684", identity="oxy-0417", key=secrets.token_bytes(16))}
    async with BootstrapServer("coaps://0.0.0.0:5686", credentials=keys, accounts=accounts) as server:
        async for event in server.events():
            print(event.endpoint, event.state)

`credentials` are what devices prove themselves with here, as in `Server`; `accounts` what they get for it.
"""

import asyncio
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

import msgspec

from shoal.errors import DeviceFault, Rejected
from shoal.lwm2m.account import Account
from shoal.lwm2m.bodies import json_of, resources
from shoal.lwm2m.certificates import AUTHORITY, Certificate, Credential, admission
from shoal.lwm2m.dataplane import Answer, DataPlane, DeviceEntry
from shoal.lwm2m.objects import Objects, known_objects
from shoal.lwm2m.path import Path

# Does one thing with a device: operation, path, body; answers with the body of the answer.
Ask: TypeAlias = Callable[[str, str, Mapping[str, Any] | None], Awaitable[Mapping[str, Any]]]
# The account of an endpoint; None for one that is to get nothing.
Accounts: TypeAlias = Callable[[str], Awaitable[Account | None]]

# RFC 7252 §4.8.2: one exchange may take 93 s (MAX_TRANSMIT_WAIT).
STEP_TIMEOUT: Final = timedelta(seconds=100)
# One core call takes at most this many events, and waits so long for the first: also how soon closing is noticed.
EVENTS_PER_BATCH_MAX: Final = 1_024
WAIT_S: Final = 0.25
# Events that nobody took; beyond it the oldest make room. A farm of a thousand devices has three each.
EVENTS_WAITING_MAX: Final = 4_096


class Bootstrap(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="bootstrap"):
    """How far the bootstrap of a device is.

    `requested` (`via` request or pack, `format` as it prefers), then one of `finished`, `refused` (with `path`, `code` and
    `detail` of what the device refused) and `timed_out`.
    """

    time: datetime
    endpoint: str
    state: Literal["requested", "finished", "refused", "timed_out"]
    via: Literal["request", "pack"] = "request"
    format: int | None = None
    secure: bool = False
    again: bool = False
    # Of whoever gave the core names of its own: that of the device.
    device: str | None = None
    address: str | None = None
    path: str | None = None
    code: str | None = None
    detail: str = ""


class NotLetIn(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="security"):
    """Somebody was not let in: an unknown identity, a wrong key, the endpoint of another."""

    time: datetime
    reason: str
    endpoint: str = ""
    identity: str | None = None
    address: str | None = None
    count: int = 1
    state: Literal["not_let_in"] = "not_let_in"


class _Other(msgspec.Struct, frozen=True, tag_field="type", tag="refused"):
    """A refusal of a known device; what mattered was told as security."""


class _Readings(msgspec.Struct, frozen=True, tag_field="type", tag="readings"):
    """What was read in between is for whoever read it."""


BootstrapEvent: TypeAlias = Bootstrap | NotLetIn
DECODER: Final = msgspec.json.Decoder(Bootstrap | NotLetIn | _Other | _Readings)


async def hand_out(ask: Ask, account: Account, requested: Bootstrap, objects: Objects) -> None:
    """Gives a device its account: all at once, or step by step (OMA LwM2M Core 1.1 §6.1.7).

    Raises:
        DeviceFault: the device refused a step, or did not answer in time; it has what it had before.
        Rejected: the account makes no sense.
    """
    if requested.via == "pack":
        values = {
            f"{instance}/{number}": json_of(Path.parse(f"{instance}/{number}"), value, objects)
            for instance, written in account.instances(security=1, has_usage=True)
            for number, value in written.items()
        }
        await ask("bootstrap_pack", "/", {"values": _flat(values)})
        return
    own = await _own_instance(ask)
    await ask("bootstrap_delete", "/", None)
    instances = account.instances(security=1 if own == 0 else 0, has_usage=requested.format is not None)
    for instance, written in instances:
        await ask("write", instance, {"resources": resources(Path.parse(instance), written, objects)})
    await ask("bootstrap_finish", "/", None)


async def _own_instance(ask: Ask) -> int:
    """Which instance of the Security object is the bootstrap server's own: Discover shows it without a short server id."""
    try:
        found = await ask("discover", "/", None)
    except DeviceFault as error:
        if error.code is None:  # no answer: it will not answer the rest either
            raise
        return 0  # a client without Discover, which then has it where the examples of the specification have it
    for link in found.get("links", []):
        path = Path.parse(link["path"]) if link["path"] != "/" else None
        if path is not None and path.object == 0 and path.instance is not None and "ssid" not in link["attributes"]:
            return path.instance
    return 0


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by path down to the resource instance."""
    flat: dict[str, Any] = {}
    for path, value in values.items():
        flat |= {f"{path}/{number}": one for number, one in value.items()} if isinstance(value, dict) else {path: value}
    return flat


class Bootstrapping:
    """Hands accounts out over a data plane: what the core tells goes in, what the account says comes out.

    `accounts` is asked for each device that asks; a device that has none is refused.
    """

    def __init__(
        self, core: DataPlane, accounts: Accounts, objects: Objects, name_of: Callable[[Bootstrap], str]
    ) -> None:
        self._core = core
        self._accounts = accounts
        self._objects = objects
        self._name_of = name_of
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def told(self, answers: Sequence[Answer]) -> None:
        """What became of requests. Called in the event loop."""
        for answer in answers:
            future = self._answers.get(answer.id)
            if future is not None and not future.done() and answer.outcome != "sent":
                future.set_result(answer)

    def begin(self, requested: Bootstrap) -> None:
        """A device asks. One that asks again gets everything again."""
        name = self._name_of(requested)
        if (former := self._running.pop(name, None)) is not None:
            former.cancel()
        task = asyncio.get_running_loop().create_task(self._hand_out(name, requested), name=f"bootstrap {name}")
        self._running[name] = task
        task.add_done_callback(lambda done: self._forget(name, done))

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._running.get(name) is task:
            del self._running[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": f"no account for {name}", "exception": error}
            task.get_loop().call_exception_handler(context)

    async def _hand_out(self, name: str, requested: Bootstrap) -> None:
        async def ask(operation: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
            return await self._ask(name, operation, path, body)

        account = await self._accounts(name)
        if account is None:
            # Of a pack nobody else says no; otherwise the device is left to its own patience.
            if requested.via == "pack":
                with suppress(DeviceFault, Rejected):
                    await ask("bootstrap_pack", "/", None)
            return
        # A refusal was told as an event, with what the device said.
        with suppress(DeviceFault):
            await hand_out(ask, account, requested, self._objects)

    async def _ask(self, name: str, operation: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        number = next(self._ids)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        encoded = None if body is None else json.dumps(body).encode()
        self._core.submit([(number, name, operation, path, encoded, STEP_TIMEOUT.total_seconds(), False)])
        try:
            async with asyncio.timeout(STEP_TIMEOUT.total_seconds()):
                done = await future
        except TimeoutError:
            raise DeviceFault(name, operation, None, "no answer in time") from None
        finally:
            del self._answers[number]
        if done.outcome == "answered":
            return dict(json.loads(done.body)) if done.body else {}
        if done.outcome == "refused" and done.code is None:
            raise Rejected(path, done.detail or "the request makes no sense")
        raise DeviceFault(name, operation, done.code, done.detail or done.outcome.replace("_", " "))

    async def close(self) -> None:
        """Stops in the middle; devices keep what they had."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class BootstrapServer:
    """The bootstrap interface of LwM2M 1.0 to 1.2 on `coaps://`, `coap://` and `coap+tcp://` listeners.

    `credentials`, `certificate` and `endpoints` say who may ask, as in `Server`; `accounts` what each gets: by endpoint
    name, or a function that is asked each time (and may make a new key).

    Raises (on entry):
        OSError: a listener's address is taken or not ours.
        Rejected: an address, a device or the certificate cannot be taken.
    """

    def __init__(
        self,
        *listen: str,
        accounts: Mapping[str, Account] | Accounts,
        credentials: Mapping[str, Credential] | None = None,
        certificate: Certificate | None = None,
        endpoints: Sequence[str] = (),
        objects: Objects | None = None,
    ) -> None:
        self._listen = listen
        self._objects = objects or known_objects()
        self._certificate = certificate
        self._known: dict[str, Credential | None] = {**dict.fromkeys(endpoints), **(credentials or {})}
        self._accounts: Accounts = accounts if callable(accounts) else _of_mapping(accounts)
        self._events: asyncio.Queue[BootstrapEvent] = asyncio.Queue(EVENTS_WAITING_MAX)

    async def __aenter__(self) -> Self:
        listen, boot = list(self._listen), secrets.token_hex(4)
        try:
            self._core = DataPlane(listen, boot=boot, is_bootstrap_server=True, objects=self._objects.core)
        except ValueError as error:
            raise Rejected("listen", str(error)) from error
        try:
            if self._certificate is not None:
                self._show(self._certificate)
            self.admit(self._known)
        except BaseException:
            self._core.close()
            raise
        self._bootstrapping = Bootstrapping(self._core, self._accounts, self._objects, lambda asked: asked.endpoint)
        self._pump = asyncio.get_running_loop().create_task(self._carry(), name="bootstrap-server")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._bootstrapping.close()
        await asyncio.to_thread(self._core.close)
        await self._pump

    @property
    def addresses(self) -> list[str]:
        """Where it listens: with the port that was found when 0 was asked for."""
        return self._core.addresses()

    def admit(self, devices: Mapping[str, Credential | None]) -> None:
        """Lets devices ask, by their endpoint names and credentials, or changes these; None is no credential.

        Raises:
            Rejected: some cannot be taken in; all others were.
        """
        entry = [
            DeviceEntry(name, name, admission(name, one), context=f'"endpoint":{json.dumps(name)}')
            for name, one in devices.items()
        ]
        if refused := self._core.put_devices(entry):
            raise Rejected("credentials", "; ".join(f"{device}: {reason}" for device, reason in refused))

    def dismiss(self, *endpoints: str) -> None:
        """Forgets devices and ends their sessions."""
        self._core.remove_devices(list(endpoints))

    async def events(self) -> AsyncIterator[BootstrapEvent]:
        """What happens, in order, until the server is closed. One caller at a time."""
        while not self._pump.done() or not self._events.empty():
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    yield await self._events.get()

    def _show(self, certificate: Certificate) -> None:
        try:
            self._core.set_certificate(certificate.chain, certificate.key)
        except ValueError as error:
            raise Rejected("certificate", str(error)) from error
        if refused := self._core.put_authorities([(AUTHORITY, der, "") for der in certificate.authorities]):
            raise Rejected("authorities", "; ".join(f"{place}: {reason}" for place, reason in refused))

    async def _carry(self) -> None:
        while True:
            batch = await asyncio.to_thread(self._core.next_batch, EVENTS_PER_BATCH_MAX, WAIT_S)
            if batch is None:
                if self._core.wait_closed(0):
                    return
                continue
            # Nothing of it is kept: devices that ask again are answered again.
            self._core.committed(batch.seq)
            self._bootstrapping.told(batch.answers())
            for _, _, body in batch.pages():
                for line in body.splitlines():
                    self._take(DECODER.decode(line))

    def _take(self, event: object) -> None:
        if not isinstance(event, Bootstrap | NotLetIn):
            return
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)
        if isinstance(event, Bootstrap) and event.state == "requested":
            self._bootstrapping.begin(event)


def _of_mapping(accounts: Mapping[str, Account]) -> Accounts:
    async def account(endpoint: str) -> Account | None:
        return accounts.get(endpoint)

    return account
