"""The audit log: who changed what, from where, and what it was before."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from shoal.access.policy import Operation
from shoal.api.access import HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.history import moment_of
from shoal.api.paging import Cursor, Listed
from shoal.audit.store import ENTRIES_MAX
from shoal.errors import Rejected
from shoal.inventory.paging import cursor_after

router = APIRouter(prefix="/audit", tags=["access"])

Word = Annotated[str | None, Query(max_length=40)]


class EntryShown(BaseModel):
    """`by` is a person (usr-...) or a token (tok-...), with the name of then; `before` and `after` what people edit.

    `action` is create, change, set, delete, log-in, or the word behind the colon of a path; `resource` the kind of thing
    as it stands in paths, and `thing` its id.
    """

    id: str
    at: datetime
    by: str
    by_name: str
    address: str
    action: str
    resource: str
    thing: str | None
    path: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@router.get("")
async def several(
    asking: HeldAsking,
    rooms: HeldRooms,
    by: Word = None,
    thing: Word = None,
    resource: Word = None,
    action: Word = None,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=ENTRIES_MAX)] = 50,
) -> Listed[EntryShown]:
    """Every change through the API, newest first. For administrators."""
    asking.may(Operation.ADMINISTER)
    found = await rooms.audit.entries(
        asking.tenant,
        by=by,
        thing=thing,
        resource=resource,
        action=action,
        since=since,
        until=until,
        before=_place_of(cursor),
        limit=limit,
    )
    return Listed(
        items=[
            EntryShown(
                id=str(entry.id),
                at=entry.at,
                by=entry.by,
                by_name=entry.by_name,
                address=entry.address,
                action=entry.act.action,
                resource=entry.act.resource,
                thing=entry.act.thing,
                path=entry.act.path,
                before=None if entry.before is None else dict(entry.before),
                after=None if entry.after is None else dict(entry.after),
            )
            for entry in found
        ],
        next=cursor_after(found[-1].at.isoformat(), str(found[-1].id)) if len(found) == limit else None,
    )


def _place_of(cursor: str | None) -> tuple[datetime, int] | None:
    place = moment_of(cursor)
    if place is None:
        return None
    at, number = place
    if not number.isdecimal() or len(number) > 18:
        raise Rejected("cursor", "not one of ours")
    return at, int(number)
