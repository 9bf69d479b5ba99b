"""Who is told of which alerts, after how long, how they are reached, and what carries it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel, JsonValue

from shoal.bff import heard, heard_calls

EVERYBODY: Final = "everybody"
# What a message may still become something else from.
_UNDER_WAY: Final = frozenset({"waiting", "leased", "calling"})


class NamedShown(BaseModel):
    """Something under its name: a contact of a step, a place."""

    id: str
    name: str


class StepShown(BaseModel):
    after_s: int
    who: list[NamedShown]
    channels: list[str]
    at_once: bool


class PolicyShown(BaseModel):
    """A policy with names. `is_default`: for all alerts that no other is for."""

    id: str
    name: str
    is_default: bool
    version: int
    steps: list[StepShown]
    severities: list[str]
    places: list[NamedShown]
    acknowledge_s: int | None
    resolve_s: int | None
    repeat: int
    repeat_every_s: int | None


class MethodShown(BaseModel):
    """A way to somebody. `shown` is the address as people know it: a mail address, the name of a webhook."""

    channel: str
    address: str
    shown: str
    delivered_at: datetime | None
    failed_at: datetime | None
    failure: str


class ContactShown(BaseModel):
    """Somebody who can be told. `policies` name them."""

    id: str
    name: str
    min_severity: str
    version: int
    methods: list[MethodShown]
    policies: list[str]


class LatestShown(BaseModel):
    """The newest message that went there; `is_under_way` while its end is not known."""

    about: str
    state: str
    is_under_way: bool
    at: datetime | None
    detail: str


class ChannelShown(BaseModel):
    id: str
    kind: str
    name: str
    url: str
    is_ready: bool
    says: str
    version: int
    latest: LatestShown | None
    contacts: list[str]


class EscalationScreen(BaseModel):
    """All that stands in the settings of who is told; policies in the order in which they are asked."""

    at: datetime
    policies: list[PolicyShown]
    contacts: list[ContactShown]
    channels: list[ChannelShown]
    places: list[NamedShown]


class CallShown(BaseModel):
    at: datetime
    after_s: int
    round: int
    step: int | None
    at_once: bool
    who: list[str]
    channels: list[str]


class RehearsalScreen(BaseModel):
    at: datetime
    policy: str
    policy_name: str
    acknowledge_s: int | None
    resolve_s: int | None
    calls: list[CallShown]


def escalation_screen(
    at: datetime,
    policies: Sequence[heard_calls.Policy],
    contacts: Sequence[heard_calls.Contact],
    channels: Sequence[heard_calls.Channel],
    farms: Sequence[heard.Farm],
    enclosures: Sequence[heard.Coverage],
) -> EscalationScreen:
    people = {contact.id: contact.name for contact in contacts} | {EVERYBODY: "Everybody"}
    hooks = {channel.id: channel.name for channel in channels}
    places = _places(farms, enclosures)
    names = {place.id: place.name for place in places}
    return EscalationScreen(
        at=at,
        policies=[_policy(policy, people, names) for policy in policies],
        contacts=[_contact(contact, hooks, policies) for contact in contacts],
        channels=[_channel(channel, contacts) for channel in channels],
        places=places,
    )


def rehearsal_screen(at: datetime, said: heard_calls.Rehearsal) -> RehearsalScreen:
    return RehearsalScreen(
        at=at,
        policy=said.policy,
        policy_name=said.policy_name,
        acknowledge_s=said.acknowledge_s,
        resolve_s=said.resolve_s,
        calls=[
            CallShown(
                at=call.at,
                after_s=call.after_s,
                round=call.round,
                step=call.step,
                at_once=call.at_once,
                who=[who.name for who in call.who],
                channels=list(dict.fromkeys(way for who in call.who for way in _first(who.channels, call.at_once))),
            )
            for call in said.calls
        ],
    )


def place_asked(place: str | None) -> dict[str, JsonValue]:
    """A place as the API asks for it: a farm, an enclosure or none."""
    if not place:
        return {}
    return {"enclosure" if place.startswith("enc-") else "farm": place}


def _first(channels: Sequence[str], at_once: bool) -> Sequence[str]:
    return channels if at_once else channels[:1]


def _places(farms: Sequence[heard.Farm], enclosures: Sequence[heard.Coverage]) -> list[NamedShown]:
    """Farms by name, each with its enclosures after it."""
    places = []
    for farm in sorted(farms, key=lambda farm: farm.name):
        places.append(NamedShown(id=farm.id, name=farm.name or farm.id))
        inside = sorted((each for each in enclosures if each.farm == farm.id), key=lambda each: each.name)
        places += [NamedShown(id=each.enclosure, name=f"{each.name}, {farm.name}") for each in inside]
    return places


def _policy(policy: heard_calls.Policy, people: Mapping[str, str], places: Mapping[str, str]) -> PolicyShown:
    return PolicyShown(
        id=policy.id,
        name=policy.name,
        is_default=policy.is_default,
        version=policy.version,
        steps=[
            StepShown(
                after_s=step.after_s,
                who=[NamedShown(id=contact, name=people.get(contact, "removed")) for contact in step.contacts],
                channels=step.channels,
                at_once=step.at_once,
            )
            for step in policy.steps
        ],
        severities=policy.severities,
        places=[NamedShown(id=place, name=places.get(place, place)) for place in policy.places],
        acknowledge_s=policy.acknowledge_s,
        resolve_s=policy.resolve_s,
        repeat=policy.repeat,
        repeat_every_s=policy.repeat_every_s,
    )


def _contact(
    contact: heard_calls.Contact, hooks: Mapping[str, str], policies: Sequence[heard_calls.Policy]
) -> ContactShown:
    return ContactShown(
        id=contact.id,
        name=contact.name,
        min_severity=contact.min_severity,
        version=contact.version,
        methods=[
            MethodShown(
                channel=method.channel,
                address=method.address,
                shown=hooks.get(method.address, method.address),
                delivered_at=method.delivered_at,
                failed_at=method.failed_at,
                failure=method.failure,
            )
            for method in contact.methods
        ],
        policies=[policy.name for policy in policies if any(contact.id in step.contacts for step in policy.steps)],
    )


def _channel(channel: heard_calls.Channel, contacts: Sequence[heard_calls.Contact]) -> ChannelShown:
    latest = channel.latest
    return ChannelShown(
        id=channel.id,
        kind=channel.kind,
        name=channel.name,
        url=channel.url,
        is_ready=channel.is_ready,
        says=channel.says,
        version=channel.version,
        latest=None if latest is None else _latest(latest),
        contacts=[
            contact.name
            for contact in contacts
            if any(channel.id in {method.address, method.channel} for method in contact.methods)
        ],
    )


def _latest(latest: heard_calls.Latest) -> LatestShown:
    is_under_way = latest.state in _UNDER_WAY
    return LatestShown(
        about=latest.about, state=latest.state, is_under_way=is_under_way, at=latest.at, detail=latest.detail
    )
