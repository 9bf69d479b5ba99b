"""A file is served to those who may fetch it, and to nobody else."""

from datetime import timedelta
from pathlib import Path

import pytest

from shoal.errors import DeviceFault
from tests.harness.site import Site

REGISTERED_WITHIN = timedelta(seconds=20)
PACKAGE = bytes(range(256)) * 20


async def test_only_the_device_that_is_updated_can_fetch_the_file(site: Site, tmp_path: Path) -> None:
    chosen, _ = await site.device("cam-0101"), await site.device("cam-0102")
    (tmp_path / "package").write_bytes(PACKAGE)
    site.gateway.shelf.serve("/fw/abc", b"etag", tmp_path / "package", chosen.id)
    uri = f"{site.gateway.addresses[0]}/fw/abc"

    async with site.client("cam-0101") as first, site.client("cam-0102") as second:
        await first.registered(REGISTERED_WITHIN)
        await second.registered(REGISTERED_WITHIN)

        assert await first.fetch(uri) == PACKAGE
        with pytest.raises(DeviceFault, match=r"4\.04"):
            await second.fetch(uri)

        site.gateway.shelf.withdraw("/fw/abc", chosen.id)
        with pytest.raises(DeviceFault, match=r"4\.04"):
            await first.fetch(uri)


async def test_a_file_stays_for_the_others_and_is_gone_for_whom_it_is_withdrawn(site: Site, tmp_path: Path) -> None:
    first, second = await site.device("cam-0101"), await site.device("cam-0102")
    (tmp_path / "package").write_bytes(PACKAGE)
    for device in (first, second, second):
        site.gateway.shelf.serve("/fw/abc", b"etag", tmp_path / "package", device.id)

    site.gateway.shelf.withdraw("/fw/abc", first.id)
    site.gateway.shelf.withdraw("/fw/never-served", first.id)

    uri = f"{site.gateway.addresses[0]}/fw/abc"
    async with site.client("cam-0101") as done, site.client("cam-0102") as going_on:
        await done.registered(REGISTERED_WITHIN)
        await going_on.registered(REGISTERED_WITHIN)
        assert await going_on.fetch(uri) == PACKAGE
        with pytest.raises(DeviceFault, match=r"4\.04"):
            await done.fetch(uri)


async def test_a_file_that_is_not_there_is_not_offered(site: Site, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="absent"):
        site.gateway.shelf.serve("/fw/abc", b"etag", tmp_path / "absent", "dev-1")
