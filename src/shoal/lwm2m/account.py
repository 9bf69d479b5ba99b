"""What a device needs to know of a server: the account that a bootstrap server hands out (objects 0, 1 and 2)."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from shoal.errors import Rejected
from shoal.lwm2m.bodies import Resources, Value
from shoal.lwm2m.certificates import Certificate
from shoal.lwm2m.path import Path
from shoal.lwm2m.short_id import SHORT_ID, SHORT_ID_MAX

# A farm that gets its accounts in one night must not renew its registrations in one second.
JITTER_MAX: Final = 0.2
# Values of resource 2 of the Security object (OMA LwM2M Core 1.1 §E.1).
MODE_PSK: Final = 0
MODE_X509: Final = 2
MODE_NOSEC: Final = 3
# Resource 15 there: the certificate in resource 4 is that of an authority (trust anchor assertion).
CERTIFICATE_USAGE_ANCHOR: Final = 2


@dataclass(frozen=True, kw_only=True)
class Access:
    """Which operations a server may do with an object instance, by its short id: object 2 (OMA LwM2M Core 1.1 §E.3).

    `rights` are bits: 1 read and observe, 2 write, 4 execute, 8 delete, 16 create.
    """

    path: str
    rights: Mapping[int, int]
    owner: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """One server, and what it knows the device by: a pre-shared key, a certificate, or nothing.

    Of a `certificate` the device gets the first of the chain, its key, and the first authority. `lifetime` is shortened
    by a random share of up to `jitter`. `values` are written as well, by path: `{"/26241/0/0": "enc-..."}`.

    Raises:
        Rejected: what does not fit together.
    """

    uri: str
    identity: str | None = None
    key: bytes | None = field(default=None, repr=False)
    certificate: Certificate | None = None
    short_id: int = SHORT_ID
    lifetime: timedelta = timedelta(hours=24)
    jitter: float = JITTER_MAX
    binding: str = "U"
    access: Sequence[Access] = ()
    values: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.identity is None) != (self.key is None):
            raise Rejected("account", "identity and key belong together")
        is_secure = self.uri.partition("://")[0] in {"coaps", "coaps+tcp"}
        proofs = [proof for proof in (self.key, self.certificate) if proof is not None]
        if len(proofs) != int(is_secure):
            raise Rejected("account", f"{self.uri}: coaps:// needs a key or a certificate, and coap:// neither")
        if self.certificate is not None and not self.certificate.authorities:
            raise Rejected("account", "nobody vouches for the server: the certificate has no authorities")
        if not 1 <= self.short_id <= SHORT_ID_MAX:
            raise Rejected("account", f"a short server id is from 1 to {SHORT_ID_MAX}")
        if not 0 <= self.jitter <= JITTER_MAX:
            raise Rejected("account", f"a jitter is from 0 to {JITTER_MAX}")

    def instances(self, *, security: int, has_usage: bool) -> Iterator[tuple[str, Resources]]:
        """What to write, object instance by object instance; the Security object under this id.

        Without `has_usage` it leaves out what a client of 1.0 does not know.
        """
        yield f"/0/{security}", self._security(has_usage=has_usage)
        lifetime_s = int(self.lifetime.total_seconds() * (1 - random.uniform(0, self.jitter)))  # noqa: S311  # no secret
        server: dict[int, Value] = {0: self.short_id, 1: lifetime_s, 6: True, 7: self.binding}
        yield "/1/0", server
        for number, access in enumerate(self.access):
            of = Path.parse(access.path)
            instance = 65_535 if of.instance is None else of.instance
            control: dict[int, Value] = {0: of.object, 1: instance, 2: dict(access.rights), 3: access.owner}
            yield f"/2/{number}", control
        beside: dict[str, dict[int, Value]] = {}
        for path, value in self.values.items():
            at = Path.parse(path)
            if at.resource is None or at.resource_instance is not None:
                raise Rejected(path, "not a resource")
            beside.setdefault(f"/{at.object}/{at.instance}", {})[at.resource] = value
        yield from beside.items()

    def _security(self, *, has_usage: bool) -> Resources:
        common: dict[int, Value] = {0: self.uri, 1: False, 10: self.short_id}
        if self.key is not None and self.identity is not None:
            return common | {2: MODE_PSK, 3: self.identity.encode(), 4: b"", 5: self.key}
        if self.certificate is not None:
            shown: dict[int, Value] = {
                2: MODE_X509,
                3: self.certificate.chain[0],
                4: self.certificate.authorities[0],
                5: self.certificate.key,
            }
            return common | shown | ({15: CERTIFICATE_USAGE_ANCHOR} if has_usage else {})
        return common | {2: MODE_NOSEC, 3: b"", 4: b"", 5: b""}
