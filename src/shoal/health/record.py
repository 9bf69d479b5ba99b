"""The health record of one device: all that the judge has to know of it, as one value that is stored as JSON."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from shoal.events.device import ProfileChanged
from shoal.events.severity import Severity
from shoal.health.coverage import Quantity, of_objects
from shoal.health.episode import Episode
from shoal.health.silence import Expectation, grace_for
from shoal.health.status import Status
from shoal.health.vitals import Vitals

# What we expect of a device before the inventory has told us: profiles S and C (docs/architecture.md, health).
REPORT_EVERY_ASLEEP: Final = timedelta(minutes=30)
REPORT_EVERY_AWAKE: Final = timedelta(seconds=60)
# RFC 7252 §4.8.2: MAX_TRANSMIT_WAIT.
AWAKE_WINDOW: Final = timedelta(seconds=93)


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """When we heard the device, and what it promised when it registered."""

    heard_at: datetime | None = None
    registration: str | None = None
    registered_at: datetime | None = None
    changed_at: datetime | None = None  # by the newest event about the registration: older ones come twice
    lifetime_s: int = 86_400  # LwM2M Core §6.2.1: the lifetime of a device that does not say
    queue_mode: bool = False
    secure: bool = False
    deregistered_at: datetime | None = None
    expired_at: datetime | None = None


class BatteryLevel(msgspec.Struct, frozen=True):
    """One reading of a battery, by the time we heard it."""

    at: datetime
    percent: float


class Battery(msgspec.Struct, frozen=True, kw_only=True):
    """One battery: how many readings in a row were low, and how bad it is by the rule with its hysteresis."""

    levels: tuple[BatteryLevel, ...] = ()
    below_warning: int = 0
    below_high: int = 0
    severity: Severity | None = None
    since: datetime | None = None


class Refusals(msgspec.Struct, frozen=True, kw_only=True):
    """Handshakes of this device that we refused since we last heard it; `address` is where the last came from."""

    reason: str
    count: int
    first_at: datetime
    last_at: datetime
    address: str = ""


class PlaceDispute(msgspec.Struct, frozen=True, kw_only=True):
    """The device says it is somewhere else than the inventory says. Names are those of the tenant's own enclosures."""

    state: str
    claimed: str | None
    claimed_name: str | None = None
    enclosure_name: str | None = None
    since: datetime


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """The update that a campaign runs, or ran last, on this device."""

    update: str
    name: str
    version: str
    state: str
    reason: str
    since: datetime
    deadline: datetime | None


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """The device runs another version than our last update left it with."""

    kind: str
    name: str
    version: str
    reported: str
    since: datetime


class HealthRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One device. `judged_at` is how far in time it has been judged; it never goes back."""

    device: str
    tenant: str
    farm: str | None = None
    enclosure: str | None = None
    endpoint: str = ""
    kind: str = "sensor"
    judged_at: datetime
    report_every_s: float | None = None
    grace_s: float | None = None
    awake_window_s: float = AWAKE_WINDOW.total_seconds()
    samples: int = 3
    battery_warning: float = 25
    battery_high: float = 10
    profile_at: datetime | None = None
    presence: Presence = Presence()
    vitals: Vitals = Vitals()
    batteries: dict[str, Battery] = {}
    objects: tuple[str, ...] = ()
    described: tuple[Quantity, ...] = ()
    codes_since: dict[str, datetime] = {}
    refusals: Refusals | None = None
    dispute: PlaceDispute | None = None
    disputed_at: datetime | None = None
    place_at: datetime | None = None
    update: Update | None = None
    failed_update: Update | None = None
    # By the kind of artifact; when each was last told of, because older news may come twice.
    drifts: dict[str, Drift] = {}
    drifts_at: dict[str, datetime] = {}
    episodes: dict[str, Episode] = {}
    onsets: dict[str, datetime] = {}
    status: Status = Status.NEW
    cause: str | None = None
    since: datetime | None = None
    due_at: datetime | None = None

    @property
    def expectation(self) -> Expectation:
        """What the device promised, by its registration and its profile."""
        lifetime = timedelta(seconds=self.presence.lifetime_s)
        usual = REPORT_EVERY_ASLEEP if self.presence.queue_mode else REPORT_EVERY_AWAKE
        return Expectation(
            report_every=timedelta(seconds=self.report_every_s) if self.report_every_s else usual,
            lifetime=lifetime,
            grace=grace_for(lifetime) if self.grace_s is None else timedelta(seconds=self.grace_s),
            queue_mode=self.presence.queue_mode,
        )

    @property
    def measures(self) -> frozenset[Quantity]:
        """What it watches in its enclosure. A camera's own thermometer is not the water's."""
        if self.kind == "camera":
            return frozenset({Quantity.VIDEO})
        return of_objects(self.objects) | frozenset(self.described)

    @property
    def awake_until(self) -> datetime | None:
        """Until when a device in queue mode listens. None: always, or we never heard it."""
        if not self.presence.queue_mode or self.presence.heard_at is None:
            return None
        return self.presence.heard_at + timedelta(seconds=self.awake_window_s)


def with_profile(record: HealthRecord, event: ProfileChanged) -> HealthRecord:
    """The record under the profile that the inventory gave the device; an older one changes nothing."""
    if record.profile_at is not None and event.time < record.profile_at:
        return record
    return msgspec.structs.replace(
        record,
        kind=event.kind,
        report_every_s=event.report_every_s,
        grace_s=event.grace_s,
        awake_window_s=event.awake_window_s,
        samples=event.samples,
        battery_warning=event.battery_warning,
        battery_high=event.battery_high,
        profile_at=event.time,
    )
