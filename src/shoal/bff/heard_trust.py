"""What the API answers about trust: the security log."""

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
