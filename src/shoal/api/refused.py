"""What people and programs asked for and did not get, for the security log: folded in memory, written once a second.

Only what a request was answered with counts. A page that asks beforehand what it may offer (`Asking.can`, `/me`,
`/policies:explain`) is not refused anything.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from fastapi import Request

from shoal.access.decision import Denied, Hidden, Subject
from shoal.access.policy import Operation
from shoal.api.access import address_of
from shoal.api.context import Rooms, rooms_of
from shoal.api.explaining import verdict
from shoal.api.names import named_in
from shoal.errors import Forbidden, Rejected, ShoalError
from shoal.events.device import host_of
from shoal.history.refusal import NOBODY, Refusal, legible
from shoal.identity.login import TooManyAttempts, Unauthenticated
from shoal.ids import TenantId

log: Final = logging.getLogger(__name__)

# As often as the gateway tells of what it refused.
WRITE_EVERY: Final = timedelta(seconds=1)
# As the log names them: by policies, by no policy, or by another rule.
BY_POLICY: Final = "policy_denies"
BY_NONE: Final = "no_policy_allows"
BY_RULE: Final = "forbidden"
# What an error says of a token or a login, in words that can be searched for; others are told as they are.
REASONS: Final = {
    ("token", "unknown"): "token_unknown",
    ("token", "not a token"): "token_unknown",
    ("token", "none was sent"): "token_missing",
    ("token", "expired"): "token_expired",
    ("token", "revoked"): "token_revoked",
    ("token", "its user may not log in"): "user_disabled",
    ("login", "wrong email address or password"): "wrong_password",
}
_OPERATIONS: Final = frozenset(operation.value for operation in Operation)
_HIDDEN: Final = "It was answered that there is no such thing."


def refused(error: Rejected, subject: Subject | None, address: str, now: datetime) -> Refusal | None:
    """The entry of what a request was answered with; None when that was no refusal. `subject` is who asked, if known."""
    match error:
        case Unauthenticated():
            whose, tried = error.whose, error.tried
            entry = _entry("security", REASONS.get((error.subject, error.reason), error.reason), address, now)
        case TooManyAttempts():
            whose, tried = subject, error.tried
            entry = _entry("security", f"{error.subject}_throttled", address, now)
        case Hidden() if subject is not None:
            return _denied(error.refused, subject, address, now, _HIDDEN)
        case Forbidden() if subject is not None:
            return _denied(error, subject, address, now)
        case _:
            return None
    if whose is not None:
        return _of(entry, whose)
    if tried is not None:
        return msgspec.structs.replace(entry, tenant=tried.tenant or NOBODY, identity=legible(tried.login))
    return entry


def note(request: Request, error: Rejected) -> None:
    """Counts what a request is answered with, if that is a refusal."""
    rooms = rooms_of(request)
    asked = getattr(request.state, "subject", None)
    entry = refused(error, asked, address_of(request), rooms.clock.now())
    if entry is not None:
        rooms.refused.add(entry)


async def write_refused(rooms: Rooms) -> None:
    """Writes down what was refused since the last time. What cannot be written now waits, as bounded as before.

    Raises:
        Unavailable: the database is away.
        Conflict: another process wrote the same a moment ago.
    """
    entries = rooms.refused.take()
    if not entries:
        return
    try:
        await rooms.history.write_refused(await _explained(rooms, entries))
    except ShoalError:
        for entry in entries:
            rooms.refused.add(entry)
        raise


async def write_now_and_then(rooms: Rooms) -> None:
    """Writes down what was refused, for ever; once more when it is told to end."""
    try:
        while True:
            await asyncio.sleep(WRITE_EVERY.total_seconds())
            try:
                await write_refused(rooms)
            except ShoalError as error:
                log.warning("refused.waits", extra={"reason": str(error)})
    finally:
        with contextlib.suppress(ShoalError):
            await write_refused(rooms)


def _entry(kind: str, reason: str, address: str, now: datetime) -> Refusal:
    return Refusal(
        tenant=NOBODY,
        device=NOBODY,
        kind=kind,
        reason=reason,
        address=host_of(legible(address)),
        count=1,
        first_at=now,
        last_at=now,
    )


def _of(entry: Refusal, whose: Subject) -> Refusal:
    """Of a program it is the token that is named, also where it speaks for its person."""
    return msgspec.structs.replace(
        entry, tenant=whose.tenant, subject=whose.token or whose.id, identity=legible(whose.name)
    )


def _denied(error: Forbidden, subject: Subject, address: str, now: datetime, answered: str = "") -> Refusal:
    facts = error.facts
    if error.subject not in _OPERATIONS:
        # A rule that is no policy, such as that nobody may grant more than they have.
        return msgspec.structs.replace(
            _of(_entry("denied", BY_RULE, address, now), subject), detail=legible(str(error))
        )
    policy, path = facts.get("policy"), facts.get("path")
    role = "" if subject.role is None else f"Asked as {subject.role.value}" + (f", of {path}." if path else ".")
    return msgspec.structs.replace(
        _of(_entry("denied", BY_POLICY if policy else BY_NONE, address, now), subject),
        operation=error.subject,
        place=str(facts.get("place") or subject.tenant),
        policy=str(policy or ""),
        detail=" ".join(part for part in (role, answered) if part),
    )


async def _explained(rooms: Rooms, entries: Sequence[Refusal]) -> list[Refusal]:
    """The entries with the words that "why may not" has for them, as policies are now."""
    found: list[Refusal] = []
    for tenant in sorted({entry.tenant for entry in entries}):
        own = [entry for entry in entries if entry.tenant == tenant]
        asked = {entry.policy for entry in own if entry.reason == BY_POLICY}
        policies = {}
        if asked:
            kept = await rooms.access.of(TenantId(tenant))
            policies = {policy.id: policy for policy in kept.all if policy.id in asked}
        known = await named_in(rooms, TenantId(tenant), policies.values())
        for entry in own:
            if entry.reason not in {BY_POLICY, BY_NONE} or entry.is_rest:
                found.append(entry)
                continue
            said = verdict(Denied(entry.reason, because=policies.get(entry.policy)), known)
            if entry.policy and entry.policy not in policies:
                said = "No: a policy that is gone denied it."
            found.append(msgspec.structs.replace(entry, detail=f"{said} {entry.detail}".strip()))
    return found
