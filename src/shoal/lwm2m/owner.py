"""What the owner of a device wants to know, to say and to decide: the functions that it gave, and when they are called.

Told afterwards: `on_write`, `on_execute`, `on_receiving`. Asked before, while the server waits for its answer: checks,
which may refuse; sources, which measure a value for whoever reads it; makers, which fill an instance that a server makes.
"""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, ParamSpec, TypeAlias, TypeVar, cast

from shoal._core import DeviceOccurrence
from shoal.errors import Rejected
from shoal.lwm2m.objects import Objects
from shoal.lwm2m.path import Path
from shoal.lwm2m.value import Scalar, decoded

Operation: TypeAlias = Literal["write", "create", "delete", "execute"]


class Refusal(Exception):
    """Raised by a check, a source or a maker: the server gets this code, and the reason as text.

    4.00 is for a value that makes no sense, 4.05 for what cannot be done in this state, 5.03 for "try again later".
    """

    def __init__(self, code: str = "4.00", reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Asked:
    """What a server wants to do. `values` are by path; of an execute they are its arguments by digit."""

    operation: Operation
    path: str
    values: Mapping[str, Scalar]


OnWrite: TypeAlias = Callable[[str, Scalar], Awaitable[None] | None]
OnValue: TypeAlias = Callable[[str, Scalar], None]
OnRemoved: TypeAlias = Callable[[Path], None]
OnExecute: TypeAlias = Callable[[str, Mapping[str, str]], Awaitable[None] | None]
OnReceiving: TypeAlias = Callable[[str, int], None]
Check: TypeAlias = Callable[[Asked], Awaitable[None] | None]
Source: TypeAlias = Callable[[], Awaitable[Scalar] | Scalar]
# Fills the instance at a path with the values that the server gave; what it sets itself is there when the server hears.
Maker: TypeAlias = Callable[[str, Mapping[str, Scalar]], Awaitable[None] | None]

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def result_of(value: Awaitable[_T] | _T) -> _T:
    """What an owner's function says, at once or after a while."""
    return cast("_T", await value if inspect.isawaitable(value) else value)


@dataclass
class Owner:
    """The functions of one device's owner. `put` sets a value that a source measured; `objects` say what values are.

    `at_last` is a check that is asked after all others, wherever the core asks.
    """

    endpoint: str
    put: Callable[[str, Scalar], None]
    objects: Objects
    on_value: list[tuple[Path, OnValue]] = field(default_factory=list)
    on_write: list[tuple[Path, OnWrite]] = field(default_factory=list)
    on_execute: list[tuple[Path, OnExecute]] = field(default_factory=list)
    on_receiving: list[tuple[Path, OnReceiving]] = field(default_factory=list)
    on_removed: list[tuple[Path, OnRemoved]] = field(default_factory=list)
    checks: list[tuple[Path, Check]] = field(default_factory=list)
    at_last: Check | None = None
    sources: dict[Path, Source] = field(default_factory=dict)
    makers: dict[int, Maker] = field(default_factory=dict)
    every: dict[Path, timedelta] = field(default_factory=dict)
    measuring: dict[Path, asyncio.Task[None]] = field(default_factory=dict)
    tasks: set[asyncio.Future[None]] = field(default_factory=set)

    def forget(self, above: Path) -> None:
        """Drops what was given for a path or beneath it: the instance is gone."""
        self.on_value = [(path, told) for path, told in self.on_value if not above.contains(path)]
        self.on_write = [(path, told) for path, told in self.on_write if not above.contains(path)]
        self.on_execute = [(path, told) for path, told in self.on_execute if not above.contains(path)]
        self.on_receiving = [(path, told) for path, told in self.on_receiving if not above.contains(path)]
        self.on_removed = [(path, told) for path, told in self.on_removed if not above.contains(path)]
        self.checks = [(path, check) for path, check in self.checks if not above.contains(path)]
        self.sources = {path: source for path, source in self.sources.items() if not above.contains(path)}
        self.every = {path: every for path, every in self.every.items() if not above.contains(path)}
        for path in [path for path in self.measuring if above.contains(path)]:
            self.measuring.pop(path).cancel()

    def stop(self) -> None:
        """Ends what the functions are still doing."""
        for task in (*self.tasks, *self.measuring.values()):
            task.cancel()
        self.measuring.clear()

    def note_value(self, path: Path, value: Scalar) -> None:
        """Tells those who mirror the tree of a value that did not come from the owner."""
        for above, told in self.on_value:
            if above.contains(path):
                self.run(str(path), told, str(path), value)

    def tell(self, path: Path, value: Scalar) -> None:
        """Tells of a value that a server wrote, now or before a restart."""
        for above, told in self.on_write:
            if above.contains(path):
                self.run(str(path), told, str(path), value)

    def removed(self, gone: Path) -> None:
        """Tells that a server took something away."""
        for above, told in list(self.on_removed):
            if above.contains(gone):
                self.run(str(gone), told, gone)

    def executed(self, occurrence: DeviceOccurrence) -> None:
        """Tells of something that a server executed."""
        path = Path.parse(occurrence.path or "")
        arguments: Mapping[str, str] = json.loads(occurrence.value or b"{}")
        for above, told in self.on_execute:
            if above.contains(path):
                self.run(str(path), told, str(path), arguments)

    def receiving(self, occurrence: DeviceOccurrence) -> None:
        """Tells how much is here of something large that a server writes."""
        path = Path.parse(occurrence.path or "")
        for above, told in self.on_receiving:
            if above.contains(path):
                self.run(str(path), told, str(path), occurrence.bytes or 0)

    async def consider(self, occurrence: DeviceOccurrence) -> Refusal | None:
        """What the owner says to a question; None lets it happen. A function that fails refuses with 5.00."""
        path, content = occurrence.path or "", json.loads(occurrence.value or b"{}")
        try:
            match occurrence.detail:
                case "read":
                    for asked in content:
                        await self.measure(asked)
                case "write" | "create" | "delete" | "execute":
                    await self._judge(occurrence.detail, path, content)
        except Refusal as refusal:
            return refusal
        except Rejected as rejected:
            return Refusal("4.00", str(rejected))
        except Exception as error:  # noqa: BLE001  # the owner's code: anything may come
            self.report(path, error)
            return Refusal("5.00")
        return None

    async def _judge(self, operation: Operation, path: str, content: Mapping[str, object]) -> None:
        values: dict[str, Scalar] = {}
        touched = [] if path == "/" else [Path.parse(path)]
        for key, value in content.items():
            if operation == "execute":
                values[key] = str(value)
            else:
                touched.append(Path.parse(key))
                values[key] = decoded(touched[-1], value, self.objects)
        asked = Asked(operation, path, values)
        for above, check in self.checks:
            if any(above.contains(one) or (operation == "delete" and one.contains(above)) for one in touched):
                await result_of(check(asked))
        if self.at_last is not None:
            await result_of(self.at_last(asked))
        if operation == "create" and (maker := self.makers.get(touched[0].object)) is not None:
            await result_of(maker(path, values))

    async def make_again(self, path: str, values: Mapping[str, Scalar]) -> None:
        """Fills an instance that a server made before a restart. A maker that refuses now is reported, not obeyed."""
        maker = self.makers.get(Path.parse(path).object)
        if maker is None:
            return
        try:
            await result_of(maker(path, values))
        except (Refusal, Rejected) as refusal:
            self.report(path, refusal)

    async def measure(self, path: str) -> None:
        """Sets what the sources say at, above or beneath a path, now."""
        asked = None if path == "/" else Path.parse(path)
        for at, source in list(self.sources.items()):
            if asked is None or asked.contains(at) or at.contains(asked):
                self.put(str(at), await result_of(source()))

    async def measure_first(self, known: Collection[str]) -> None:
        """Measures what has no value yet: a resource is there once it has one. A source that fails is reported."""
        for path in [str(path) for path in self.sources if str(path) not in known]:
            await self._measure_quietly(path)

    def measure_soon(self, path: str) -> None:
        """The same without somebody who waits; a source that fails is reported."""
        self.run(path, self._measure_quietly, path)

    def measure_on(self) -> None:
        """Measures what is to be measured `every` so often, each by one task; what is measured already goes on."""
        for path in self.every:
            task = self.measuring.get(path)
            if task is None or task.done():
                self.measuring[path] = asyncio.get_running_loop().create_task(self._measure_again(path))

    async def _measure_again(self, path: Path) -> None:
        while path in self.sources and (every := self.every.get(path)) is not None:
            await self._measure_quietly(str(path))
            await asyncio.sleep(every.total_seconds())

    async def _measure_quietly(self, path: str) -> None:
        try:
            await self.measure(path)
        except Refusal:
            return  # nobody asked: the last value stays
        except Exception as error:  # noqa: BLE001  # the owner's code: anything may come
            self.report(path, error)

    def run(self, about: str, told: Callable[_P, Awaitable[None] | None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Calls a function. What it raises is reported as the event loop reports it, and stops nobody else."""
        try:
            result = told(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # the owner's code: anything may come
            self.report(about, error)
            return
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(result)
            self.tasks.add(task)
            task.add_done_callback(lambda ended: self._ended(about, ended))

    def _ended(self, about: str, task: asyncio.Future[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self.report(about, error)

    def report(self, about: str, error: Exception) -> None:
        """Says that a function failed, where the event loop says such things."""
        context = {"message": f"{self.endpoint}: the handler of {about} failed", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
