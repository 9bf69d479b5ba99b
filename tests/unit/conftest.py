from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.harness.installation import Installation, installation


@pytest.fixture
async def shoal(tmp_path: Path) -> AsyncIterator[Installation]:
    """A Shoal of its own for every test, on a clock of its own."""
    async with installation(tmp_path) as started:
        yield started
