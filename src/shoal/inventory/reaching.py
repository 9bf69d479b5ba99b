"""Which farms and enclosures somebody is shown: those in reach, and those around something that is."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, false, not_, or_, select, true

from shoal.access.decision import Reach, Zone
from shoal.inventory.tables import devices, enclosures, farms


def farms_shown(reach: Reach) -> ColumnElement[bool]:
    """Whoever may read one pen, or one device, of a farm is shown the farm's name around it."""
    return _shown(reach, _farm_around, lambda zone: zone.enclosure is None and zone.device is None)


def enclosures_shown(reach: Reach) -> ColumnElement[bool]:
    """Whoever may read one device of an enclosure is shown the enclosure's name around it."""
    return _shown(reach, _enclosure_around, lambda zone: zone.device is None)


def _shown(
    reach: Reach, around: Callable[[Zone], ColumnElement[bool]], is_whole: Callable[[Zone], bool]
) -> ColumnElement[bool]:
    if reach.is_everywhere:
        return true()
    layers = []
    for layer in reach.layers:
        # What is denied inside of it does not hide the place itself.
        hidden = [not_(around(zone)) for zone in layer.but if is_whole(zone)]
        layers.append(and_(or_(false(), *(around(zone) for zone in layer.within)), *hidden))
    return and_(*layers)


def _farm_around(zone: Zone) -> ColumnElement[bool]:
    farm = farms.c.id
    if zone.device is not None:
        return farm.in_(select(devices.c.farm_id).where(*_device(zone)))
    if zone.enclosure is not None:
        inside = [enclosures.c.id == zone.enclosure]
        if zone.farm is not None:
            inside.append(enclosures.c.farm_id == zone.farm)
        return farm.in_(select(enclosures.c.farm_id).where(*inside))
    return true() if zone.farm is None else farm == zone.farm


def _enclosure_around(zone: Zone) -> ColumnElement[bool]:
    enclosure = enclosures.c.id
    if zone.device is not None:
        return enclosure.in_(select(devices.c.enclosure_id).where(*_device(zone)))
    wanted: list[ColumnElement[bool]] = []
    if zone.enclosure is not None:
        wanted.append(enclosure == zone.enclosure)
    if zone.farm is not None:
        wanted.append(enclosures.c.farm_id == zone.farm)
    return and_(true(), *wanted)


def _device(zone: Zone) -> list[ColumnElement[Any]]:
    """A device that is nowhere has nothing around it; without this, NULL in a list would make every "not in" unknown."""
    wanted: list[ColumnElement[Any]] = [devices.c.id == zone.device, devices.c.enclosure_id.is_not(None)]
    if zone.enclosure is not None:
        wanted.append(devices.c.enclosure_id == zone.enclosure)
    if zone.farm is not None:
        wanted.append(devices.c.farm_id == zone.farm)
    return wanted
