"""An invitation: a secret that lets somebody make themselves a person of a tenant, once and for a day."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from shoal.access.policy import Role
from shoal.errors import NotFound
from shoal.ids import TenantId

# Over the night, to whoever is to have it; a link that lies around in a log for longer is worth nothing.
INVITATION_LIFETIME: Final = timedelta(hours=24)
# The pages read the secret behind this; what stands behind a # is never sent to a server, so that no log has it.
LINK: Final = "/welcome#"


class InvitationOver(NotFound):
    """Used, replaced by a newer one, expired, or never ours: which of these is not told. Answer 404."""

    kind = "invitation-over"

    def __init__(self) -> None:
        super().__init__("invitation", "used, replaced or expired")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What somebody is invited to."""

    tenant: TenantId
    role: Role
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvitation(Invitation):
    """An invitation with its secret: shown once, to the one who made it."""

    secret: str = field(repr=False)

    def link(self, base_url: str) -> str:
        """What the one who is invited opens."""
        return f"{base_url.rstrip('/')}{LINK}{self.secret}"
