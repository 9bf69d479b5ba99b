"""What was refused and is not written yet: in memory, folded, and bounded whatever comes."""

from typing import Final

import msgspec

from shoal.history.refusal import NOBODY, Refusal, rest, together

# Different ones until the next writing, as the gateway tells in a second; those beyond are counted with others of theirs.
WAITING_MAX: Final = 512
# As many again for those others: who was refused, or whence. Beyond that there is one for each tenant and reason.
OTHERS_MAX: Final = 512


class Folding:
    """Counts what is alike. Adding costs the same however much there is."""

    def __init__(self) -> None:
        self._waiting: dict[str, Refusal] = {}

    def add(self, entry: Refusal) -> None:
        """One more. Nothing is dropped without being counted."""
        taken = entry
        if entry.id not in self._waiting and len(self._waiting) >= WAITING_MAX:
            taken = rest(entry, address="" if entry.subject else entry.source)
            if taken.id not in self._waiting and len(self._waiting) >= WAITING_MAX + OTHERS_MAX:
                taken = msgspec.structs.replace(taken, operation="", identity="", address="", subject=NOBODY)
        before = self._waiting.get(taken.id)
        self._waiting[taken.id] = taken if before is None else together(before, taken)

    def take(self) -> list[Refusal]:
        """All that waits; then nothing does."""
        taken, self._waiting = list(self._waiting.values()), {}
        return taken
