"""Writes docs/events.md from src/shoal/events: `python docs/generate_events.py` after a change to an event."""  # noqa: INP001  # a script

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from shoal.events.alert import AnyAlertEvent
from shoal.events.campaign import AnyCampaignEvent
from shoal.events.condition import AnyConditionEvent
from shoal.events.dead import AnyDeadEvent
from shoal.events.device import AnyDeviceEvent
from shoal.events.envelope import Event, Moment
from shoal.events.topics import ALERT, CAMPAIGN, CONDITION, DEAD, DEVICE, Topic

PAGE: Final = Path(__file__).resolve().parent / "events.md"

TOPICS: Final[tuple[tuple[Topic, Any], ...]] = (
    (DEVICE, AnyDeviceEvent),
    (CONDITION, AnyConditionEvent),
    (ALERT, AnyAlertEvent),
    (CAMPAIGN, AnyCampaignEvent),
    (DEAD, AnyDeadEvent),
)

INTRODUCTION: Final = """\
# Events

What travels on the stream, for integrators and for whoever adds an event. This page is made from `src/shoal/events` by
`python docs/generate_events.py`; a test sees to it that it is up to date.

- Each record is one JSON object. `type` says which event it is; `id` is the same whenever the same fact is written
  again, so a consumer that keeps ids may see an event twice and not mind; `time` is when it happened, in UTC by our
  clock. A device's own clock is payload.
- Events with the same key are in order. Between keys there is no order.
- Fields are only ever added, and a consumer passes over those that it does not know. A field that may be left out
  has its default behind it.
- What cannot be read is not lost: it goes to `shoal.dead.v1` with the reason.
"""


def kinds(union: Any) -> tuple[type[Event], ...]:
    """The events of a topic."""
    return get_args(union) or (union,)


def page() -> str:
    """The whole page."""
    parts: dict[str, type[msgspec.Struct]] = {}
    lines = [INTRODUCTION]
    lines += ["| Topic | Key | Kept for |", "|---|---|---|"]
    lines += [
        f"| [`{topic.name}`](#{_anchor(topic.name)}) | {topic.key} | {topic.retention.days} days |"
        for topic, _ in TOPICS
    ]
    lines.append("")
    for topic, union in TOPICS:
        lines += [f"## {topic.name}", ""]
        every = kinds(union)
        shared = _shared(every)
        if shared:
            lines += ["In every event of this topic:", "", *_table(every[0], shared, parts), ""]
        for kind in every:
            lines += [f"### {kind.__struct_config__.tag}", "", _says(kind), ""]
            own = [name for name in kind.__struct_fields__ if name not in shared]
            if own:
                lines += [*_table(kind, own, parts), ""]
    lines += ["## Parts", ""]
    # A part may have parts of its own, which are found while its table is made.
    done: set[str] = set()
    while rest := sorted(set(parts) - done):
        done.add(rest[0])
        part = parts[rest[0]]
        lines += [f"### {rest[0]}", "", _says(part), "", *_table(part, part.__struct_fields__, parts), ""]
    return "\n".join(lines).rstrip() + "\n"


def _shared(every: tuple[type[Event], ...]) -> list[str]:
    """Fields that all events of a topic have, when there is more than one event."""
    if len(every) == 1:
        return []
    return [name for name in every[0].__struct_fields__ if all(name in kind.__struct_fields__ for kind in every)]


def _table(kind: type[Any], names: Any, parts: dict[str, type[msgspec.Struct]]) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    defaults = {field.name: field for field in msgspec.structs.fields(kind)}
    yield "| Field | Type | When left out |"
    yield "|---|---|---|"
    for name in names:
        yield f"| `{name}` | {_type(hints[name], parts)} | {_default(defaults[name])} |"


def _type(hint: Any, parts: dict[str, type[msgspec.Struct]]) -> str:
    """A type in the words of JSON."""
    if hint == Moment:
        return "moment (RFC 3339)"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        parts[hint.__name__] = hint
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    if get_origin(hint) is Annotated:
        return _type(get_args(hint)[0], parts)
    inner = [_type(argument, parts) for argument in get_args(hint)]
    match get_origin(hint):
        case origin if origin is list:
            return f"list of {inner[0]}"
        case origin if origin is tuple:
            return f"[{', '.join(inner)}]"
        case origin if origin is dict:
            return f"object, {inner[0]} to {inner[1]}"
    if inner:
        return " or ".join(inner)
    words = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "boolean",
        type(None): "null",
        bytes: "text (base64)",
        msgspec.Raw: "any JSON",
    }
    return words[hint]


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return ""
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{msgspec.json.encode(field.default_factory()).decode()}`"
    return f"`{msgspec.json.encode(field.default).decode()}`"


def _says(kind: type[Any]) -> str:
    """The docstring as one paragraph of Markdown for each of its own."""
    paragraphs = (inspect.getdoc(kind) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", title.lower())


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
