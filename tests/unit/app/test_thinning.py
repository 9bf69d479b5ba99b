"""What is kept for a while only is deleted while Shoal runs."""

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from shoal.access.decision import Subject
from shoal.access.policy import Role
from shoal.app.thinning import thin_now_and_then
from shoal.audit.entry import act_of
from shoal.audit.store import Audit, audit_log
from shoal.ids import TenantId
from shoal.storage import answers
from shoal.storage.answers import kept_answers
from tests.harness.installation import installation


async def test_old_entries_and_answers_go_by_themselves(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        subject = Subject(tenant=TenantId("ten-OURS0000"), role=Role.ADMINISTRATOR, id="usr-1", name="Kari")
        async with shoal.database.transaction() as tx:
            await Audit(shoal.database).write(tx, subject, act_of("POST", "/x"), at=shoal.clock.now(), address="")
        await answers.claim(shoal.database, shoal.vault, "id", "usr-1", shoal.clock.now())
        shoal.clock.advance(timedelta(days=31))

        thinning = asyncio.create_task(thin_now_and_then(shoal.database, shoal.clock, 30))
        async with asyncio.timeout(10):
            for table in (audit_log, kept_answers):
                while True:
                    async with shoal.database.reading() as connection:
                        if not await connection.scalar(select(func.count()).select_from(table)):
                            break
                    await asyncio.sleep(0.01)
        thinning.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await thinning
