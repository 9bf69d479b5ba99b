"""The short code of an alert: what people say on the phone and write in a message."""

import hashlib
from collections.abc import Container
from typing import Final

from shoal.errors import Unavailable

# Without what looks or sounds alike: B8 D0OQ 1IL 2Z 5S U (V stays), and no vowels, so that no code is a word.
ALPHABET: Final = "CFGHJKMNPRTVWXY34679"
CHARACTERS: Final = 4
# Tries before a code is given up: with half of all 160,000 codes taken, 64 tries fail once in 10^19 alerts.
TRIES_MAX: Final = 64


def short_code(alert: str, taken: Container[str]) -> str:
    """The code of an alert, not among those taken by other open alerts of its tenant. The same whenever asked again.

    Raises:
        Unavailable: so many alerts are open that no code is free.
    """
    for attempt in range(TRIES_MAX):
        number = int.from_bytes(hashlib.sha256(f"{alert}|{attempt}".encode()).digest()[:8])
        code = ""
        for _ in range(CHARACTERS):
            number, index = divmod(number, len(ALPHABET))
            code += ALPHABET[index]
        if code not in taken:
            return code
    raise Unavailable("alert codes", "nearly all are taken", "Resolve alerts that nobody needs any more.")
