"""Escalation policies: who is told of an alert, after how long, until somebody takes it."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Final

import msgspec

from shoal.errors import Rejected
from shoal.events.alert import EVERYBODY
from shoal.events.severity import Severity
from shoal.ids import Prefix, derived_id

STEPS_MAX: Final = 10  # more people than that, one after the other, is hours in which nobody acts
CONTACTS_PER_STEP_MAX: Final = 20  # a shift; a larger crowd waits for each other
PLACES_MAX: Final = 50  # farms and enclosures of one policy; beyond that it is meant for all
REPEAT_MAX: Final = 9  # after ten rounds everybody is told anyway
NAME_CHARACTERS_MAX: Final = 100  # a name fits on one line of a screen
FRAME_MIN: Final = timedelta(minutes=1)  # nobody can answer in less
FRAME_MAX: Final = timedelta(days=30)  # after that the alert is something else
# What may carry a message to a contact, in the order in which people are used to it.
CHANNELS: Final = ("email", "webhook", "dashboard")


class Frame(msgspec.Struct, frozen=True):
    """How long somebody has to take an alert, and then to resolve it. None: as long as it takes."""

    acknowledge: timedelta | None
    resolve: timedelta | None


# What holds where a policy says nothing: minutes where animals may be dying, days where a battery is to be changed.
FRAMES: Final = {
    Severity.CRITICAL: Frame(timedelta(minutes=5), timedelta(hours=1)),
    Severity.HIGH: Frame(timedelta(minutes=15), timedelta(hours=8)),
    Severity.WARNING: Frame(None, timedelta(days=7)),
    Severity.INFORMATIONAL: Frame(None, None),
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told once the alert is that old and nobody took it.

    `channels` are those to be tried first, in their order; none: each contact's own order. `at_once`: by all of them
    together, not by the next one when one fails.
    """

    after: timedelta
    contacts: list[str]
    channels: list[str] = []
    at_once: bool = False


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to the alerts it is for: of these severities (none: of all), at these places (none: everywhere).

    The steps come again `repeat` times, one round every `repeat_every` (None: as long as somebody has to take it). What
    is None of the time frames follows the severity.
    """

    id: str
    tenant: str
    name: str
    steps: list[Step]
    severities: list[Severity] = []
    places: list[str] = []
    acknowledge: timedelta | None = None
    resolve: timedelta | None = None
    repeat: int = 0
    repeat_every: timedelta | None = None
    position: int = 0
    version: int = 0

    @property
    def is_default(self) -> bool:
        return self.id == default_id(self.tenant)

    def frame(self, severity: Severity) -> Frame:
        """The time frames for an alert of this severity."""
        usual = FRAMES[severity]
        return Frame(self.acknowledge or usual.acknowledge, self.resolve or usual.resolve)

    def is_for(self, severity: Severity, places: Collection[str | None]) -> bool:
        return (not self.severities or severity in self.severities) and (
            not self.places or any(place in places for place in self.places)
        )


def default_id(tenant: str) -> str:
    """The id of the policy that a tenant has from the start."""
    return derived_id(Prefix.POLICY, tenant.encode())


def default_policy(tenant: str) -> Policy:
    """What holds until somebody says otherwise: everybody hears of it, and again while nobody takes it."""
    return Policy(
        id=default_id(tenant),
        tenant=tenant,
        name="Default",
        steps=[Step(after=timedelta(), contacts=[EVERYBODY])],
        repeat=2,
    )


def route(policies: Sequence[Policy], tenant: str, severity: Severity, places: Collection[str | None]) -> Policy:
    """The policy of an alert: the first in the tenant's order that is for it; the default is for all, and last."""
    for policy in policies:
        if not policy.is_default and policy.is_for(severity, places):
            return policy
    return next((policy for policy in policies if policy.is_default), default_policy(tenant))


def checked(policy: Policy, reachable: Collection[str], places: Collection[str]) -> Policy:
    """The policy, if it makes sense. `reachable` are the contacts that the tenant has, `places` its own of those named.

    Raises:
        Rejected: what is wrong with it; above all, that it would end in nobody.
    """
    name = " ".join(policy.name.split())
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise Rejected("name", f"1 to {NAME_CHARACTERS_MAX} printable characters")
    if not 1 <= len(policy.steps) <= STEPS_MAX:
        raise Rejected("steps", f"1 to {STEPS_MAX}, or it would end in nobody")
    for number, step in enumerate(policy.steps):
        _check_step(f"steps.{number}", step, reachable)
    _check_times(policy)
    _check_matches(policy, places)
    return msgspec.structs.replace(policy, name=name)


def _check_times(policy: Policy) -> None:
    times = [step.after for step in policy.steps]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise Rejected("steps", "each comes later than the one before it")
    if not 0 <= policy.repeat <= REPEAT_MAX:
        raise Rejected("repeat", f"0 to {REPEAT_MAX}")
    frames = {"acknowledge": policy.acknowledge, "resolve": policy.resolve, "repeat_every": policy.repeat_every}
    for field, frame in frames.items():
        if frame is not None and not FRAME_MIN <= frame <= FRAME_MAX:
            raise Rejected(field, "1 minute to 30 days")
    if policy.repeat_every is not None and policy.repeat_every <= times[-1]:
        raise Rejected("repeat_every", "later than the last step")


def _check_matches(policy: Policy, places: Collection[str]) -> None:
    if policy.is_default and (policy.severities or policy.places):
        raise Rejected("default", "the default is for all that no other policy is for")
    if len(policy.places) > PLACES_MAX:
        raise Rejected("places", f"at most {PLACES_MAX}")
    for place in policy.places:
        if place not in places:
            raise Rejected("places", f"there is no {place}")


def _check_step(field: str, step: Step, reachable: Collection[str]) -> None:
    if not timedelta() <= step.after <= FRAME_MAX:
        raise Rejected(f"{field}.after", "0 to 30 days")
    if not reachable:
        raise Rejected(f"{field}.contacts", "ends in nobody: there are no contacts yet")
    if not step.contacts:
        raise Rejected(f"{field}.contacts", "ends in nobody: name a contact, or everybody")
    if len(step.contacts) > CONTACTS_PER_STEP_MAX:
        raise Rejected(f"{field}.contacts", f"at most {CONTACTS_PER_STEP_MAX}")
    for contact in step.contacts:
        if contact != EVERYBODY and contact not in reachable:
            raise Rejected(f"{field}.contacts", f"ends in nobody: there is no contact {contact}")
    if any(channel not in CHANNELS for channel in step.channels):
        raise Rejected(f"{field}.channels", f"of {', '.join(CHANNELS)}")
