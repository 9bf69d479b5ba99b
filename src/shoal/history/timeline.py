"""What a device's page says about the past: one pure function from an event to a sentence, or to nothing.

Readings, uplinks that bring nothing new and progress of downloads are not told: they have charts and bars.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from shoal.events.alert import (
    AlertAcknowledged,
    AlertChanged,
    AlertEvent,
    AlertOpened,
    AlertOverdue,
    AlertResolved,
    AlertWithdrawn,
    NotificationDue,
)
from shoal.events.campaign import UpdateChanged, VersionDrifted, VersionEvent
from shoal.events.codec import AnyEvent
from shoal.events.condition import ConditionChanged, ConditionClosed, ConditionEvent, StatusChanged
from shoal.events.device import (
    BootstrapChanged,
    CommandChanged,
    DeviceDeregistered,
    DeviceEvent,
    DeviceRegistered,
    ObservationChanged,
    PlaceChanged,
    ProfileChanged,
    RegistrationExpired,
    RegistrationUpdated,
    RequestRefused,
    SecurityEvent,
)


class Line(msgspec.Struct, frozen=True):
    """One line of a timeline. `kind` is what people filter by, `detail` what a click unfolds."""

    tenant: str
    device: str
    kind: str
    says: str
    detail: Mapping[str, str | int | bool | None] = {}


# Paths of a composite that a line names; its command has them all.
PATHS_SHOWN_MAX: Final = 3


def line(event: AnyEvent) -> Line | None:
    """What to tell of an event; None when it says nothing to people, or cannot be attributed."""
    match event:
        case DeviceEvent(device=str(device), tenant=str(tenant)):
            told = _of_registration(event) or _of_device(event)
        case ConditionEvent(device=device, tenant=tenant):
            told = _of_condition(event)
        case StatusChanged(device=device, tenant=tenant):
            told = _status(event)
        case AlertEvent(device=str(device), tenant=tenant):
            told = _of_alert(event)
        case UpdateChanged(device=device, tenant=tenant):
            told = _of_update(event)
        case VersionEvent(device=device, tenant=tenant):
            told = _of_version(event)
        case _:
            return None
    return None if told is None else Line(tenant, device, *told)


_Told = tuple[str, str, Mapping[str, str | int | bool | None]]


def _of_registration(event: DeviceEvent) -> _Told | None:
    match event:
        case DeviceRegistered():
            return _registered(event)
        case RegistrationUpdated():
            return _updated(event)
        case DeviceDeregistered():
            return "registration", "Said goodbye", {"registration": event.registration}
        case RegistrationExpired():
            says = "Its registration ended: not heard from within its lifetime"
            return "registration", says, {"registration": event.registration}
        case _:
            return None


def _of_device(event: DeviceEvent) -> _Told | None:
    match event:
        case ObservationChanged(state="refused"):
            return "observation", f"Refused to report {event.path}: {event.code or 'no answer'}", {"path": event.path}
        case ObservationChanged(state="lost"):
            return "observation", f"No longer reports {event.path}", {"path": event.path}
        case ObservationChanged(state="drifted"):
            says = f"Reports {event.path} by other rules than ours: {event.attributes or 'none'}"
            return "observation", says, {"path": event.path}
        case RequestRefused():
            says = f"We refused its {event.operation}: {_words(event.reason)}"
            return "refused", says, {"code": event.code, "detail": event.detail, "address": event.address}
        case SecurityEvent():
            return _not_let_in(event)
        case BootstrapChanged():
            return _bootstrap(event)
        case CommandChanged():
            return _command(event)
        case PlaceChanged():
            return _place(event)
        case ProfileChanged():
            return "profile", f"Its profile is now {event.profile}", {"profile": event.profile}
        case _:
            return None


def _bootstrap(event: BootstrapChanged) -> _Told:
    match event.state:
        case "requested":
            says = "Asked for an account once more, in the middle" if event.again else "Asked for an account"
        case "finished":
            says = "Was given new keys"
        case "refused":
            said = " ".join(part for part in (event.code, event.detail) if part)
            says = f"Did not take its account: {event.path or 'there is none for it'} {said}".rstrip()
        case _:
            says = "Fell silent before it had its account"
    detail = {"via": event.via, "address": event.address, "session": event.session, "secure": event.secure}
    return "registration", says, detail


def _not_let_in(event: SecurityEvent) -> _Told:
    times = f", {event.count} times" if event.count > 1 else ""
    detail = {"reason": event.reason, "identity": event.identity, "address": event.address, "count": event.count}
    return "security", f"Not let in: {_words(event.reason)}{times}", detail


def _registered(event: DeviceRegistered) -> _Told:
    again = "Registered again, before its last registration had ended" if event.replaced else "Registered"
    secure = "" if event.secure else ", without encryption"
    return (
        "registration",
        f"{again}: LwM2M {event.version}, lifetime {span(event.lifetime_s)}{secure}",
        {
            "registration": event.registration,
            "address": event.address,
            "queue_mode": event.queue_mode,
            "secure": event.secure,
            "session": event.session,
            "claim": event.claim.enclosure if event.claim else None,
        },
    )


def _updated(event: RegistrationUpdated) -> _Told | None:
    # A new address alone is no news: a mobile network gives one every few minutes.
    changes = []
    if event.lifetime_s is not None:
        changes.append(f"its lifetime is now {span(event.lifetime_s)}")
    if event.queue_mode is not None:
        changes.append("it sleeps between reports now" if event.queue_mode else "it stays awake now")
    if event.objects is not None:
        changes.append("its objects changed")
    if event.claim is not None:
        changes.append(f"it says that it is in {event.claim.enclosure}")
    if not changes:
        return None
    detail = {"registration": event.registration, "address": event.address}
    return "registration", f"Updated: {', '.join(changes)}", detail


_COMMAND_STATES: Final = {
    "queued": "queued",
    "sent": "sent",
    "answered": "answered",
    "refused": "refused by the device",
    "expired": "expired before the device was awake",
    "cancelled": "cancelled",
    "timed_out": "not answered",
}


def _command(event: CommandChanged) -> _Told:
    state = _COMMAND_STATES.get(event.state, _words(event.state))
    code = f": {event.code}" if event.code and event.state == "refused" else ""
    by = f" by {event.by}" if event.by and event.state in {"queued", "cancelled"} else ""
    says = f"{_words(event.operation).capitalize()} {_paths(event)}: {state}{by}{code}"
    detail = {"command": event.command, "state": event.state, "code": event.code, "detail": event.detail}
    return "command", says, detail


def _paths(event: CommandChanged) -> str:
    """What a command is about, in a few words."""
    shown, more = event.paths[:PATHS_SHOWN_MAX], len(event.paths) - PATHS_SHOWN_MAX
    return (", ".join(shown) or event.path) + (f" and {more} more" if more > 0 else "")


def _place(event: PlaceChanged) -> _Told:
    claimed = event.claimed or "nowhere"
    # Nobody has said anything else: it came by itself, and a person is to approve it.
    waits = f"It says that it is in {claimed}, and waits for approval"
    nowhere = waits if event.claimed and event.by is None else "It has no enclosure"
    says = {
        "agreed": f"It is in {event.enclosure}" if event.enclosure else nowhere,
        "mismatch": f"It says that it is in {claimed}; we have it in {event.enclosure or 'no enclosure'}",
        "unknown": f"It says that it is in {claimed}, which does not exist",
        "foreign": f"It says that it is in {claimed}, which is not yours: kept apart until somebody decides",
    }.get(event.state, f"Its place is {_words(event.state)}")
    by = f" (by {event.by})" if event.by else ""
    return "place", says + by, {"state": event.state, "claimed": event.claimed, "enclosure": event.enclosure}


def _status(event: StatusChanged) -> _Told:
    if event.status == event.was:
        return (
            "status",
            f"Still {event.status}, now because of {_words(event.cause or 'nothing')}",
            {"cause": event.cause},
        )
    return "status", f"Now {event.status}, was {event.was}", {"cause": event.cause}


def _of_condition(event: ConditionEvent) -> _Told:
    detail = {"condition": event.condition, "severity": event.severity, "cause": event.verdict.cause}
    what = f"{_words(event.condition).capitalize()} ({event.severity})"
    match event:
        case ConditionClosed():
            reason = "" if event.reason == "recovered" else f", {_words(event.reason)}"
            return "condition", f"{_words(event.condition).capitalize()}: over{reason}", detail
        case ConditionChanged():
            return "condition", f"{what}, changed: {event.verdict.says}", detail
        case _:
            return "condition", f"{what}: {event.verdict.says}", detail


def _of_alert(event: AlertEvent) -> _Told | None:
    detail = {"alert": event.alert, "code": event.code, "severity": event.severity}
    name = f"Alert {event.code}"
    match event:
        case AlertOpened():
            return "alert", f"{name} opened: {event.headline}", detail
        case AlertChanged():
            return "alert", f"{name} is {event.severity} now: {event.headline}", detail
        case AlertAcknowledged():
            note = f": {event.note}" if event.note else ""
            return "alert", f"{name} taken by {event.by}{note}", detail
        case AlertOverdue():
            return "alert", f"Nobody took alert {event.code} in time", detail
        case AlertWithdrawn():
            return "alert", f"{name} was taken by {event.by}, and not resolved in time", detail
        case AlertResolved():
            note = f": {event.note}" if event.note else ""
            return "alert", f"{name} resolved {f'by {event.by}' if event.by else 'by itself'}{note}", detail
        case NotificationDue() | _:
            return None


_UPDATE_STATES: Final = {
    "trial": "runs, and the device is watched",
    "confirmed": "done, the device reports the new version",
    "rolled_back": "rolled back",
    "needs_attention": "needs somebody to look at it",
}


def _of_update(event: UpdateChanged) -> _Told | None:
    if event.state == event.was:
        return None  # progress within a state
    state = _UPDATE_STATES.get(event.state, _words(event.state))
    reason = f": {event.reason}" if event.reason else ""
    what = "Update to" if event.undoes is None else "Roll back to"
    detail = {
        "update": event.update,
        "artifact": event.artifact,
        "state": event.state,
        "was": event.was,
        "undoes": event.undoes,
    }
    return "update", f"{what} {event.name} {event.version} {state}{reason}", detail


def _of_version(event: VersionEvent) -> _Told:
    detail = {"update": event.update, "kind": event.kind, "version": event.version, "reported": event.reported}
    if isinstance(event, VersionDrifted):
        says = f"Runs {event.kind} {event.reported} instead of {event.version}, without an update of ours"
        return "update", says, detail
    return "update", f"Runs {event.kind} {event.reported} again, as it should", detail


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def span(seconds: int) -> str:
    """A length of time in the largest unit that it is a whole number of."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
