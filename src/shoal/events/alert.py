"""What people must know: topic shoal.alert.v1."""

from typing import ClassVar, TypeAlias

from shoal.events.condition import Verdict
from shoal.events.envelope import Event, Moment
from shoal.events.topics import ALERT, Topic


class AlertEvent(Event, frozen=True, kw_only=True):
    """One step in the life of an alert. Carries all that a message to a person needs."""

    topic: ClassVar[Topic] = ALERT

    alert: str
    code: str
    tenant: str
    farm: str | None
    enclosure: str | None
    device: str | None
    condition: str
    severity: str
    headline: str
    verdict: Verdict
    opened_at: Moment

    @property
    def key(self) -> str:
        return self.farm or self.alert


class AlertOpened(AlertEvent, frozen=True, kw_only=True, tag="alert-opened"):
    """A problem that somebody should act on."""


class AlertChanged(AlertEvent, frozen=True, kw_only=True, tag="alert-changed"):
    """Its severity or cause changed while it was open."""


class AlertAcknowledged(AlertEvent, frozen=True, kw_only=True, tag="alert-acknowledged"):
    """Somebody took it."""

    by: str
    note: str = ""


class AlertResolved(AlertEvent, frozen=True, kw_only=True, tag="alert-resolved"):
    """It is over: `by` is a person, or None when the condition closed by itself."""

    by: str | None
    resolved_at: Moment
    note: str = ""


class NotificationDue(AlertEvent, frozen=True, kw_only=True, tag="notification-due"):
    """Somebody has to be told: `about` is opened, acknowledged or resolved. `notification` is its deterministic id."""

    notification: str
    about: str
    step: int
    by: str | None = None


AnyAlertEvent: TypeAlias = AlertOpened | AlertChanged | AlertAcknowledged | AlertResolved | NotificationDue
