"""Who asks, and whether they may: a bearer token on every request, a decision of `access` for every route."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeAlias

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator

from shoal.access.decision import Place, Policies, Reach, Subject, may, require
from shoal.access.policy import Operation
from shoal.api.acts import Doing, doing_of
from shoal.api.context import HeldRooms, Rooms
from shoal.audit.entry import differing
from shoal.errors import Forbidden
from shoal.identity.login import Unauthenticated
from shoal.identity.store import Authenticated
from shoal.identity.token import digest
from shoal.ids import (
    AlertId,
    ArtifactId,
    CampaignId,
    CommandId,
    CredentialId,
    DeviceId,
    EnclosureId,
    FarmId,
    Prefix,
    TenantId,
    TokenId,
    TrustAnchorId,
    UserId,
    parse_id,
)
from shoal.inventory.profile import ProfileId
from shoal.lwm2m.path import Path

_bearer = HTTPBearer(auto_error=False, description="a personal or service token, or that of a login (POST /sessions)")


class Reader(Protocol):
    """Who is shown something: whoever sent a request, or somebody at a shell of the machine."""

    @property
    def tenant(self) -> TenantId: ...
    def can(self, operation: Operation, place: Place | None = None, path: Path | None = None) -> bool: ...


@dataclass(frozen=True, slots=True)
class Asking:
    """Whoever sent this request. Nothing outside their tenant is ever asked of a room.

    `policies` are those of their tenant, as they were when the request came. `doing` is what the request does; None
    when it only looks.
    """

    authenticated: Authenticated
    policies: Policies
    secret: str
    doing: Doing | None = None

    @property
    def subject(self) -> Subject:
        return self.authenticated.subject

    @property
    def tenant(self) -> TenantId:
        return self.authenticated.subject.tenant

    @property
    def name(self) -> str:
        """What a timeline shows as having done it."""
        return self.authenticated.subject.name

    def tells(
        self,
        thing: str | None = None,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """What the audit log is to say of this change, beside who and where: of which thing, what it was and is.

        Only what people edit, and never a secret. To be called before the transaction of the change ends. Of an edit,
        only the fields that are another now are told.
        """
        assert self.doing is not None  # noqa: S101  # a request that looks changes nothing
        if before is not None and after is not None:
            before, after = differing(before, after)
        self.doing.thing, self.doing.before, self.doing.after = thing or self.doing.thing, before, after

    def may(
        self, operation: Operation, place: Place | None = None, path: Path | None = None, thing: str | None = None
    ) -> None:
        """Nothing when it is allowed there; without a place, for the tenant as a whole.

        With `path`, it is about that of the device, without it, about the place itself. `thing` is what was asked for
        when that is something else: an alert of the place.

        Raises:
            Forbidden: a policy denies it, or none allows it.
            NotFound: the place is another tenant's, or one that this one may not read.
        """
        require(self.policies, self.subject, operation, place or Place(tenant=self.tenant), path, thing)

    def can(self, operation: Operation, place: Place | None = None, path: Path | None = None) -> bool:
        """Whether it is allowed there; without a place, for the tenant as a whole."""
        return may(self.policies, self.subject, operation, place or Place(tenant=self.tenant), path)

    def reach(self, operation: Operation = Operation.READ) -> Reach:
        """Where it is allowed: what lists and counts are narrowed to.

        Raises:
            Forbidden: nowhere.
        """
        found = self.policies.reach(self.subject, operation)
        if found.is_nowhere:
            raise Forbidden(operation.value, "no policy allows it anywhere")
        return found


async def asking(
    request: Request, rooms: HeldRooms, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Asking:
    """Whoever this request's token speaks for.

    Raises:
        Unauthenticated: there is none, or it counts no more.
        TooManyAttempts: too many that are none came from there.
    """
    if bearer is None:
        raise Unauthenticated("token", "none was sent")
    known = await authenticated(rooms, address_of(request), bearer.credentials)
    request.state.subject = known.subject
    policies = await rooms.access.of(known.subject.tenant)
    # For "did you mean": only what this tenant has may be named, and to nobody who may not read all of it.
    if policies.reach(known.subject, Operation.READ).is_everywhere:
        request.state.tenant = known.subject.tenant
    doing = doing_of(request.scope)
    if doing is not None:
        doing.subject = known.subject
    return Asking(known, policies, bearer.credentials, doing)


async def authenticated(rooms: Rooms, address: str, secret: str) -> Authenticated:
    """Whoever a token speaks for.

    Raises:
        Unauthenticated: none of ours, or it counts no more.
        TooManyAttempts: too many that are none came from there.
    """
    shown, now = digest(secret), rooms.clock.now()
    rooms.guesses.check(address, shown, now)
    try:
        known = await rooms.identity.authenticate(secret)
    except Unauthenticated:
        rooms.guesses.was_wrong(address, shown, now)
        raise
    rooms.guesses.was_good(shown)
    return known


def address_of(request: Request) -> str:
    """Where a request comes from; a proxy that we trust (the setting `trusted_proxies`) says it for others."""
    return request.client.host if request.client else ""


HeldAsking: TypeAlias = Annotated[Asking, Depends(asking)]


def _id(prefix: Prefix) -> AfterValidator:
    # MistypedId is no ValueError: it passes through validation as it is, with what was meant.
    return AfterValidator(lambda raw: parse_id(raw, prefix))


# Ids as people type them, in paths, queries and bodies; canonical from here on.
FarmKey: TypeAlias = Annotated[FarmId, _id(Prefix.FARM)]
EnclosureKey: TypeAlias = Annotated[EnclosureId, _id(Prefix.ENCLOSURE)]
DeviceKey: TypeAlias = Annotated[DeviceId, _id(Prefix.DEVICE)]
CredentialKey: TypeAlias = Annotated[CredentialId, _id(Prefix.CREDENTIAL)]
TrustAnchorKey: TypeAlias = Annotated[TrustAnchorId, _id(Prefix.TRUST_ANCHOR)]
CommandKey: TypeAlias = Annotated[CommandId, _id(Prefix.COMMAND)]
AlertKey: TypeAlias = Annotated[AlertId, _id(Prefix.ALERT)]
ArtifactKey: TypeAlias = Annotated[ArtifactId, _id(Prefix.ARTIFACT)]
UpdateKey: TypeAlias = Annotated[CampaignId, _id(Prefix.CAMPAIGN)]
ProfileKey: TypeAlias = Annotated[ProfileId, _id(Prefix.PROFILE)]
UserKey: TypeAlias = Annotated[UserId, _id(Prefix.USER)]
TokenKey: TypeAlias = Annotated[TokenId, _id(Prefix.TOKEN)]
ContactKey: TypeAlias = Annotated[str, _id(Prefix.CONTACT)]
ChannelKey: TypeAlias = Annotated[str, _id(Prefix.CHANNEL)]
PolicyKey: TypeAlias = Annotated[str, _id(Prefix.POLICY)]
AuthorityKey: TypeAlias = Annotated[str, _id(Prefix.AUTHORITY)]
CertificateKey: TypeAlias = Annotated[str, _id(Prefix.CERTIFICATE)]
EnrolmentKey: TypeAlias = Annotated[str, _id(Prefix.ENROLMENT)]
TenantKey: TypeAlias = Annotated[TenantId, _id(Prefix.TENANT)]
