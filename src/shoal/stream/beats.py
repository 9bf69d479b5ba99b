"""What gateways said of a partition in their heartbeats: whom one has to hear, and up to when each of them was."""

from datetime import datetime
from typing import Final

import msgspec

from shoal.events.device import Heartbeat


class Beats(msgspec.Struct, frozen=True, kw_only=True):
    """The node numbers that have to be heard, and up to when what each of them speaks for has been written.

    `of` is what the newest heartbeat (that of `at`) names; without one it is the only gateway of earlier versions. A
    number that is no longer among them is forgotten: nothing grows beyond what one heartbeat may name.
    """

    of: tuple[int, ...] = (0,)
    at: datetime | None = None
    said: dict[int, datetime] = {}

    @property
    def is_alone(self) -> bool:
        """Whether one number is all there is: then whatever a gateway writes is a word of it."""
        return len(self.of) == 1

    @property
    def complete_until(self) -> datetime | None:
        """Up to when everything is in, whoever it was for; None while one of the numbers was never heard."""
        if not self.of or any(node not in self.said for node in self.of):
            return None
        return min(self.said[node] for node in self.of)

    def unheard_since(self, when: datetime) -> list[int]:
        """The numbers that nobody has spoken for since then."""
        return [node for node in self.of if node not in self.said or self.said[node] < when]

    def after(self, beat: Heartbeat, taken_in_at: datetime) -> "Beats":
        """What is known after one more heartbeat, and when the log took that in. An old one takes nothing back."""
        at = spoken_at(beat, taken_in_at)
        # Whoever speaks has to be heard, also when it does not count itself.
        of = tuple(sorted({*beat.of, *beat.nodes}))
        return self.joined(Beats(of=of, at=at, said=dict.fromkeys(beat.nodes, at)))

    def joined(self, other: "Beats") -> "Beats":
        """What is known by both. The newer one says who has to be heard; of two that are equally new, the other."""
        newer = self if other.at is None or (self.at is not None and self.at > other.at) else other
        said = {
            node: max(known.said[node] for known in (self, other) if node in known.said)
            for node in newer.of
            if node in self.said or node in other.said
        }
        return Beats(of=newer.of, at=newer.at, said=said)


# Before the first heartbeat, for whoever may not take any gateway for the only one: nothing is complete.
NOT_KNOWN_YET: Final = Beats(of=())


def spoken_at(beat: Heartbeat, taken_in_at: datetime) -> datetime:
    """Up to when a heartbeat speaks. Never beyond the log's own clock: with one that is fast, the dead would be heard."""
    return min(beat.time, taken_in_at)
