"""One word, and what it may mean: devices, farms and enclosures by name, endpoint or id, the best match first."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, case, func, literal, or_, select

from shoal.access.decision import EVERYWHERE, Reach
from shoal.ids import MistypedId, Prefix, TenantId, parse_id
from shoal.inventory.device_rows import devices_within
from shoal.inventory.reaching import enclosures_shown, farms_shown
from shoal.inventory.tables import devices, enclosures, farms
from shoal.storage.database import Database

# What fits a screen; whoever wants more has a list with filters.
FOUND_MAX: Final = 50


class Kind(StrEnum):
    """What was found."""

    DEVICE = "device"
    FARM = "farm"
    ENCLOSURE = "enclosure"


class Match(IntEnum):
    """How well it was meant: all of it, its beginning, or some part."""

    EXACT = 0
    PREFIX = 1
    PART = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something of that name, and where it is."""

    kind: Kind
    id: str
    name: str
    endpoint: str | None = None
    farm: str | None = None
    farm_name: str | None = None
    enclosure_name: str | None = None
    match: Match


async def search(database: Database, tenant: TenantId, q: str, limit: int, reach: Reach = EVERYWHERE) -> list[Found]:
    """At most that many of each kind, the best match first, then by name. An empty question finds nothing."""
    wanted = q.strip().lower()
    if not wanted:
        return []
    found: list[Found] = []
    async with database.reading() as connection:
        for kind, query in _queries(tenant, wanted, reach).items():
            rows = await connection.execute(query.limit(min(limit, FOUND_MAX)))
            found += [_found(kind, row) for row in rows]
    return sorted(found, key=lambda one: (one.match, list(Kind).index(one.kind), one.name.lower(), one.id))


def match_of(texts: Sequence[str], wanted: str) -> Match | None:
    """How well the best of some texts is meant; None when it is in none of them."""
    sought = wanted.strip().lower()
    found = [text.lower() for text in texts if sought in text.lower()]
    if not found:
        return None
    return Match.EXACT if sought in found else Match.PREFIX if any(t.startswith(sought) for t in found) else Match.PART


def _queries(tenant: TenantId, wanted: str, reach: Reach) -> dict[Kind, Select[Any]]:
    none = literal(None)
    device = (
        select(
            devices.c.id,
            devices.c.name,
            devices.c.endpoint,
            devices.c.farm_id,
            farms.c.name.label("farm_name"),
            enclosures.c.name.label("enclosure_name"),
        )
        .outerjoin(farms, farms.c.id == devices.c.farm_id)
        .outerjoin(enclosures, enclosures.c.id == devices.c.enclosure_id)
        .where(devices.c.tenant_id == tenant, devices_within(reach))
    )
    farm = select(
        farms.c.id,
        farms.c.name,
        none.label("endpoint"),
        none.label("farm_id"),
        none.label("farm_name"),
        none.label("enclosure_name"),
    ).where(farms.c.tenant_id == tenant, farms_shown(reach))
    enclosure = (
        select(
            enclosures.c.id,
            enclosures.c.name,
            none.label("endpoint"),
            enclosures.c.farm_id,
            farms.c.name.label("farm_name"),
            none.label("enclosure_name"),
        )
        .join(farms, farms.c.id == enclosures.c.farm_id)
        .where(enclosures.c.tenant_id == tenant, enclosures_shown(reach))
    )
    return {
        Kind.DEVICE: _ranked(device, [devices.c.endpoint, devices.c.name], devices.c.id, Prefix.DEVICE, wanted),
        Kind.FARM: _ranked(farm, [farms.c.name], farms.c.id, Prefix.FARM, wanted),
        Kind.ENCLOSURE: _ranked(enclosure, [enclosures.c.name], enclosures.c.id, Prefix.ENCLOSURE, wanted),
    }


def _ranked(
    query: Select[Any], texts: Sequence[ColumnElement[str]], id_: ColumnElement[str], prefix: Prefix, wanted: str
) -> Select[Any]:
    """The query for what is called so or has that id, with how well it matches."""
    meant = _id(wanted, prefix)
    exact = or_(id_ == meant if meant else literal(value=False), *(func.lower(text) == wanted for text in texts))
    begins = or_(*(func.lower(text).startswith(wanted, autoescape=True) for text in texts))
    within = or_(*(func.lower(text).contains(wanted, autoescape=True) for text in texts))
    rank = case((exact, Match.EXACT.value), (begins, Match.PREFIX.value), else_=Match.PART.value).label("rank")
    return query.add_columns(rank).where(or_(exact, within)).order_by(rank, texts[0], id_)


def _id(text: str, prefix: Prefix) -> str | None:
    """The id that somebody may mean, with or without what it begins with."""
    head = f"{prefix.value}-"
    try:
        return parse_id(text if text.startswith(head) else head + text, prefix)
    except MistypedId:
        return None


def _found(kind: Kind, row: Any) -> Found:
    return Found(
        kind=kind,
        id=row.id,
        name=row.name,
        endpoint=row.endpoint,
        farm=row.farm_id,
        farm_name=row.farm_name,
        enclosure_name=row.enclosure_name,
        match=Match(row.rank),
    )
