"""One device's way through object 5 (OMA LwM2M Core 1.1 §E.6) to a new version.

A pure machine: `step` takes the update, what the device last said, what just happened and the time; out come the update
and what to ask of the device. Success is never a result code alone: the device must have registered again after the
install and report the new version (`truth.py`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.delivery import Delivery, Wish
from shoal.errors import Conflict


class UpdateState(StrEnum):
    """Where an update is. The last five are ends; every other one has a deadline. In `trial` the device is watched."""

    WAITING = "waiting"
    RESETTING = "resetting"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    INSTALLING = "installing"
    TRIAL = "trial"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    NEEDS_ATTENTION = "needs_attention"

    @property
    def is_end(self) -> bool:
        return self in ENDS


ENDS: Final = frozenset(
    {
        UpdateState.CONFIRMED,
        UpdateState.FAILED,
        UpdateState.ROLLED_BACK,
        UpdateState.CANCELLED,
        UpdateState.NEEDS_ATTENTION,
    }
)


class Trigger(StrEnum):
    """What may happen to an update."""

    NOT_IDLE = "not_idle"
    BEGIN = "begin"
    ALREADY_THERE = "already_there"
    COMPLETE = "complete"
    INTERRUPT = "interrupt"
    EXECUTE = "execute"
    TRY = "try"
    KEEP_IMAGE = "keep_image"
    CONFIRM = "confirm"
    FAIL = "fail"
    ROLL_BACK = "roll_back"
    CANCEL = "cancel"
    DOUBT = "doubt"


TRANSITIONS: Final[dict[tuple[UpdateState, Trigger], UpdateState]] = {
    (UpdateState.WAITING, Trigger.ALREADY_THERE): UpdateState.CONFIRMED,
    (UpdateState.WAITING, Trigger.NOT_IDLE): UpdateState.RESETTING,
    (UpdateState.WAITING, Trigger.BEGIN): UpdateState.DOWNLOADING,
    (UpdateState.WAITING, Trigger.FAIL): UpdateState.FAILED,
    (UpdateState.WAITING, Trigger.CANCEL): UpdateState.CANCELLED,
    (UpdateState.WAITING, Trigger.DOUBT): UpdateState.NEEDS_ATTENTION,
    (UpdateState.RESETTING, Trigger.BEGIN): UpdateState.DOWNLOADING,
    (UpdateState.RESETTING, Trigger.FAIL): UpdateState.FAILED,
    (UpdateState.RESETTING, Trigger.CANCEL): UpdateState.CANCELLED,
    (UpdateState.RESETTING, Trigger.DOUBT): UpdateState.NEEDS_ATTENTION,
    (UpdateState.DOWNLOADING, Trigger.NOT_IDLE): UpdateState.RESETTING,
    (UpdateState.DOWNLOADING, Trigger.COMPLETE): UpdateState.DOWNLOADED,
    # Lost the link, or its memory of the download: another attempt after a pause.
    (UpdateState.DOWNLOADING, Trigger.INTERRUPT): UpdateState.WAITING,
    # Some devices install as soon as they have all (object 5 v1.2, resource 14).
    (UpdateState.DOWNLOADING, Trigger.EXECUTE): UpdateState.INSTALLING,
    (UpdateState.DOWNLOADING, Trigger.FAIL): UpdateState.FAILED,
    (UpdateState.DOWNLOADING, Trigger.CANCEL): UpdateState.CANCELLED,
    (UpdateState.DOWNLOADING, Trigger.DOUBT): UpdateState.NEEDS_ATTENTION,
    (UpdateState.DOWNLOADED, Trigger.INTERRUPT): UpdateState.WAITING,
    (UpdateState.DOWNLOADED, Trigger.EXECUTE): UpdateState.INSTALLING,
    (UpdateState.DOWNLOADED, Trigger.FAIL): UpdateState.FAILED,
    (UpdateState.DOWNLOADED, Trigger.CANCEL): UpdateState.CANCELLED,
    (UpdateState.DOWNLOADED, Trigger.DOUBT): UpdateState.NEEDS_ATTENTION,
    # Result 8 with the image still there: Execute is allowed again (OMA_LwM2M_for_Developers#393).
    (UpdateState.INSTALLING, Trigger.KEEP_IMAGE): UpdateState.DOWNLOADED,
    (UpdateState.INSTALLING, Trigger.TRY): UpdateState.TRIAL,
    (UpdateState.INSTALLING, Trigger.CONFIRM): UpdateState.CONFIRMED,
    (UpdateState.INSTALLING, Trigger.FAIL): UpdateState.FAILED,
    (UpdateState.INSTALLING, Trigger.ROLL_BACK): UpdateState.ROLLED_BACK,
    (UpdateState.INSTALLING, Trigger.DOUBT): UpdateState.NEEDS_ATTENTION,
    (UpdateState.TRIAL, Trigger.CONFIRM): UpdateState.CONFIRMED,
    # Unhealthy, or given up by a person: another update, which undoes this one, begins in the same moment.
    (UpdateState.TRIAL, Trigger.FAIL): UpdateState.FAILED,
    # The device went back by itself while it was watched, as a boot loader does with an image that nobody confirms.
    (UpdateState.TRIAL, Trigger.ROLL_BACK): UpdateState.ROLLED_BACK,
    (UpdateState.TRIAL, Trigger.DOUBT): UpdateState.NEEDS_ATTENTION,
}


class Purpose(StrEnum):
    """Why a command was sent: an answer means something else to each."""

    ADDRESS = "address"
    PACKAGE = "package"
    RESET = "reset"
    INSTALL = "install"
    OBSERVE = "observe"
    POLL = "poll"
    POLL_STATE = "poll_state"
    POLL_VERSION = "poll_version"


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """One device, one artifact. `since` is when it went into its state, `deadline` when that must be over."""

    id: str
    tenant: str
    farm: str | None
    enclosure: str | None
    device: str
    endpoint: str
    artifact: str
    kind: ArtifactKind
    name: str
    version: str
    size: int
    path: str
    by: str | None
    created_at: datetime
    wish: Wish = Wish.AUTOMATIC
    # How it is delivered, once that is decided, and under which scheme ("coaps", "https").
    delivery: Delivery | None = None
    over: str | None = None
    # A download over HTTPS brought something else than we sent, or nothing: CoAP from now on.
    avoids_web: bool = False
    # How long the device is watched after it reported the new version; None: as long as its profile suggests.
    soak_s: float | None = None
    # The update that this one undoes.
    undoes: str | None = None
    # The artifact that was confirmed before, with its version: what a roll back returns to.
    previous: str | None = None
    previous_version: str | None = None
    # Conditions that were open before the install; those that opened since, with what is said of each.
    open_before: tuple[str, ...] = ()
    worries: dict[str, str] = {}
    # Since when it reports the new version.
    ran_since: datetime | None = None
    state: UpdateState = UpdateState.WAITING
    reason: str = ""
    since: datetime
    deadline: datetime | None = None
    poll_at: datetime | None = None
    not_before: datetime | None = None
    from_version: str | None = None
    bytes: int = 0
    progressed_at: datetime | None = None
    asked_at: datetime | None = None
    install_asked_at: datetime | None = None
    # The registration with which it came back from the install, once it was asked what it runs now.
    returned_at: datetime | None = None
    attempts: int = 0
    writes: int = 0
    resets: int = 0
    installs: int = 0
    is_state_unreadable: bool = False
    is_version_unreadable: bool = False
    commands: dict[str, Purpose] = {}
    changes: int = 0

    @property
    def due_at(self) -> datetime | None:
        """When time alone may move it."""
        moments = (self.deadline, self.poll_at, self.not_before)
        return None if self.state.is_end else min((at for at in moments if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Ask:
    """Something to ask of the device. `body` is what the gateway sends as JSON."""

    purpose: Purpose
    operation: str
    path: str
    body: dict[str, str | int] | None = None


@dataclass(frozen=True, slots=True)
class FetchFrom:
    """Tell the device where the artifact is: the address depends on how the device is connected."""

    purpose: Purpose = Purpose.ADDRESS


@dataclass(frozen=True, slots=True)
class Push:
    """Write the artifact into the device, from this byte on."""

    start: int
    purpose: Purpose = Purpose.PACKAGE


@dataclass(frozen=True, slots=True)
class Undo:
    """Begin the update that returns the device to what it ran before."""


Action: TypeAlias = Ask | FetchFrom | Push | Undo


@dataclass(frozen=True, slots=True)
class Step:
    """The update after something happened, and what to ask of the device now."""

    update: Update
    actions: tuple[Action, ...] = ()


def after(state: UpdateState, trigger: Trigger) -> UpdateState:
    """The state after a trigger.

    Raises:
        Conflict: it cannot happen in this state.
    """
    following = TRANSITIONS.get((state, trigger))
    if following is None:
        raise Conflict("update", f"it is {state.value.replace('_', ' ')}", state=state.value)
    return following


def moved(
    update: Update, trigger: Trigger, now: datetime, reason: str = "", deadline: timedelta | None = None
) -> Update:
    """The update in its next state, with the deadline of that; an end has none.

    A roll back that fails asks for a person: there is nothing left to go back to by itself.
    """
    if update.undoes is not None and trigger in {Trigger.FAIL, Trigger.ROLL_BACK}:
        trigger = Trigger.DOUBT
    state = after(update.state, trigger)
    return msgspec.structs.replace(
        update,
        state=state,
        reason=reason,
        since=now,
        deadline=None if state.is_end or deadline is None else now + deadline,
        poll_at=None if state.is_end else update.poll_at,
        not_before=None,
        commands={} if state.is_end else update.commands,
    )
