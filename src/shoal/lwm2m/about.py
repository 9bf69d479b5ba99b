"""What a device says of itself: the Device object (3), as far as its program does not set that.

Every client has one (OMA LwM2M Core 1.1 §E.4), with a Reboot, an Error Code and the bindings that it speaks. Whatever the
program sets, measures or lets servers execute there is its own: what is here gives way to it.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from shoal.errors import Rejected
from shoal.lwm2m.owner import Asked, Owner, Refusal, result_of
from shoal.lwm2m.path import Path
from shoal.lwm2m.value import Scalar, typed

DEVICE: Final = Path(3, 0)
REBOOT: Final = Path(3, 0, 4)
ERROR_CODE: Final = Path(3, 0, 11)
RESET_ERROR_CODE: Final = Path(3, 0, 12)
CURRENT_TIME: Final = Path(3, 0, 13)
UTC_OFFSET: Final = Path(3, 0, 14)
# §E.4, resource 11: where there is no error there is one value, which says so.
NO_ERROR: Final = Path(3, 0, 11, 0)

Reboot: TypeAlias = Callable[[], Awaitable[None] | None]
SetClock: TypeAlias = Callable[[datetime], Awaitable[None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Who made a device and what runs on it, for its Device object; what is not given is not there.

    `serial` is its serial number, `firmware` and `software` are versions, `timezone` is a name of the IANA (`Europe/Oslo`);
    without it the UTC offset is that of the system. `reboot` runs after a server executed Reboot, `set_clock` before its
    Write of the current time is answered; without them that is refused. It may raise `Refusal`, too.

    Raises:
        Rejected: nobody knows the time zone.
    """

    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    software: str | None = None
    timezone: str | None = None
    reboot: Reboot | None = None
    set_clock: SetClock | None = None

    def __post_init__(self) -> None:
        if self.timezone is not None:
            _zone(self.timezone)


def binding(server: str, version: str, *, queue_mode: bool, bootstrap: bool) -> str:
    """Resource 16: what a device speaks over, in the words of its version. An account may name a server of either kind."""
    if version == "1.0":  # it knows no TCP, and queue mode is a letter there
        return "UQ" if queue_mode else "U"
    if bootstrap:
        return "UT"
    return "T" if urlsplit(server).scheme.endswith("+tcp") else "U"


class DeviceObject:
    """What stands in the Device object of one device where its program says nothing.

    `no_error` is to leave one error code, that of no error; `take_back` takes a value away.
    """

    # Before what the core is to ask, and where.
    GUARDS: Final = ((str(DEVICE), "E"), (str(CURRENT_TIME), "RW"), (str(UTC_OFFSET), "R"))

    def __init__(
        self,
        about: About,
        modes: str,
        owner: Owner,
        *,
        no_error: Callable[[], None],
        take_back: Callable[[str], None],
    ) -> None:
        self._about = about
        self._modes = modes
        self._owner = owner
        self._no_error = no_error
        self._take_back = take_back
        self._says_no_error = False

    def begin(self, known: Collection[str], kept: Collection[str]) -> dict[str, Scalar]:
        """Does what nobody does yet; answers with the values of what is missing.

        `known` are the paths that the program has set, `kept` those that have a value from before a restart.
        """
        owner, known_here = self._owner, _resources(known) | _resources(map(str, self._owner.sources))
        here = known_here | _resources(kept)
        owner.at_last = self._check
        if self._about.reboot is not None and not self._is_done(REBOOT):
            owner.on_execute.append((REBOOT, lambda _, __: self._reboot()))
        # A time that a server wrote is over by now.
        if CURRENT_TIME.resource not in known_here:
            owner.sources[CURRENT_TIME] = self._now
        if UTC_OFFSET.resource not in here:
            owner.sources[UTC_OFFSET] = self._offset
        self._says_no_error = ERROR_CODE.resource not in here
        values = {f"{DEVICE}/{resource}": value for resource, value in self._values().items() if resource not in here}
        return values | ({str(NO_ERROR): 0} if self._says_no_error else {})

    def give_way(self, path: Path) -> None:
        """The program has set something there, or taken it away: from now on that is its own."""
        for at in (CURRENT_TIME, UTC_OFFSET):
            if path.contains(at) and self._owner.sources.get(at) in (self._now, self._offset):
                del self._owner.sources[at]
        if self._says_no_error and ERROR_CODE.contains(path):
            self._says_no_error = False
            if path != NO_ERROR:
                self._take_back(str(NO_ERROR))

    def written(self, path: Path) -> None:
        """A server has written something: the offset is what it says."""
        if path == UTC_OFFSET:
            self.give_way(path)

    def _values(self) -> dict[int, Scalar]:
        about = self._about
        said: dict[int, Scalar] = {
            0: about.manufacturer,
            1: about.model,
            2: about.serial,
            3: about.firmware,
            15: about.timezone,
            16: self._modes,
            19: about.software,
        }
        return {resource: value for resource, value in said.items() if value is not None}

    async def _check(self, asked: Asked) -> None:
        if asked.operation == "execute":
            path = Path.parse(asked.path)
            if not DEVICE.contains(path) or self._is_done(path):
                return
            if path != RESET_ERROR_CODE:
                raise Refusal("4.05", f"{path} cannot be executed")
            self._no_error()
            self._says_no_error = True
        elif asked.operation == "write" and str(CURRENT_TIME) in asked.values:
            if self._owner.sources.get(CURRENT_TIME) != self._now:
                return
            if self._about.set_clock is None:
                raise Refusal("4.05", "the device keeps its own time")
            time = typed(asked.values[str(CURRENT_TIME)], datetime)
            await result_of(self._about.set_clock(cast("datetime", time)))

    def _is_done(self, path: Path) -> bool:
        return any(above.contains(path) for above, _ in self._owner.on_execute)

    async def _reboot(self) -> None:
        if self._about.reboot is not None:
            await result_of(self._about.reboot())

    def _now(self) -> datetime:
        return datetime.now(UTC)

    def _offset(self) -> str:
        zone = None if self._about.timezone is None else _zone(self._about.timezone)
        return datetime.now(UTC).astimezone(zone).isoformat(timespec="minutes")[-len("+00:00") :]


def _resources(paths: Iterable[str]) -> set[int | None]:
    """Which resources of the Device object these are."""
    return {at.resource for at in map(Path.parse, paths) if DEVICE.contains(at)}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Rejected("timezone", f"{name!r:.40} is no time zone of the IANA that this system knows") from error
