"""Whose fault an error is, and so what to do next.

Errors carry fields, not sentences: whoever reads one decides on the words.
"""

from collections.abc import Mapping


class ShoalError(Exception):
    """The root of all errors that Shoal raises on purpose."""


class Rejected(ShoalError):
    """The caller asked for something we will never do. Answer 4xx; do not retry.

    ``subject`` names what is wrong (a field, an object of the field's language), ``reason`` why, as a short clause.
    ``kind`` is the stable word that an interface turns into its own code (a problem type, an exit status).
    """

    kind = "invalid"

    def __init__(self, subject: str, reason: str, **facts: str | int | None) -> None:
        super().__init__(subject, reason)
        self.subject = subject
        self.reason = reason
        self.facts: Mapping[str, str | int | None] = facts

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}"


class NotFound(Rejected):
    """There is no such thing, or the caller may not know of it."""

    kind = "not-found"


class Conflict(Rejected):
    """What was asked contradicts what is there already."""

    kind = "conflict"


class Outdated(Conflict):
    """Somebody else changed it since the caller read it. Answer 412: read again, then decide again."""

    kind = "outdated"


class TooMany(Rejected):
    """Asked for too often. Answer 429; ask again after `retry_after_s`."""

    kind = "too-many-requests"

    def __init__(self, subject: str, reason: str, retry_after_s: int) -> None:
        super().__init__(subject, reason, retry_after_s=retry_after_s)


class Forbidden(Rejected):
    """The caller is known, and may not do this."""

    kind = "forbidden"


class Gone(Rejected):
    """There was such a thing, and it will not come back."""

    kind = "gone"


class DeviceFault(ShoalError):
    """A device refused, misbehaved or broke the protocol. Record it against the device.

    ``code`` is the CoAP code it answered with ("4.05"), None when it did not answer in time.
    """

    def __init__(self, device: str, operation: str, code: str | None, detail: str = "") -> None:
        super().__init__(device, operation, code, detail)
        self.device = device
        self.operation = operation
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.device}: {self.operation} {self.code or 'not answered'} {self.detail}".rstrip()


class Unavailable(ShoalError):
    """A neighbour (broker, database, mail server) is away. Retry later; nothing was lost.

    ``neighbour`` says which, ``remedy`` what an operator can do about it.
    """

    def __init__(self, neighbour: str, reason: str, remedy: str = "") -> None:
        super().__init__(neighbour, reason)
        self.neighbour = neighbour
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.neighbour}: {self.reason}" + (f". {self.remedy}" if self.remedy else "")


def check_version(subject: str, version: int, expected: int | None) -> None:
    """Nothing when the caller has seen the latest version, or does not care.

    Raises:
        Outdated: it was changed since.
    """
    if expected is not None and version != expected:
        raise Outdated(subject, "changed since it was read", version=version, expected=expected)
