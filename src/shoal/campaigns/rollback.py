"""Back to what a device ran before: which update may be undone, and the update that does it."""

from collections.abc import Sequence
from datetime import datetime

from shoal.campaigns.artifact import Artifact, ArtifactKind
from shoal.campaigns.landing import no_way_back
from shoal.campaigns.update import Update, UpdateState
from shoal.errors import Conflict


def confirmed_before(history: Sequence[Update], kind: ArtifactKind, artifact: str) -> Update | None:
    """The last update of this kind that was confirmed with another artifact; `history` is newest first."""
    return next(
        (
            one
            for one in history
            if one.kind is kind and one.state is UpdateState.CONFIRMED and one.artifact != artifact
        ),
        None,
    )


def check(update: Update, history: Sequence[Update]) -> None:
    """Lets an update pass that can be undone; `history` holds the device's updates, newest first.

    Raises:
        Conflict: it goes on, never took effect, was replaced since, or there is nothing to go back to.
    """
    if not update.state.is_end and update.state is not UpdateState.TRIAL:
        raise Conflict("roll_back", "it goes on: stop it instead", state=update.state.value)
    if not _took_effect(update):
        raise Conflict("roll_back", "it changed nothing on the device", state=update.state.value)
    # A roll back of it that failed may be tried again: nobody knows better where the device stands.
    others = (one for one in history if one.undoes != update.id or one.state is UpdateState.CONFIRMED)
    newest = next((one for one in others if one.kind is update.kind and _took_effect(one)), update)
    if newest.id != update.id:
        raise Conflict("roll_back", f"{newest.name} {newest.version} came after it", update=newest.id)
    reason = no_way_back(update)
    if reason is not None:
        raise Conflict("roll_back", reason)


def can_roll_back(update: Update) -> bool:
    """Whether there is a way back from it, as far as it knows by itself: a later update may have closed it."""
    is_settled = update.state.is_end or update.state is UpdateState.TRIAL
    return is_settled and _took_effect(update) and no_way_back(update) is None


def undoing(
    undone: Update, artifact: Artifact, *, name: str, open_before: tuple[str, ...], by: str | None, at: datetime
) -> Update:
    """The update that takes the device back. It has no way back itself: when it fails a person must look."""
    return Update(
        id=name,
        tenant=undone.tenant,
        farm=undone.farm,
        enclosure=undone.enclosure,
        device=undone.device,
        endpoint=undone.endpoint,
        artifact=artifact.id,
        kind=artifact.kind,
        name=artifact.name,
        version=artifact.version,
        size=artifact.size,
        path=artifact.path,
        by=by,
        created_at=at,
        since=at,
        wish=undone.wish,
        soak_s=undone.soak_s,
        undoes=undone.id,
        open_before=open_before,
    )


def _took_effect(update: Update) -> bool:
    """Whether the device ran it, or may."""
    asked = update.install_asked_at is not None
    return update.ran_since is not None or (asked and update.state is UpdateState.NEEDS_ATTENTION)
