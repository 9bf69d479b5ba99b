"""Short ids that a person can type: `enc-7K3M2QX4`.

A prefix for the kind, seven random characters of Crockford's base32, one check character (Luhn mod 32). Any case is
understood, as are `O` for zero and `I`, `L` for one, so that a label read aloud or typed with cold hands still works.
"""

import hashlib
import secrets
from enum import StrEnum
from typing import Final, NewType

from shoal.errors import Rejected

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM_CHARACTERS: Final = 7
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)} | {"O": 0, "I": 1, "L": 1}

TenantId = NewType("TenantId", str)
FarmCollectionId = NewType("FarmCollectionId", str)
FarmId = NewType("FarmId", str)
EnclosureId = NewType("EnclosureId", str)
DeviceId = NewType("DeviceId", str)
CommandId = NewType("CommandId", str)
AlertId = NewType("AlertId", str)
ArtifactId = NewType("ArtifactId", str)
CampaignId = NewType("CampaignId", str)
UserId = NewType("UserId", str)
TokenId = NewType("TokenId", str)
CredentialId = NewType("CredentialId", str)
TrustAnchorId = NewType("TrustAnchorId", str)


class Prefix(StrEnum):
    """What an id names. The whole list of design section 2, so that no two kinds ever share one."""

    TENANT = "ten"
    FARM_COLLECTION = "col"
    FARM = "frm"
    ENCLOSURE = "enc"
    DEVICE = "dev"
    COMMAND = "cmd"
    ALERT = "alr"
    ARTIFACT = "art"
    CAMPAIGN = "cmp"
    POLICY = "pol"
    USER = "usr"
    TOKEN = "tok"  # noqa: S105  # a prefix, not a password
    PROFILE = "prf"
    CHANNEL = "chn"
    CONTACT = "con"
    SEVERITY = "sev"
    CREDENTIAL = "crd"
    TRUST_ANCHOR = "tra"


class MistypedId(Rejected):
    """Not an id: `meant` holds the ids one edit away that would be valid, for "did you mean"."""

    def __init__(self, raw: str, prefix: Prefix, reason: str, meant: tuple[str, ...] = ()) -> None:
        super().__init__(raw[:64], reason, prefix=prefix.value)
        self.meant = meant


def new_id(prefix: Prefix) -> str:
    """A fresh random id. The caller's unique index decides whether it collides; then it draws again."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARACTERS))
    return f"{prefix.value}-{body}{_check(body)}"


def derived_id(prefix: Prefix, seed: bytes) -> str:
    """The id that always comes from the same seed: what is made again in a replay gets the same one.

    35 bits are few enough that two seeds may meet. The caller's unique index decides; then it derives from another seed
    (the same one and a number), so that the answer stays the same for the same rows.
    """
    digest = int.from_bytes(hashlib.sha256(prefix.value.encode() + b"\0" + seed).digest()[:8])
    body = "".join(ALPHABET[(digest >> 5 * position) % len(ALPHABET)] for position in range(RANDOM_CHARACTERS))
    return f"{prefix.value}-{body}{_check(body)}"


def parse_id(raw: str, prefix: Prefix) -> str:
    """The canonical form of an id as a person typed it.

    Raises:
        MistypedId: wrong prefix, length, alphabet or check character; with the likely meant ids.
    """
    head, dash, tail = raw.strip().partition("-")
    if not dash or head.lower() != prefix.value:
        raise MistypedId(raw, prefix, f"not of the form {prefix.value}-XXXXXXXX")
    characters = tail.upper().replace("-", "")
    if len(characters) != RANDOM_CHARACTERS + 1:
        raise MistypedId(raw, prefix, f"{len(characters)} characters after the dash, expected {RANDOM_CHARACTERS + 1}")
    if any(character not in _VALUES for character in characters):
        raise MistypedId(raw, prefix, "only digits and letters without U")
    canonical = "".join(ALPHABET[_VALUES[character]] for character in characters)
    if _check(canonical[:-1]) != canonical[-1]:
        meant = (f"{prefix.value}-{body}" for body in _near(canonical))
        raise MistypedId(raw, prefix, "the check character does not fit", tuple(meant))
    return f"{prefix.value}-{canonical}"


def _check(body: str) -> str:
    """Luhn mod N over the alphabet: finds every single wrong character and almost every swap of neighbours."""
    total, factor = 0, 2
    for character in reversed(body):
        addend = factor * _VALUES[character]
        total += addend // len(ALPHABET) + addend % len(ALPHABET)
        factor = 3 - factor
    return ALPHABET[-total % len(ALPHABET)]


def _near(canonical: str) -> list[str]:
    """Valid ids that differ by one swap of neighbours; the caller looks up which of them exist."""
    swaps = (canonical[:i] + canonical[i + 1] + canonical[i] + canonical[i + 2 :] for i in range(len(canonical) - 1))
    return [candidate for candidate in swaps if _check(candidate[:-1]) == candidate[-1]]
