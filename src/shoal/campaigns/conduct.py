"""Carries out what a step decided: asks the device, writes the update, tells others. All in one transaction."""

import logging
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from shoal.campaigns import rollback, store
from shoal.campaigns.artifact import Artifact
from shoal.campaigns.delivery import fetches_from_web
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.neighbours import Enqueue, FileServer, Request
from shoal.campaigns.step import COMMANDS_REMEMBERED_MAX, Begin, step
from shoal.campaigns.timers import Timers
from shoal.campaigns.update import Ask, FetchFrom, Purpose, Push, Step, Undo, Update, UpdateState
from shoal.errors import Rejected
from shoal.storage.database import Transaction

log = logging.getLogger(__name__)

# Progress is told to others in steps of this share of the whole: a line on a screen, not every block.
PROGRESS_STEP: Final = 0.05
# A command that is to reach a device at all needs a moment.
TIME_TO_LIVE_MIN: Final = timedelta(seconds=5)
# The queue keeps nothing longer than two weeks; a device that reports more rarely is asked anew by the next poll.
TIME_TO_LIVE_MAX: Final = timedelta(days=14)


class Conductor:
    """The hands of the update machine."""

    def __init__(self, enqueue: Enqueue, files: FileServer) -> None:
        self._enqueue = enqueue
        self._files = files

    async def carry_out(
        self, tx: Transaction, before: Update | None, taken: Step, facts: DeviceFacts, partition: int, at: datetime
    ) -> Update:
        """Writes the update as it is after the step, with the commands that it gave."""
        update, way_back = taken.update, None
        for action in taken.actions:
            if isinstance(action, Undo):
                update, way_back = await self._way_back(tx, update)
            else:
                update = await self._ask(tx, update, facts, action, at)
        if before is None or _is_worth_telling(before, update):
            update = msgspec.structs.replace(update, changes=update.changes + 1)
            was = before.state if before is not None and before.state is not update.state else None
            tx.publish(store.changed_event(update, was, at))
        if update != before:
            await store.save_update(tx, update, partition)
        if way_back is not None:
            await self.undo(tx, update, way_back, facts, partition, at, by=None)
        return update

    async def begin(
        self, tx: Transaction, update: Update, artifact: Artifact, facts: DeviceFacts, partition: int, at: datetime
    ) -> Update:
        """Takes the first step of a new update.

        Raises:
            NotFound: the bytes of the artifact are gone.
            Conflict: another update of this device is running.
        """
        self._files.file(artifact.sha256)
        return await self.carry_out(tx, None, step(update, facts, Begin(), at), facts, partition, at)

    async def undo(
        self,
        tx: Transaction,
        undone: Update,
        artifact: Artifact,
        facts: DeviceFacts,
        partition: int,
        at: datetime,
        *,
        by: str | None,
    ) -> Update:
        """Begins the update that takes a device back to this artifact. Raises as `begin` does."""
        name = await store.name(tx, undone.device, artifact.id, at)
        is_open = await store.open_conditions_of(tx, undone.device)
        update = rollback.undoing(undone, artifact, name=name, open_before=is_open, by=by, at=at)
        return await self.begin(tx, update, artifact, facts, partition, at)

    async def _way_back(self, tx: Transaction, update: Update) -> tuple[Update, Artifact | None]:
        """What an update that ends goes back to; without that the update asks for a person."""
        try:
            artifact = await store.artifact_of(tx, update.tenant, update.previous or "")
            self._files.file(artifact.sha256)
        except Rejected as error:
            log.warning("update.no_way_back", extra={"update": update.id, "reason": error.reason})
            reason = f"{update.reason}. It cannot: {error.reason}"
            return msgspec.structs.replace(update, state=UpdateState.NEEDS_ATTENTION, reason=reason), None
        return update, artifact

    async def _ask(
        self, tx: Transaction, update: Update, facts: DeviceFacts, action: Ask | FetchFrom | Push, at: datetime
    ) -> Update:
        timers = Timers.of(facts, update.size)
        operation, path, body = "write", "", None
        match action:
            case Ask():
                operation, path, body = action.operation, action.path, action.body
            case Push():
                path, body = "/5/0/0", {"file": update.path, "from": action.start}
                update = msgspec.structs.replace(update, over=urlsplit(self._files.address(facts)).scheme)
            case FetchFrom():
                address = self._address(update, facts, at + timers.download)
                path, body = "/5/0/1", {"value": address}
                update = msgspec.structs.replace(update, over=urlsplit(address).scheme)
        # A poll is as old as the next one by then. What moves the device may wait until its deadline.
        is_poll = action.purpose in {Purpose.POLL, Purpose.POLL_STATE, Purpose.POLL_VERSION}
        time_to_live = timers.poll * 2 if is_poll else timers.start
        request = Request(
            tenant=update.tenant,
            farm=facts.farm,
            enclosure=facts.enclosure,
            device=update.device,
            operation=operation,
            path=path,
            body=body,
            time_to_live=min(max(time_to_live, TIME_TO_LIVE_MIN), TIME_TO_LIVE_MAX),
            by=update.by,
        )
        try:
            command = await self._enqueue(tx, request)
        except Rejected as error:
            # The device has enough to do. The deadline of the state asks again, or ends it with a reason.
            log.warning("update.command_refused", extra={"update": update.id, "path": path, "reason": error.reason})
            return update
        if update.state.is_end:
            return update
        commands = {**update.commands, command: action.purpose}
        while len(commands) > COMMANDS_REMEMBERED_MAX:
            commands.pop(next(iter(commands)))
        return msgspec.structs.replace(update, commands=commands)

    def _address(self, update: Update, facts: DeviceFacts, until: datetime) -> str:
        """Where the device fetches it: from our web server if it can, else over the way it is connected by."""
        links = self._files.links
        if links is not None and not update.avoids_web and fetches_from_web(facts, links.base_url):
            address = links.address(update.id, update.path.rpartition("/")[2], until)
            if address is not None:
                return address
        return self._files.address(facts).rstrip("/") + update.path


def _is_worth_telling(before: Update, update: Update) -> bool:
    if (before.state, before.reason) != (update.state, update.reason):
        return True
    if (before.deadline is None) != (update.deadline is None):
        return True
    step = max(1, int(update.size * PROGRESS_STEP))
    return before.bytes // step != update.bytes // step
