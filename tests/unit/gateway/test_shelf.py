"""A file is served to those who may fetch it, and to nobody else."""

from datetime import timedelta
from pathlib import Path

import pytest

from shoal.errors import DeviceFault
from shoal.gateway.shelf import DeviceFile
from tests.harness.site import Site

REGISTERED_WITHIN = timedelta(seconds=20)
PACKAGE = bytes(range(256)) * 20


async def offer(site: Site, package: Path, *devices: str) -> None:
    """These devices are being updated now, no others."""
    site.fetching[:] = [DeviceFile("/fw/abc", b"etag", package, device) for device in devices]
    await site.gateway.shelf.follow()


async def test_only_the_device_that_is_updated_can_fetch_the_file(site: Site, tmp_path: Path) -> None:
    chosen, _ = await site.device("cam-0101"), await site.device("cam-0102")
    (tmp_path / "package").write_bytes(PACKAGE)
    await offer(site, tmp_path / "package", chosen.id)
    uri = f"{site.gateway.addresses[0]}/fw/abc"

    async with site.client("cam-0101") as first, site.client("cam-0102") as second:
        await first.registered(REGISTERED_WITHIN)
        await second.registered(REGISTERED_WITHIN)

        assert await first.fetch(uri) == PACKAGE
        with pytest.raises(DeviceFault, match=r"4\.04"):
            await second.fetch(uri)

        await offer(site, tmp_path / "package")
        with pytest.raises(DeviceFault, match=r"4\.04"):
            await first.fetch(uri)


async def test_a_file_stays_for_the_others_and_is_gone_for_whose_update_is_over(site: Site, tmp_path: Path) -> None:
    first, second = await site.device("cam-0101"), await site.device("cam-0102")
    (tmp_path / "package").write_bytes(PACKAGE)
    await offer(site, tmp_path / "package", first.id, second.id)

    await offer(site, tmp_path / "package", second.id)

    uri = f"{site.gateway.addresses[0]}/fw/abc"
    async with site.client("cam-0101") as done, site.client("cam-0102") as going_on:
        await done.registered(REGISTERED_WITHIN)
        await going_on.registered(REGISTERED_WITHIN)
        assert await going_on.fetch(uri) == PACKAGE
        with pytest.raises(DeviceFault, match=r"4\.04"):
            await done.fetch(uri)


async def test_a_file_that_is_not_there_keeps_no_other_from_being_served(site: Site, tmp_path: Path) -> None:
    device = await site.device("cam-0101")
    (tmp_path / "package").write_bytes(PACKAGE)
    site.fetching[:] = [
        DeviceFile("/fw/gone", b"etag", tmp_path / "absent", device.id),
        DeviceFile("/fw/abc", b"etag", tmp_path / "package", device.id),
    ]

    await site.gateway.shelf.follow()

    assert list(site.gateway.shelf.refused) == ["/fw/gone"]
    async with site.client("cam-0101") as client:
        await client.registered(REGISTERED_WITHIN)
        assert await client.fetch(f"{site.gateway.addresses[0]}/fw/abc") == PACKAGE
