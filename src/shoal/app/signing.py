"""Who signs for devices that ask the gateway: their own tenant's authority, for the name that their session has proved."""

from shoal.api.est import ATTRIBUTES, note
from shoal.audit.store import Audit
from shoal.authority.certificate_store import Certificates, Issued
from shoal.authority.enrolment_store import Enrolments
from shoal.authority.issuing import certs_only
from shoal.authority.request import parse_request
from shoal.clock import Clock
from shoal.errors import NotFound
from shoal.gateway.enrolling import Question, Sign
from shoal.ids import TenantId
from shoal.storage import directory
from shoal.storage.database import Database

# RFC 9148: one certificate, application/pkix-cert.
ONE_CERTIFICATE = 287


def signs_for_devices(
    database: Database, certificates: Certificates, enrolments: Enrolments, audit: Audit, clock: Clock
) -> Sign:
    """How the gateway has certificates made. Whoever has a session may enrol: that is what proved the device."""

    async def issued(question: Question) -> Issued:
        async with database.transaction() as tx:
            entry = await directory.find(tx, question.device)
            if entry is None or entry.removed:
                raise NotFound(question.device, "no such device")
            request = parse_request(question.body)
            made = await enrolments.of_device(
                tx, TenantId(entry.tenant_id), None, entry.endpoint, request, by=question.device
            )
            await note(audit, tx, made, at=clock.now(), address="", path=f"est/{question.operation}")
        return made

    async def sign(question: Question) -> bytes:
        if question.operation == "att":
            return ATTRIBUTES
        if question.operation == "crts":
            async with database.reading() as connection:
                tenant = await directory.tenant_of(connection, question.device)
            if tenant is None:
                raise NotFound(question.device, "no such device")
            found = await certificates.trusted(TenantId(tenant))
            if not found:
                raise NotFound("authority", "there is none yet")
            return certs_only(found)
        made = await issued(question)
        own = made.certificate.der
        return own if question.format == ONE_CERTIFICATE else certs_only([own, *made.issuers])

    return sign
