"""Who types at a shell of the machine that holds the data, as the audit log names them."""

import getpass
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from shoal.audit.entry import Act, Other
from shoal.audit.store import Audit
from shoal.ids import TenantId
from shoal.storage.database import Transaction

_ADDRESS: Final = "command line"


def login() -> str:
    """What this machine calls whoever types; a container may have no name for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


async def tell(
    audit: Audit,
    tx: Transaction,
    tenant: TenantId,
    command: str,
    action: str,
    resource: str,
    thing: str | None,
    *,
    at: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Writes into the audit log who did something: a person at a shell, whom nobody could ask for more."""
    subject = Other(tenant=tenant, id=_ADDRESS, name=login())
    act = Act(action=action, resource=resource, thing=thing, path=f"shoal {command}")
    await audit.write(tx, subject, act, at=at, address=_ADDRESS, before=before, after=after)
