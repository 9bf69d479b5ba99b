"""Certificates that the tenant's authorities issue, and leave for devices to fetch their first one by themselves."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from shoal.access.policy import Operation
from shoal.api.access import Asking, AuthorityKey, CertificateKey, EnrolmentKey, HeldAsking
from shoal.api.authorities import lifetime_of
from shoal.api.context import HeldRooms, Rooms
from shoal.api.paging import ITEMS_USUAL, Cursor, Limit, Listed
from shoal.authority.authority import IssuedCertificate, Reason, Standing, Usage
from shoal.authority.certificate_store import Issued
from shoal.authority.enrolment import ENROLMENT_LIFETIME_MAX, ENROLMENT_LIFETIME_MIN
from shoal.authority.issuing import LIFETIME_MAX, LIFETIME_MIN
from shoal.authority.request import (
    NAME_CHARACTERS_MAX,
    REQUEST_BYTES_MAX,
    SERVER_NAMES_MAX,
    URIS_MAX,
    check_names,
    parse_request,
)
from shoal.errors import Rejected
from shoal.ids import Prefix, parse_id
from shoal.inventory.paging import cursor_after, parse_cursor
from shoal.storage.database import Transaction

router = APIRouter(tags=["trust"])

# RFC 3986 leaves it open; ours have at most 255.
_TEXT: Final = Field(max_length=256)


class CertificateAsked(BaseModel):
    """For a device: its `endpoint`, and `uris` as further names. For a server: the `names` that devices know it by.

    `request` is PKCS #10 in PEM, by whoever holds the key; of a device it must name that device and nobody else.
    """

    request: str = Field(max_length=2 * REQUEST_BYTES_MAX)
    endpoint: str | None = Field(None, max_length=2 * NAME_CHARACTERS_MAX)
    uris: list[Annotated[str, _TEXT]] = Field(default_factory=list, max_length=URIS_MAX)
    names: list[Annotated[str, _TEXT]] = Field(default_factory=list, max_length=SERVER_NAMES_MAX)
    lifetime_s: int | None = Field(
        None,
        ge=int(LIFETIME_MIN.total_seconds()),
        le=int(LIFETIME_MAX.total_seconds()),
        description="a year by default; never beyond the authority's own end",
    )


class RenewalAsked(BaseModel):
    lifetime_s: int | None = Field(None, ge=int(LIFETIME_MIN.total_seconds()), le=int(LIFETIME_MAX.total_seconds()))


class RevocationAsked(BaseModel):
    reason: Reason = Reason.UNSPECIFIED


class CertificateShown(BaseModel):
    """`pem` is the certificate alone."""

    id: str
    authority: str
    usage: Usage
    subject: str
    names: list[str]
    serial: str
    fingerprint: str
    state: Standing
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    issued_by: str | None
    revoked_at: datetime | None
    reason: Reason | None
    pem: str


class NewCertificateShown(CertificateShown):
    """`chain` is what its holder shows: the certificate, then what is between it and the root."""

    chain: str


class EnrolmentAsked(BaseModel):
    endpoint: str = Field(max_length=2 * NAME_CHARACTERS_MAX)
    lifetime_s: int | None = Field(
        None,
        ge=int(ENROLMENT_LIFETIME_MIN.total_seconds()),
        le=int(ENROLMENT_LIFETIME_MAX.total_seconds()),
        description="seven days by default",
    )


class EnrolmentShown(BaseModel):
    id: str
    endpoint: str
    expires_at: datetime
    is_used: bool
    created_at: datetime
    created_by: str | None


class NewEnrolmentShown(EnrolmentShown):
    """`secret` is what the device shows, with its endpoint name, when it enrols (EST): shown this once."""

    secret: str


@router.post("/authorities/{authority}/certificates", status_code=201)
async def issue(
    authority: AuthorityKey, asked: CertificateAsked, response: Response, asking: HeldAsking, rooms: HeldRooms
) -> NewCertificateShown:
    """A certificate for whoever made the request."""
    asking.may(Operation.ADMINISTER)
    if (asked.endpoint is None) == (not asked.names):
        raise Rejected("endpoint", "name the endpoint of a device, or the names of a server")
    async with rooms.database.transaction() as tx:
        issued = await _issue(rooms, tx, asking, authority, asked)
        _tell(asking, issued)
    response.headers["Location"] = f"/api/v1/certificates/{issued.certificate.id}"
    return _new(issued, rooms)


async def _issue(rooms: Rooms, tx: Transaction, asking: Asking, authority: str, asked: CertificateAsked) -> Issued:
    request, lifetime = parse_request(asked.request.encode()), lifetime_of(asked.lifetime_s)
    if asked.endpoint is None:
        return await rooms.certificates.issue_to_server(
            tx, asking.tenant, authority, asked.names, request.key, lifetime=lifetime, by=asking.name
        )
    check_names(request, asked.endpoint, asked.uris)
    return await rooms.certificates.issue_to_device(
        tx,
        asking.tenant,
        authority,
        asked.endpoint,
        request.key,
        uris=asked.uris,
        lifetime=lifetime,
        by=asking.name,
    )


@router.get("/certificates")
async def several(
    asking: HeldAsking,
    rooms: HeldRooms,
    authority: Annotated[str | None, Query(max_length=40)] = None,
    endpoint: Annotated[str | None, Query(max_length=2 * NAME_CHARACTERS_MAX)] = None,
    expires_after: AwareDatetime | None = None,
    expires_before: AwareDatetime | None = None,
    cursor: Cursor = None,
    limit: Limit = ITEMS_USUAL,
) -> Listed[CertificateShown]:
    """Certificates in the order in which they end, those included that have ended (before `expires_after`) or were revoked."""
    asking.may(Operation.ADMINISTER)
    found = await rooms.certificates.several(
        asking.tenant,
        authority=None if authority is None else parse_id(authority, Prefix.AUTHORITY),
        subject=endpoint,
        expires_after=expires_after,
        expires_before=expires_before,
        after=_place_of(cursor),
        limit=limit,
    )
    now = rooms.clock.now()
    more = cursor_after(found[-1].not_after.isoformat(), found[-1].id) if len(found) == limit else None
    return Listed(items=[_shown(one, now) for one in found], next=more)


@router.get("/certificates/{certificate}")
async def one(certificate: CertificateKey, asking: HeldAsking, rooms: HeldRooms) -> CertificateShown:
    """One certificate."""
    asking.may(Operation.ADMINISTER)
    return _shown(await rooms.certificates.one(asking.tenant, certificate), rooms.clock.now())


@router.post("/certificates/{certificate}:renew", status_code=201)
async def renew(
    certificate: CertificateKey, asked: RenewalAsked, response: Response, asking: HeldAsking, rooms: HeldRooms
) -> NewCertificateShown:
    """Another one for the same key and names. The old one goes on until it ends."""
    asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        issued = await rooms.certificates.renew(
            tx, asking.tenant, certificate, lifetime=lifetime_of(asked.lifetime_s), by=asking.name
        )
        _tell(asking, issued)
    response.headers["Location"] = f"/api/v1/certificates/{issued.certificate.id}"
    return _new(issued, rooms)


@router.post("/certificates/{certificate}:revoke")
async def revoke(
    certificate: CertificateKey, asked: RevocationAsked, asking: HeldAsking, rooms: HeldRooms
) -> CertificateShown:
    """It counts no more, for ever; the session of its device ends."""
    asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        revoked = await rooms.certificates.revoke(tx, asking.tenant, certificate, asked.reason)
        asking.tells(certificate, after={"subject": revoked.subject, "reason": revoked.reason})
    return _shown(revoked, rooms.clock.now())


@router.post("/enrolments", status_code=201)
async def enrol(asked: EnrolmentAsked, asking: HeldAsking, rooms: HeldRooms) -> NewEnrolmentShown:
    """Leave for a device to fetch its first certificate. An older secret of that device is void."""
    asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        new = await rooms.enrolments.create(
            tx, asking.tenant, asked.endpoint, lifetime=lifetime_of(asked.lifetime_s), by=asking.name
        )
        asking.tells(new.enrolment.id, after={"endpoint": new.enrolment.endpoint})
    made = new.enrolment
    return NewEnrolmentShown(
        id=made.id,
        endpoint=made.endpoint,
        expires_at=made.expires_at,
        is_used=False,
        created_at=made.created_at,
        created_by=made.created_by,
        secret=new.secret,
    )


@router.get("/enrolments")
async def enrolments(
    asking: HeldAsking, rooms: HeldRooms, cursor: Cursor = None, limit: Limit = ITEMS_USUAL
) -> Listed[EnrolmentShown]:
    """Leave that was given and is not out of date, by id."""
    asking.may(Operation.ADMINISTER)
    after = "" if cursor is None else parse_id(cursor, Prefix.ENROLMENT)
    found = await rooms.enrolments.several(asking.tenant, after=after, limit=limit)
    items = [
        EnrolmentShown(
            id=one.id,
            endpoint=one.endpoint,
            expires_at=one.expires_at,
            is_used=one.used_for is not None,
            created_at=one.created_at,
            created_by=one.created_by,
        )
        for one in found
    ]
    return Listed(items=items, next=found[-1].id if len(found) == limit else None)


@router.delete("/enrolments/{enrolment}", status_code=204)
async def withdraw(enrolment: EnrolmentKey, asking: HeldAsking, rooms: HeldRooms) -> None:
    """Takes such leave back. What was issued by it stays."""
    asking.may(Operation.ADMINISTER)
    async with rooms.database.transaction() as tx:
        await rooms.enrolments.remove(tx, asking.tenant, enrolment)


def _place_of(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    end, id_ = parse_cursor(cursor, 2)
    try:
        moment = datetime.fromisoformat(end)
    except ValueError as error:
        raise Rejected("cursor", "not one of ours") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC), id_


def _tell(asking: Asking, issued: Issued) -> None:
    made = issued.certificate
    after = {"subject": made.subject, "usage": made.usage, "fingerprint": made.fingerprint, "not_after": made.not_after}
    asking.tells(made.id, after=after)


def _new(issued: Issued, rooms: Rooms) -> NewCertificateShown:
    return NewCertificateShown(
        **_shown(issued.certificate, rooms.clock.now()).model_dump(),
        chain=issued.pem,
    )


def _shown(certificate: IssuedCertificate, now: datetime) -> CertificateShown:
    return CertificateShown(
        id=certificate.id,
        authority=certificate.authority,
        usage=certificate.usage,
        subject=certificate.subject,
        names=list(certificate.names),
        serial=certificate.serial,
        fingerprint=certificate.fingerprint,
        state=certificate.standing(now),
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        issued_at=certificate.issued_at,
        issued_by=certificate.issued_by,
        revoked_at=certificate.revoked_at,
        reason=certificate.reason,
        pem=certificate.pem,
    )
