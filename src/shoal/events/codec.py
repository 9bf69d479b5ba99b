"""Events to JSON and back. One decoder per topic, made once."""

from typing import Any, Final, TypeAlias

import msgspec

from shoal.errors import Rejected
from shoal.events.alert import AnyAlertEvent
from shoal.events.campaign import AnyCampaignEvent
from shoal.events.condition import AnyConditionEvent
from shoal.events.dead import AnyDeadEvent
from shoal.events.device import AnyDeviceEvent
from shoal.events.envelope import Event
from shoal.events.topics import ALERT, CAMPAIGN, CONDITION, DEAD, DEVICE, Topic

AnyEvent: TypeAlias = AnyDeviceEvent | AnyConditionEvent | AnyAlertEvent | AnyCampaignEvent | AnyDeadEvent

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_DECODERS: Final[dict[str, msgspec.json.Decoder[Any]]] = {
    DEVICE.name: msgspec.json.Decoder(AnyDeviceEvent),
    CONDITION.name: msgspec.json.Decoder(AnyConditionEvent),
    ALERT.name: msgspec.json.Decoder(AnyAlertEvent),
    CAMPAIGN.name: msgspec.json.Decoder(AnyCampaignEvent),
    DEAD.name: msgspec.json.Decoder(AnyDeadEvent),
}


def encode(event: Event) -> bytes:
    """One line of JSON, without the line's end."""
    return _ENCODER.encode(event)


def decode(topic: Topic, value: bytes) -> AnyEvent:
    """The event in a record of this topic.

    Raises:
        Rejected: not an event that we know; the record belongs on the dead-letter topic.
    """
    try:
        return _DECODERS[topic.name].decode(value)  # type: ignore[no-any-return]  # the decoder knows its union
    # ValidationError is a DecodeError; text that is not UTF-8, and nesting without end, have errors of their own.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(topic.name, str(error)) from error
