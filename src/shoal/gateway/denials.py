"""What devices may not send and where they may not say that they are: policies, as the core decides by them."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeAlias

from shoal.access.pattern import ALL, ITSELF
from shoal.access.policy import Effect, Policy, closed_places, who_is_device
from shoal.clock import Clock
from shoal.ids import TenantId
from shoal.lwm2m.dataplane import DataPlane
from shoal.policies.store import AccessPolicies
from shoal.storage.directory import DirectoryEntry

log = logging.getLogger(__name__)

# The core takes as many for a device; beyond that everything is denied, so that no denial is ever left out.
PATHS_MAX: Final = 256
# Enclosures that were made on a farm since a policy spoke of it: nobody can have put a device there sooner.
LOOK_AT_ENCLOSURES_EVERY: Final = timedelta(seconds=10)

# The farm of each enclosure of a tenant.
FarmsOfEnclosures: TypeAlias = Callable[[TenantId], Awaitable[Mapping[str, str]]]
# Device, paths that it may not send, enclosures that it may not claim: an entry of the core.
Denied: TypeAlias = tuple[str, Sequence[str], Sequence[str]]


class Denials:
    """The core's copy of what policies deny devices."""

    def __init__(
        self, core: DataPlane, policies: AccessPolicies, farms_of_enclosures: FarmsOfEnclosures, clock: Clock
    ) -> None:
        self._core = core
        self._policies = policies
        self._farms_of_enclosures = farms_of_enclosures
        self._clock = clock
        self._versions: dict[str, int] = {}
        self._denying: dict[str, list[Policy]] = {}
        self._farms: dict[str, Mapping[str, str]] = {}
        self._looked_s = 0.0
        # Those to whom anything is denied: all others are not told to the core.
        self._denied: dict[str, Denied] = {}

    async def changed(self) -> set[str]:
        """The tenants whose devices have to be looked at again: their policies, or their enclosures, are others.

        Raises:
            Unavailable: the database is away.
        """
        found = set()
        versions = await self._policies.versions()
        for tenant, version in versions.items():
            if self._versions.get(tenant) != version:
                policies = await self._policies.of(TenantId(tenant))
                denying = [one for one in policies.all if one.who.is_device and one.effect is Effect.DENY]
                if denying or tenant in self._denying:
                    self._denying[tenant] = denying
                    found.add(tenant)
                self._versions[tenant] = version
        return found | await self._with_other_enclosures(found)

    def put(self, entries: Iterable[DirectoryEntry]) -> None:
        """Tells the core what these devices may not do, where that is something else than before."""
        new = []
        for entry in entries:
            denied = None if entry.removed else self._of(entry)
            if denied == self._denied.get(entry.device_id):
                continue
            new.append(denied or (entry.device_id, (), ()))
            self._denied.pop(entry.device_id, None)
            if denied is not None:
                self._denied[entry.device_id] = denied
        for device, reason in self._core.put_denials(new) if new else ():
            log.error("denials.refused", extra={"device": device, "reason": reason})

    async def _with_other_enclosures(self, changed: set[str]) -> set[str]:
        now_s = self._clock.monotonic_s()
        is_due = now_s - self._looked_s >= LOOK_AT_ENCLOSURES_EVERY.total_seconds()
        if is_due:
            self._looked_s = now_s
        found = set()
        for tenant, denying in self._denying.items():
            if denying and (is_due or tenant in changed):
                farms = await self._farms_of_enclosures(TenantId(tenant))
                if farms != self._farms.get(tenant):
                    self._farms[tenant] = farms
                    found.add(tenant)
        return found

    def _of(self, entry: DirectoryEntry) -> Denied | None:
        naming = [
            one
            for one in self._denying.get(entry.tenant_id, ())
            if one.who in who_is_device(entry.device_id, entry.kind)
        ]
        if not naming:
            return None
        here = {entry.tenant_id, entry.farm_id, entry.enclosure_id, entry.device_id}
        paths = {str(path) for one in naming if one.place in here for path in one.paths if path != ITSELF}
        sent = ["/"] if str(ALL) in paths or len(paths) > PATHS_MAX else sorted(p.removesuffix("/*") for p in paths)
        closed = closed_places(naming)
        farms = self._farms.get(entry.tenant_id, {})
        claimed = sorted(pen for pen, farm in farms.items() if closed & {pen, farm, entry.tenant_id})
        return (entry.device_id, tuple(sent), tuple(claimed)) if sent or claimed else None
