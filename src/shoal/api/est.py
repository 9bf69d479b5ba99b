"""Enrolment over Secure Transport (RFC 7030): devices fetch their first certificate, and renew it, by themselves.

Its own application on its own address: a TLS client certificate may prove a device there, and nobody logs in. The label
in the path (RFC 7030 §3.2.2) is the id of a tenant or of one of its authorities.
"""

import base64
import binascii
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shoal.api.guesses import Guesses
from shoal.api.seats import Seats
from shoal.audit.entry import PATH_CHARACTERS_MAX, Act, Other
from shoal.audit.store import Audit
from shoal.authority.authority import fingerprint_of
from shoal.authority.certificate_store import Certificates, Issued
from shoal.authority.enrolment import Unproved
from shoal.authority.enrolment_store import Enrolments
from shoal.authority.issuing import certs_only
from shoal.authority.request import REQUEST_BYTES_MAX, SigningRequest, parse_request
from shoal.authority.store import Authorities
from shoal.clock import Clock
from shoal.errors import Conflict, NotFound, Rejected, ShoalError, TooMany, Unavailable
from shoal.http_exchange import Observed
from shoal.identity.login import TooManyAttempts
from shoal.ids import Prefix, TenantId, parse_id
from shoal.storage.database import Database, Transaction

log: Final = logging.getLogger("shoal.est")

# Where the listener leaves the certificate that a device proved to hold, in DER: `scope["state"]`.
CLIENT_CERTIFICATE: Final = "client_certificate"
# Devices that enrol at a time: each signature takes a fraction of a millisecond, the database the rest.
ENROLLING_MAX: Final = 32
# Base64 of the largest request, in lines.
BODY_BYTES_MAX: Final = 2 * REQUEST_BYTES_MAX
RETRY_AFTER_S: Final = 5

_CERTIFICATES: Final = "application/pkcs7-mime; smime-type=certs-only"
_ENCODED: Final = {"Content-Transfer-Encoding": "base64", "Cache-Control": "no-store"}
# RFC 7030 §4.5.2: sign with ecdsa-with-SHA256, on a key of id-ecPublicKey with prime256v1.
ATTRIBUTES: Final = bytes.fromhex("3021 06082a8648ce3d040302 3015 06072a8648ce3d0201 310a 06082a8648ce3d030107")

