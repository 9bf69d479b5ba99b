"""What the API answers about trust: the security log, and new devices with what they prove themselves with."""

from datetime import datetime

from shoal.bff.heard import Heard


class SecurityEvent(Heard):
    """What was refused, and how often on one day. `kind` is security, refused (to a device) or denied (to anybody else)."""

    id: str
    kind: str = "security"
    reason: str = ""
    operation: str = ""
    code: str = ""
    identity: str = ""
    address: str = ""
    device: str | None = None
    endpoint: str = ""
    subject: str | None = None
    place: str | None = None
    place_name: str = ""
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


class Anchor(Heard):
    """An authority that the tenant trusts, or is about to: `challenge` is what its key has to answer."""

    id: str
    name: str = ""
    state: str = "unproved"
    certificate: Certificate = Certificate()
    zero_touch: str = "off"
    kind: str = "sensor"
    created_at: datetime | None = None
    created_by: str = ""
    challenge: str = ""
    challenge_expires_at: datetime | None = None
    retired_at: datetime | None = None


class DevicesOfAnchor(Heard):
    anchor: str
    devices: int = 0


class AnchorUse(Heard):
    """Devices by who signed what they showed last; `elsewhere`: by no anchor, `unseen`: nothing yet."""

    anchors: list[DevicesOfAnchor] = []
    elsewhere: int = 0
    unseen: int = 0

    def of(self, anchor: str) -> int:
        """How many devices stand on this anchor."""
        return next((one.devices for one in self.anchors if one.anchor == anchor), 0)


class Authority(Heard):
    """An authority of the tenant's own. `trust` in PEM: its certificate, then those above it."""

    id: str
    name: str = ""
    state: str = "current"
    curve: str = ""
    subject: str = ""
    fingerprint: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    has_key: bool = True
    succeeds: str | None = None
    created_at: datetime | None = None
    created_by: str = ""
    trust: str = ""


class IssuedCertificate(Heard):
    id: str
    authority: str = ""
    usage: str = "device"
    subject: str = ""
    names: list[str] = []
    serial: str = ""
    fingerprint: str = ""
    state: str = "good"
    not_after: datetime | None = None
    issued_at: datetime | None = None
    issued_by: str = ""
    revoked_at: datetime | None = None
    reason: str = ""
