"""What the database itself refuses: a mail address is one person's, a webhook may be everybody's."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from shoal.errors import Conflict
from shoal.notifications.tables import contact_methods
from shoal.storage.database import Database


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    made = await Database.open("sqlite://")
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("tenant", "contact", "channel", "is_taken"),
    [
        ("ten-1", "con-2", "email", True),
        ("ten-1", "con-1", "email", True),
        ("ten-2", "con-2", "email", False),
        ("ten-1", "con-2", "webhook", False),
        ("ten-1", "con-1", "webhook", False),
    ],
)
async def test_a_mail_address_is_one_contact_of_a_tenant(
    database: Database, tenant: str, contact: str, channel: str, is_taken: bool
) -> None:
    async def keep(tenant: str, contact: str, channel: str) -> None:
        row = {
            "contact_id": contact,
            "channel": channel,
            "address": "kari@farm.example",
            "tenant_id": tenant,
            "position": 0,
            "failure": "",
        }
        async with database.transaction() as tx:
            await tx.execute(insert(contact_methods), row)

    await keep("ten-1", "con-1", "email")
    if is_taken:
        with pytest.raises((IntegrityError, Conflict)):
            await keep(tenant, contact, channel)
    else:
        await keep(tenant, contact, channel)
