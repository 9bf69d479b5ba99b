"""Devices as rows, in pages, with the count of all that match."""

from datetime import datetime
from typing import Final

from pydantic import BaseModel

from shoal.bff import heard
from shoal.bff.screens.vocabulary import PlaceState, Status, place_state_of, status_of

# Rows of one page: about four screens of a desktop, 10 kB on the wire.
DEVICES_PER_PAGE: Final = 100


class VitalShown(BaseModel):
    value: float | str
    at: datetime | None


class PlaceShown(BaseModel):
    farm: str | None
    farm_name: str
    enclosure: str | None
    enclosure_name: str
    state: PlaceState


class DeviceLine(BaseModel):
    """A device in one row."""

    id: str
    name: str
    kind: str
    status: Status
    is_asleep: bool
    is_stale: bool
    cause: str
    since: datetime | None
    last_heard_at: datetime | None
    next_expected_at: datetime | None
    place: PlaceShown
    battery_percent: VitalShown | None
    signal_dbm: VitalShown | None
    firmware_version: VitalShown | None


class FarmChoice(BaseModel):
    id: str
    name: str


class DevicesScreen(BaseModel):
    """`total` is None where the API did not count; `all_total` is without the filter."""

    at: datetime
    items: list[DeviceLine]
    next: str | None
    total: int | None
    all_total: int
    farms: list[FarmChoice]


def vital_shown(vital: heard.Vital | None) -> VitalShown | None:
    return None if vital is None else VitalShown(value=vital.value, at=vital.at)


def place_shown(place: heard.Place) -> PlaceShown:
    return PlaceShown(
        farm=place.farm,
        farm_name=place.names.farm or place.farm or "",
        enclosure=place.enclosure,
        enclosure_name=place.names.enclosure or place.enclosure or "",
        state=place_state_of(place.state),
    )


def device_line(device: heard.Device) -> DeviceLine:
    return DeviceLine(
        id=device.id,
        name=device.endpoint or device.id,
        kind=device.kind,
        status=status_of(device.status),
        is_asleep=device.flags.asleep,
        is_stale=device.flags.stale,
        cause=cause_text(device),
        since=device.since or (device.verdict.since if device.verdict else None),
        last_heard_at=device.last_heard_at,
        next_expected_at=device.next_expected_at,
        place=place_shown(device.place),
        battery_percent=vital_shown(device.vitals.battery_percent),
        signal_dbm=vital_shown(device.vitals.signal_dbm),
        firmware_version=vital_shown(device.vitals.firmware_version),
    )


def cause_text(device: heard.Device) -> str:
    """A short cause for a row: `battery-empty` reads `battery empty`."""
    if device.cause:
        return device.cause.replace("-", " ").replace("_", " ")
    return device.verdict.says if device.verdict else ""


def devices_screen(
    at: datetime,
    page: heard.Page[heard.Device],
    health: heard.Health,
    farms: list[heard.Farm],
    *,
    is_filtered: bool,
) -> DevicesScreen:
    total = page.total
    if total is None and not is_filtered:
        total = health.devices
    if total is None and page.next is None:
        total = len(page.items)
    return DevicesScreen(
        at=at,
        items=[device_line(device) for device in page.items],
        next=page.next,
        total=total,
        all_total=health.devices,
        farms=sorted((FarmChoice(id=farm.id, name=farm.name or farm.id) for farm in farms), key=lambda farm: farm.name),
    )
