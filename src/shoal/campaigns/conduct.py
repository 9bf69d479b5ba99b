"""Carries out what a step decided: asks the device, writes the update, tells others. All in one transaction."""

import logging
from datetime import datetime, timedelta
from typing import Final

import msgspec

from shoal.campaigns import store
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.neighbours import Enqueue, FileServer, Request
from shoal.campaigns.step import COMMANDS_REMEMBERED_MAX
from shoal.campaigns.timers import Timers
from shoal.campaigns.update import Action, Ask, Purpose, Step, Update
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
        self, tx: Transaction, before: Update | None, step: Step, facts: DeviceFacts, partition: int, at: datetime
    ) -> Update:
        """Writes the update as it is after the step, with the commands that it gave."""
        update = step.update
        for action in step.actions:
            update = await self._ask(tx, update, facts, action)
        if before is None or _is_worth_telling(before, update):
            update = msgspec.structs.replace(update, changes=update.changes + 1)
            was = before.state if before is not None and before.state is not update.state else None
            tx.publish(store.changed_event(update, was, at))
        if update != before:
            await store.save_update(tx, update, partition)
        if update.state.is_end:
            # It has the file, or will not get it any more.
            tx.after_commit(lambda: self._files.withdraw(update.path, update.device))
        return update

    async def _ask(self, tx: Transaction, update: Update, facts: DeviceFacts, action: Action) -> Update:
        timers = Timers.of(facts, update.size)
        if isinstance(action, Ask):
            operation, path, body = action.operation, action.path, action.body
        else:
            operation, path = "write", "/5/0/1"
            body = {"value": self._files.address(facts).rstrip("/") + update.path}
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


def _is_worth_telling(before: Update, update: Update) -> bool:
    if (before.state, before.reason) != (update.state, update.reason):
        return True
    if (before.deadline is None) != (update.deadline is None):
        return True
    step = max(1, int(update.size * PROGRESS_STEP))
    return before.bytes // step != update.bytes // step
