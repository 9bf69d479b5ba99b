"""Every event survives the way over the stream, and no bytes break a reader."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.errors import Rejected
from shoal.events import alert, campaign, condition, dead, device
from shoal.events.alert import AnyAlertEvent
from shoal.events.campaign import AnyCampaignEvent
from shoal.events.codec import decode, encode
from shoal.events.condition import AnyConditionEvent
from shoal.events.dead import AnyDeadEvent
from shoal.events.device import NODES_MAX, AnyDeviceEvent, Heartbeat, Nodes
from shoal.events.envelope import Event, Moment
from shoal.events.topics import BY_NAME, DEVICE, TOPICS, Topic


def kinds(union: Any) -> tuple[type[Event], ...]:
    """The event types of a topic; a topic may have only one."""
    return get_args(union) or (union,)


KINDS = tuple(
    kind
    for union in (AnyDeviceEvent, AnyConditionEvent, AnyAlertEvent, AnyCampaignEvent, AnyDeadEvent)
    for kind in kinds(union)
)

text = st.text(max_size=20)
# Hypothesis wants the bounds without a zone, and adds it.
moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
raw_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
).map(lambda value: msgspec.Raw(msgspec.json.encode(value)))

st.register_type_strategy(datetime, moments)
st.register_type_strategy(msgspec.Raw, raw_json)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(str, text)


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, optional parts included."""
    if annotation == Moment:
        return moments
    if annotation == Nodes:
        return st.lists(st.integers(0, 65_535), min_size=1, max_size=3)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return structs(annotation)
    origin, arguments = getattr(annotation, "__origin__", None), get_args(annotation)
    if origin is list:
        return st.lists(values(arguments[0]), max_size=3)
    if origin is tuple:
        return st.tuples(*(values(argument) for argument in arguments))
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if arguments:
        return st.one_of(*(values(argument) for argument in arguments))
    return st.from_type(annotation)


def structs(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Structs of a kind with every field filled."""
    fields = msgspec.inspect.type_info(kind)
    assert isinstance(fields, msgspec.inspect.StructType)
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{field.name: values(hints[field.name]) for field in fields.fields})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=20)  # for each kind of event
@given(data=st.data())
def test_an_event_comes_back_as_it_was_sent(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(structs(kind))

    line = encode(event)

    assert b"\n" not in line
    assert decode(event.topic, line) == event
    assert encode(decode(event.topic, line)) == line
    assert isinstance(event.key, str)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_names_its_kind_once_on_its_topic(kind: type[Event]) -> None:
    tag = kind.__struct_config__.tag

    assert isinstance(tag, str)
    assert [other for other in KINDS if other.topic is kind.topic and other.__struct_config__.tag == tag] == [kind]


def test_no_event_is_left_out_of_the_union_of_its_topic() -> None:
    modules = (device, condition, alert, campaign, dead)
    declared = {
        found
        for module in modules
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, Event) and isinstance(found.__struct_config__.tag, str)
    }

    tagged = {kind for kind in declared if kind.__struct_config__.tag != kind.__name__}
    assert tagged == set(KINDS)


def test_topics_are_found_by_their_names() -> None:
    assert {topic.name: topic for topic in TOPICS} == BY_NAME


def test_a_heartbeat_of_an_earlier_version_is_that_of_the_only_gateway() -> None:
    beat = decode(DEVICE, b'{"type":"heartbeat","id":"h","time":"2026-11-01T12:00:00Z","partition":3}')

    assert isinstance(beat, Heartbeat)
    assert (beat.nodes, beat.of) == ([0], [0])


@pytest.mark.parametrize(
    "nodes",
    [[], [-1], [65_536], list(range(NODES_MAX + 1)), ["0"], [0.5], None],
    ids=["none", "below", "above", "too many", "text", "half", "null"],
)
@pytest.mark.parametrize("field", ["nodes", "of"])
def test_a_heartbeat_of_impossible_node_numbers_is_rejected(field: str, nodes: object) -> None:
    beat = Heartbeat(id="h", time=datetime(2026, 11, 1, tzinfo=UTC), partition=0)
    facts = msgspec.json.decode(encode(beat))

    with pytest.raises(Rejected, match=rf"\$\.{field}"):
        decode(DEVICE, msgspec.json.encode({**facts, field: nodes}))


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
@given(value=st.binary(max_size=200))
def test_any_bytes_are_rejected_or_read(topic: Topic, value: bytes) -> None:
    try:
        decode(topic, value)
    except Rejected:
        return
    raise AssertionError("random bytes were taken for an event")


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
@given(data=st.data())
def test_any_json_is_rejected_or_read(topic: Topic, data: st.DataObject) -> None:
    tags = [str(kind.__struct_config__.tag) for kind in KINDS if kind.topic is topic]
    names = sorted({name for kind in KINDS if kind.topic is topic for name in kind.__struct_fields__})
    scalar = st.none() | st.booleans() | st.integers() | st.floats() | text | st.just("2026-11-01T06:00:00Z")
    json = st.recursive(
        scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
    )
    body = data.draw(st.dictionaries(st.sampled_from(names), json, max_size=8))
    body |= {"type": data.draw(st.sampled_from(tags)), "id": "e-1", "time": "2026-11-01T06:00:00Z"}

    try:
        event = decode(topic, msgspec.json.encode(body))
    except Rejected:
        return
    assert isinstance(event, Event)


@given(data=st.data())
def test_damage_to_an_event_is_rejected_or_read(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    line = bytearray(encode(data.draw(structs(kind))))
    for _ in range(data.draw(st.integers(1, 3))):
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))

    try:
        decode(kind.topic, bytes(line))
    except Rejected:
        return


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"type":"removed","id":"a","time":"2026-11-01T06:00:00"}', "timezone"),
        (b'{"type":"removed","id":"\xff","time":"2026-11-01T06:00:00Z"}', "utf-8"),
        (b'{"type":"removed","id":"a","time":"2026-11-01T06:00:00Z","more":' + b"[" * 100_000, "recursion"),
        (b'{"type":"nonsense","id":"a","time":"2026-11-01T06:00:00Z"}', "nonsense"),
        (b"", "truncated"),
    ],
)
def test_a_record_that_is_no_event_says_why(value: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        decode(DEVICE, value)


def test_fields_that_a_newer_shoal_added_do_not_disturb_an_older_one() -> None:
    line = b'{"type":"removed","id":"a","time":"2026-11-01T08:00:00+02:00","device":"dev-1","colour":"red"}'

    event = decode(DEVICE, line)

    assert event.id == "a"
    assert event.time == datetime(2026, 11, 1, 8, tzinfo=timezone(timedelta(hours=2)))
