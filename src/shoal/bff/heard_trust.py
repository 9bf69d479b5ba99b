"""What the API answers about trust: the security log, and new devices with what they prove themselves with."""

from datetime import datetime

from shoal.bff.heard import Heard


class SecurityEvent(Heard):
    """What was refused, and how often on one day. `kind` is security or refused."""

    id: str
    kind: str = "security"
    reason: str = ""
    operation: str = ""
    code: str = ""
    identity: str = ""
    address: str = ""
    device: str | None = None
    endpoint: str = ""
    is_rest: bool = False
    count: int = 1
    first_at: datetime
    last_at: datetime
    detail: str = ""


class NewSecurity(Heard):
    """`key` in hexadecimal: in this answer only."""

    mode: str = ""
    identity: str = ""
    key: str = ""


class NewDevice(Heard):
    id: str
    endpoint: str = ""
    security: NewSecurity = NewSecurity()


class Certificate(Heard):
    subject: str = ""
    issuer: str = ""
    serial: str = ""
    fingerprint: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None


class Credential(Heard):
    """What a device proves itself with: never its key. `certificate` is the pinned one, or the one seen last."""

    id: str = ""
    device: str = ""
    mode: str = "psk"
    identity: str = ""
    state: str = "current"
    created_at: datetime | None = None
    created_by: str = ""
    is_from_bootstrap: bool = False
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    certificate: Certificate | None = None
    needs_key: bool = False


class NewCredential(Credential):
    """`key` in hexadecimal: in this answer only."""

    key: str = ""
