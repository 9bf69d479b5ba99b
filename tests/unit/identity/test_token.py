"""Tokens: random, kept as a digest, and never more than their user may do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shoal.access.decision import Place, Policies, Subject, may
from shoal.access.policy import Operation, Role
from shoal.identity.login import Unauthenticated
from shoal.identity.token import (
    MARK,
    TOKEN_CHARACTERS_MAX,
    NewToken,
    Token,
    TokenKind,
    digest,
    new_secret,
    subject_of,
    why_refused,
)
from shoal.ids import TenantId, TokenId, UserId

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
TOKEN = Token(
    id=TokenId("tok-1"),
    tenant=TenantId("ten-1"),
    kind=TokenKind.PERSONAL,
    user=UserId("usr-1"),
    name="export",
    role=Role.ADMINISTRATOR,
    created_at=NOW,
    expires_at=None,
    last_used_at=None,
    revoked_at=None,
)


def test_a_secret_carries_our_mark_and_cannot_be_guessed() -> None:
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert all(secret.startswith(MARK) and len(secret) >= 49 for secret in secrets)


def test_a_digest_tells_nothing_but_whether_it_is_the_same_secret() -> None:
    secret = new_secret()

    assert digest(secret) == digest(secret)
    assert digest(secret) != digest(new_secret())
    assert secret.encode() not in digest(secret)
    assert secret not in repr(NewToken(token=TOKEN, secret=secret))


@pytest.mark.parametrize("secret", ["", "Bearer x", MARK + "x" * TOKEN_CHARACTERS_MAX, MARK + "ø", "shoal"])
def test_what_is_no_token_is_refused_before_anything_is_looked_up(secret: str) -> None:
    with pytest.raises(Unauthenticated):
        digest(secret)


def test_a_token_counts_until_it_expires_or_is_revoked() -> None:
    ends = replace(TOKEN, expires_at=NOW + timedelta(minutes=1))

    assert why_refused(TOKEN, NOW) is None
    assert why_refused(ends, NOW + timedelta(seconds=59)) is None
    assert why_refused(ends, NOW + timedelta(minutes=1)) == "expired"
    assert why_refused(replace(ends, revoked_at=NOW), NOW) == "revoked"


def person(role: Role) -> Subject:
    return Subject(tenant=TOKEN.tenant, role=role, id="usr-1", name="Kari")


@pytest.mark.parametrize("kind", TokenKind)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("user", Role)
@pytest.mark.parametrize("operation", Operation)
def test_a_persons_token_is_never_more_than_the_person(
    kind: TokenKind, role: Role, user: Role, operation: Operation
) -> None:
    subject = subject_of(replace(TOKEN, kind=kind, role=role), person(user))
    policies, place = Policies(TOKEN.tenant), Place(tenant=TOKEN.tenant)

    if may(policies, subject, operation, place):
        assert may(policies, person(user), operation, place)
    if kind is TokenKind.SESSION:
        assert subject == person(user)


def test_a_service_is_what_its_token_says() -> None:
    subject = subject_of(replace(TOKEN, kind=TokenKind.SERVICE, role=Role.VIEWER, user=None, places=("frm-1",)), None)

    assert (subject.id, subject.role, subject.places) == (TOKEN.id, Role.VIEWER, {"frm-1"})
