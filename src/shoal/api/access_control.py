"""What other servers of a device may do there: as policies want it, and as the device has it (object 2)."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel

from shoal.access.policy import OTHER_SERVERS, Operation
from shoal.access.sentence import sentence_of
from shoal.api.access import Asking, DeviceKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.names import Named, named_in
from shoal.lwm2m.path import Path
from shoal.sharing import store
from shoal.sharing.rights import OTHERS, effective, operations_of, ours
from shoal.sharing.shared import Phase, Shared
from shoal.sharing.standing import Standing, State, standings

router = APIRouter(prefix="/devices/{device}/access-control", tags=["access"])


class RightsShown(BaseModel):
    """What one server may there: by its short id, or `*` for all that have no entry of their own."""

    server: str
    wanted: list[Operation]
    found: list[Operation]


class UnsaidShown(BaseModel):
    """A policy about less than an object instance: it grants nothing there, or denies all of the instance."""

    policy: str
    says: str


class ControlShown(BaseModel):
    """`path` is an object instance, or an object for the right to create instances of it.

    `state` is as-wanted, left (no policy speaks of other servers there, all is as bootstrap left it), waiting (for the
    device), refused (with the device's `code`), ignored (it took the change and shows something else), foreign (another
    server owns it), bootstrap (only a bootstrap server may change it), or unknown. `owner` is the short id of the server
    that may change it, 65535 for bootstrap; null without a list. `ours` is what we may ourselves.
    """

    path: str
    state: State
    drift: bool
    code: str | None
    reason: str
    owner: int | None
    ours: list[Operation]
    rights: list[RightsShown]
    unsaid: list[UnsaidShown]


class AccessControlShown(BaseModel):
    """`shared` is false of a device with one server, or without object 2: then nothing else is said.

    `own` is our short id on the device, null when that cannot be told; `servers` are those that it shows us, which may be
    ours alone. `ruled`: policies say what they may. `problem` is why the device's rights could not be read or told.
    """

    shared: bool
    own: int | None = None
    servers: list[int] = []
    ruled: bool = False
    settled: bool = True
    since: datetime | None = None
    problem: str = ""
    drift: bool = False
    controls: list[ControlShown] = []


@router.get("")
async def access_control(device: DeviceKey, asking: HeldAsking, rooms: HeldRooms) -> AccessControlShown:
    """What other servers of a device may do there, wanted and found; only of what the caller may read."""
    place = (await rooms.inventory.device(asking.tenant, device)).place
    asking.may(Operation.READ, place)
    shared = await store.one(rooms.database, asking.tenant, device)
    if shared is None:
        return AccessControlShown(shared=False)
    known = [one for one in standings(shared, asking.policies) if asking.can(Operation.READ, place, _path(one))]
    names = await named_in(rooms, asking.tenant, [policy for one in known for policy in one.unsaid])
    return AccessControlShown(
        shared=True,
        own=shared.own,
        servers=sorted(set(shared.short_ids.values())),
        ruled=shared.is_ruled or bool(asking.policies.about_servers(shared.place)),
        settled=shared.phase is Phase.SETTLED,
        since=shared.since,
        problem=shared.problem,
        drift=any(one.has_drifted for one in known),
        controls=[_shown(one, shared, names, asking) for one in known],
    )


def _path(standing: Standing) -> Path:
    return Path(*standing.target.numbers)


def _shown(standing: Standing, shared: Shared, names: Named, asking: Asking) -> ControlShown:
    found = standing.found or {}
    servers = {OTHERS, *standing.wanted, *found, *shared.short_ids.values()} - {shared.own}
    # Policies are for administrators to read; to all others it is enough that there are some.
    may_see = asking.can(Operation.ADMINISTER)
    return ControlShown(
        path=str(standing.target),
        state=standing.state,
        drift=standing.has_drifted,
        code=standing.code,
        reason=standing.reason,
        owner=standing.owner,
        ours=[] if shared.own is None else operations_of(ours(found, shared.own, standing.owner, standing.target)),
        rights=[
            RightsShown(
                server=OTHER_SERVERS.id if server == OTHERS else str(server),
                wanted=operations_of(effective(standing.wanted, server) & standing.target.bits),
                found=operations_of(effective(found, server) & standing.target.bits),
            )
            for server in sorted(servers)
        ],
        unsaid=[
            UnsaidShown(policy=policy.id, says=sentence_of(policy, names.names))
            for policy in (standing.unsaid if may_see else ())
        ],
    )
