"""A company behind the API, and people who use it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from shoal.access.policy import Role
from tests.harness.installation import installation
from tests.unit.api.company import Company


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    async with installation(tmp_path) as shoal:
        founded = Company(shoal)
        await founded.found()
        gateway = asyncio.create_task(founded.gateway.run())
        try:
            yield founded
        finally:
            gateway.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gateway
            await founded.close()


@pytest.fixture
async def admin(company: Company) -> httpx.AsyncClient:
    return await company.client()


@pytest.fixture
async def viewer(company: Company) -> httpx.AsyncClient:
    return await company.client(Role.VIEWER)


@pytest.fixture
async def stranger(company: Company) -> httpx.AsyncClient:
    return await company.stranger()
