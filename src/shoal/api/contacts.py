"""Contacts: the people who are told of alerts."""

from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from shoal.access.policy import Operation
from shoal.api.access import ContactKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.paging import Listed
from shoal.notifications.contact import Contact

router = APIRouter(prefix="/contacts", tags=["alerts"])

# More than any of them may have: how much that is, the room says.
CHARACTERS_MAX: Final = 500


class ContactAsked(BaseModel):
    """`min_severity`: what is less bad than this is not told to them."""

    name: str = Field(max_length=CHARACTERS_MAX)
    email: str = Field(max_length=CHARACTERS_MAX)
    min_severity: str = Field("warning", max_length=CHARACTERS_MAX)


class ContactChange(BaseModel):
    """What is left out stays as it is."""

    name: str | None = Field(None, max_length=CHARACTERS_MAX)
    email: str | None = Field(None, max_length=CHARACTERS_MAX)
    min_severity: str | None = Field(None, max_length=CHARACTERS_MAX)


class ContactShown(BaseModel):
    id: str
    name: str
    email: str
    min_severity: str


class TestShown(BaseModel):
    """A test message. `state` tells what became of it once the mail server was asked."""

    id: str
    state: str
    detail: str


@router.post("", status_code=201)
async def create(asked: ContactAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> ContactShown:
    """A person who is told of alerts from now on."""
    asking.may(Operation.ADMINISTER)
    asking.tells(after=asked.model_dump(exclude_none=True))
    contact = await rooms.notifications.add_contact(asking.tenant, asked.name, asked.email, asked.min_severity)
    response.headers["Location"] = f"/api/v1/contacts/{contact.id}"
    return _shown(contact)


@router.get("")
async def several(asking: HeldAsking, rooms: HeldRooms) -> Listed[ContactShown]:
    """All contacts, by name."""
    asking.may(Operation.READ)
    return Listed(items=[_shown(contact) for contact in await rooms.notifications.contacts(asking.tenant)])


@router.get("/{contact}")
async def one(contact: ContactKey, asking: HeldAsking, rooms: HeldRooms) -> ContactShown:
    """One contact."""
    asking.may(Operation.READ)
    return _shown(await rooms.notifications.contact(asking.tenant, contact))


@router.patch("/{contact}")
async def change(contact: ContactKey, asked: ContactChange, asking: HeldAsking, rooms: HeldRooms) -> ContactShown:
    """Another name, address or severity. Messages that wait go to the new address."""
    asking.may(Operation.ADMINISTER)
    was = _shown(await rooms.notifications.contact(asking.tenant, contact))
    asking.tells(before=was.model_dump(), after=asked.model_dump(exclude_none=True))
    changed = await rooms.notifications.change_contact(
        asking.tenant, contact, name=asked.name, email=asked.email, min_severity=asked.min_severity
    )
    return _shown(changed)


@router.delete("/{contact}", status_code=204)
async def delete(contact: ContactKey, asking: HeldAsking, rooms: HeldRooms) -> None:
    """Forgets a person."""
    asking.may(Operation.ADMINISTER)
    was = _shown(await rooms.notifications.contact(asking.tenant, contact))
    asking.tells(before=was.model_dump(exclude={"id"}))
    await rooms.notifications.remove_contact(asking.tenant, contact)


@router.post("/{contact}:test", status_code=202)
async def send_test(contact: ContactKey, asking: HeldAsking, rooms: HeldRooms) -> TestShown:
    """Sends a test message."""
    asking.may(Operation.ADMINISTER)
    laid = await rooms.notifications.send_test(asking.tenant, contact)
    return TestShown(id=laid.id, state=laid.state.value, detail=laid.note)


def _shown(contact: Contact) -> ContactShown:
    return ContactShown(id=contact.id, name=contact.name, email=contact.email, min_severity=contact.min_severity.value)
