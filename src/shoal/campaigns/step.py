"""What happens next in an update: one function over everything that can happen to it.

`step` decides from the facts and the time alone. Commands may be lost, answers may come twice or never, the device may
reboot at any moment: what counts is what it reports, and every deadline leads on.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from shoal.campaigns import landing
from shoal.campaigns.delivery import Delivery, delivery_of, is_web
from shoal.campaigns.desk import DOWNLOADED, DOWNLOADING, IDLE, UPDATING, Desk, fresh, observes, polls, replace
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.landing import INSTALLS_MAX
from shoal.campaigns.timers import Timers
from shoal.campaigns.truth import (
    CANCELLED,
    CONNECTION_LOST,
    DEFERRED,
    INITIAL,
    INTEGRITY_FAILED,
    PROTOCOL_UNSUPPORTED,
    SUCCESS,
    URI_INVALID,
    result_words,
)
from shoal.campaigns.update import (
    Action,
    Ask,
    FetchFrom,
    Purpose,
    Push,
    Step,
    Trigger,
    Update,
    UpdateState,
    moved,
)
from shoal.campaigns.version import is_same
from shoal.errors import Conflict

# Below this a battery may not last through an install, and a device without power in mid-install may never come back.
BATTERY_PERCENT_MIN: Final = 30
# An image needs its own size and room to unpack.
MEMORY_FACTOR: Final = 1.2
# Downloads begun for one update: after the link was lost five times, the link is the problem.
ATTEMPTS_MAX: Final = 5
# A failure of the image itself or of memory is tried once more, in case a bit was lost on the way.
ATTEMPTS_AFTER_BAD_IMAGE_MAX: Final = 2
WRITES_MAX: Final = 2  # of the address, in one download: the first may have been lost
RESETS_MAX: Final = 2  # of a device that is not idle; after that a person must look
COMMANDS_REMEMBERED_MAX: Final = 16  # of one update; older ones have had their answer or never will

_TRY_ONCE_MORE: Final = frozenset({3, INTEGRITY_FAILED})
# What may be the fault of the web server, or of what stands before it: CoAP is tried then.
_BLAMES_THE_WEB: Final = frozenset({INTEGRITY_FAILED, URI_INVALID, PROTOCOL_UNSUPPORTED})


@dataclass(frozen=True, slots=True)
class Begin:
    """Somebody asked for the update."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The device registered, left, or said something: the facts are new."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """The device has fetched this much from us."""

    bytes: int


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """A command of ours is over: answered, refused (with a CoAP code), timed_out, expired or cancelled."""

    command: str
    state: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class TimeIsUp:
    """A moment passed at which something should have happened."""


@dataclass(frozen=True, slots=True)
class Worsened:
    """A condition of the device opened, or became worse: its key, how bad it is, and why we think so."""

    condition: str
    severity: str
    says: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """A condition of the device closed."""

    condition: str


Happening: TypeAlias = Begin | Reported | Progressed | CommandEnded | TimeIsUp | Worsened | Recovered


def step(update: Update, facts: DeviceFacts, happening: Happening, now: datetime) -> Step:
    """The update after something happened. An update that is over stays as it is."""
    if update.state.is_end:
        return Step(update)
    at_hand = _Work(update, facts, now)
    match happening:
        case Begin():
            return at_hand.begun()
        case Worsened(condition, severity, says):
            at_hand.update = landing.worsened(update, condition, severity, says, now)
            return landing.trial(at_hand) if landing.is_watched(update) else Step(at_hand.update)
        case Recovered(condition):
            return Step(landing.recovered(update, condition))
        case Progressed(count):
            return at_hand.progressed(count)
        case CommandEnded():
            ended = at_hand.command_ended(happening)
            if ended is not None:
                return ended
        case TimeIsUp() if update.deadline is not None and now >= update.deadline:
            return at_hand.deadline_passed()
    result = at_hand.looked_at()
    if isinstance(happening, TimeIsUp) and not result.update.state.is_end:
        return _polled(result, facts, now)
    return result


