"""What people must know: topic shoal.alert.v1."""

from typing import ClassVar, Final, TypeAlias

from shoal.events.condition import Verdict
from shoal.events.envelope import Event, Moment
from shoal.events.topics import ALERT, Topic

# In place of a contact's id: all who want to hear of such a severity.
EVERYBODY: Final = "everybody"


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
    """Somebody took it. `until`: if it is not resolved by then, it needs somebody again."""

    by: str
    note: str = ""
    until: Moment | None = None


class AlertOverdue(AlertEvent, frozen=True, kw_only=True, tag="alert-overdue"):
    """Nobody took it in time: whoever is next is told at once."""

    due_at: Moment


class AlertWithdrawn(AlertEvent, frozen=True, kw_only=True, tag="alert-withdrawn"):
    """It was taken, by `by`, and not resolved in time: it needs somebody again."""

    by: str


class AlertResolved(AlertEvent, frozen=True, kw_only=True, tag="alert-resolved"):
    """It is over: `by` is a person, or None when the condition closed by itself."""

    by: str | None
    resolved_at: Moment
    note: str = ""


class NotificationDue(AlertEvent, frozen=True, kw_only=True, tag="notification-due"):
    """Somebody has to be told: `about` is opened, withdrawn, acknowledged or resolved.

    `notification` is its deterministic id, `step` its number among the messages of the alert. What opens or reopens
    the alert says whom to tell: `contacts` (ids, or "everybody"), by which `channels` first, by all of them at once or
    one after the other, and when the next step follows (`until`). The rest goes to whoever was told before.
    `because` is why they hear of it: opened, worse, nobody-took-it, not-resolved.
    """

    notification: str
    about: str
    step: int
    by: str | None = None
    contacts: list[str] = []
    channels: list[str] = []
    at_once: bool = False
    until: Moment | None = None
    because: str = "opened"


class NotificationSettled(AlertEvent, frozen=True, kw_only=True, tag="notification-settled"):
    """What came of a message to a contact by a channel: `state` is accepted or failed, `note` says why."""

    notification: str
    about: str
    contact: str
    channel: str
    state: str
    note: str


AnyAlertEvent: TypeAlias = (
    AlertOpened
    | AlertChanged
    | AlertAcknowledged
    | AlertOverdue
    | AlertWithdrawn
    | AlertResolved
    | NotificationDue
    | NotificationSettled
)
