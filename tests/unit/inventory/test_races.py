"""Several processes change the same inventory at once: nothing that one of them did is undone by another."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shoal.access.decision import Place
from shoal.app.neighbours import queue_for_inventory
from shoal.clock import FakeClock
from shoal.commands.store import Commands
from shoal.credentials.proofs import proofs_of
from shoal.credentials.store import Credentials
from shoal.errors import Conflict, NotFound, Outdated
from shoal.events.device import Claim, DeviceAwake, DeviceRegistered, Reading, ReadingsReported
from shoal.events.envelope import Event
from shoal.events.topics import DEVICE
from shoal.ids import EnclosureId, FarmId, TenantId
from shoal.inventory.device import Device, Kind, Security
from shoal.inventory.store import Inventory
from shoal.inventory.worker import InventoryHandler
from shoal.storage import directory
from shoal.storage.database import Database, Transaction
from shoal.storage.secrets import Vault
from shoal.stream.log import Record
from shoal.stream.worker import Batch
from tests.harness.databases import fresh_url
from tests.harness.races import Unhurried, needs_two_writers, overtaken

pytestmark = needs_two_writers

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
VAULT = Vault(bytes(range(32)))


def inventory(database: Database) -> Inventory:
    clock = FakeClock(NOW)
    return Inventory(database, clock, tell=queue_for_inventory(Commands(database, clock)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """A tenant with two pens, and a device in the first."""

    url: str
    database: Database
    tenant: TenantId
    farm: FarmId
    here: EnclosureId
    there: EnclosureId
    device: Device

    async def device_now(self) -> Device:
        return await inventory(self.database).device(self.tenant, self.device.id)

    async def entry(self) -> directory.DirectoryEntry:
        async with self.database.transaction() as tx:
            found = await directory.find(tx, self.device.id)
        assert found is not None
        return found

    def claims(self, enclosure: str, at: datetime = NOW) -> ReadingsReported:
        """What the Placement object of the device says."""
        return ReadingsReported(
            id=f"claim-{at.timestamp()}",
            time=at,
            device=self.device.id,
            tenant=self.tenant,
            endpoint=self.device.endpoint,
            via="read",
            readings=[Reading(path="/26241/0/0", value=enclosure)],
        )

    def registers(self, claim: Claim | None = None, at: datetime = NOW, **given: Any) -> DeviceRegistered:
        facts: dict[str, Any] = {
            "device": self.device.id,
            "tenant": self.tenant,
            "endpoint": self.device.endpoint,
            "secure": True,
            "lifetime_s": 300,
            "registration": "reg-1",
        }
        return DeviceRegistered(
            **(facts | given),
            id=f"reg-{at.timestamp()}",
            time=at,
            version="1.1",
            binding="U",
            queue_mode=False,
            address="192.0.2.1:5683",
            objects=[("/3/0", None), ("/26241/0", None)],
            claim=claim,
        )

    def awake(self, seconds: int, expires_at: int | None = None) -> DeviceAwake:
        """The device was heard so much later."""
        return DeviceAwake(
            id=f"awake-{seconds}",
            time=NOW + timedelta(seconds=seconds),
            device=self.device.id,
            tenant=self.tenant,
            endpoint=self.device.endpoint,
            registration="reg-1",
            expires_at=expires_at,
        )

    async def identities(self) -> list[str]:
        """What the gateway lets the device in by."""
        return [proof.identity for proof in (await proofs_of(self.database, [self.device.id]))[self.device.id]]


@pytest.fixture
async def farm() -> AsyncIterator[Farm]:
    url = fresh_url()
    database = await Database.open(url, migrate=False)
    rooms = inventory(database)
    async with database.transaction() as tx:
        tenant = (await rooms.create_tenant(tx, "Nordlaks")).id
        site = (await rooms.create_farm(tx, tenant, "Storholmen")).id
        here = (await rooms.create_enclosure(tx, tenant, site, "Pen 1")).id
        there = (await rooms.create_enclosure(tx, tenant, site, "Pen 2")).id
        device = await rooms.create_device(
            tx, tenant, endpoint="oxy-0101", kind=Kind.SENSOR, security=Security.PSK, enclosure=here
        )
    yield Farm(url=url, database=database, tenant=tenant, farm=site, here=here, there=there, device=device)
    await database.close()


def in_one(work: Callable[[Inventory, Transaction], Awaitable[Any]]) -> Callable[[Database], Awaitable[Any]]:
    """The work in a transaction of its own."""

    async def run(database: Database) -> Any:
        async with database.transaction() as tx:
            return await work(inventory(database), tx)

    return run


async def everywhere(device: Device, place: Place) -> bool:
    """No policy closes anything."""
    del device, place
    return True


def heard(*events: Event) -> Callable[[Database], Awaitable[Any]]:
    """A batch of the worker."""
    records = [(Record(DEVICE.name, 0, n, event.key, NOW, b""), event) for n, event in enumerate(events)]
    batch = Batch(DEVICE, 0, records, NOW, is_caught_up=True)  # type: ignore[arg-type]  # all are of this topic
    return in_one(lambda rooms, tx: InventoryHandler(rooms, everywhere).handle(tx, batch))


# -- who edits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["farm", "enclosure", "device"])
async def test_of_two_who_edit_the_same_version_the_second_must_look_again(farm: Farm, what: str) -> None:
    async def rename(rooms: Inventory, tx: Transaction, name: str) -> None:
        match what:
            case "farm":
                await rooms.rename_farm(tx, farm.tenant, farm.farm, name, 1)
            case "enclosure":
                await rooms.change_enclosure(tx, farm.tenant, farm.here, name=name, if_version=1)
            case _:
                await rooms.change_device(tx, farm.tenant, farm.device.id, name=name, if_version=1)

    _, second = await overtaken(
        farm.url,
        in_one(lambda rooms, tx: rename(rooms, tx, "North")),
        in_one(lambda rooms, tx: rename(rooms, tx, "South")),
    )

    assert isinstance(second, Outdated)


async def test_a_name_and_a_profile_that_are_changed_at_once_are_both_kept(farm: Farm) -> None:
    profiles = {profile.key: profile.id for profile in await inventory(farm.database).profiles(farm.tenant)}

    await overtaken(
        farm.url,
        in_one(lambda rooms, tx: rooms.change_device(tx, farm.tenant, farm.device.id, name="Oxygen")),
        in_one(lambda rooms, tx: rooms.change_device(tx, farm.tenant, farm.device.id, profile=profiles["demo"])),
    )

    changed = await farm.device_now()
    assert (changed.name, changed.profile, changed.version) == ("Oxygen", profiles["demo"], 3)


async def test_a_farm_that_is_deleted_takes_no_enclosure(farm: Farm) -> None:
    async with farm.database.transaction() as tx:
        empty = (await inventory(farm.database).create_farm(tx, farm.tenant, "Empty")).id

    _, created = await overtaken(
        farm.url,
        in_one(lambda rooms, tx: rooms.delete_farm(tx, farm.tenant, empty)),
        in_one(lambda rooms, tx: rooms.create_enclosure(tx, farm.tenant, empty, "Pen 9")),
    )

    assert isinstance(created, NotFound)


async def test_a_farm_that_gets_an_enclosure_is_not_deleted(farm: Farm) -> None:
    async with farm.database.transaction() as tx:
        empty = (await inventory(farm.database).create_farm(tx, farm.tenant, "Empty")).id

    _, deleted = await overtaken(
        farm.url,
        in_one(lambda rooms, tx: rooms.create_enclosure(tx, farm.tenant, empty, "Pen 9")),
        in_one(lambda rooms, tx: rooms.delete_farm(tx, farm.tenant, empty)),
    )

    assert isinstance(deleted, Conflict)


async def test_an_enclosure_that_is_deleted_takes_no_device(farm: Farm) -> None:
    _, moved = await overtaken(
        farm.url,
        in_one(lambda rooms, tx: rooms.delete_enclosure(tx, farm.tenant, farm.there)),
        in_one(lambda rooms, tx: rooms.move_device(tx, farm.tenant, farm.device.id, farm.there, by=None)),
    )

    assert isinstance(moved, NotFound)
    assert (await farm.device_now()).enclosure == farm.here


async def test_an_enclosure_that_gets_a_device_is_not_deleted(farm: Farm) -> None:
    _, deleted = await overtaken(
        farm.url,
        in_one(lambda rooms, tx: rooms.move_device(tx, farm.tenant, farm.device.id, farm.there, by=None)),
        in_one(lambda rooms, tx: rooms.delete_enclosure(tx, farm.tenant, farm.there)),
    )

    assert isinstance(deleted, Conflict)


async def test_an_endpoint_is_given_once(farm: Farm) -> None:
    def create(rooms: Inventory, tx: Transaction) -> Awaitable[Device]:
        return rooms.create_device(tx, farm.tenant, endpoint="new", kind=Kind.SENSOR, security=Security.NONE)

    _, second = await overtaken(farm.url, in_one(create), in_one(create))

    assert isinstance(second, Conflict)


# -- what devices say meanwhile ----------------------------------------------------------------------------------------


async def test_a_claim_that_comes_while_a_device_is_moved_is_judged_by_the_new_place(farm: Farm) -> None:
    moved, folded = await overtaken(
        farm.url,
        in_one(lambda rooms, tx: rooms.move_device(tx, farm.tenant, farm.device.id, farm.there, by="Kari")),
        heard(farm.registers(), farm.claims(farm.there)),
    )

    device = await farm.device_now()
    assert folded is None
    assert isinstance(moved, Device)
    assert (device.enclosure, device.place_state.value, device.registration is not None) == (farm.there, "agreed", True)
    assert device.version == moved.version + 1  # that it claims something at all was news
    assert (await farm.entry()).enclosure_id == farm.there


async def test_a_person_decides_about_the_claim_that_there_is(farm: Farm) -> None:
    await heard(farm.registers(), farm.claims(farm.there))(farm.database)

    _, accepted = await overtaken(
        farm.url,
        heard(farm.claims(farm.here, NOW + timedelta(seconds=1))),
        in_one(lambda rooms, tx: rooms.accept_claim(tx, farm.tenant, farm.device.id, by="Kari")),
    )

    assert isinstance(accepted, Conflict)
    assert (await farm.device_now()).enclosure == farm.here


async def test_what_a_device_says_while_it_is_deleted_stops_nobody(farm: Farm) -> None:
    async def delete(rooms: Inventory, tx: Transaction) -> None:
        await rooms.delete_device(tx, farm.tenant, farm.device.id)

    _, folded = await overtaken(farm.url, in_one(delete), heard(farm.registers(), farm.claims(farm.there)))

    assert folded is None
    with pytest.raises(NotFound):
        await farm.device_now()


async def test_a_stranger_whom_somebody_else_creates_at_once_is_found_by_the_next_try(farm: Farm) -> None:
    stranger = farm.registers(device=None, endpoint="stranger", secure=False)

    _, folded = await overtaken(
        farm.url,
        in_one(
            lambda rooms, tx: rooms.create_device(
                tx, farm.tenant, endpoint="stranger", kind=Kind.SENSOR, security=Security.NONE
            )
        ),
        heard(stranger),
    )
    assert isinstance(folded, Conflict)

    await heard(stranger)(farm.database)

    page = await inventory(farm.database).devices(farm.tenant)
    assert [device.endpoint for device in page.items if device.registration] == ["stranger"]


@pytest.mark.parametrize(("earlier", "later"), [(5, 10), (10, 5)])
async def test_a_device_that_two_partitions_heard_was_heard_at_the_later_moment(
    farm: Farm, earlier: int, later: int
) -> None:
    await heard(farm.registers())(farm.database)

    await overtaken(farm.url, heard(farm.awake(earlier)), heard(farm.awake(later)))

    registration = (await farm.device_now()).registration
    assert registration is not None
    assert registration.last_heard_at == NOW + timedelta(seconds=10)


async def test_what_is_told_of_an_old_registration_does_not_make_the_new_one_longer(farm: Farm) -> None:
    await heard(farm.registers())(farm.database)

    await overtaken(
        farm.url,
        heard(farm.registers(at=NOW + timedelta(seconds=1), registration="reg-2", lifetime_s=60)),
        heard(farm.awake(5, expires_at=int(NOW.timestamp()) + 9_000)),
    )

    registration = (await farm.device_now()).registration
    assert registration is not None
    assert (registration.id, registration.expires_at) == ("reg-2", NOW + timedelta(seconds=61))


async def test_a_lifetime_may_be_as_long_as_a_device_can_say(farm: Farm) -> None:
    await heard(farm.registers(lifetime_s=2**32 - 1))(farm.database)

    registration = (await farm.device_now()).registration
    assert registration is not None
    assert registration.lifetime == timedelta(seconds=2**32 - 1)


# -- the directory -----------------------------------------------------------------------------------------------------


async def test_a_key_that_is_made_while_a_device_is_moved_leaves_it_where_it_is_then(farm: Farm) -> None:
    async def give_key(database: Database) -> None:
        async with database.transaction() as tx:
            await Credentials(database, VAULT, FakeClock(NOW)).create(tx, farm.tenant, farm.device.id)

    await overtaken(
        farm.url,
        in_one(lambda rooms, tx: rooms.move_device(tx, farm.tenant, farm.device.id, farm.there, by=None)),
        give_key,
    )

    entry = await farm.entry()
    assert (entry.enclosure_id, await farm.identities()) == (farm.there, [farm.device.id])


async def test_a_device_that_is_moved_while_it_gets_a_key_keeps_the_key(farm: Farm) -> None:
    async def give_key(database: Database) -> None:
        async with database.transaction() as tx:
            await Credentials(database, VAULT, FakeClock(NOW)).create(tx, farm.tenant, farm.device.id)

    await overtaken(
        farm.url,
        give_key,
        in_one(lambda rooms, tx: rooms.move_device(tx, farm.tenant, farm.device.id, farm.there, by=None)),
    )

    entry = await farm.entry()
    assert (entry.enclosure_id, await farm.identities()) == (farm.there, [farm.device.id])


async def test_two_who_write_directory_and_queue_never_wait_in_a_circle(farm: Farm) -> None:
    """One renames a device and moves it, the other moves another one; both devices can be told where they are."""
    rooms = inventory(farm.database)
    async with farm.database.transaction() as tx:
        other = await rooms.create_device(
            tx, farm.tenant, endpoint="oxy-0102", kind=Kind.SENSOR, security=Security.PSK, enclosure=farm.here
        )
    await heard(farm.registers(), farm.registers(device=other.id, endpoint=other.endpoint))(farm.database)

    async def rename_and_move(database: Unhurried) -> None:
        rooms = inventory(database)
        async with database.transaction() as tx:
            await rooms.change_device(tx, farm.tenant, farm.device.id, name="Oxygen")
            await database.stand()
            await rooms.move_device(tx, farm.tenant, farm.device.id, farm.there, by=None)

    both = await overtaken(
        farm.url,
        rename_and_move,
        in_one(lambda rooms, tx: rooms.move_device(tx, farm.tenant, other.id, farm.there, by=None)),
    )

    assert [outcome for outcome in both if isinstance(outcome, Exception)] == []
    page = await rooms.devices(farm.tenant)
    assert {device.enclosure for device in page.items} == {farm.there}
