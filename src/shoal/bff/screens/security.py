"""The security log in plain words: what was refused, and what to do about it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import BaseModel

from shoal.bff import heard, heard_trust

EVENTS_PER_PAGE: Final = 50


class Words(NamedTuple):
    title: str
    remedy: str


_CERTIFICATE: Final = "Give the device a certificate that one of your trust anchors has issued to it."
# By the reason as the API names it. What has no words here is told by its name.
WORDS: Final = {
    "wrong_key": Words(
        "Wrong key",
        "The device has another key than we have. Give it a new one, and put that into the device.",
    ),
    "unknown_identity": Words(
        "Unknown identity",
        "No device has this identity. Add the device, or mend a typing error in its settings.",
    ),
    "unknown_certificate": Words(
        "Certificate of no device",
        "The certificate is good, and no device goes by that name. Add the device.",
    ),
    "certificate_revoked": Words(
        "Certificate revoked", "It was taken back. If the device is yours and is to come in, issue another one for it."
    ),
    "unknown_authority": Words(
        "Certificate of an unknown CA",
        "None of your trust anchors has issued it. Add the CA, if it is yours.",
    ),
    "certificate_missing": Words("No certificate", f"The device showed none. {_CERTIFICATE}"),
    "certificate_signature": Words("Certificate with a wrong signature", f"It was changed or forged. {_CERTIFICATE}"),
    "certificate_expired": Words("Certificate expired", "Give the device a new certificate. Is its clock right?"),
    "certificate_not_yet_valid": Words(
        "Certificate not valid yet", "Wait until it is, or give the device another one. Is the clock of Shoal right?"
    ),
    "certificate_usage": Words(
        "Certificate for another purpose", f"It is not meant for clients of TLS. {_CERTIFICATE}"
    ),
    "certificate_algorithm": Words(
        "Certificate with an unknown algorithm",
        f"P-256 and P-384 with SHA-256 or SHA-384 are understood. {_CERTIFICATE}",
    ),
    "certificate_chain_too_long": Words("Chain of certificates too long", _CERTIFICATE),
    "certificate_not_owned": Words(
        "Certificate of somebody else", "Whoever showed it does not have its private key. Find out who has copied it."
    ),
    "certificate_malformed": Words("Certificate that cannot be read", _CERTIFICATE),
    "no_shared_suite": Words(
        "No cipher suite in common", "The device offers none that Shoal allows. Its maker can say which it has."
    ),
    "handshake_timeout": Words(
        "Handshake not finished", "The device began and said nothing more: a weak link, or a firewall on the way."
    ),
    "handshake_failed": Words("Handshake failed", "The device broke it off, or sent what nobody understands."),
    "endpoint_mismatch": Words(
        "Name of another device",
        "Its key or certificate is one device's, and it registers as another. Mend the endpoint name in the device.",
    ),
    "foreign_registration": Words(
        "Registration of another device", "It wanted to change a registration that is not its own. Look at the device."
    ),
    "insecure": Words(
        "Without its credential", "It has a key or certificate and came without. Switch security on in the device."
    ),
    "not_allowed": Words("Not allowed here", "Devices without a credential may not register at this address."),
    "registration_unknown": Words(
        "Registration unknown", "It went on with a registration that is over. It registers again by itself."
    ),
    "unregistered": Words("Not registered", "It sent values before it had registered. It registers by itself."),
    "busy": Words("Shoal was busy", "The device keeps its data and comes back by itself."),
    "malformed": Words("Message that cannot be read", "Its maker needs the detail beneath."),
    "payload_invalid": Words("Values that cannot be read", "Its maker needs the detail beneath."),
    "no_policy_allows": Words(
        "No policy allows it", "If they are to do it, give them a role or a policy; if not, ask them why they tried."
    ),
    "policy_denies": Words(
        "A policy denies it", "If they are to do it, change the policy; if not, ask them why they tried."
    ),
    "forbidden": Words("Not theirs to do", "The detail beneath says which rule there is."),
    "token_unknown": Words(
        "Unknown token", "A program has a wrong token, or somebody guesses. Look at what runs at this address."
    ),
    "token_missing": Words("Without a token", "Something asked the API and said nothing of who it is."),
    "token_expired": Words("Token expired", "A login that ended needs nothing; a program needs a new token."),
    "token_revoked": Words(
        "Token revoked", "Whoever ended it knows why. If a program of yours still uses it, give that another one."
    ),
    "user_disabled": Words("Shut out", "Somebody who may not log in any more still has a program that asks."),
    "wrong_password": Words("Wrong password", "Usually a typing error. Many of them are somebody who guesses."),
    "login_throttled": Words(
        "Login tried too soon", "After too many wrong passwords one has to wait, even with the right one."
    ),
    "token_throttled": Words(
        "Too many wrong tokens", "Nothing from that address is looked at for a minute, but tokens that were good."
    ),
    "too many wrong passwords": Words(
        "Too many wrong passwords", "Somebody guesses at this login, or has forgotten the password."
    ),
}


class SecurityLine(BaseModel):
    """`who` is the name that was shown: an identity, an endpoint or a login; empty where nobody said one.

    Of a person or a token, `subject` is their id and `who` their name; `place` is where they asked for it, if that can be
    shown.
    """

    id: str
    kind: str
    reason: str
    title: str
    remedy: str
    who: str
    device: str | None
    endpoint: str
    subject: str | None
    place: str
    address: str
    operation: str
    code: str
    is_rest: bool
    count: int
    first_at: datetime
    last_at: datetime
    detail: str


class ReasonShown(BaseModel):
    reason: str
    title: str


class SecurityScreen(BaseModel):
    """`reasons` are those that can be filtered by."""

    at: datetime
    items: list[SecurityLine]
    next: str | None
    reasons: list[ReasonShown]


def security_screen(at: datetime, page: heard.Page[heard_trust.SecurityEvent]) -> SecurityScreen:
    return SecurityScreen(at=at, items=security_lines(page.items), next=page.next, reasons=_REASONS)


def security_lines(events: Sequence[heard_trust.SecurityEvent]) -> list[SecurityLine]:
    return [security_line(event) for event in events]


def security_line(event: heard_trust.SecurityEvent) -> SecurityLine:
    words = WORDS.get(event.reason) or Words(_plain(event.reason).capitalize(), "")
    return SecurityLine(
        id=event.id,
        kind=event.kind,
        reason=event.reason,
        title=words.title,
        remedy=words.remedy,
        who=event.identity or event.endpoint,
        device=event.device,
        endpoint=event.endpoint,
        subject=event.subject,
        place="" if (event.place or "").startswith("ten-") else event.place_name,
        address=event.address,
        operation=_plain(event.operation),
        code=event.code,
        is_rest=event.is_rest,
        count=event.count,
        first_at=event.first_at,
        last_at=event.last_at,
        detail=event.detail,
    )


def _plain(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


_REASONS: Final = [ReasonShown(reason=reason, title=words.title) for reason, words in WORDS.items()]
