"""The link that lets the first person in."""

from datetime import UTC, datetime

from shoal.access.policy import Role
from shoal.errors import NotFound
from shoal.identity.invitation import InvitationOver, NewInvitation
from shoal.ids import TenantId

INVITATION = NewInvitation(
    tenant=TenantId("ten-OURS0000"), role=Role.ADMINISTRATOR, expires_at=datetime(2026, 11, 2, tzinfo=UTC), secret="abc"
)


def test_the_secret_stands_where_no_server_sees_it() -> None:
    assert INVITATION.link("https://shoal.example/") == "https://shoal.example/welcome#abc"
    assert "abc" not in repr(INVITATION)


def test_why_a_link_does_not_work_is_not_told() -> None:
    assert isinstance(InvitationOver(), NotFound)
    assert str(InvitationOver()) == "invitation: used, replaced or expired"
