"""Tenant, farm, enclosure: where everything hangs, outermost first."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shoal.errors import Rejected
from shoal.ids import EnclosureId, FarmId, TenantId

# One line of a phone's screen holds about a third of it; longer names are pasted by mistake.
NAME_CHARACTERS_MAX: Final = 120
# One or two words: pen, pond, tank, raceway, house.
KIND_CHARACTERS_MAX: Final = 40

_KIND: Final = re.compile(r"[a-z0-9]+([ _-][a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Whose it all is. Tenants never see each other."""

    id: TenantId
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """A site with enclosures. `version` rises with each change."""

    id: FarmId
    tenant: TenantId
    name: str
    created_at: datetime
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """The pen, pond or house of animals that devices watch. `version` rises with each change."""

    id: EnclosureId
    tenant: TenantId
    farm: FarmId
    farm_name: str
    name: str
    kind: str
    created_at: datetime
    version: int


def parse_name(raw: str) -> str:
    """A name as it will be shown, without blanks around it.

    Raises:
        Rejected: empty, too long, or with control characters.
    """
    name = raw.strip()
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise Rejected("name", f"{len(name)} characters, expected 1 to {NAME_CHARACTERS_MAX}")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise Rejected("name", "holds control characters")
    return name


def parse_kind(raw: str) -> str:
    """What an enclosure is, in a word of the farm's own: `pen`, `pond`, `smolt tank`.

    Raises:
        Rejected: empty, too long, or more than small letters, digits and single blanks or dashes between them.
    """
    kind = raw.strip().lower()
    if len(kind) > KIND_CHARACTERS_MAX or _KIND.fullmatch(kind) is None:
        raise Rejected("kind", f"not a word of up to {KIND_CHARACTERS_MAX} letters and digits")
    return kind
