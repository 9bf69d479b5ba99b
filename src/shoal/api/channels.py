"""Channels: what carries messages to people. Mail and the dashboard are there; webhooks are set up here."""

from datetime import datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from shoal.access.policy import Operation
from shoal.api.access import Asking, ChannelKey, HeldAsking
from shoal.api.contacts import CHARACTERS_MAX, TestShown, tests_shown
from shoal.api.context import HeldRooms
from shoal.api.paging import IfMatch, Listed, etag, version_of
from shoal.notifications.channel import DASHBOARD, EMAIL, WEBHOOK
from shoal.notifications.channel_store import Webhook
from shoal.notifications.contact import Method, parse_email
from shoal.notifications.outbound import URL_CHARACTERS_MAX
from shoal.notifications.store import Notification

router = APIRouter(prefix="/channels", tags=["alerts"])

_SIGNED: Final = "signs what it gets (header Shoal-Signature); shown this once"


class ChannelAsked(BaseModel):
    """A webhook: alerts are posted to `url` as CloudEvents, signed."""

    kind: Literal["webhook"] = "webhook"
    name: str = Field(max_length=CHARACTERS_MAX)
    url: str = Field(max_length=2 * URL_CHARACTERS_MAX)


class ChannelChange(BaseModel):
    """What is left out stays as it is."""

    name: str | None = Field(None, max_length=CHARACTERS_MAX)
    url: str | None = Field(None, max_length=2 * URL_CHARACTERS_MAX)


class TestAsked(BaseModel):
    """Where a test by mail goes."""

    address: str = Field(max_length=CHARACTERS_MAX)


class LatestShown(BaseModel):
    """The newest message that went there: `state` is waiting, leased, calling, accepted, failed or dropped."""

    about: str
    state: str
    at: datetime
    detail: str


class ChannelShown(BaseModel):
    """`id` is `email`, `dashboard`, or a webhook's own. `is_ready`: whether it can carry anything now."""

    id: str
    kind: str
    name: str
    url: str | None = None
    is_ready: bool = True
    says: str = ""
    latest: LatestShown | None = None
    version: int = 0


class ChannelMade(ChannelShown):
    secret: str = Field(description=_SIGNED)


@router.post("", status_code=201)
async def create(asked: ChannelAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> ChannelMade:
    """A webhook, with the secret that signs what it gets."""
    asking.may(Operation.ADMINISTER)
    asking.tells(after=asked.model_dump())
    webhook, secret = await rooms.channels.add(asking.tenant, asked.name, asked.url)
    response.headers["Location"] = f"/api/v1/channels/{webhook.id}"
    return ChannelMade(**_shown(webhook, None, response).model_dump(), secret=secret)


@router.get("")
async def several(asking: HeldAsking, rooms: HeldRooms) -> Listed[ChannelShown]:
    """All channels: mail, the dashboard, and the webhooks by name."""
    asking.may(Operation.READ)
    webhooks = await rooms.channels.all(asking.tenant)
    latest = await rooms.notifications.latest(asking.tenant, [webhook.id for webhook in webhooks])
    server = rooms.mail_server
    mail = ChannelShown(
        id=EMAIL,
        kind=EMAIL,
        name="Mail",
        is_ready=server is not None,
        says="No mail server is configured; mails wait" if server is None else f"By {server}",
    )
    dashboard = ChannelShown(id=DASHBOARD, kind=DASHBOARD, name="Dashboard", says="Whoever looks at the alerts sees it")
    shown = [_for(asking, _shown(webhook, latest.get(webhook.id))) for webhook in webhooks]
    return Listed(items=[mail, dashboard, *shown])


@router.get("/{channel}")
async def one(channel: ChannelKey, response: Response, asking: HeldAsking, rooms: HeldRooms) -> ChannelShown:
    """One webhook."""
    asking.may(Operation.READ)
    webhook = await rooms.channels.one(asking.tenant, channel)
    latest = await rooms.notifications.latest(asking.tenant, [channel])
    return _for(asking, _shown(webhook, latest.get(channel), response))


@router.patch("/{channel}")
async def change(
    channel: ChannelKey,
    asked: ChannelChange,
    response: Response,
    asking: HeldAsking,
    rooms: HeldRooms,
    if_match: IfMatch = None,
) -> ChannelShown:
    """Another name or URL. What waits goes to the new one."""
    asking.may(Operation.ADMINISTER)
    was = await rooms.channels.one(asking.tenant, channel)
    asking.tells(before={"name": was.name, "url": was.url}, after=asked.model_dump(exclude_none=True))
    changed = await rooms.channels.change(
        asking.tenant, channel, name=asked.name, url=asked.url, if_version=version_of(if_match)
    )
    return _shown(changed, None, response)


@router.post("/{channel}:rotate")
async def rotate(
    channel: ChannelKey, response: Response, asking: HeldAsking, rooms: HeldRooms, if_match: IfMatch = None
) -> ChannelMade:
    """A new secret; the old one signs nothing any more."""
    asking.may(Operation.ADMINISTER)
    webhook, secret = await rooms.channels.rotate(asking.tenant, channel, version_of(if_match))
    return ChannelMade(**_shown(webhook, None, response).model_dump(), secret=secret)


@router.delete("/{channel}", status_code=204)
async def delete(channel: ChannelKey, asking: HeldAsking, rooms: HeldRooms, if_match: IfMatch = None) -> None:
    """Forgets a webhook that nobody is reached by any more."""
    asking.may(Operation.ADMINISTER)
    was = await rooms.channels.one(asking.tenant, channel)
    asking.tells(before={"name": was.name, "url": was.url})
    await rooms.channels.remove(asking.tenant, channel, version_of(if_match))


@router.post("/email:test", status_code=202)
async def test_mail(asked: TestAsked, asking: HeldAsking, rooms: HeldRooms) -> Listed[TestShown]:
    """Sends a test by mail to an address."""
    asking.may(Operation.ADMINISTER)
    way = Method(channel=EMAIL, address=parse_email(asked.address))
    return tests_shown(await rooms.notifications.send_test(asking.tenant, [way]))


@router.post("/{channel}:test", status_code=202)
async def test_webhook(channel: ChannelKey, asking: HeldAsking, rooms: HeldRooms) -> Listed[TestShown]:
    """Sends a test to a webhook."""
    asking.may(Operation.ADMINISTER)
    await rooms.channels.one(asking.tenant, channel)
    way = Method(channel=WEBHOOK, address=channel)
    return tests_shown(await rooms.notifications.send_test(asking.tenant, [way]))


def _shown(webhook: Webhook, latest: Notification | None, response: Response | None = None) -> ChannelShown:
    if response is not None:
        response.headers.update(etag(webhook.version))
    return ChannelShown(
        id=webhook.id,
        kind=WEBHOOK,
        name=webhook.name,
        url=webhook.url,
        latest=None if latest is None else _latest(latest),
        version=webhook.version,
    )


def _for(asking: Asking, shown: ChannelShown) -> ChannelShown:
    """With the whole URL for those who may change it: its path is often all that a caller has to know to be let in."""
    if shown.url is None or asking.can(Operation.ADMINISTER):
        return shown
    parts = urlsplit(shown.url)
    return shown.model_copy(update={"url": f"{parts.scheme}://{parts.netloc}/…"})


def _latest(message: Notification) -> LatestShown:
    return LatestShown(about=message.about, state=message.state.value, at=message.changed_at, detail=message.note)
