"""What every change of people and policies has to leave behind: somebody who can administer, and places that there are."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import Field

from shoal.access.decision import Place
from shoal.api.access import Asking
from shoal.api.context import NamingRooms, Rooms
from shoal.errors import Conflict, NotFound
from shoal.identity.user import parse_places
from shoal.ids import EnclosureId, FarmId, TenantId
from shoal.policies.reckoning import administrators
from shoal.storage.database import Transaction

PlaceText: TypeAlias = Annotated[str, Field(max_length=16)]


async def check_administered(rooms: Rooms, tx: Transaction, asking: Asking) -> None:
    """Nothing when, with what this transaction changes, people can still administer the tenant, the caller among them.

    Raises:
        Conflict: nobody could, or the caller no more; another administrator can do that.
    """
    people = [user.subject for user in await rooms.identity.people(tx, asking.tenant)]
    left = administrators(await rooms.access.inside(tx, asking.tenant), people)
    user = asking.authenticated.user
    # Where only services ever administered, there is no person to lose.
    if not left and (user is not None or administrators(asking.policies, people)):
        raise Conflict("administrator", "nobody could administer the tenant any more")
    if user is not None and user.id not in left:
        raise Conflict("administrator", "you would lock yourself out; another administrator can do this")


async def own_places(rooms: Rooms, tenant: TenantId, raw: Sequence[str]) -> tuple[str, ...]:
    """The farms and enclosures of these ids.

    Raises:
        Rejected: not the id of a farm or an enclosure, or too many.
        NotFound: one of them is not there.
    """
    places = parse_places(raw)
    known = await places_of(rooms, tenant, places)
    for id_ in places:
        if id_ not in known:
            raise NotFound(id_, "no such place")
    return places


async def places_of(rooms: NamingRooms, tenant: TenantId, ids: Sequence[str]) -> dict[str, Place]:
    """Where the farms and enclosures of these ids are, those that the tenant has."""
    farms = [FarmId(id_) for id_ in ids if id_.startswith("frm-")]
    inside = [EnclosureId(id_) for id_ in ids if id_.startswith("enc-")]
    found = {str(tenant): Place(tenant=tenant)}
    if farms:
        found.update((id_, Place(tenant=tenant, farm=id_)) for id_ in await rooms.inventory.farms_for(tenant, farms))
    if inside:
        for id_, enclosure in (await rooms.inventory.enclosures_for(tenant, inside)).items():
            found[id_] = Place(tenant=tenant, farm=enclosure.farm, enclosure=id_)
    return found
