"""What people write down about who is told, passed on to the API; the API decides what makes sense."""

from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, JsonValue

from shoal.bff.context import HeldApi, WritingLogin

router = APIRouter(prefix="/bff/actions")

# More than any of them may have: how much that is, the API says.
CHARACTERS_MAX: Final = 2_000
ITEMS_MAX: Final = 200  # the longest list is that of all policies

_Text = Annotated[str, Field(max_length=CHARACTERS_MAX)]
_Texts = Annotated[list[_Text], Field(max_length=ITEMS_MAX)]
# The version that the page has read: whoever changed it since is not overwritten.
_Seen = Annotated[int, Query(ge=0)]


class StepWritten(BaseModel):
    after_s: int
    contacts: _Texts
    channels: _Texts = []
    at_once: bool = False


class PolicyWritten(BaseModel):
    name: _Text
    steps: Annotated[list[StepWritten], Field(max_length=ITEMS_MAX)]
    severities: _Texts = []
    places: _Texts = []
    acknowledge_s: int | None = None
    resolve_s: int | None = None
    repeat: int = 0
    repeat_every_s: int | None = None


class MethodWritten(BaseModel):
    channel: _Text
    address: _Text = ""


class ContactWritten(BaseModel):
    name: _Text
    min_severity: _Text
    methods: Annotated[list[MethodWritten], Field(max_length=ITEMS_MAX)]


class ChannelWritten(BaseModel):
    name: _Text
    url: _Text


class OrderWritten(BaseModel):
    policies: _Texts


class TestWritten(BaseModel):
    """`address` only where the channel is mail."""

    address: _Text = ""


class Written(BaseModel):
    """What was made or changed. `secret` signs what a webhook gets, and is shown this once."""

    id: str
    secret: str = ""


@router.post("/policies")
async def add_policy(policy: PolicyWritten, api: HeldApi, _: WritingLogin) -> Written:
    """A policy that is asked after all others but the default."""
    return Written(id=(await api.write_policy(None, _body(policy))).id)


@router.post("/policies/order", status_code=204)
async def order_policies(order: OrderWritten, api: HeldApi, _: WritingLogin) -> None:
    """In which order policies are asked."""
    await api.order_policies(order.policies)


@router.put("/policies/{policy_id}")
async def change_policy(policy_id: str, policy: PolicyWritten, seen: _Seen, api: HeldApi, _: WritingLogin) -> Written:
    """Changes a policy. Open alerts keep what they opened under."""
    return Written(id=(await api.write_policy(policy_id, _body(policy), seen)).id)


@router.delete("/policies/{policy_id}", status_code=204)
async def remove_policy(policy_id: str, seen: _Seen, api: HeldApi, _: WritingLogin) -> None:
    """Forgets a policy."""
    await api.remove_policy(policy_id, seen)


@router.post("/contacts")
async def add_contact(contact: ContactWritten, api: HeldApi, _: WritingLogin) -> Written:
    """Somebody who can be told."""
    return Written(id=(await api.write_contact(None, _body(contact))).id)


@router.put("/contacts/{contact_id}")
async def change_contact(
    contact_id: str, contact: ContactWritten, seen: _Seen, api: HeldApi, _: WritingLogin
) -> Written:
    """Changes how somebody is reached."""
    return Written(id=(await api.write_contact(contact_id, _body(contact), seen)).id)


@router.delete("/contacts/{contact_id}", status_code=204)
async def remove_contact(contact_id: str, seen: _Seen, api: HeldApi, _: WritingLogin) -> None:
    """Forgets somebody."""
    await api.remove_contact(contact_id, seen)


@router.post("/contacts/{contact_id}/test", status_code=204)
async def try_contact(contact_id: str, api: HeldApi, _: WritingLogin) -> None:
    """Sends a test by each way to somebody."""
    await api.test_contact(contact_id)


@router.post("/channels")
async def add_channel(channel: ChannelWritten, api: HeldApi, _: WritingLogin) -> Written:
    """A webhook."""
    made = await api.write_channel(None, {"kind": "webhook", **_body(channel)})
    return Written(id=made.id, secret=made.secret)


@router.put("/channels/{channel_id}")
async def change_channel(
    channel_id: str, channel: ChannelWritten, seen: _Seen, api: HeldApi, _: WritingLogin
) -> Written:
    """Changes where a webhook goes."""
    return Written(id=(await api.write_channel(channel_id, _body(channel), seen)).id)


@router.delete("/channels/{channel_id}", status_code=204)
async def remove_channel(channel_id: str, seen: _Seen, api: HeldApi, _: WritingLogin) -> None:
    """Forgets a webhook."""
    await api.remove_channel(channel_id, seen)


@router.post("/channels/{channel_id}/rotate")
async def rotate_channel(channel_id: str, seen: _Seen, api: HeldApi, _: WritingLogin) -> Written:
    """A new secret."""
    made = await api.rotate_channel(channel_id, seen)
    return Written(id=made.id, secret=made.secret)


@router.post("/channels/{channel_id}/test", status_code=204)
async def try_channel(channel_id: str, test: TestWritten, api: HeldApi, _: WritingLogin) -> None:
    """Sends a test by a channel."""
    await api.test_channel(channel_id, {"address": test.address} if test.address else {})


def _body(written: BaseModel) -> dict[str, JsonValue]:
    return written.model_dump(mode="json")
