"""`shoal security-log`: who was not let in, and what was refused to whom."""

import argparse
import asyncio
from datetime import datetime, timedelta

from shoal.api.security import SecurityEventShown, events_shown
from shoal.app.desk import Desk
from shoal.cli.actions import Actions, Settle, Stored, describe, moment, opened, say_json, say_table, time_of, with_json
from shoal.errors import Rejected
from shoal.history.refusal_store import ENTRIES_MAX, Logged, RefusalFilter
from shoal.ids import Prefix, parse_id

# Entries are counted within a second or two; nobody reads faster.
_LOOK_EVERY = timedelta(seconds=2)
_ENTRIES_USUAL = 50
_DESCRIPTION = """\
Who was not let in and what was refused, the last first. What is alike on one day (UTC) is one entry that counts.
Strangers, whom no tenant can be blamed for, are told here as well. Entries are kept for 90 days.

  shoal security-log --since 24h                       what happened since this time yesterday
  shoal security-log --device oxy-0417                 what kept this device out
  shoal security-log --who usr-7K2M9QXT                what this person, or token, may not and asked for
  shoal security-log --reason bad_key --follow         goes on telling, as it happens, until Ctrl-C"""


def add(command: argparse.ArgumentParser, stored: Stored, settle: Settle) -> None:
    """Makes `shoal security-log`."""
    describe(command, _DESCRIPTION)
    Actions("security-log", stored, settle).make(command, "security-log", _log)
    command.add_argument("--device", metavar="DEVICE", help="an endpoint name or an id")
    command.add_argument("--who", metavar="ID", help="a person (usr-...) or a token (tok-...)")
    command.add_argument("--reason", metavar="REASON", help="a word such as bad_key, unknown_identity, wrong_endpoint")
    command.add_argument("-q", metavar="TEXT", help="a piece of identity, endpoint or address")
    command.add_argument("--since", type=moment, metavar="TIME", help="2026-11-28, 2026-11-28T14:00, or 24h ago")
    command.add_argument(
        "-n", type=_number, metavar="N", default=_ENTRIES_USUAL, help=f"at most so many; default: {_ENTRIES_USUAL}"
    )
    command.add_argument(
        "--follow", action="store_true", help="go on with what happens from now on; the last comes last"
    )
    with_json(command)


async def _log(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        given.who = None if given.who is None else _who(given.who)
        device = None if given.device is None else (await desk.device(given.device)).id
        found = await _entries(desk, given, device, given.since, given.n)
        if given.follow:
            found.reverse()
        await _tell(desk, given, found)
        told = {one.id: one.refusal.count for one in found}
        since = max((one.refusal.last_at for one in found), default=desk.clock.now())
        while given.follow:
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
            # What happened in the same moment as the last one may have been counted after it.
            again = await _entries(desk, given, device, since, ENTRIES_MAX)
            fresh = [one for one in reversed(again) if told.get(one.id) != one.refusal.count]
            await _tell(desk, given, fresh)
            since = max((one.refusal.last_at for one in again), default=since)
            told = {one.id: one.refusal.count for one in again}
    return 0


async def _entries(
    desk: Desk, given: argparse.Namespace, device: str | None, since: datetime | None, entries: int
) -> list[Logged]:
    """The newest of what was asked for, the last first."""
    wanted = RefusalFilter(q=given.q, reason=given.reason, device=device, subject=given.who, since=since)
    found: list[Logged] = []
    while len(found) < entries:
        before = (found[-1].refusal.last_at, found[-1].id) if found else None
        limit = min(entries - len(found), ENTRIES_MAX)
        page = await desk.history.refusals(desk.tenant, wanted, before, limit, with_strangers=device is None)
        found += page
        if len(page) < limit:
            break
    return found


async def _tell(desk: Desk, given: argparse.Namespace, found: list[Logged]) -> None:
    for begin in range(0, len(found), ENTRIES_MAX):
        shown = await events_shown(desk, desk.tenant, found[begin : begin + ENTRIES_MAX])
        if given.json:
            say_json(*shown)
        else:
            say_table([_row(one) for one in shown])


def _row(shown: SecurityEventShown) -> tuple[str, ...]:
    says = shown.says
    if shown.kind == "denied":
        says = ". ".join(
            part for part in (says + (f" ({shown.place_name})" if shown.place else ""), shown.detail) if part
        )
    return (time_of(shown.last_at), shown.address or "-", shown.endpoint or shown.subject or "-", says)


def _who(raw: str) -> str:
    for prefix in (Prefix.USER, Prefix.TOKEN):
        if raw.lower().startswith(f"{prefix.value}-"):
            return parse_id(raw, prefix)
    raise Rejected("--who", "expected the id of a person (usr-...) or a token (tok-...)")


def _number(raw: str) -> int:
    number = int(raw)
    if not 1 <= number <= 10_000:
        raise argparse.ArgumentTypeError(f"{raw}, expected 1 to 10000")
    return number
