"""What devices do, as the core writes it: events in which only what a test cares about has to be said."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from shoal.events.device import (
    Claim,
    DeviceAwake,
    DeviceDeregistered,
    DeviceRegistered,
    DeviceRemoved,
    ObservationChanged,
    PlaceChanged,
    ProfileChanged,
    Reading,
    ReadingsReported,
    RegistrationExpired,
    RegistrationUpdated,
    RequestRefused,
    Scalar,
    SecurityEvent,
)


class Voice:
    """One device, and the events that it causes. Ids count up, so no two events are the same."""

    def __init__(
        self,
        device: str = "dev-1",
        *,
        tenant: str = "ten-1",
        farm: str | None = "frm-1",
        enclosure: str | None = "enc-1",
        endpoint: str = "cam-1",
    ) -> None:
        self.device = device
        self.endpoint = endpoint
        self.registration = f"reg-{device}-1"
        self._where = {"tenant": tenant, "farm": farm, "enclosure": enclosure}
        self._numbers: Iterator[int] = itertools.count(1)

    def registered(
        self,
        at: datetime,
        *,
        lifetime_s: int = 300,
        queue_mode: bool = False,
        objects: tuple[str, ...] = ("/3/0", "/26242/0"),
        claim: str | None = None,
        is_again: bool = False,
    ) -> DeviceRegistered:
        if is_again:
            self.registration = f"reg-{self.device}-{next(self._numbers)}"
        return DeviceRegistered(
            **self._facts(at),
            registration=self.registration,
            version="1.1",
            lifetime_s=lifetime_s,
            binding="U",
            queue_mode=queue_mode,
            secure=True,
            address="192.0.2.7:40001",
            objects=[(path, None) for path in objects],
            claim=None if claim is None else Claim(enclosure=claim, via="option"),
        )

    def updated(self, at: datetime, **changes: Any) -> RegistrationUpdated:
        return RegistrationUpdated(**self._facts(at), registration=self.registration, **changes)

    def awake(self, at: datetime) -> DeviceAwake:
        return DeviceAwake(**self._facts(at), registration=self.registration)

    def deregistered(self, at: datetime) -> DeviceDeregistered:
        return DeviceDeregistered(**self._facts(at), registration=self.registration)

    def expired(self, at: datetime) -> RegistrationExpired:
        return RegistrationExpired(**self._facts(at), registration=self.registration)

    def reported(
        self,
        at: datetime,
        values: Mapping[str, Scalar],
        *,
        via: str = "notify",
        path: str | None = None,
        paths: Sequence[str] = (),
    ) -> ReadingsReported:
        readings = [Reading(path=name, value=value) for name, value in values.items()]
        return ReadingsReported(**self._facts(at), via=via, readings=readings, path=path, paths=list(paths))

    def observation(self, at: datetime, path: str, state: str) -> ObservationChanged:
        return ObservationChanged(**self._facts(at), path=path, state=state)

    def refused(self, at: datetime) -> RequestRefused:
        return RequestRefused(**self._facts(at), operation="update", code="4.04", reason="registration_unknown")

    def intruded(self, at: datetime, *, count: int = 1, reason: str = "bad_key") -> SecurityEvent:
        return SecurityEvent(
            **self._facts(at), reason=reason, identity=self.endpoint, address="192.0.2.7:40001", count=count
        )

    def placed(self, at: datetime, state: str, claimed: str | None = None, *, by: str | None = None) -> PlaceChanged:
        return PlaceChanged(**self._facts(at), state=state, claimed=claimed, by=by)

    def profiled(
        self,
        at: datetime,
        *,
        kind: str = "camera",
        report_every_s: float = 60,
        grace_s: float | None = None,
        **more: Any,
    ) -> ProfileChanged:
        return ProfileChanged(
            **self._facts(at),
            profile="prf-1",
            kind=kind,
            report_every_s=report_every_s,
            grace_s=grace_s,
            awake_window_s=more.pop("awake_window_s", 93),
            created_at=at,
            **more,
        )

    def removed(self, at: datetime) -> DeviceRemoved:
        return DeviceRemoved(**self._facts(at))

    def _facts(self, at: datetime) -> dict[str, Any]:
        number = next(self._numbers)
        return {
            "id": f"{self.device}-{number}",
            "time": at,
            "device": self.device,
            "endpoint": self.endpoint,
            **self._where,
        }


def moved(voice: Voice, *, farm: str | None, enclosure: str | None) -> Voice:
    """The same device, once the inventory has it elsewhere."""
    voice._where |= {"farm": farm, "enclosure": enclosure}
    return voice
