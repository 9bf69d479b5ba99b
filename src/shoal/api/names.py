"""What people call the things that policies name: for sentences, and to see what is not there any more."""

from collections.abc import Iterable
from dataclasses import dataclass

from shoal.access.decision import Place
from shoal.access.policy import Policy
from shoal.api.administered import places_of
from shoal.api.context import NamingRooms
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId, TokenId, UserId
from shoal.inventory.paging import PAGE_ITEMS_MAX


@dataclass(frozen=True, slots=True)
class Named:
    """Names by id, and where places and devices are. What is in neither is gone."""

    names: dict[str, str]
    places: dict[str, Place]


async def named(rooms: NamingRooms, tenant: TenantId, ids: Iterable[str]) -> Named:
    """The names and places of some people, tokens, farms, enclosures and devices of a tenant."""
    found = Named({}, {tenant: Place(tenant=tenant)})
    wanted = sorted({id_ for id_ in ids if id_})
    for begin in range(0, len(wanted), PAGE_ITEMS_MAX):
        await _add(rooms, tenant, wanted[begin : begin + PAGE_ITEMS_MAX], found)
    return found


async def named_in(rooms: NamingRooms, tenant: TenantId, policies: Iterable[Policy]) -> Named:
    """The names of all that some policies name."""
    return await named(rooms, tenant, [id_ for policy in policies for id_ in (policy.place, policy.who.id)])


async def _add(rooms: NamingRooms, tenant: TenantId, ids: list[str], found: Named) -> None:
    def of(prefix: str) -> list[str]:
        return [id_ for id_ in ids if id_.startswith(prefix)]

    if users := of("usr-"):
        people = await rooms.identity.users_for(tenant, [UserId(id_) for id_ in users])
        found.names.update({id_: user.name for id_, user in people.items()})
    if tokens := of("tok-"):
        known = await rooms.identity.tokens_for(tenant, [TokenId(id_) for id_ in tokens])
        found.names.update({id_: token.name for id_, token in known.items()})
    if farms := of("frm-"):
        sites = await rooms.inventory.farms_for(tenant, [FarmId(id_) for id_ in farms])
        found.names.update({id_: farm.name for id_, farm in sites.items()})
    if inside := of("enc-"):
        pens = await rooms.inventory.enclosures_for(tenant, [EnclosureId(id_) for id_ in inside])
        found.names.update({id_: f"{pen.name}, {pen.farm_name}" for id_, pen in pens.items()})
    if devices := of("dev-"):
        things = await rooms.inventory.devices_for(tenant, [DeviceId(id_) for id_ in devices])
        found.names.update({id_: device.name for id_, device in things.items()})
        found.places.update({id_: device.place for id_, device in things.items()})
    found.places.update(await places_of(rooms, tenant, ids))
