"""Contacts: the people who are told of alerts, and the ways to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from shoal.access.policy import Operation
from shoal.api.access import ContactKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.paging import IfMatch, Listed, etag, version_of
from shoal.errors import Conflict
from shoal.notifications.channel import EMAIL
from shoal.notifications.contact import METHODS_MAX, Contact
from shoal.notifications.store import Notification

router = APIRouter(prefix="/contacts", tags=["alerts"])

# More than any of them may have: how much that is, the room says.
CHARACTERS_MAX: Final = 500


class MethodAsked(BaseModel):
    """A way to somebody: `channel` is email, webhook or dashboard; `address` a mail address or a webhook's id."""

    channel: str = Field(max_length=CHARACTERS_MAX)
    address: str = Field("", max_length=CHARACTERS_MAX)


Methods = Annotated[list[MethodAsked], Field(max_length=METHODS_MAX)]


class ContactAsked(BaseModel):
    """`methods` in the order in which they are used: the next one when one fails. `email` is short for one by mail.

    `min_severity`: where everybody is told, they are not told of what is less bad than this.
    """

    name: str = Field(max_length=CHARACTERS_MAX)
    methods: Methods = []
    email: str | None = Field(None, max_length=CHARACTERS_MAX)
    min_severity: str = Field("warning", max_length=CHARACTERS_MAX)


class ContactChange(BaseModel):
    """What is left out stays as it is."""

    name: str | None = Field(None, max_length=CHARACTERS_MAX)
    methods: Methods | None = None
    min_severity: str | None = Field(None, max_length=CHARACTERS_MAX)


class MethodShown(BaseModel):
    """`delivered_at`, `failed_at`: of the last message that arrived there, and of the last that never will."""

    channel: str
    address: str
    delivered_at: datetime | None
    failed_at: datetime | None
    failure: str


class ContactShown(BaseModel):
    id: str
    name: str
    methods: list[MethodShown]
    min_severity: str
    version: int


class TestShown(BaseModel):
    """A test message. The contact and the channel tell what became of it."""

    id: str
    channel: str
    state: str
    detail: str


@router.post("", status_code=201)
async def create(asked: ContactAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> ContactShown:
    """A person who can be told of alerts from now on."""
    asking.may(Operation.ADMINISTER)
    asking.tells(after=asked.model_dump(mode="json", exclude_none=True))
    methods = _pairs(asked.methods) + ([(EMAIL, asked.email)] if asked.email is not None else [])
    contact = await rooms.contacts.add(asking.tenant, asked.name, methods, asked.min_severity)
    response.headers["Location"] = f"/api/v1/contacts/{contact.id}"
    return _shown(contact, response)


@router.get("")
async def several(asking: HeldAsking, rooms: HeldRooms) -> Listed[ContactShown]:
    """All contacts, by name."""
    asking.may(Operation.READ)
    return Listed(items=[_shown(contact) for contact in await rooms.contacts.all(asking.tenant)])


@router.get("/{contact}")
async def one(contact: ContactKey, response: Response, asking: HeldAsking, rooms: HeldRooms) -> ContactShown:
    """One contact."""
    asking.may(Operation.READ)
    return _shown(await rooms.contacts.one(asking.tenant, contact), response)


@router.patch("/{contact}")
async def change(
    contact: ContactKey,
    asked: ContactChange,
    response: Response,
    asking: HeldAsking,
    rooms: HeldRooms,
    if_match: IfMatch = None,
) -> ContactShown:
    """Another name, other ways or another severity. Mails that wait go to the new address."""
    asking.may(Operation.ADMINISTER)
    was = await rooms.contacts.one(asking.tenant, contact)
    asking.tells(before=_told(was), after=asked.model_dump(mode="json", exclude_none=True))
    changed = await rooms.contacts.change(
        asking.tenant,
        contact,
        name=asked.name,
        methods=None if asked.methods is None else _pairs(asked.methods),
        min_severity=asked.min_severity,
        if_version=version_of(if_match),
    )
    return _shown(changed, response)


@router.delete("/{contact}", status_code=204)
async def delete(contact: ContactKey, asking: HeldAsking, rooms: HeldRooms, if_match: IfMatch = None) -> None:
    """Forgets a person, if no escalation policy needs them."""
    asking.may(Operation.ADMINISTER)
    asking.tells(before=_told(await rooms.contacts.one(asking.tenant, contact)))
    for policy in await rooms.policies.all(asking.tenant):
        if any(contact in step.contacts for step in policy.steps):
            raise Conflict(contact, f"the policy {policy.name} tells them: change it first", policy=policy.id)
    await rooms.contacts.remove(asking.tenant, contact, version_of(if_match))


@router.post("/{contact}:test", status_code=202)
async def send_test(contact: ContactKey, asking: HeldAsking, rooms: HeldRooms) -> Listed[TestShown]:
    """Sends a test message by each of their ways."""
    asking.may(Operation.ADMINISTER)
    person = await rooms.contacts.one(asking.tenant, contact)
    return tests_shown(await rooms.notifications.send_test(asking.tenant, person.methods, person.id))


def tests_shown(laid: Sequence[Notification]) -> Listed[TestShown]:
    """Test messages that were laid into the outbox."""
    return Listed(
        items=[TestShown(id=each.id, channel=each.channel, state=each.state.value, detail=each.note) for each in laid]
    )


def _told(contact: Contact) -> dict[str, Any]:
    """What people edit of it, for the audit log."""
    return {
        "name": contact.name,
        "methods": [{"channel": method.channel, "address": method.address} for method in contact.methods],
        "min_severity": contact.min_severity.value,
    }


def _pairs(methods: Sequence[MethodAsked]) -> list[tuple[str, str]]:
    return [(method.channel, method.address) for method in methods]


def _shown(contact: Contact, response: Response | None = None) -> ContactShown:
    if response is not None:
        response.headers.update(etag(contact.version))
    return ContactShown(
        id=contact.id,
        name=contact.name,
        methods=[
            MethodShown(
                channel=method.channel,
                address=method.address,
                delivered_at=method.delivered_at,
                failed_at=method.failed_at,
                failure=method.failure,
            )
            for method in contact.methods
        ],
        min_severity=contact.min_severity.value,
        version=contact.version,
    )
