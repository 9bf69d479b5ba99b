"""Sessions go on with the next gateway; what cannot be kept, or may not, does not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from shoal.errors import Unavailable
from shoal.gateway import store
from shoal.gateway.loop import Gateway
from tests.harness.site import Site, gateway_over

REGISTERED_WITHIN = timedelta(seconds=20)


@asynccontextmanager
async def successor(site: Site) -> AsyncIterator[Gateway]:
    """A gateway that starts where the site's left off; only its own listener is another."""
    await site.shoal.settle()
    gateway = await gateway_over(site.shoal, site.commands)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.close()


async def kept(site: Site) -> list[tuple[str, bytes]]:
    return await store.page(site.shoal.database, 0)


async def test_whoever_is_registered_is_kept_before_it_hears_so_and_goes_on_with_the_next_gateway(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        await client.registered(REGISTERED_WITHIN)
        assert [name for name, _ in await kept(site)] == [device.id]

        async with successor(site) as gateway:
            stats = gateway.core.stats()

            assert (stats["restored"], stats["sessions"], stats["handshakes"]) == (1, 1, 0)
            assert gateway.core.registrations()[0].address is not None


async def test_what_is_kept_shows_no_key_and_fits_no_other_device(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        await client.registered(REGISTERED_WITHIN)

        [(_, sealed)] = await kept(site)

    opened = site.shoal.vault.decrypt(sealed, device.id)
    assert opened not in sealed
    with pytest.raises(Unavailable):
        site.shoal.vault.decrypt(sealed, "dev-ANOTHER0")


async def test_a_device_that_says_goodbye_leaves_nothing(site: Site) -> None:
    await site.device()
    async with site.client() as client:
        await client.registered(REGISTERED_WITHIN)
        await client.deregister()

        async def is_gone() -> bool:
            return await kept(site) == []

        await site.until(is_gone)


async def test_what_does_not_serve_any_more_is_deleted_at_the_start(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        await client.registered(REGISTERED_WITHIN)
        await site.until(lambda: _is_quiet(site))
        async with site.shoal.database.transaction() as tx:
            damaged = site.shoal.vault.encrypt(b"\x02?", device.id)
            others = [("dev-GONE0000", 0, b"another key's"), (device.id, 0, damaged)]
            await store.keep(tx, others, site.shoal.clock.now())

        async with successor(site) as gateway:
            assert gateway.core.stats()["restored"] == 0
            assert await kept(site) == []


async def test_while_the_database_is_away_devices_register_and_are_kept_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.device()

    async def away(*_: object) -> None:
        raise Unavailable("database", "gone", "Bring it back")

    with monkeypatch.context() as patched:
        patched.setattr(store, "keep", away)
        async with site.client() as client:
            await client.registered(REGISTERED_WITHIN)
            assert site.gateway.keeper.failure is not None
            assert await kept(site) == []
            patched.undo()

            async def is_kept() -> bool:
                return await kept(site) != []

            await site.until(is_kept)
            await site.until(lambda: _is_quiet(site))
            assert site.gateway.keeper.failure is None


async def _is_quiet(site: Site) -> bool:
    return site.gateway.core.stats()["checkpoints_waiting"] == 0
