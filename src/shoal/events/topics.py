"""Where events travel: name, key, retention and partitioning of every topic (design section 4)."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Topic:
    """One stream of events. `key` says in words what orders its events."""

    name: str
    key: str
    retention: timedelta
    is_compacted: bool = False


DEVICE: Final = Topic("shoal.device.v1", "device id, else endpoint", timedelta(days=7))
CONDITION: Final = Topic("shoal.condition.v1", "farm id, else device id", timedelta(days=7))
ALERT: Final = Topic("shoal.alert.v1", "farm id, else alert id", timedelta(days=30))
CAMPAIGN: Final = Topic("shoal.campaign.v1", "update id", timedelta(days=30))
DEAD: Final = Topic("shoal.dead.v1", "as the source", timedelta(days=30))

TOPICS: Final = (DEVICE, CONDITION, ALERT, CAMPAIGN, DEAD)
BY_NAME: Final = {topic.name: topic for topic in TOPICS}
