"""Where somebody may do something, as a part of a question to the database."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, and_, false, not_, or_, true

from shoal.access.decision import Reach, Zone


def within(
    reach: Reach, farm: ColumnElement[Any], enclosure: ColumnElement[Any], device: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Only rows of things that are in reach, by the columns that say where a thing is."""
    if reach.is_everywhere:
        return true()
    columns = (farm, enclosure, device)
    layers = []
    for layer in reach.layers:
        # A row without a farm is in no farm that is denied: NULL must not make it neither here nor there.
        outside = [not_(_in_zones(layer.but, columns, is_strict=True))] if layer.but else []
        layers.append(and_(_in_zones(layer.within, columns), *outside))
    return and_(*layers)


def _in_zones(
    zones: Iterable[Zone], columns: tuple[ColumnElement[Any], ...], *, is_strict: bool = False
) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = []
    single: dict[int, list[str]] = {}
    for zone in zones:
        said = [(at, id_) for at, id_ in enumerate((zone.farm, zone.enclosure, zone.device)) if id_ is not None]
        match said:
            case []:
                return true()
            case [(at, id_)]:
                single.setdefault(at, []).append(id_)
            case _:
                parts.append(and_(*(_is(columns[at], [id_], is_strict=is_strict) for at, id_ in said)))
    parts += [_is(columns[at], ids, is_strict=is_strict) for at, ids in single.items()]
    return or_(*parts) if parts else false()


def _is(column: ColumnElement[Any], ids: list[str], *, is_strict: bool) -> ColumnElement[bool]:
    found = column.in_(ids)
    return and_(column.is_not(None), found) if is_strict else found
