"""A device that runs something else than our last update left it with, and no update of ours did that.

A boot loader went back after the watch was over, or somebody updated it by hand: either way what we think it runs is
wrong, and nobody would offer the new version again (hawkbit#446).
"""

from datetime import datetime

import msgspec

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.facts import DeviceFacts, Settled
from shoal.campaigns.update import Update, UpdateState
from shoal.campaigns.version import is_same
from shoal.events.campaign import VersionDrifted, VersionRestored

replace = msgspec.structs.replace


def settled(facts: DeviceFacts, before: Update, update: Update, at: datetime) -> DeviceFacts:
    """The facts with what the device runs now, once it runs what an update brought, or the update is over."""
    has_landed = update.state is UpdateState.TRIAL and before.state is not UpdateState.TRIAL
    is_over = update.state is UpdateState.CONFIRMED or (update.state.is_end and update.install_asked_at is not None)
    said = facts.version_of(update.kind)
    if not (has_landed or is_over) or said is None or not said.value:
        return facts
    known = Settled(
        update=update.id, artifact=update.artifact, name=update.name, version=str(said.value), at=max(at, said.at)
    )
    return replace(facts, settled={**facts.settled, update.kind.value: known})


def noticed(facts: DeviceFacts, update: Update | None) -> tuple[DeviceFacts, list[VersionDrifted | VersionRestored]]:
    """The facts after the device may have reported another version, and what others must know of it.

    While an update runs nothing is noticed: object 5 may name the package that is on its way.
    """
    events: list[VersionDrifted | VersionRestored] = []
    if update is not None:
        return facts, events
    kinds = dict(facts.settled)
    for kind, known in facts.settled.items():
        said = facts.version_of(ArtifactKind(kind))
        if said is None or said.at <= known.at or not isinstance(said.value, str) or not said.value:
            continue
        drifted = None if is_same(said.value, known.version) else said.value
        if drifted == known.drifted:
            continue
        kinds[kind] = replace(known, drifted=drifted)
        made = VersionRestored if drifted is None else VersionDrifted
        events.append(
            made(
                id=f"{known.update}-{made.__name__}-{said.at.timestamp():.3f}",
                time=said.at,
                update=known.update,
                tenant=facts.tenant,
                farm=facts.farm,
                device=facts.device,
                kind=kind,
                name=known.name,
                version=known.version,
                reported=said.value,
            )
        )
    return (replace(facts, settled=kinds) if events else facts), events


def overtaken(before: DeviceFacts, facts: DeviceFacts) -> list[VersionRestored]:
    """What is no drift any more because an update of ours brought the device somewhere else."""
    return [
        VersionRestored(
            id=f"{known.update}-VersionRestored-{facts.settled[kind].update}",
            time=facts.settled[kind].at,
            update=known.update,
            tenant=facts.tenant,
            farm=facts.farm,
            device=facts.device,
            kind=kind,
            name=facts.settled[kind].name,
            version=facts.settled[kind].version,
            reported=facts.settled[kind].version,
        )
        for kind, known in before.settled.items()
        if known.drifted is not None and facts.settled[kind].drifted is None
    ]
