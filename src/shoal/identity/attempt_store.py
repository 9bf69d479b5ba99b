"""Wrong passwords in the database, so that all processes count together."""

import hashlib
import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from sqlalchemy import delete, exists, select, update

from shoal.clock import Clock
from shoal.events.device import SecurityEvent
from shoal.identity.login import (
    ACCOUNT,
    ACCOUNT_HERE,
    NETWORK,
    REMEMBERED,
    Patience,
    TooManyAttempts,
    Tried,
    network_of,
)
from shoal.identity.tables import login_failures, login_networks, users
from shoal.ids import UserId
from shoal.storage.database import Database, Transaction, upsert

log: Final = logging.getLogger(__name__)

# A person's office, home, phone and hotels; the one that was used least recently makes room.
NETWORKS_PER_USER_MAX: Final = 20
# Whoever comes back after a season is new there.
NETWORK_KEPT: Final = timedelta(days=90)


class Attempts:
    """Counts attempts to log in. How many rows there are is bounded by how many passwords can be hashed in an hour."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, email: str, address: str) -> None:
        """Counts an attempt as a failure before it is tried, so that many at once are no way around the limit.

        Raises:
            TooManyAttempts: wait; this attempt was not counted.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            await tx.execute(delete(login_failures).where(login_failures.c.last_at <= now - REMEMBERED))
            limits = await self._limits(tx, email, address)
            # A row that is there can be locked: of two first attempts at once, one sees what the other counted.
            new = [{"key": key, "failures": 0, "last_at": now} for key in limits]
            await upsert(tx, login_failures, new, ["key"], update=[])
            until = max(await _waits(tx, limits), default=now)
            if until > now:
                tenant = await tx.scalar(select(users.c.tenant_id).where(users.c.email == email))
                raise TooManyAttempts(until - now, tried=Tried(login=email, tenant=tenant))
            await tx.execute(
                update(login_failures)
                .where(login_failures.c.key.in_(limits))
                .values(failures=login_failures.c.failures + 1, last_at=now)
            )

    async def failed(self, tried: Tried, address: str) -> None:
        """The attempt was one: when the next has to wait, whoever watches over the installation hears of it."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            limits = await self._limits(tx, tried.login, address)
            until = max(await _waits(tx, limits), default=now)
            if until <= now:
                return
            log.warning("login.guessed", extra={"address": address, "wait_s": round((until - now).total_seconds())})
            tx.publish(
                SecurityEvent(
                    id=uuid4().hex,
                    time=now,
                    tenant=tried.tenant,
                    reason="too many wrong passwords",
                    identity=tried.login,
                    address=address or None,
                )
            )

    async def succeeded(self, tx: Transaction, user: UserId, email: str, address: str) -> None:
        """The attempt was none: it makes up for those before it, and its network is a usual one from now on.

        What others tried stays counted, or a guesser with an account could begin again, and with each login of its owner.
        """
        now, network = self._clock.now(), network_of(address)
        failures = login_failures.c
        limits = await self._limits(tx, email, address)
        # All of them first, in the order of their keys, as everybody does: one after the other could be a circle.
        await _waits(tx, limits)
        await tx.execute(delete(login_failures).where(failures.key == _key(email, network)))
        await tx.execute(
            update(login_failures)
            .where(failures.key.in_(limits), failures.failures > 0)
            .values(failures=failures.failures - 1)
        )
        seen = login_networks.c
        await upsert(
            tx, login_networks, [{"user_id": user, "network": network, "last_at": now}], ["user_id", "network"]
        )
        usual = (
            select(seen.network).where(seen.user_id == user).order_by(seen.last_at.desc()).limit(NETWORKS_PER_USER_MAX)
        )
        kept = [row.network for row in await tx.rows(usual)]
        await tx.execute(
            delete(login_networks).where(
                seen.user_id == user, seen.network.not_in(kept) | (seen.last_at < now - NETWORK_KEPT)
            )
        )

    async def _limits(self, tx: Transaction, email: str, address: str) -> dict[str, Patience]:
        """What an attempt counts for, and how much of it is borne."""
        network = network_of(address)
        limits = {_key(email, network): ACCOUNT_HERE}
        if network:
            limits[_key("", network)] = NETWORK
        is_usual = await tx.scalar(
            select(
                exists()
                .where(login_networks.c.user_id == users.c.id)
                .where(users.c.email == email, login_networks.c.network == network)
            )
        )
        # From nowhere, the two would be one.
        if network and not is_usual:
            limits[_key(email)] = ACCOUNT
        return limits


async def _waits(tx: Transaction, limits: dict[str, Patience]) -> list[datetime]:
    rows = await tx.rows(
        select(login_failures).where(login_failures.c.key.in_(limits)).order_by(login_failures.c.key).with_for_update()
    )
    return [limits[row.key].until(row.failures, row.last_at) for row in rows]


def _key(email: str, network: str = "") -> str:
    return hashlib.sha256(f"{email}\n{network}".encode()).hexdigest()
