"""Profiles: what to expect of a device and what to ask of it, by the kind of device it is."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from shoal.access.policy import Operation
from shoal.api.access import HeldAsking, ProfileKey
from shoal.api.context import HeldRooms, Rooms
from shoal.api.paging import Listed
from shoal.errors import NotFound
from shoal.ids import Prefix, TenantId, parse_id
from shoal.inventory.place import NAME_CHARACTERS_MAX
from shoal.inventory.profile import (
    ACK_TIMEOUT_S,
    AWAKE_WINDOW_S,
    MAX_RETRANSMIT,
    PATHS_MAX,
    RANDOM_FACTOR,
    Observe,
    Profile,
    ProfileId,
    ProfileSettings,
)

router = APIRouter(prefix="/profiles", tags=["profiles"])

# `/65534/*/65534/65534`, the longest that a path may be.
PathText = Annotated[str, Field(max_length=24)]


class ObserveAsked(BaseModel):
    """A path, `*` for every instance, and the attributes as a query: `pmin=10&pmax=60`."""

    path: PathText
    attributes: str = Field("", max_length=200)


class SettingsShown(BaseModel):
    report_every_s: float
    lifetime_s: int
    observe: list[ObserveAsked] = Field([], max_length=PATHS_MAX)
    read: list[PathText] = Field([], max_length=PATHS_MAX)
    grace_s: float | None = Field(None, description="null follows the lifetime")
    awake_window_s: float = AWAKE_WINDOW_S
    ack_timeout_s: float = ACK_TIMEOUT_S
    random_factor: float = RANDOM_FACTOR
    max_retransmit: int = MAX_RETRANSMIT
    samples: int = 3
    battery_warning: float = 25
    battery_high: float = 10


class ProfileAsked(SettingsShown):
    name: str = Field(max_length=2 * NAME_CHARACTERS_MAX)


class ProfileShown(SettingsShown):
    """`key` names those that every tenant has from the start."""

    id: str
    key: str | None
    name: str
    created_at: datetime


@router.post("", status_code=201)
async def create(asked: ProfileAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> ProfileShown:
    """A profile of the tenant's own."""
    asking.may(Operation.ADMINISTER)
    settings = ProfileSettings(
        **asked.model_dump(exclude={"name", "observe", "read"}),
        observe=tuple(Observe(intent.path, intent.attributes) for intent in asked.observe),
        read=tuple(asked.read),
    )
    async with rooms.database.transaction() as tx:
        profile = await rooms.inventory.create_profile(tx, asking.tenant, asked.name, settings)
        asking.tells(profile.id, after=asked.model_dump(mode="json", exclude_unset=True))
    response.headers["Location"] = f"/api/v1/profiles/{profile.id}"
    return _shown(profile)


@router.get("")
async def several(asking: HeldAsking, rooms: HeldRooms) -> Listed[ProfileShown]:
    """All profiles of the tenant, by name."""
    asking.reach()
    return Listed(items=[_shown(profile) for profile in await rooms.inventory.profiles(asking.tenant)])


@router.get("/{profile}")
async def one(profile: ProfileKey, asking: HeldAsking, rooms: HeldRooms) -> ProfileShown:
    """One profile."""
    asking.reach()
    return _shown(await rooms.inventory.profile(asking.tenant, profile))


async def profile_named(rooms: Rooms, tenant: TenantId, said: str | None) -> ProfileId | None:
    """The profile that somebody means by its id, or by the key or the name that the tenant has it under.

    Raises:
        MistypedId: looks like an id, and is none.
        NotFound: the tenant has no such profile.
    """
    if said is None:
        return None
    if said.lower().startswith(f"{Prefix.PROFILE.value}-"):
        return ProfileId(parse_id(said, Prefix.PROFILE))
    for profile in await rooms.inventory.profiles(tenant):
        if said in {profile.key, profile.name}:
            return profile.id
    raise NotFound("profile", f"there is none of the name {said[:40]!r}")


def _shown(profile: Profile) -> ProfileShown:
    settings = msgspec.structs.asdict(profile.settings)
    return ProfileShown(
        id=profile.id,
        key=profile.key,
        name=profile.name,
        created_at=profile.created_at,
        **settings
        | {
            "observe": [ObserveAsked(path=o.path, attributes=o.attributes) for o in profile.settings.observe],
            "read": list(profile.settings.read),
        },
    )
