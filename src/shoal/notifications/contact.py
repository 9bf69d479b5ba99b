"""How a person is reached, and for what."""

import re
from typing import Final

import msgspec

from shoal.errors import Rejected
from shoal.events.severity import Severity

# RFC 5321 §4.5.3.1.3: a path has at most 256 octets, its brackets included.
EMAIL_CHARACTERS_MAX: Final = 254
NAME_CHARACTERS_MAX: Final = 100  # a name fits on one line of a screen
# Not the grammar of RFC 5321 but what mail servers deliver to; no control characters, so that no header breaks.
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """A person of a tenant who is told of alerts at least as bad as `min_severity`."""

    id: str
    tenant: str
    name: str
    email: str
    min_severity: Severity = Severity.WARNING

    def wants(self, severity: Severity) -> bool:
        return severity.is_at_least(self.min_severity)


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
