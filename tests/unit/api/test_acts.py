"""Who asked is written into the transaction of whatever a request changes."""

from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from shoal.access.decision import Subject
from shoal.access.policy import Role
from shoal.api.acts import Acts, Doing, doing_of
from shoal.audit.store import audit_log
from shoal.storage.database import before_commit
from tests.unit.api.company import Company


def subject(company: Company) -> Subject:
    return Subject(tenant=company.tenant, role=Role.ADMINISTRATOR, id="usr-1", name="Kari")


@pytest.mark.parametrize(("method", "is_watched"), [("GET", False), ("HEAD", False), ("POST", True), ("DELETE", True)])
async def test_only_requests_that_may_change_something_are_watched(
    company: Company, method: str, is_watched: bool
) -> None:
    seen: list[Any] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((doing_of(scope), before_commit.get()))
        await PlainTextResponse("done")(scope, receive, send)

    transport = httpx.ASGITransport(Acts(application, company.rooms, "/api/v1"))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        await client.request(method, "/api/v1/farms")

    [(doing, kept_with)] = seen
    assert (doing is not None, kept_with is not None) == (is_watched, is_watched)
    assert doing is None or (doing.method, doing.path, doing.address) == (method, "/farms", "127.0.0.1")
    assert before_commit.get() is None


async def test_several_transactions_of_one_request_leave_one_entry_with_the_first_that_is_kept(
    company: Company,
) -> None:
    database = company.installation.database
    doing = Doing(company.rooms, "POST", "/farms", address="192.0.2.1", subject=subject(company))
    before_commit.set(doing.keep_with)

    async def fails() -> None:
        async with database.transaction():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails()
    assert not doing.is_done
    for _ in range(3):
        async with database.transaction():
            pass

    assert doing.is_done
    async with database.reading() as connection:
        assert len((await connection.execute(audit_log.select())).all()) == 1


async def test_before_somebody_is_known_nothing_is_told(company: Company) -> None:
    database = company.installation.database
    before_commit.set(Doing(company.rooms, "POST", "/sessions", address="192.0.2.1").keep_with)

    async with database.transaction():
        pass

    async with database.reading() as connection:
        assert (await connection.execute(audit_log.select())).all() == []
