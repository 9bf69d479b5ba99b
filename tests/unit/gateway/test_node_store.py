"""Numbers, starts, and who went where."""

from datetime import timedelta
from pathlib import Path

from shoal.gateway import node_store, store
from shoal.gateway.tables import gateway_nodes
from shoal.storage.database import Database
from tests.harness.installation import Installation, installation


async def test_no_start_has_the_number_of_another(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        assert [await node_store.begin(shoal.database) for _ in range(3)] == [1, 2, 3]


async def test_a_number_is_known_with_its_address_and_when_it_was_seen(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        began = shoal.clock.now()
        await node_store.touch(shoal.database, [0, 3], "a:1", began)
        shoal.clock.advance(timedelta(seconds=5))
        await node_store.touch(shoal.database, [3], "b:1", shoal.clock.now())

        assert await node_store.nodes(shoal.database) == [(0, "a:1", began), (3, "b:1", shoal.clock.now())]
        await node_store.forget_all(shoal.database)
        assert await node_store.nodes(shoal.database) == []


async def test_others_are_told_only_of_what_they_do_not_know(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        pokes: list[int] = []
        shoal.database.on(gateway_nodes.name, lambda: pokes.append(1))
        for address in ("a:1", "a:1", "b:1"):
            await node_store.touch(shoal.database, [0], address, shoal.clock.now())

        assert len(pokes) == 2


async def test_who_had_a_device_hears_that_another_has_it_and_whoever_has_it_again_does_not(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        assert await keep(shoal, 0, "dev-1", "dev-2") == ["dev-1", "dev-2"]
        assert await keep(shoal, 0, "dev-1") == []

        assert await keep(shoal, 1, "dev-1", "dev-3") == ["dev-1", "dev-3"]
        assert await moved(shoal.database, 0) == ["dev-1"]
        assert await moved(shoal.database, 1) == []
        assert await node_store.holders(shoal.database, ["dev-1", "dev-2", "dev-9"]) == {"dev-1": 1, "dev-2": 0}

        # Back before the first has looked: it has to let go of nothing, and the second of it.
        assert await keep(shoal, 0, "dev-1") == ["dev-1"]
        assert (await moved(shoal.database, 0), await moved(shoal.database, 1)) == ([], ["dev-1"])
        await node_store.let_go(shoal.database, [one for one, _ in await node_store.moves(shoal.database, [1])])
        assert await moved(shoal.database, 1) == []


async def test_a_gateway_with_several_numbers_moves_nothing_between_them(tmp_path: Path) -> None:
    async with installation(tmp_path) as shoal:
        await keep(shoal, 0, "dev-1")
        async with shoal.database.transaction() as tx:
            assert await node_store.note_moves(tx, [0, 1], ["dev-1"]) == []
            await store.keep(tx, [("dev-1", 1, b"")], shoal.clock.now())

        assert await moved(shoal.database, 0) == []


async def keep(shoal: Installation, node: int, *devices: str) -> list[str]:
    """Writes checkpoints as the gateway of this number does; which of the devices it did not have."""
    async with shoal.database.transaction() as tx:
        came = await node_store.note_moves(tx, [node], devices)
        await store.keep(tx, [(device, node, b"") for device in devices], shoal.clock.now())
        return came


async def moved(database: Database, node: int) -> list[str]:
    return [device for _, device in await node_store.moves(database, [node])]