def cancelled(update: Update, by: str | None, now: datetime) -> Step:
    """Stops an update for a person. The device is told to forget the image, if it has any of it.

    Raises:
        Conflict: it is over, or the device was asked to install already: that cannot be called back.
    """
    is_installing = update.state in {UpdateState.INSTALLING, UpdateState.TRIAL}
    if is_installing or Purpose.INSTALL in update.commands.values():
        raise Conflict("update", "the device was asked to install already", state=update.state.value)
    # Between two attempts it may still have what came, or be fetching.
    has_begun = update.state is not UpdateState.WAITING or update.attempts > 0
    done = moved(update, Trigger.CANCEL, now, f"by {by}" if by else "")
    return Step(done, (_reset(),) if has_begun else ())


def given_up(update: Update, by: str | None, now: datetime) -> Step:
    """Ends the watch over an update for a person who sends the device back.

    Raises:
        Conflict: it is not being watched.
    """
    if update.state is not UpdateState.TRIAL:
        raise Conflict("update", f"it is {update.state.value.replace('_', ' ')}", state=update.state.value)
    return Step(moved(update, Trigger.FAIL, now, f"rolled back by {by}" if by else "rolled back"))


def removed(update: Update, now: datetime) -> Update:
    """The update of a device that the inventory deleted: nobody need look at it, not even when it was a roll back."""
    if update.state.is_end:
        return update
    return replace(
        moved(replace(update, undoes=None), Trigger.FAIL, now, "the device was removed"), undoes=update.undoes
    )


