"""How a person is reached, and for what."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

import msgspec

from shoal.errors import Rejected
from shoal.events.alert import EVERYBODY
from shoal.events.severity import Severity
from shoal.ids import Prefix, parse_id
from shoal.notifications.channel import DASHBOARD, EMAIL, WEBHOOK

# RFC 5321 §4.5.3.1.3: a path has at most 256 octets, its brackets included.
EMAIL_CHARACTERS_MAX: Final = 254
NAME_CHARACTERS_MAX: Final = 100  # a name fits on one line of a screen
METHODS_MAX: Final = 10  # nobody carries more telephones
# Not the grammar of RFC 5321 but what mail servers deliver to; no control characters, so that no header breaks.
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One way to a person: a channel, and the address there (a mail address, the id of a webhook, nothing).

    `delivered_at` and `failed_at` are of the last messages that went well, and that never will; with the reason.
    """

    channel: str
    address: str
    delivered_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str = ""

    @property
    def way(self) -> tuple[str, str]:
        return (self.channel, self.address)


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """A person of a tenant. Where everybody is to be told, of alerts at least as bad as `min_severity`.

    `methods` stand in the order in which the person wants to be reached; the next is used when one fails.
    """

    id: str
    tenant: str
    name: str
    methods: list[Method]
    min_severity: Severity = Severity.WARNING
    version: int = 1

    def wants(self, severity: Severity) -> bool:
        return severity.is_at_least(self.min_severity)

    def ways(self, channels: Sequence[str] = ()) -> list[Method]:
        """The methods, those of the named channels first, in the order of the names."""
        ranks = {channel: rank for rank, channel in enumerate(channels)}
        return sorted(self.methods, key=lambda method: ranks.get(method.channel, len(ranks)))


def reached(
    people: Sequence[Contact], named: Collection[str], severity: Severity, told: Collection[str] = ()
) -> list[Contact]:
    """Whom a step tells: those it names, or everybody who wants to hear of it or has been `told`; and never nobody."""
    everybody = [person for person in people if person.wants(severity) or person.id in told]
    if EVERYBODY in named:
        return everybody
    # Who was removed since the alert opened cannot be told; if nobody is left, all must do.
    return [person for person in people if person.id in named] or everybody or list(people)


def parse_name(raw: str) -> str:
    """A person's name.

    Raises:
        Rejected: empty, too long, or with characters that do not print.
    """
    name = " ".join(raw.split())
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise Rejected("name", f"1 to {NAME_CHARACTERS_MAX} printable characters")
    return name


def parse_email(raw: str) -> str:
    """An address that mail can be sent to.

    Raises:
        Rejected: not an address.
    """
    email = raw.strip()
    if len(email) > EMAIL_CHARACTERS_MAX or _EMAIL.fullmatch(email) is None:
        raise Rejected("email", "not an email address")
    return email


def parse_severity(raw: str) -> Severity:
    """A severity by its word.

    Raises:
        Rejected: no such severity.
    """
    try:
        return Severity(raw.strip().lower())
    except ValueError as error:
        raise Rejected("min_severity", f"one of {', '.join(Severity)}") from error


def parse_methods(raw: Sequence[tuple[str, str]]) -> list[Method]:
    """Ways to a person, in their order. Whether a webhook of that id exists is for the store to say.

    Raises:
        Rejected: none, too many, the same twice, a channel or an address that is none.
    """
    if not 1 <= len(raw) <= METHODS_MAX:
        raise Rejected("methods", f"1 to {METHODS_MAX}, or nobody could reach them")
    methods = [_method(channel.strip().lower(), address) for channel, address in raw]
    if len({method.way for method in methods}) < len(methods):
        raise Rejected("methods", "the same twice")
    return methods


def _method(channel: str, address: str) -> Method:
    if channel == EMAIL:
        return Method(channel=EMAIL, address=parse_email(address))
    if channel == WEBHOOK:
        return Method(channel=WEBHOOK, address=parse_id(address, Prefix.CHANNEL))
    if channel == DASHBOARD:
        return Method(channel=DASHBOARD, address="")
    raise Rejected("methods", f"by {EMAIL}, {WEBHOOK} or {DASHBOARD}")
