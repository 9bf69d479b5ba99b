"""Alerts: the inbox, one alert in full, and what people do about it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from shoal.access.decision import Place
from shoal.access.policy import Operation
from shoal.alerting.alert import Alert, AlertState
from shoal.alerting.escalation import ahead
from shoal.alerting.store import ALERTS_PER_PAGE_MAX, NOTE_CHARACTERS_MAX, TimelineRow
from shoal.api.access import AlertKey, Asking, DeviceKey, EnclosureKey, FarmKey, HeldAsking
from shoal.api.context import HeldRooms, Rooms
from shoal.api.device_shown import VerdictShown, verdict_shown
from shoal.api.escalation import call_shown
from shoal.api.paging import Counted, Cursor
from shoal.events.severity import Severity
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId
from shoal.notifications.contact import Contact
from shoal.notifications.delivery import DeliveryState
from shoal.notifications.store import NOTIFICATIONS_PER_PAGE_MAX, Notification

router = APIRouter(prefix="/alerts", tags=["alerts"])

# Of each state there are as many as words.
WORDS_MAX: Final = 8

# What a message's own states mean to a reader. `sent`: the mail server took it; whether it was read nobody knows.
_TOLD: Final[Mapping[DeliveryState, str]] = {
    DeliveryState.WAITING: "waiting",
    DeliveryState.LEASED: "waiting",
    DeliveryState.CALLING: "waiting",
    DeliveryState.ACCEPTED: "sent",
    DeliveryState.FAILED: "failed",
    DeliveryState.DROPPED: "dropped",
}


class Noted(BaseModel):
    note: str = Field("", max_length=2 * NOTE_CHARACTERS_MAX)


class ToldShown(BaseModel):
    """Somebody was told, or a message waits. `about` is opened, withdrawn, acknowledged or resolved."""

    channel: str
    to: str
    about: str
    state: str
    at: datetime
    detail: str


class HappenedShown(BaseModel):
    id: str
    at: datetime
    kind: str
    says: str


class NextShown(BaseModel):
    """Who is told next if nobody takes it."""

    at: datetime
    to: list[str]
    channels: list[str]


class AlertShown(BaseModel):
    """An alert. `code` is what people say on the phone; `state` is open, acknowledged or resolved.

    `acknowledge_due`: somebody should have taken it by then; `taken_until`: if it is not resolved by then, it needs
    somebody again.
    """

    id: str
    code: str
    state: str
    severity: str
    headline: str
    condition: str
    instance: str
    farm: str | None
    farm_name: str | None
    enclosure: str | None
    enclosure_name: str | None
    device: str
    endpoint: str
    verdict: VerdictShown
    opened_at: datetime
    changed_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    acknowledge_due: datetime | None
    taken_until: datetime | None
    next: NextShown | None
    note: str
    resolved_at: datetime | None
    resolved_by: str | None
    reason: str


class AlertInFull(AlertShown):
    """With who was told, who is next (`ahead`) by which policy, as it was then, and all that happened, newest first."""

    policy: str | None
    policy_name: str | None
    told: list[ToldShown]
    ahead: list[NextShown]
    timeline: list[HappenedShown]


@router.get("")
async def several(
    asking: HeldAsking,
    rooms: HeldRooms,
    state: Annotated[list[AlertState] | None, Query(max_length=WORDS_MAX)] = None,
    severity: Annotated[list[Severity] | None, Query(max_length=WORDS_MAX)] = None,
    farm: Annotated[FarmKey | None, Query()] = None,
    enclosure: Annotated[EnclosureKey | None, Query()] = None,
    device: Annotated[DeviceKey | None, Query()] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=ALERTS_PER_PAGE_MAX)] = 50,
) -> Counted[AlertShown]:
    """Alerts, newest first. `total` counts all that match."""
    reach = asking.reach()
    states, severities = tuple(state or ()), tuple(severity or ())
    page = await rooms.alerts.list(
        asking.tenant,
        states=states,
        farm=farm,
        enclosure=enclosure,
        device=device,
        severities=severities,
        after=cursor,
        limit=limit,
        reach=reach,
    )
    total = await rooms.alerts.count(
        asking.tenant,
        states=states,
        farm=farm,
        enclosure=enclosure,
        device=device,
        severities=severities,
        reach=reach,
    )
    names = await _names(rooms, asking.tenant, page.items)
    people = await rooms.contacts.all(asking.tenant)
    items = [AlertShown(**_members(alert, names, people)) for alert in page.items]
    return Counted(items=items, next=page.next, total=total)


@router.get("/{alert}")
async def one(alert: AlertKey, asking: HeldAsking, rooms: HeldRooms) -> AlertInFull:
    """One alert in full."""
    found = await rooms.alerts.one(asking.tenant, alert)
    asking.may(Operation.READ, _place(found), thing=alert)
    return await _in_full(rooms, asking.tenant, found)


@router.post("/{alert}:acknowledge")
async def acknowledge(alert: AlertKey, noted: Noted, asking: HeldAsking, rooms: HeldRooms) -> AlertInFull:
    """The caller takes an alert: all who were told of it are told that, too."""
    await _may_act(rooms, asking, alert)
    asking.tells(after={"note": noted.note})
    taken = await rooms.alerts.acknowledge(asking.tenant, alert, asking.name, noted.note)
    return await _in_full(rooms, asking.tenant, taken)


@router.post("/{alert}:resolve")
async def resolve(alert: AlertKey, noted: Noted, asking: HeldAsking, rooms: HeldRooms) -> AlertInFull:
    """The caller says that it is over, whatever the device says."""
    await _may_act(rooms, asking, alert)
    asking.tells(after={"note": noted.note})
    done = await rooms.alerts.resolve(asking.tenant, alert, asking.name, noted.note)
    return await _in_full(rooms, asking.tenant, done)


async def _may_act(rooms: Rooms, asking: Asking, alert: str) -> None:
    asking.may(Operation.ACKNOWLEDGE, _place(await rooms.alerts.one(asking.tenant, alert)), thing=alert)


async def _in_full(rooms: Rooms, tenant: TenantId, alert: Alert) -> AlertInFull:
    names = await _names(rooms, tenant, [alert])
    rows = await rooms.alerts.timeline(tenant, alert.id)
    messages = await rooms.notifications.list(tenant, alert=alert.id, limit=NOTIFICATIONS_PER_PAGE_MAX)
    people = await rooms.contacts.all(tenant)
    called = {contact.id: contact.name for contact in people}
    happened = [_happened(number, row, alert) for number, row in enumerate(rows) if row.kind in _HAPPENED]
    # A message to nobody in particular is what the dashboard shows: this answer.
    sent = [message for message in messages if message.contact is not None]
    happened += [_failed(message, called) for message in sent if message.state is DeliveryState.FAILED]
    policy = alert.escalation.policy if alert.escalation else None
    return AlertInFull(
        **_members(alert, names, people),
        policy=None if policy is None else policy.id,
        policy_name=None if policy is None else policy.name,
        told=[_told(message, called) for message in sent],
        ahead=_ahead(alert, people),
        timeline=sorted(happened, key=lambda line: line.at)[::-1],
    )


async def _names(rooms: Rooms, tenant: TenantId, alerts: Iterable[Alert]) -> Mapping[str | None, str]:
    """The names of the farms and enclosures of some alerts, by id; those that are gone have none."""
    listed = list(alerts)
    farms = sorted({FarmId(alert.farm) for alert in listed if alert.farm})
    inside = sorted({EnclosureId(alert.enclosure) for alert in listed if alert.enclosure})
    names: dict[str | None, str] = {}
    if farms:
        names.update((id_, farm.name) for id_, farm in (await rooms.inventory.farms_for(tenant, farms)).items())
    if inside:
        found = await rooms.inventory.enclosures_for(tenant, inside)
        names.update((id_, enclosure.name) for id_, enclosure in found.items())
    return names


def _members(alert: Alert, names: Mapping[str | None, str], people: Sequence[Contact]) -> dict[str, Any]:
    frames = alert.escalation
    return {
        "id": alert.id,
        "code": alert.code,
        "state": alert.state.value,
        "severity": alert.severity.value,
        "headline": alert.headline,
        "condition": alert.condition,
        "instance": alert.instance,
        "farm": alert.farm,
        "farm_name": names.get(alert.farm),
        "enclosure": alert.enclosure,
        "enclosure_name": names.get(alert.enclosure),
        "device": alert.device,
        "endpoint": alert.endpoint,
        "verdict": verdict_shown(alert.verdict, alert.since),
        "opened_at": alert.opened_at,
        "changed_at": alert.changed_at,
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_at": alert.acknowledged_at,
        "acknowledge_due": frames and frames.ack_due,
        "taken_until": frames and frames.resolve_due,
        "next": next(iter(_ahead(alert, people)), None),
        "note": alert.note,
        "resolved_at": alert.resolved_at,
        "resolved_by": alert.resolved_by,
        "reason": alert.reason,
    }


def _ahead(alert: Alert, people: Sequence[Contact]) -> list[NextShown]:
    """The calls that follow if nobody takes it, with the people as they are now."""
    if alert.escalation is None:
        return []
    calls = [
        call_shown(at, call, people, alert.severity, alert.opened_at)
        for at, call in ahead(alert.escalation, alert.severity)
    ]
    return [
        NextShown(
            at=call.at,
            to=[who.name for who in call.who],
            channels=sorted(
                {channel for who in call.who for channel in (who.channels if call.at_once else who.channels[:1])}
            ),
        )
        for call in calls
    ]


def _told(message: Notification, people: Mapping[str, str]) -> ToldShown:
    return ToldShown(
        channel=message.channel,
        to=people.get(message.contact or "", message.address),
        about=message.about,
        state=_TOLD[message.state],
        at=message.changed_at,
        detail=message.note,
    )


# What people are shown of an alert's past; that a message was due is told by the messages themselves.
_HAPPENED: Final = {
    "alert-opened": "opened",
    "alert-changed": "changed",
    "alert-acknowledged": "acknowledged",
    "alert-overdue": "overdue",
    "alert-withdrawn": "withdrawn",
    "alert-resolved": "resolved",
}


def _happened(number: int, row: TimelineRow, alert: Alert) -> HappenedShown:
    kind = _HAPPENED[row.kind]
    return HappenedShown(id=f"{alert.id}-{number}", at=row.time, kind=kind, says=_sentence(kind, row))


def _sentence(kind: str, row: TimelineRow) -> str:
    note = f": {row.note}" if row.note else ""
    match kind:
        case "opened":
            return f"Opened as {row.severity}"
        case "changed":
            return f"Changed; it is {row.severity} now"
        case "acknowledged":
            return f"{row.by or 'Somebody'} took it{note}"
        case "overdue":
            return "Nobody took it in time"
        case "withdrawn":
            return f"{row.by or 'Somebody'} had it and did not resolve it in time: it needs somebody again"
        case _:
            return f"{row.by} resolved it{note}" if row.by else "Over by itself"


def _failed(message: Notification, people: Mapping[str, str]) -> HappenedShown:
    """A way to somebody that failed: what follows it stands in `told`."""
    who = people.get(message.contact or "", "Somebody")
    says = f"{who} was not reached by {message.channel}: {message.note}"
    return HappenedShown(id=message.id, at=message.changed_at, kind="failed", says=says)


def _place(alert: Alert) -> Place:
    return Place(
        tenant=TenantId(alert.tenant),
        farm=FarmId(alert.farm) if alert.farm else None,
        enclosure=EnclosureId(alert.enclosure) if alert.enclosure else None,
        device=DeviceId(alert.device),
    )
