"""Who was not let in and what was refused: one pure function from an event to an entry of the security log.

What is alike on one day (UTC) is one entry that counts. A flood of different names becomes a few entries that count the
others, each by where it came from: it neither fills the disk nor hides anybody else.
"""

import hashlib
import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from shoal.events.codec import AnyEvent
from shoal.events.device import RequestRefused, SecurityEvent, host_of

# Tenant and device of what nobody can be blamed for: an unknown identity knocked.
NOBODY: Final = ""
# Different entries of one day about one device, or one person or token: who is refused in more ways is misused, and that
# is told.
DEVICE_ENTRIES_MAX: Final = 50
# Different entries of one day about strangers, of a tenant or of nobody: in 90 days some 70 MB at most.
STRANGERS_ENTRIES_MAX: Final = 2_000
# Of those, from one source: who tries a list of names is one who tries names.
SOURCE_ENTRIES_MAX: Final = 50
# RFC 4291 §2.5.1: an interface chooses the other 64 bits of its address by itself, so one is as good as another.
_SITE_BITS: Final = 64
# What foreigners said, as the core cuts it: 128 bytes, each of which may have become a character that stands for it.
_FOREIGN_CHARACTERS_MAX: Final = 128


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An entry: what is alike, how often it happened, and when first and last.

    `kind` is `security` (somebody was not let in), `refused` (a known device asked for something that we refused) or
    `denied` (a person or a token did). `subject` is the person or token, `place` where, `policy` the one that decided. An
    empty identity and address in an entry with `is_rest` stand for all those that were too many to be told apart.
    """

    tenant: str
    device: str
    kind: str
    reason: str
    operation: str = ""
    code: str = ""
    identity: str = ""
    endpoint: str = ""
    address: str = ""
    subject: str = NOBODY
    place: str = ""
    policy: str = ""
    is_rest: bool = False
    detail: str = ""
    count: int
    first_at: datetime
    last_at: datetime

    @property
    def day(self) -> date:
        return self.first_at.astimezone(UTC).date()

    @property
    def owner(self) -> str:
        """Whose budget it is of: the device's, the person's or the token's; of a stranger nobody's."""
        return self.device or self.subject

    @property
    def source(self) -> str:
        """The address, or the network of an IPv6 address."""
        return source_of(self.address)

    @property
    def id(self) -> str:
        """The same for all that is one entry."""
        alike: tuple[str, ...] = (
            self.day.isoformat(),
            self.tenant,
            self.device,
            self.kind,
            self.reason,
            self.operation,
            self.identity,
            self.endpoint,
            self.address,
            "rest" if self.is_rest else "",
        )
        if self.subject:
            alike += (self.subject, self.place, self.policy)
        return hashlib.sha256("\0".join(alike).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def refusal(event: AnyEvent) -> Refusal | None:
    """The entry of an event; None when it tells of no refusal."""
    match event:
        case SecurityEvent():
            kind, operation, code, identity, detail = "security", "", "", event.identity or "", ""
        case RequestRefused(device=str()):
            kind, operation, code, identity, detail = "refused", event.operation, event.code, "", event.detail
        case _:
            return None
    return Refusal(
        tenant=event.tenant or NOBODY,
        device=event.device or NOBODY,
        kind=kind,
        reason=event.reason,
        operation=operation,
        code=code,
        identity=legible(identity),
        endpoint=legible(event.endpoint or ""),
        address=host_of(legible(event.address or "")),
        detail=legible(detail),
        count=event.count if isinstance(event, SecurityEvent) else 1,
        first_at=event.time,
        last_at=event.time,
    )


def folded(entries: Iterable[Refusal], known: Mapping[str, datetime]) -> dict[str, Refusal]:
    """What is alike, as one. `known` are entries that are kept, with their last moment: what is not newer is a replay."""
    found: dict[str, Refusal] = {}
    for entry in entries:
        if entry.id in known and entry.last_at <= known[entry.id]:
            continue
        before = found.get(entry.id)
        found[entry.id] = entry if before is None else together(before, entry)
    return found


def within_bounds(
    entries: Iterable[Refusal], known: Mapping[str, datetime], kept: Mapping[tuple[str, str, date, str], int]
) -> list[Refusal]:
    """The entries as they may be kept: those beyond the bounds are counted together, by source or in all.

    `kept` says how many entries there are of a tenant, owner, day and source.
    """
    sources = Counter(kept)
    owners = Counter[tuple[str, str, date]]()
    for (tenant, name, day, _), count in kept.items():
        owners[tenant, name, day] += count
    found: dict[str, Refusal] = {}
    for entry in entries:
        owner = (entry.tenant, entry.owner, entry.day)
        taken = entry
        if entry.id not in known:
            most = STRANGERS_ENTRIES_MAX if entry.owner == NOBODY else DEVICE_ENTRIES_MAX
            if owners[owner] >= most:
                taken = rest(entry, address="")
            elif entry.owner == NOBODY and sources[*owner, entry.source] >= SOURCE_ENTRIES_MAX:
                taken = rest(entry, address=entry.source)
        if taken.id not in known and taken.id not in found:
            sources[*owner, taken.source] += 1
            owners[owner] += 1
        before = found.get(taken.id)
        found[taken.id] = taken if before is None else together(before, taken)
    return list(found.values())


def says(entry: Refusal) -> str:
    """The entry as a sentence without its end."""
    times = f", {entry.count} times" if entry.count > 1 else ""
    if entry.kind == "refused":
        return f"We refused its {_words(entry.operation)}: {_words(entry.reason)}{times}"
    if entry.kind == "denied":
        asked = f" to {_words(entry.operation)}" if entry.operation else ""
        return f"Refused {entry.identity or 'many others'}{asked}: {_words(entry.reason)}{times}"
    said = entry.identity or entry.endpoint
    who = " under many other names" if entry.is_rest else f" {said!r}" if entry.device == NOBODY and said else ""
    return f"Not let in: {_words(entry.reason)}{who}{times}"


def source_of(address: str) -> str:
    """The address, or the network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), _SITE_BITS), strict=False))


def together(before: Refusal, after: Refusal) -> Refusal:
    """Two that are alike, as one."""
    newer = after if after.last_at >= before.last_at else before
    return msgspec.structs.replace(
        newer,
        count=before.count + after.count,
        first_at=min(before.first_at, after.first_at),
        last_at=newer.last_at,
    )


def rest(entry: Refusal, address: str) -> Refusal:
    """The entry of many others like this one; of a person or token it stays theirs."""
    identity = entry.identity if entry.subject else ""
    return msgspec.structs.replace(
        entry, identity=identity, endpoint="", address=address, place="", policy="", detail="", is_rest=True
    )


def legible(text: str) -> str:
    """What somebody said, without what nobody can see; a database would not even take a NUL."""
    cut = text[:_FOREIGN_CHARACTERS_MAX]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")
