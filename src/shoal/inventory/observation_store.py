"""Observations in the database: what people said of single paths, and what devices do about them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Row, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shoal.errors import NotFound, Rejected, check_version
from shoal.events.device import AnyDeviceEvent, DeviceRegistered, ObservationChanged
from shoal.ids import DeviceId
from shoal.inventory.observing import Intent, Standing, State
from shoal.inventory.tables import observation_intents, observation_states
from shoal.lwm2m.path import Path
from shoal.storage.database import Transaction, upsert

# The words of the gateway for what a device does about a path, and how that stands; `cancelled` leaves nothing to tell.
# One that drifted still reports, with other attributes than those we set.
_TOLD: Final[Mapping[str, State]] = {
    "established": State.ESTABLISHED,
    "drifted": State.ESTABLISHED,
    "refused": State.REFUSED,
    "lost": State.LOST,
}


async def intents_of(connection: AsyncConnection, device: DeviceId) -> list[Intent]:
    """What people said of paths of a device; `check_room` bounds how many there are."""
    columns = observation_intents.c
    query = select(observation_intents).where(columns.device_id == device).order_by(columns.path)
    return [_intent(row) for row in await connection.execute(query)]


async def standings_of(connection: AsyncConnection, device: DeviceId) -> dict[Path, Standing]:
    """What a device does, by path."""
    query = select(observation_states).where(observation_states.c.device_id == device)
    return {
        Path.parse(row.path): Standing(state=State(row.state), code=row.code, attributes=row.attributes, at=row.since)
        for row in await connection.execute(query)
    }


async def keep_intent(tx: Transaction, device: DeviceId, intent: Intent) -> None:
    """Writes what somebody said; the caller holds the device."""
    row = {
        "device_id": device,
        "path": str(intent.path),
        "is_wanted": intent.is_wanted,
        "attributes": intent.attributes,
        "said_by": intent.by,
        "said_at": intent.at,
        "version": intent.version,
    }
    await upsert(tx, observation_intents, [row], ["device_id", "path"])


async def forget_intent(tx: Transaction, device: DeviceId, path: Path, if_version: int | None) -> None:
    """What was said of this path counts no more; the caller holds the device.

    Raises:
        NotFound: nothing was said of it.
        Outdated: `if_version` is not its version.
    """
    intent = next((one for one in await intents_of(tx.connection, device) if one.path == path), None)
    if intent is None:
        raise NotFound(str(path), "nobody said anything of this path of this device")
    check_version(str(path), intent.version, if_version)
    columns = observation_intents.c
    await tx.execute(delete(observation_intents).where(columns.device_id == device, columns.path == str(path)))


async def keep_standings(tx: Transaction, events: Iterable[tuple[DeviceId, AnyDeviceEvent]]) -> None:
    """Folds what devices did, in the order of their events. A Register ends all that was observed before it."""
    anew: set[DeviceId] = set()
    last: dict[tuple[DeviceId, str], ObservationChanged] = {}
    for device, event in events:
        if isinstance(event, DeviceRegistered):
            anew.add(device)
            last = {key: told for key, told in last.items() if key[0] != device}
        elif isinstance(event, ObservationChanged) and _is_of_one_path(event):
            last[device, event.path] = event
    columns = observation_states.c
    if anew:
        await tx.execute(delete(observation_states).where(columns.device_id.in_(sorted(anew))))
    rows = [_row(device, event) for (device, _), event in last.items() if event.state in _TOLD]
    await upsert(tx, observation_states, rows, ["device_id", "path"])
    for (device, path), event in last.items():
        if event.state not in _TOLD:
            await tx.execute(delete(observation_states).where(columns.device_id == device, columns.path == path))


def _is_of_one_path(event: ObservationChanged) -> bool:
    """An observation of several paths at once has no path of its own."""
    try:
        Path.parse(event.path)
    except Rejected:
        return False
    return True


def _row(device: DeviceId, event: ObservationChanged) -> Mapping[str, object]:
    return {
        "device_id": device,
        "path": event.path,
        "state": _TOLD[event.state],
        "code": event.code,
        "attributes": event.attributes or "",
        "since": event.time,
    }


def _intent(row: Row[Any]) -> Intent:
    return Intent(
        path=Path.parse(row.path),
        is_wanted=row.is_wanted,
        attributes=row.attributes,
        by=row.said_by,
        at=row.said_at,
        version=row.version,
    )