router = APIRouter(prefix="/.well-known/est/{label}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EstRooms:
    """What the application has for as long as it runs."""

    database: Database
    clock: Clock
    audit: Audit
    authorities: Authorities
    certificates: Certificates
    enrolments: Enrolments
    guesses: Guesses = field(default_factory=Guesses)
    enrolling: Seats = field(default_factory=lambda: Seats(ENROLLING_MAX))


@dataclass(frozen=True, slots=True)
class Label:
    """Whose devices a path is for. Without an `authority` the tenant's newest issues."""

    tenant: TenantId
    authority: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What somebody shows who wants a certificate: that of the TLS session, or a name and a secret, or both."""

    address: str
    fingerprint: str | None
    basic: tuple[str, str] | None


def create_application(rooms: EstRooms) -> FastAPI:
    """The application, to be served over TLS by a listener that asks for client certificates."""
    application = FastAPI(title="Shoal EST", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    application.state.rooms = rooms
    application.include_router(router)
    application.add_exception_handler(ShoalError, _refused)
    application.add_exception_handler(HTTPException, _by_status)
    application.add_middleware(Observed, name="est", trusts_traces=False)
    return application


@router.get("/cacerts")
async def ca_certificates(label: str, request: Request) -> Response:
    """Whom to trust: all authorities of the tenant that count, two during a change (RFC 7030 §4.1)."""
    rooms = _rooms(request)
    found = await label_of(rooms.authorities, label)
    return _certificates("application/pkcs7-mime", await rooms.certificates.trusted(found.tenant))


@router.get("/csrattrs")
async def attributes(label: str, request: Request) -> Response:
    """Which key to make, and how to sign with it (RFC 7030 §4.5)."""
    await label_of(_rooms(request).authorities, label)
    return Response(base64.encodebytes(ATTRIBUTES), media_type="application/csrattrs", headers=_ENCODED)


@router.post("/simpleenroll")
async def enrol(label: str, request: Request) -> Response:
    """A first certificate, for whoever shows a secret; or with a certificate, the next (RFC 7030 §4.2.1)."""
    return await _enrol(label, request, _by_secret, _by_certificate)


@router.post("/simplereenroll")
async def renew(label: str, request: Request) -> Response:
    """The next certificate, for whoever shows the one that ends; or with a secret, a first (RFC 7030 §4.2.2)."""
    return await _enrol(label, request, _by_certificate, _by_secret)


Way = Callable[[EstRooms, Transaction, Label, Shown, SigningRequest], Awaitable[Issued | None]]


async def label_of(authorities: Authorities, raw: str) -> Label:
    """Whose devices a label is for.

    Raises:
        NotFound: no tenant and no authority of ours; or one that has no authority.
    """
    try:
        if raw.lower().startswith(f"{Prefix.TENANT}-"):
            label = Label(TenantId(parse_id(raw, Prefix.TENANT)), None)
        else:
            authority = parse_id(raw, Prefix.AUTHORITY)
            label = Label(await authorities.tenant_of(authority) or TenantId(""), authority)
    except Rejected as error:
        raise NotFound("label", "there is no such tenant or authority") from error
    if not await authorities.several(label.tenant):
        raise NotFound("label", "there is no such tenant or authority")
    return label


async def _enrol(label: str, request: Request, *ways: Way) -> Response:
    """Checks who it is before the request is looked at, and issues in one transaction with what was used up."""
    rooms = _rooms(request)
    shown = _shown(request)
    if shown.fingerprint is None and shown.basic is None:
        raise Unproved("enrolment", "show a certificate, or endpoint name and secret")
    with rooms.enrolling.one_more() as has_room:
        if not has_room:
            raise Unavailable("enrolment", f"{ENROLLING_MAX} are at it already")
        found = await label_of(rooms.authorities, label)
        signing = parse_request(await _body(request))
        async with rooms.database.transaction() as tx:
            for way in ways:
                if (issued := await way(rooms, tx, found, shown, signing)) is not None:
                    break
            else:
                raise Unproved("enrolment", "show a certificate, or endpoint name and secret")
            path = request.url.path
            await note(rooms.audit, tx, issued, at=rooms.clock.now(), address=shown.address, path=path)
    return _certificates(_CERTIFICATES, [issued.certificate.der, *issued.issuers])


async def _by_secret(
    rooms: EstRooms, tx: Transaction, label: Label, shown: Shown, signing: SigningRequest
) -> Issued | None:
    if shown.basic is None:
        return None
    endpoint, secret = shown.basic
    guess, now = hashlib.sha256(f"{endpoint}:{secret}".encode()).digest(), rooms.clock.now()
    rooms.guesses.check(shown.address, guess, now)
    try:
        issued = await rooms.enrolments.by_secret(tx, label.tenant, label.authority, endpoint, secret, signing)
    except Unproved:
        rooms.guesses.was_wrong(shown.address, guess, now)
        raise
    return issued


async def _by_certificate(
    rooms: EstRooms, tx: Transaction, label: Label, shown: Shown, signing: SigningRequest
) -> Issued | None:
    if shown.fingerprint is None:
        return None
    return await rooms.enrolments.by_certificate(tx, label.tenant, label.authority, shown.fingerprint, signing)


async def note(audit: Audit, tx: Transaction, issued: Issued, *, at: datetime, address: str, path: str) -> None:
    """Writes into the audit log who got what: a device acts for itself, by what it has proved itself with."""
    made = issued.certificate
    subject = Other(tenant=made.tenant, id=made.issued_by or "", name=made.subject)
    act = Act(action="enrol", resource="certificates", thing=made.id, path=path[:PATH_CHARACTERS_MAX])
    after = {"subject": made.subject, "fingerprint": made.fingerprint, "not_after": made.not_after}
    await audit.write(tx, subject, act, at=at, address=address, after=after)


def _shown(request: Request) -> Shown:
    der = getattr(request.state, CLIENT_CERTIFICATE, None)
    return Shown(
        address=_address(request),
        fingerprint=fingerprint_of(der) if isinstance(der, bytes) else None,
        basic=_basic(request.headers.get("authorization")),
    )


def _basic(header: str | None) -> tuple[str, str] | None:
    """Name and secret (RFC 7617 §2).

    Raises:
        Unproved: not of that form.
    """
    if header is None:
        return None
    scheme, _, encoded = header.partition(" ")
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise Unproved("authorization", "expected Basic with endpoint name and secret") from error
    # No database of ours could even look for a NUL.
    if scheme.lower() != "basic" or not colon or "\0" in name:
        raise Unproved("authorization", "expected Basic with endpoint name and secret")
    return name, secret


async def _body(request: Request) -> bytes:
    """The request in DER, out of base64 (RFC 8951 §3.1: whatever Content-Transfer-Encoding says)."""
    kind = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if kind != "application/pkcs10":
        raise HTTPException(415, "Send application/pkcs10")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413, f"At most {BODY_BYTES_MAX} bytes")
    try:
        return base64.b64decode(b"".join(bytes(body).split()), validate=True)
    except binascii.Error as error:
        raise Rejected("request", "not base64 (RFC 8951)") from error


def _certificates(media_type: str, ders: list[bytes]) -> Response:
    return Response(base64.encodebytes(certs_only(ders)), media_type=media_type, headers=_ENCODED)


async def _refused(request: Request, error: Exception) -> Response:
    """What went wrong, in words for people (RFC 7030 §4.2.3)."""
    assert isinstance(error, ShoalError)  # noqa: S101  # registered for this class
    status, headers, says = 400, dict[str, str](), str(error)
    match error:
        case Unproved():
            status, headers = 401, {"WWW-Authenticate": 'Basic realm="Shoal EST", charset="UTF-8"'}
        case TooManyAttempts() | TooMany():
            status, headers = 429, {"Retry-After": str(error.facts["retry_after_s"])}
        case NotFound():
            status = 404
        case Conflict():
            status = 409
        case Unavailable():
            # The reason may name folders and hosts: it is for the log.
            status, headers, says = 503, {"Retry-After": str(RETRY_AFTER_S)}, "not now; nothing was lost"
    facts = {
        "address": _address(request),
        "path": request.url.path[:PATH_CHARACTERS_MAX],
        "status": status,
        "reason": str(error),
    }
    log.warning("est.refused", extra=facts)
    return PlainTextResponse(f"{says}\n", status, headers)


async def _by_status(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _rooms(request: Request) -> EstRooms:
    rooms = request.app.state.rooms
    assert isinstance(rooms, EstRooms)  # noqa: S101  # set once, when the application is made
    return rooms
