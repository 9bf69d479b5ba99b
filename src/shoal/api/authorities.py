"""Certificate authorities of the tenant: made here or taken in, rolled over, retired; their lists of what is revoked."""

from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, SecretStr

from shoal.access.policy import Operation
from shoal.api.access import AuthorityKey, HeldAsking
from shoal.api.context import HeldRooms
from shoal.api.paging import Listed
from shoal.authority.authority import Authority, State, fingerprint_of, pem_of
from shoal.authority.issuing import LIFETIME_MIN, ROOT_LIFETIME_MAX, Curve, curve_of
from shoal.authority.request import NAME_CHARACTERS_MAX, PEM_BYTES_MAX
from shoal.errors import Rejected

router = APIRouter(prefix="/authorities", tags=["trust"])

# RFC 2585 §4.2.
CRL_TYPE: Final = "application/pkix-crl"
_SHORTEST_S: Final = int(LIFETIME_MIN.total_seconds())
_LONGEST_S: Final = int(ROOT_LIFETIME_MAX.total_seconds())


class AuthorityAsked(BaseModel):
    """A new authority; or, with `certificate` and `key`, one that was made elsewhere: its own first, those above after it."""

    name: str = Field(max_length=2 * NAME_CHARACTERS_MAX)
    curve: Curve = Curve.P256
    lifetime_s: int | None = Field(None, ge=_SHORTEST_S, le=_LONGEST_S, description="twenty years by default")
    under: AuthorityKey | None = Field(None, description="as an intermediate beneath this one")
    certificate: str | None = Field(None, max_length=PEM_BYTES_MAX, description="PEM")
    key: SecretStr | None = Field(None, max_length=PEM_BYTES_MAX, description="PEM, without a passphrase")


class SuccessorAsked(BaseModel):
    """`under` says where the successor of an intermediate stands."""

    lifetime_s: int | None = Field(None, ge=_SHORTEST_S, le=_LONGEST_S)
    under: AuthorityKey | None = None


class AuthorityShown(BaseModel):
    """`trust` is what devices are to trust, in PEM: its certificate and those above it. The key is never shown."""

    id: str
    name: str
    state: State
    curve: Curve
    subject: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    has_key: bool
    succeeds: str | None
    created_at: datetime
    created_by: str | None
    trust: str


@router.post("", status_code=201)
async def create(asked: AuthorityAsked, response: Response, asking: HeldAsking, rooms: HeldRooms) -> AuthorityShown:
    """A new authority, or one from elsewhere."""
    asking.may(Operation.ADMINISTER)
    if (asked.certificate is None) != (asked.key is None):
        raise Rejected("key", "certificate and key belong together")
    async with rooms.database.transaction() as tx:
        if asked.certificate is not None and asked.key is not None:
            made = await rooms.authorities.take_in(
                tx, asking.tenant, asked.name, asked.certificate, asked.key.get_secret_value(), by=asking.name
            )
        else:
            made = await rooms.authorities.create(
                tx,
                asking.tenant,
                asked.name,
                curve=asked.curve,
                lifetime=lifetime_of(asked.lifetime_s),
                under=asked.under,
                by=asking.name,
            )
        asking.tells(made.id, after={"name": made.name, "fingerprint": fingerprint_of(made.chain[0])})
    response.headers["Location"] = f"/api/v1/authorities/{made.id}"
    return _shown(made)


@router.get("")
async def several(asking: HeldAsking, rooms: HeldRooms) -> Listed[AuthorityShown]:
    """All authorities, oldest first; there are few."""
    asking.may(Operation.ADMINISTER)
    return Listed(items=[_shown(one) for one in await rooms.authorities.several(asking.tenant)])


@router.get("/{authority}")
async def one(authority: AuthorityKey, asking: HeldAsking, rooms: HeldRooms) -> AuthorityShown:
    """One authority."""
    asking.may(Operation.ADMINISTER)
    return _shown(await rooms.authorities.one(asking.tenant, authority))


@router.post("/{authority}:roll-over", status_code=201)
async def roll_over(
    authority: AuthorityKey, asked: SuccessorAsked, response: Response, asking: HeldAsking, rooms: HeldRooms
) -> AuthorityShown:
    """A successor issues from now on. What the old one issued is believed until that is retired."""
    asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        new = await rooms.authorities.roll_over(
            tx,
            asking.tenant,
            authority,
            lifetime=lifetime_of(asked.lifetime_s),
            under=asked.under,
            by=asking.name,
        )
        asking.tells(authority, after={"successor": new.id})
    response.headers["Location"] = f"/api/v1/authorities/{new.id}"
    return _shown(new)


@router.post("/{authority}:retire")
async def retire(authority: AuthorityKey, asking: HeldAsking, rooms: HeldRooms) -> AuthorityShown:
    """Nothing that it issued counts any more."""
    asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        old = await rooms.authorities.retire(tx, asking.tenant, authority)
        asking.tells(authority, after={"state": old.state.value})
    return _shown(old)


@router.get("/{authority}/crl", response_class=Response, responses={200: {"content": {CRL_TYPE: {}}}})
async def revocation_list(authority: AuthorityKey, asking: HeldAsking, rooms: HeldRooms) -> Response:
    """What it has revoked, for others to check: a list in DER (RFC 5280 §5)."""
    asking.may(Operation.ADMINISTER)
    made = await rooms.certificates.revocation_list(asking.tenant, authority)
    return Response(made, media_type=CRL_TYPE)


def lifetime_of(seconds: int | None) -> timedelta | None:
    """A lifetime as it stands in a body."""
    return None if seconds is None else timedelta(seconds=seconds)


def _shown(authority: Authority) -> AuthorityShown:
    certificate = authority.certificate
    return AuthorityShown(
        id=authority.id,
        name=authority.name,
        state=authority.state,
        curve=curve_of(certificate.public_key()),
        subject=certificate.subject.rfc4514_string(),
        fingerprint=fingerprint_of(authority.chain[0]),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        has_key=authority.has_key,
        succeeds=authority.succeeds,
        created_at=authority.created_at,
        created_by=authority.created_by,
        trust=pem_of(*authority.chain),
    )
