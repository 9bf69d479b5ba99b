"""Enclosures: the pens, ponds and houses that devices watch."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from shoal.access.decision import Place
from shoal.access.policy import Operation
from shoal.api.access import EnclosureKey, FarmKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.paging import ITEMS_USUAL, Cursor, IfMatch, Listed, PlacesLimit, etag, long_page, version_of
from shoal.inventory.place import KIND_CHARACTERS_MAX, NAME_CHARACTERS_MAX, Enclosure

router = APIRouter(tags=["places"])


class EnclosureAsked(BaseModel):
    name: str = Field(max_length=2 * NAME_CHARACTERS_MAX)
    kind: str = Field("enclosure", max_length=2 * KIND_CHARACTERS_MAX, examples=["pen"])


class EnclosureChange(BaseModel):
    """What is left out stays as it is."""

    name: str | None = Field(None, max_length=2 * NAME_CHARACTERS_MAX)
    kind: str | None = Field(None, max_length=2 * KIND_CHARACTERS_MAX)


class EnclosureShown(BaseModel):
    """`version` is also the ETag."""

    id: str
    farm: str
    farm_name: str
    name: str
    kind: str
    created_at: datetime
    version: int


@router.post("/farms/{farm}/enclosures", status_code=201)
async def create(
    farm: FarmKey, asked: EnclosureAsked, response: Response, asking: HeldAsking, rooms: HeldRooms
) -> EnclosureShown:
    """A new enclosure on a farm. Its id goes into the devices that will hang there."""
    asking.may(Operation.ADMINISTER, Place(tenant=asking.tenant, farm=farm))
    async with rooms.database.transaction() as tx:
        enclosure = await rooms.inventory.create_enclosure(tx, asking.tenant, farm, asked.name, asked.kind)
        asking.tells(enclosure.id, after=_edited(enclosure) | {"farm": farm})
    response.headers["Location"] = f"/api/v1/enclosures/{enclosure.id}"
    response.headers.update(etag(enclosure.version))
    return enclosure_shown(enclosure)


@router.get("/farms/{farm}/enclosures")
async def of_farm(
    farm: FarmKey, asking: HeldAsking, rooms: HeldRooms, cursor: Cursor = None, limit: PlacesLimit = ITEMS_USUAL
) -> Listed[EnclosureShown]:
    """The enclosures of a farm, by name."""
    await rooms.inventory.farm(asking.tenant, farm, asking.reach())
    return await _page(asking, rooms, farm, cursor, limit)


@router.get("/enclosures")
async def several(
    asking: HeldAsking,
    rooms: HeldRooms,
    farm: Annotated[FarmKey | None, Query()] = None,
    cursor: Cursor = None,
    limit: PlacesLimit = ITEMS_USUAL,
) -> Listed[EnclosureShown]:
    """Enclosures of all farms, or of one, by name."""
    return await _page(asking, rooms, farm, cursor, limit)


@router.get("/enclosures/{enclosure}")
async def one(enclosure: EnclosureKey, response: Response, asking: HeldAsking, rooms: HeldRooms) -> EnclosureShown:
    """One enclosure."""
    found = await rooms.inventory.enclosure(asking.tenant, enclosure, asking.reach())
    response.headers.update(etag(found.version))
    return enclosure_shown(found)


@router.patch("/enclosures/{enclosure}")
async def change(
    enclosure: EnclosureKey,
    asked: EnclosureChange,
    response: Response,
    asking: HeldAsking,
    rooms: HeldRooms,
    if_match: IfMatch = None,
) -> EnclosureShown:
    """Another name or kind."""
    was = await rooms.inventory.enclosure(asking.tenant, enclosure)
    asking.may(Operation.ADMINISTER, place_of(was))
    async with rooms.database.transaction() as tx:
        changed = await rooms.inventory.change_enclosure(
            tx, asking.tenant, enclosure, name=asked.name, kind=asked.kind, if_version=version_of(if_match)
        )
        asking.tells(before=_edited(was), after=_edited(changed))
    response.headers.update(etag(changed.version))
    return enclosure_shown(changed)


@router.delete("/enclosures/{enclosure}", status_code=204)
async def delete(enclosure: EnclosureKey, asking: HeldAsking, rooms: HeldRooms, if_match: IfMatch = None) -> None:
    """Deletes an enclosure in which no device hangs any more."""
    was = await rooms.inventory.enclosure(asking.tenant, enclosure)
    asking.may(Operation.ADMINISTER, place_of(was))
    asking.tells(before=_edited(was) | {"farm": was.farm})
    async with rooms.database.transaction() as tx:
        await rooms.inventory.delete_enclosure(tx, asking.tenant, enclosure, version_of(if_match))


def _edited(enclosure: Enclosure) -> dict[str, str]:
    return {"name": enclosure.name, "kind": enclosure.kind}


def enclosure_shown(enclosure: Enclosure) -> EnclosureShown:
    return EnclosureShown(
        id=enclosure.id,
        farm=enclosure.farm,
        farm_name=enclosure.farm_name,
        name=enclosure.name,
        kind=enclosure.kind,
        created_at=enclosure.created_at,
        version=enclosure.version,
    )


async def _page(
    asking: HeldAsking, rooms: HeldRooms, farm: FarmKey | None, cursor: str | None, limit: int
) -> Listed[EnclosureShown]:
    reach = asking.reach()
    page = await long_page(
        lambda cursor, limit: rooms.inventory.enclosures(asking.tenant, farm, cursor, limit, reach), cursor, limit
    )
    return Listed(items=[enclosure_shown(enclosure) for enclosure in page.items], next=page.next)


def place_of(enclosure: Enclosure) -> Place:
    """Where an enclosure is, itself included."""
    return Place(tenant=enclosure.tenant, farm=enclosure.farm, enclosure=enclosure.id)
