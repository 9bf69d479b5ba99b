"""Farms: the sites with enclosures."""

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from shoal.access.decision import Place
from shoal.access.policy import Operation
from shoal.api.access import FarmKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.enclosures import EnclosureShown, enclosure_shown
from shoal.api.paging import ITEMS_USUAL, PLACES_MAX, Cursor, IfMatch, Listed, PlacesLimit, etag, long_page, version_of
from shoal.inventory.place import NAME_CHARACTERS_MAX, Farm

router = APIRouter(prefix="/farms", tags=["places"])


class FarmAsked(BaseModel):
    name: str = Field(max_length=2 * NAME_CHARACTERS_MAX)


class FarmShown(BaseModel):
    """`version` is also the ETag."""

    id: str
    name: str
    created_at: datetime
    version: int


class FarmInFull(FarmShown):
    """A farm with its enclosures, by name."""

    enclosures: list[EnclosureShown]


@router.post("", status_code=201)
async def create(asked: FarmAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> FarmShown:
    """A new farm."""
    asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        farm = await rooms.inventory.create_farm(tx, asking.tenant, asked.name)
        asking.tells(farm.id, after={"name": farm.name})
    response.headers["Location"] = f"/api/v1/farms/{farm.id}"
    response.headers.update(etag(farm.version))
    return _shown(farm)


@router.get("")
async def several(
    asking: HeldAsking, rooms: HeldRooms, cursor: Cursor = None, limit: PlacesLimit = ITEMS_USUAL
) -> Listed[FarmShown]:
    """All farms of which the caller may read anything, by name."""
    reach = asking.reach()
    page = await long_page(
        lambda cursor, limit: rooms.inventory.farms(asking.tenant, cursor, limit, reach), cursor, limit
    )
    return Listed(items=[_shown(farm) for farm in page.items], next=page.next)


@router.get("/{farm}")
async def one(farm: FarmKey, response: Response, asking: HeldAsking, rooms: HeldRooms) -> FarmInFull:
    """One farm with its enclosures, as far as the caller may read them."""
    reach = asking.reach()
    found = await rooms.inventory.farm(asking.tenant, farm, reach)
    inside = await long_page(
        lambda cursor, limit: rooms.inventory.enclosures(asking.tenant, farm, cursor, limit, reach), None, PLACES_MAX
    )
    response.headers.update(etag(found.version))
    return FarmInFull(
        **_shown(found).model_dump(), enclosures=[enclosure_shown(enclosure) for enclosure in inside.items]
    )


@router.patch("/{farm}")
async def change(
    farm: FarmKey,
    asked: FarmAsked,
    response: Response,
    asking: HeldAsking,
    rooms: HeldRooms,
    if_match: IfMatch = None,
) -> FarmShown:
    """Another name."""
    asking.may(Operation.ADMINISTER, Place(tenant=asking.tenant, farm=farm))
    was = await rooms.inventory.farm(asking.tenant, farm)
    async with rooms.database.transaction() as tx:
        renamed = await rooms.inventory.rename_farm(tx, asking.tenant, farm, asked.name, version_of(if_match))
        asking.tells(before={"name": was.name}, after={"name": renamed.name})
    response.headers.update(etag(renamed.version))
    return _shown(renamed)


@router.delete("/{farm}", status_code=204)
async def delete(farm: FarmKey, asking: HeldAsking, rooms: HeldRooms, if_match: IfMatch = None) -> None:
    """Deletes a farm that has no enclosure any more."""
    asking.may(Operation.ADMINISTER, Place(tenant=asking.tenant, farm=farm))
    asking.tells(before={"name": (await rooms.inventory.farm(asking.tenant, farm)).name})
    async with rooms.database.transaction() as tx:
        await rooms.inventory.delete_farm(tx, asking.tenant, farm, version_of(if_match))


def _shown(farm: Farm) -> FarmShown:
    return FarmShown(id=farm.id, name=farm.name, created_at=farm.created_at, version=farm.version)