class _Work(Desk):
    """The way to the install, step by step."""

    def looked_at(self) -> Step:
        """What the facts mean in the state that the update is in."""
        match self.update.state:
            case UpdateState.WAITING:
                return self._consider()
            case UpdateState.RESETTING:
                return self._begin() if self.state_since(self.update.since) == IDLE else Step(self.update)
            case UpdateState.DOWNLOADING:
                return self._downloading()
            case UpdateState.DOWNLOADED:
                return self._downloaded()
            case UpdateState.INSTALLING:
                return self._installing(is_last_look=False)
            case UpdateState.TRIAL:
                return landing.trial(self)
        return Step(self.update)

    def progressed(self, count: int) -> Step:
        """The device has so much of it."""
        update, is_pushed = self.update, self.update.delivery is Delivery.PUSH
        # A push may have to begin anew, and the next one goes on from this very byte.
        done = count if is_pushed else max(count, update.bytes)
        asked_at = update.asked_at or (self.now if is_pushed else None)
        self.update = replace(update, bytes=done, progressed_at=self.now, asked_at=asked_at)
        if update.state is UpdateState.WAITING and update.attempts > 0 and not is_pushed:
            return self._taken_up()
        return self.looked_at()

    def begun(self) -> Step:
        """A new update says from the start what it waits for."""
        self.update = replace(self.update, reason=self.update.reason or self._not_ready() or "")
        return self.entered_waiting()

    def entered_waiting(self) -> Step:
        """Asks the device how it is, so that nothing old decides."""
        timers = self.timers
        pause = timers.retry_after(self.update.attempts)
        update = replace(
            self.update,
            since=self.now,
            not_before=self.now + pause if pause else None,
            deadline=self._gives_up_at(self.now),
            poll_at=self.now + max(pause, timers.poll),
        )
        return Step(update, polls(update))

    def _gives_up_at(self, since: datetime) -> datetime:
        """When a wait is over that began at `since`."""
        return since + self.timers.retry_after(self.update.attempts) + self.timers.patience

    def command_ended(self, ended: CommandEnded) -> Step | None:
        """What the end of a command means; None: only what the facts say."""
        purpose = self.update.commands.get(ended.command)
        remaining = {known: why for known, why in self.update.commands.items() if known != ended.command}
        self.update = replace(self.update, commands=remaining)
        is_refused = ended.state == "refused"
        match purpose:
            case Purpose.POLL_VERSION:
                self.update = replace(self.update, is_version_unreadable=is_refused)
            case Purpose.POLL_STATE:
                self.update = replace(self.update, is_state_unreadable=is_refused)
            case Purpose.ADDRESS | Purpose.PACKAGE if self.update.state is UpdateState.DOWNLOADING:
                return self._delivery_answered(ended)
            case Purpose.RESET if self.update.state is UpdateState.RESETTING:
                return Step(self.update, polls(self.update))
            case Purpose.INSTALL if self.update.state is UpdateState.DOWNLOADED:
                return self._install_answered(ended)
        return None

    def deadline_passed(self) -> Step:
        """Every state leads on when its time is up."""
        update, now, timers = self.update, self.now, self.timers
        match update.state:
            case UpdateState.WAITING:
                return Step(moved(update, Trigger.FAIL, now, f"not ready in time: {update.reason or 'no answer'}"))
            case UpdateState.RESETTING if update.resets < RESETS_MAX:
                again = replace(update, resets=update.resets + 1, deadline=now + timers.start)
                return Step(again, (Ask(Purpose.RESET, "execute", "/5/0/10"), *polls(again)))
            case UpdateState.RESETTING:
                return Step(moved(update, Trigger.DOUBT, now, "it does not become idle"))
            case UpdateState.DOWNLOADING if self._has_begun():
                # One that moved may be taken up where it was; one that never did begins anew, and the last one ends.
                is_over = update.progressed_at is None or update.attempts >= ATTEMPTS_MAX
                return self._interrupted("the download stands still", (_reset(),) if is_over else ())
            case UpdateState.DOWNLOADING if update.writes < WRITES_MAX:
                again = replace(update, writes=update.writes + 1, deadline=now + timers.start)
                return Step(again, (self._carrier(), *polls(again)))
            case UpdateState.DOWNLOADING:
                return Step(moved(update, Trigger.DOUBT, now, "it does not begin to download"))
            case UpdateState.DOWNLOADED if update.install_asked_at is None:
                return Step(moved(update, Trigger.FAIL, now, f"not ready to install in time: {update.reason}"))
            case UpdateState.DOWNLOADED:
                # No answer: the device may have begun all the same. What it reports will tell.
                return self._executed("no answer to the request to install")
            case UpdateState.TRIAL:
                return landing.trial_over(self)
        return self._installing(is_last_look=True)

    def _consider(self) -> Step:
        """The preflight: begins, ends, or waits with the reason."""
        update, facts, now = self.update, self.facts, self.now
        if update.not_before is not None and now < update.not_before:
            return Step(update)
        version = fresh(self.version, update.since)
        if isinstance(version, str) and is_same(version, update.version) and update.attempts == 0:
            return Step(moved(update, Trigger.ALREADY_THERE, now, f"it runs {version} already"))
        if facts.has_firmware_object is False and facts.is_registered:
            return Step(moved(update, Trigger.FAIL, now, "it has no firmware object (5)"))
        if facts.is_registered and delivery_of(update.wish, facts) is None:
            what = "is pushed to it" if facts.delivery_method else "it fetches itself"
            return Step(moved(update, Trigger.FAIL, now, f"it takes only what {what} (/5/0/9)"))
        reason = self._not_ready()
        if reason is not None:
            # How patient we are follows how often it reports, which may have been told only since we wait. Never less:
            # who is told a day may come on the last minute of it.
            deadline = max(update.deadline or now, self._gives_up_at(update.since))
            return Step(replace(update, reason=reason, not_before=None, deadline=deadline))
        if update.from_version is None and isinstance(version, str):
            self.update = replace(update, from_version=version)
        state = self.state_since(update.since)
        if state in {None, IDLE}:
            return self._begin()
        if state == DOWNLOADING and update.bytes > 0 and update.attempts > 0:
            return self._taken_up()
        return self._not_idle()

    def _not_ready(self) -> str | None:
        update, facts = self.update, self.facts
        if not facts.is_registered:
            return "it is not registered"
        if self.state_since(update.since) is None and not update.is_state_unreadable:
            return "it has not said whether it is idle"
        if fresh(self.version, update.since) is None and not update.is_version_unreadable:
            return "it has not said which version it runs"
        return self._too_weak()

    def _too_weak(self) -> str | None:
        facts, size_kb = self.facts, self.update.size / 1000
        if facts.battery_percent is not None and facts.battery_percent < BATTERY_PERCENT_MIN and not facts.is_charging:
            return f"its battery is at {facts.battery_percent:.0f} %, at least {BATTERY_PERCENT_MIN} % are needed"
        if facts.memory_free_kb is not None and facts.memory_free_kb < size_kb * MEMORY_FACTOR:
            return f"it has {facts.memory_free_kb:.0f} kB free, {size_kb * MEMORY_FACTOR:.0f} kB are needed"
        return None

    def _not_idle(self) -> Step:
        if self.update.resets >= RESETS_MAX:
            return Step(moved(self.update, Trigger.DOUBT, self.now, "it does not become idle"))
        update = moved(self.update, Trigger.NOT_IDLE, self.now, "it was not idle", self.timers.start)
        update = replace(update, resets=update.resets + 1)
        return Step(update, (_reset(), *polls(update)))

    def _begin(self) -> Step:
        update = moved(self.update, Trigger.BEGIN, self.now, "", self.timers.start)
        self.update = replace(
            update,
            attempts=update.attempts + 1,
            writes=1,
            bytes=0,
            progressed_at=None,
            asked_at=None,
            delivery=delivery_of(update.wish, self.facts),
            poll_at=self.now + self.timers.poll,
        )
        return Step(self.update, (*observes(), self._carrier()))

    def _taken_up(self) -> Step:
        """Another attempt that goes on where the one before broke off: the device still has what came until then."""
        update = moved(self.update, Trigger.BEGIN, self.now, "it goes on where it was", self.timers.stall)
        is_pulled = update.delivery is not Delivery.PUSH
        self.update = replace(
            update,
            attempts=update.attempts + 1,
            writes=WRITES_MAX,
            # A device that fetches goes on by itself: a word of progress is what began this, or is still to come.
            progressed_at=None if update.progressed_at != self.now else self.now,
            asked_at=self.now,
            poll_at=self.now + self.timers.poll,
        )
        return Step(self.update, (*observes(), *(() if is_pulled else (self._carrier(),))))

    def _carrier(self) -> Action:
        return Push(self.update.bytes) if self.update.delivery is Delivery.PUSH else FetchFrom()

    def _delivery_answered(self, ended: CommandEnded) -> Step | None:
        what = "file" if self.update.delivery is Delivery.PUSH else "address"
        if ended.state == "refused":
            # Anjay answers 4.00 where the specification says 4.05: both may mean "not idle".
            if ended.code in {"4.00", "4.05"} and self.update.resets < RESETS_MAX:
                return self._not_idle()
            because = ended.code or "it makes no sense for this device"
            return Step(moved(self.update, Trigger.FAIL, self.now, f"it refused the {what}: {because}"))
        if self.update.delivery is Delivery.PUSH and ended.state != "answered":
            return self._interrupted("the link was lost")
        # Not answered in time may still be done. From now on, what it reports is about this download.
        self.update = replace(self.update, asked_at=self.update.asked_at or self.now)
        if self.update.delivery is Delivery.PUSH:
            self.update = replace(self.update, bytes=self.update.size)
            return Step(self.update, polls(self.update))
        return None

    def _has_begun(self) -> bool:
        update, state = self.update, self.state_since(self.update.since)
        return update.progressed_at is not None or (state is not None and state != IDLE)

    def _downloading(self) -> Step:
        update, since = self.update, self.update.asked_at or self.update.since
        state = self.state_since(since)
        result = fresh(self.facts.result, since) if update.asked_at else None
        if state == DOWNLOADED:
            return self._complete()
        if state == UPDATING or result == SUCCESS:
            return self._executed("it began to install by itself", (*polls(update),))
        if isinstance(result, int) and result not in {INITIAL, DEFERRED}:
            return self._download_failed(result)
        if not self._has_begun():
            return Step(update)
        stall = (update.progressed_at or update.since) + self.timers.stall
        return Step(replace(update, deadline=min(stall, update.since + self.timers.download)))

    def _download_failed(self, result: int) -> Step:
        words = result_words(result)
        if result == CANCELLED:
            return Step(moved(self.update, Trigger.CANCEL, self.now, words))
        if result == CONNECTION_LOST:
            return self._interrupted(words)
        if result in _BLAMES_THE_WEB and is_web(self.update.over) and not self.update.avoids_web:
            self.update = replace(self.update, avoids_web=True)
            return self._interrupted(f"{words}; next over CoAP")
        if result in _TRY_ONCE_MORE and self.update.attempts < ATTEMPTS_AFTER_BAD_IMAGE_MAX:
            return self._interrupted(words)
        return Step(moved(self.update, Trigger.FAIL, self.now, words))

    def _interrupted(self, reason: str, actions: tuple[Action, ...] = ()) -> Step:
        """Another download after a pause, or the end of our patience."""
        if self.update.attempts >= ATTEMPTS_MAX:
            reason = f"{reason}, {self.update.attempts} times"
            return Step(moved(self.update, Trigger.FAIL, self.now, reason), actions)
        # Answers to what was asked in the attempt that is over mean nothing for the next.
        self.update = replace(moved(self.update, Trigger.INTERRUPT, self.now, reason), commands={})
        waiting = self.entered_waiting()
        return Step(replace(waiting.update, asked_at=None), (*actions, *waiting.actions))

    def _complete(self) -> Step:
        self.update = moved(self.update, Trigger.COMPLETE, self.now, "", self.timers.patience)
        self.update = replace(self.update, bytes=self.update.size, install_asked_at=None)
        return self._downloaded()

    def _downloaded(self) -> Step:
        """Asks to install, once; then watches whether the device began, or lost what it had."""
        update = self.update
        if update.install_asked_at is not None:
            return self._asked_to_install(update.install_asked_at)
        weak = self._too_weak_to_install()
        if weak is not None:
            return Step(replace(update, reason=weak))
        update = replace(
            update,
            reason="",
            installs=update.installs + 1,
            install_asked_at=self.now,
            deadline=self.now + self.timers.start,
        )
        return Step(update, (Ask(Purpose.INSTALL, "execute", "/5/0/2"),))

    def _too_weak_to_install(self) -> str | None:
        percent = self.facts.battery_percent
        if percent is None or percent >= BATTERY_PERCENT_MIN or self.facts.is_charging:
            return None
        return f"its battery is at {percent:.0f} %, at least {BATTERY_PERCENT_MIN} % are needed"

    def _asked_to_install(self, asked_at: datetime) -> Step:
        state = self.state_since(asked_at)
        registered_at = self.facts.registered_at
        if state == UPDATING or (registered_at is not None and registered_at > asked_at):
            # The reboot may win the race against the answer.
            return self._executed("", polls(self.update))
        result = fresh(self.facts.result, asked_at)
        if state == IDLE and isinstance(result, int) and result not in {INITIAL, SUCCESS}:
            return self._download_failed(result)
        if state == IDLE and result == SUCCESS:
            return self._executed("", polls(self.update))
        return Step(self.update)

    def _install_answered(self, ended: CommandEnded) -> Step:
        if ended.state == "refused":
            return Step(moved(self.update, Trigger.FAIL, self.now, f"it refused to install: {ended.code}"))
        if ended.state in {"expired", "cancelled"}:
            # It never left, so asking again is not asking twice.
            if self.update.installs >= INSTALLS_MAX:
                return Step(moved(self.update, Trigger.DOUBT, self.now, "the request to install never reached it"))
            self.update = replace(self.update, install_asked_at=None, deadline=self.now + self.timers.patience)
            return self._downloaded()
        return self._executed("")

    def _executed(self, reason: str, actions: tuple[Action, ...] = ()) -> Step:
        asked_at = self.update.install_asked_at or self.update.since
        update = moved(self.update, Trigger.EXECUTE, self.now, reason, self.timers.return_by)
        return Step(
            replace(
                update, install_asked_at=asked_at, poll_at=self.now + self.timers.poll, is_version_unreadable=False
            ),
            actions,
        )

    def _installing(self, *, is_last_look: bool) -> Step:
        result = landing.installing(self, is_last_look=is_last_look)
        if result.update.state is not UpdateState.DOWNLOADED:
            return result
        # It kept the image, and may try once more.
        self.update = result.update
        return self._downloaded()


def _polled(result: Step, facts: DeviceFacts, now: datetime) -> Step:
    """Asks anew when it is time: notifications may be lost (OMA_LwM2M_for_Developers#464)."""
    update = result.update
    if update.poll_at is None or now < update.poll_at:
        return result
    update = replace(update, poll_at=now + Timers.of(facts, update.size).poll)
    return Step(update, (*result.actions, *polls(update)))


def _reset() -> Ask:
    """§E.6: an empty Package URI brings the state machine back to Idle. Every version of object 5 knows that."""
    return Ask(Purpose.RESET, "write", "/5/0/1", {"value": ""})
