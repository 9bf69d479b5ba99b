from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.site import Site
from tests.harness.site import site as running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A gateway of its own for every test."""
    async with running_site(tmp_path) as running:
        yield running
