"""Whoever types at a shell has a name in the audit log."""

import getpass
import os

import pytest

from shoal.app import shell
from shoal.audit.store import Audit
from tests.harness.installation import Installation


async def test_what_was_typed_is_told_with_the_name_that_the_machine_has_for_them(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    audit, now = Audit(shoal.database), shoal.clock.now()
    async with shoal.database.transaction() as tx:
        await shell.tell(audit, tx, tenant, "token revoke", "delete", "tokens", "tok-1", at=now, before={"name": "x"})

    [entry] = await audit.entries(tenant)

    assert (entry.by, entry.by_name, entry.address) == ("command line", shell.login(), "command line")
    assert (entry.at, entry.act.action, entry.act.thing, entry.act.path) == (
        now,
        "delete",
        "tok-1",
        "shoal token revoke",
    )
    assert entry.before == {"name": "x"}


def test_whoever_has_no_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)

    assert shell.login() == f"uid {os.getuid()}"
