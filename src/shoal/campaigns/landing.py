"""After the install: has the device come back, what does it run, and does it stay well while it is watched."""

from datetime import datetime, timedelta
from typing import Final

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.desk import DOWNLOADED, IDLE, UPDATING, Desk, fresh, observes, polls, replace
from shoal.campaigns.truth import DEFERRED, INITIAL, SUCCESS, UPDATE_FAILED, result_words, truth
from shoal.campaigns.update import Step, Trigger, Undo, Update, UpdateState, moved
from shoal.campaigns.version import is_same
from shoal.events.severity import Severity

INSTALLS_MAX: Final = 2  # of one approval: the second only when the device kept the image and says so
CONDITIONS_MAX: Final = 64  # of one device that an update remembers; health knows about a dozen kinds
# What sends a device back to what it ran before. A warning is for a person to judge.
_UNHEALTHY: Final = frozenset({Severity.CRITICAL.value, Severity.HIGH.value})


def installing(desk: Desk, *, is_last_look: bool) -> Step:
    """Decides by the truth table as soon as the device has said enough after it came back."""
    update, facts, now = desk.update, desk.facts, desk.now
    asked_at = update.install_asked_at or update.since
    is_back = facts.registered_at is not None and facts.registered_at > asked_at
    since = facts.registered_at if is_back and facts.registered_at is not None else asked_at
    version, result = fresh(desk.version, since), fresh(facts.result, since)
    state = desk.state_since(since)
    if not is_back:
        return _still_here(desk, version, result, state, is_last_look=is_last_look)
    if isinstance(version, str) and is_same(version, update.version) and update.kind is ArtifactKind.FIRMWARE:
        return _decided(desk, version, result if isinstance(result, int) else INITIAL)
    has_answered = isinstance(version, str) or update.is_version_unreadable
    is_settled = isinstance(result, int) and state != UPDATING
    # A device may write down its result a moment after it registered: what speaks against it may still change.
    is_time = now >= update.since + desk.timers.install
    if has_answered and is_settled and (result != INITIAL or is_time or is_last_look):
        return _decided(desk, version if isinstance(version, str) else None, int(result or INITIAL))
    if is_last_look:
        return desk.ends(Trigger.DOUBT, "it came back and does not say which version it runs")
    return _asked_when_back(desk)


def _still_here(desk: Desk, version: object, result: object, state: int | None, *, is_last_look: bool) -> Step:
    """Before the new registration. A model may be loaded without one; firmware may not."""
    update = desk.update
    if isinstance(result, int) and result not in {INITIAL, SUCCESS, DEFERRED}:
        if state == DOWNLOADED and result == UPDATE_FAILED and update.installs < INSTALLS_MAX:
            kept = moved(update, Trigger.KEEP_IMAGE, desk.now, result_words(result), desk.timers.patience)
            return Step(replace(kept, install_asked_at=None))
        if state in {IDLE, DOWNLOADED}:
            return desk.ends(Trigger.FAIL, result_words(result))
    is_model = update.kind is ArtifactKind.MODEL
    if is_model and result == SUCCESS and isinstance(version, str) and is_same(version, update.version):
        return _decided(desk, version, SUCCESS)
    if not is_last_look:
        return Step(update)
    if result == DEFERRED:
        return desk.ends(Trigger.DOUBT, result_words(DEFERRED))
    if isinstance(version, str) and is_same(version, update.version):
        return desk.ends(Trigger.DOUBT, f"it reports {version}, but it did not register again")
    return desk.ends(Trigger.DOUBT, "it was not heard again after the install")


def _asked_when_back(desk: Desk) -> Step:
    """Once for each new registration: the observations ended with the old one."""
    if desk.update.returned_at == desk.facts.registered_at:
        return Step(desk.update)
    update = replace(desk.update, returned_at=desk.facts.registered_at)
    return Step(update, (*polls(update), *observes()))


def _decided(desk: Desk, version: str | None, result: int) -> Step:
    update = desk.update
    verdict = truth(update.kind, update.version, update.from_version, version, result)
    if verdict.trigger is not Trigger.CONFIRM:
        return desk.ends(verdict.trigger, verdict.reason)
    desk.update = update = replace(update, ran_since=desk.now)
    watched = soak(desk)
    if not watched:
        return desk.ends(Trigger.CONFIRM, verdict.reason)
    update = moved(update, Trigger.TRY, desk.now, verdict.reason, watched)
    # Each new registration brings its version, and health looks at everything else: there is nothing to ask.
    desk.update = replace(update, poll_at=None)
    return trial(desk)


def soak(desk: Desk) -> timedelta:
    """How long the device is watched once it runs the new version."""
    asked = desk.update.soak_s
    return desk.timers.soak if asked is None else timedelta(seconds=asked)


def trial(desk: Desk) -> Step:
    """While it is watched: it went back by itself, or something is wrong that was not before."""
    update = desk.update
    version = fresh(desk.version, update.ran_since or update.since)
    if isinstance(version, str) and not is_same(version, update.version):
        if update.from_version is not None and is_same(version, update.from_version):
            return desk.ends(Trigger.ROLL_BACK, f"it went back to {version} by itself")
        return desk.ends(Trigger.DOUBT, f"it reports {version}: neither what it ran nor what it was sent")
    for says in update.worries.values():
        return unhealthy(desk, says)
    return Step(update)


def trial_over(desk: Desk) -> Step:
    """The time of the watch is up."""
    update = desk.update
    if not desk.facts.is_registered:
        return unhealthy(desk, "it is not registered any more")
    return desk.ends(Trigger.CONFIRM, f"it reports {update.version}, and stayed well for {words(soak(desk))}")


def unhealthy(desk: Desk, why: str) -> Step:
    """Sends the device back to what it ran before, or asks for a person where that cannot be."""
    if desk.update.undoes is not None:
        return desk.ends(Trigger.DOUBT, f"it is not well after the roll back: {why}")
    refusal = no_way_back(desk.update)
    if refusal is not None:
        return desk.ends(Trigger.DOUBT, f"it is not well since the install: {why}. It was not rolled back: {refusal}")
    return desk.ends(Trigger.FAIL, f"it is not well since the install: {why}. It goes back by itself", Undo())


def no_way_back(update: Update) -> str | None:
    """Why a device cannot be returned to what it ran before; None when it can."""
    if update.previous is None or update.previous_version is None:
        return "nothing that came from here was confirmed on it before"
    if update.from_version is not None and not is_same(update.from_version, update.previous_version):
        return f"it ran {update.from_version} before, which did not come from here"
    return None


def worsened(update: Update, condition: str, severity: str, says: str, at: datetime) -> Update:
    """The update of a device of which a condition opened, or became worse."""
    if update.state.is_end or condition in update.open_before or condition in update.worries:
        return update
    if update.install_asked_at is None or at < update.install_asked_at:
        return replace(update, open_before=(*update.open_before, condition)[-CONDITIONS_MAX:])
    if severity not in _UNHEALTHY or len(update.worries) >= CONDITIONS_MAX:
        return update
    return replace(update, worries={**update.worries, condition: says})


def recovered(update: Update, condition: str) -> Update:
    """The update of a device of which a condition closed. What was wrong before may come back: it is no news then."""
    if condition not in update.worries:
        return update
    worries = {known: says for known, says in update.worries.items() if known != condition}
    return replace(update, worries=worries)


def is_watched(update: Update) -> bool:
    """Whether what health says of the device may move it now."""
    return update.state is UpdateState.TRIAL


def words(span: timedelta) -> str:
    """A length of time as people say it."""
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, rest = divmod(minutes, 60)
    if hours >= 2 and not rest:
        return f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"
