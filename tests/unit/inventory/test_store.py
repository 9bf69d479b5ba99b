"""Devices: a row, what the gateway knows and what the others are told change together."""

from datetime import timedelta

import pytest

from shoal.commands.command import Operation, State
from shoal.commands.queue import WAITING_PER_DEVICE_MAX
from shoal.errors import Conflict, NotFound, Outdated, Rejected
from shoal.events.device import Claim as Said
from shoal.events.device import DeviceRegistered, DeviceRemoved, PlaceChanged, ProfileChanged, Reading, ReadingsReported
from shoal.ids import DeviceId, EnclosureId, TenantId
from shoal.inventory.claim import PlaceState, Via
from shoal.inventory.device import Device, Kind, Security
from shoal.inventory.device_rows import DeviceFilter
from shoal.inventory.profile import MAINS_CAMERA, ProfileId
from shoal.storage import directory
from shoal.storage.directory import DirectoryEntry
from tests.harness.installation import Installation


class Site:
    """A tenant with two pens and a device in the first; a neighbour with a pen of its own."""

    def __init__(self, shoal: Installation) -> None:
        self.shoal = shoal
        self.tenant = TenantId("")
        self.neighbour = TenantId("")
        self.here = self.there = self.elsewhere = EnclosureId("")

    async def settle_in(self) -> Device:
        shoal = self.shoal
        self.tenant, self.neighbour = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
        farm = await shoal.create_farm(self.tenant)
        self.here = await shoal.create_enclosure(self.tenant, farm, "Pen 1")
        self.there = await shoal.create_enclosure(
            self.tenant, await shoal.create_farm(self.tenant, "Hellevika"), "Pen 4"
        )
        self.elsewhere = await shoal.create_enclosure(self.neighbour, await shoal.create_farm(self.neighbour), "Pen 9")
        return await shoal.create_device(self.tenant, "oxy-0101", self.here)

    async def claims(self, device: Device, enclosure: str, via: str = "option") -> Device:
        """The device registers and says where it is."""
        await self.shoal.hear(
            DeviceRegistered(
                id=f"{device.id}-registered-{enclosure}-{self.shoal.clock.now().timestamp()}",
                time=self.shoal.clock.now(),
                device=device.id,
                tenant=device.tenant,
                endpoint=device.endpoint,
                registration="reg-1",
                version="1.1",
                lifetime_s=300,
                binding="U",
                queue_mode=False,
                secure=True,
                address="192.0.2.1:5683",
                objects=[("/26241/0", None)],
                claim=None if via == "object" else Said(enclosure=enclosure, via=via),
            )
        )
        if via == "object":
            await self.shoal.hear(
                ReadingsReported(
                    id=f"{device.id}-says-{enclosure}-{self.shoal.clock.now().timestamp()}",
                    time=self.shoal.clock.now(),
                    device=device.id,
                    tenant=device.tenant,
                    via="read",
                    readings=[Reading(path="/26241/0/0", value=enclosure)],
                )
            )
        await self.shoal.settle()
        return await self.shoal.inventory.device(device.tenant, device.id)

    async def entry(self, device: DeviceId) -> DirectoryEntry:
        async with self.shoal.database.transaction() as tx:
            entry = await directory.find(tx, device)
        assert entry is not None
        return entry

    async def places(self) -> list[PlaceChanged]:
        return [event for event in await self.shoal.events() if isinstance(event, PlaceChanged)]


@pytest.fixture
async def site(shoal: Installation) -> Site:
    return Site(shoal)


async def test_a_new_device_is_told_to_the_gateway_and_to_the_others(site: Site) -> None:
    device = await site.settle_in()

    entry = await site.entry(device.id)
    [told] = [event for event in await site.shoal.events() if isinstance(event, ProfileChanged)]

    assert (device.name, device.version, device.enclosure_name, device.farm_name) == (
        "oxy-0101",
        1,
        "Pen 1",
        "Storholmen",
    )
    assert (device.place_state, device.claim, device.registration) == (PlaceState.AGREED, None, None)
    assert (entry.endpoint, entry.enclosure_id, entry.security) == ("oxy-0101", site.here, "psk")
    assert entry.profile.report_every_s == 1_800
    assert ("/26241/*/0", "") in entry.profile.observe
    assert (told.device, told.tenant, told.enclosure, told.kind) == (device.id, site.tenant, site.here, "sensor")


async def test_an_endpoint_is_unique_within_a_tenant_only(site: Site) -> None:
    device = await site.settle_in()

    with pytest.raises(Conflict) as caught:
        await site.shoal.create_device(site.tenant, "oxy-0101")
    other = await site.shoal.create_device(site.neighbour, "oxy-0101")

    assert caught.value.facts["device"] == device.id
    assert other.id != device.id


async def test_a_device_can_be_made_only_from_what_there_is(site: Site) -> None:
    await site.settle_in()

    with pytest.raises(NotFound):
        await site.shoal.create_device(site.tenant, "oxy-2", site.elsewhere)
    with pytest.raises(Rejected):
        await site.shoal.create_device(site.tenant, "oxy 2 ")
    with pytest.raises(NotFound):
        await site.shoal.create_device(TenantId("ten-NOBODY00"), "oxy-2")
    async with site.shoal.database.transaction() as tx:
        with pytest.raises(NotFound):
            await site.shoal.inventory.create_device(
                tx,
                site.tenant,
                endpoint="oxy-2",
                kind=Kind.SENSOR,
                security=Security.PSK,
                profile=ProfileId("prf-NOBODY00"),
            )

    assert await site.shoal.inventory.count_devices(site.tenant) == 1


async def test_another_tenant_cannot_see_or_touch_a_device(site: Site) -> None:
    device = await site.settle_in()
    inventory = site.shoal.inventory

    with pytest.raises(NotFound):
        await inventory.device(site.neighbour, device.id)
    assert (await inventory.devices(site.neighbour)).items == []
    assert await inventory.devices_for(site.neighbour, [device.id]) == {}
    assert await inventory.device_counts(site.neighbour) == {}
    async with site.shoal.database.transaction() as tx:
        for touch in (
            inventory.change_device(tx, site.neighbour, device.id, name="mine"),
            inventory.move_device(tx, site.neighbour, device.id, site.elsewhere, by="usr-2"),
            inventory.accept_claim(tx, site.neighbour, device.id, by="usr-2"),
            inventory.refuse_claim(tx, site.neighbour, device.id, by="usr-2"),
            inventory.delete_device(tx, site.neighbour, device.id),
        ):
            with pytest.raises(NotFound):
                await touch


async def test_a_change_raises_the_version_and_reaches_the_gateway(site: Site) -> None:
    device = await site.settle_in()
    before = await site.entry(device.id)
    cameras = next(each for each in await site.shoal.inventory.profiles(site.tenant) if each.key == MAINS_CAMERA)

    async with site.shoal.database.transaction() as tx:
        changed = await site.shoal.inventory.change_device(
            tx, site.tenant, device.id, name="Oxygen by the net", profile=cameras.id, if_version=1
        )

    after = await site.entry(device.id)
    assert (changed.name, changed.profile, changed.version) == ("Oxygen by the net", cameras.id, 2)
    assert after.version > before.version
    assert after.profile.report_every_s == 60
    async with site.shoal.database.transaction() as tx:
        with pytest.raises(Outdated):
            await site.shoal.inventory.change_device(tx, site.tenant, device.id, name="x", if_version=1)


async def test_a_device_that_is_moved_is_told_to_everybody(site: Site) -> None:
    device = await site.settle_in()
    before = await site.entry(device.id)

    async with site.shoal.database.transaction() as tx:
        moved = await site.shoal.inventory.move_device(tx, site.tenant, device.id, site.there, by="usr-1")
        again = await site.shoal.inventory.move_device(tx, site.tenant, device.id, site.there, by="usr-1")

    after = await site.entry(device.id)
    [told] = await site.places()
    assert (moved.enclosure, moved.farm_name, moved.version) == (site.there, "Hellevika", 2)
    assert again == moved
    assert (after.enclosure_id, after.farm_id) == (site.there, moved.farm)
    assert after.version > before.version
    assert (told.enclosure, told.state, told.by) == (site.there, "agreed", "usr-1")


async def test_a_device_may_hang_nowhere(site: Site) -> None:
    device = await site.settle_in()

    async with site.shoal.database.transaction() as tx:
        moved = await site.shoal.inventory.move_device(tx, site.tenant, device.id, None, by="usr-1")

    assert (moved.enclosure, moved.farm) == (None, None)
    assert (await site.entry(device.id)).enclosure_id is None
    assert await site.shoal.inventory.count_devices(site.tenant, DeviceFilter(is_placed=False)) == 1


async def test_a_claim_of_another_pen_can_be_accepted(site: Site) -> None:
    device = await site.claims(await site.settle_in(), site.there)

    async with site.shoal.database.transaction() as tx:
        accepted = await site.shoal.inventory.accept_claim(tx, site.tenant, device.id, by="usr-1")

    assert device.place_state is PlaceState.MISMATCH
    assert device.claim is not None
    assert (device.claim.enclosure_name, device.claim.farm_name) == ("Pen 4", "Hellevika")
    assert (accepted.enclosure, accepted.place_state) == (site.there, PlaceState.AGREED)
    assert [(event.state, event.enclosure, event.by) for event in await site.places()] == [
        ("mismatch", site.here, None),
        ("agreed", site.there, "usr-1"),
    ]


async def test_a_claim_that_was_refused_is_not_asked_again(site: Site) -> None:
    device = await site.claims(await site.settle_in(), site.there)
    async with site.shoal.database.transaction() as tx:
        refused = await site.shoal.inventory.refuse_claim(tx, site.tenant, device.id, by="usr-1")

    again = await site.claims(refused, site.there)

    assert (refused.enclosure, refused.place_state) == (site.here, PlaceState.AGREED)
    assert again.place_state is PlaceState.AGREED
    assert [event.state for event in await site.places()] == ["mismatch", "agreed"]


async def test_a_foreign_claim_can_be_refused_but_never_accepted_and_its_name_is_not_told(site: Site) -> None:
    device = await site.claims(await site.settle_in(), site.elsewhere)

    async with site.shoal.database.transaction() as tx:
        with pytest.raises(Conflict):
            await site.shoal.inventory.accept_claim(tx, site.tenant, device.id, by="usr-1")
    quarantined = await site.entry(device.id)
    async with site.shoal.database.transaction() as tx:
        refused = await site.shoal.inventory.refuse_claim(tx, site.tenant, device.id, by="usr-1")

    assert device.place_state is PlaceState.FOREIGN
    assert device.claim is not None
    assert (device.claim.enclosure, device.claim.enclosure_name) == (site.elsewhere, None)
    assert quarantined.enclosure_id is None
    assert (refused.place_state, (await site.entry(device.id)).enclosure_id) == (PlaceState.AGREED, site.here)


async def test_there_is_nothing_to_decide_while_device_and_inventory_agree(site: Site) -> None:
    device = await site.claims(await site.settle_in(), site.here)

    async with site.shoal.database.transaction() as tx:
        with pytest.raises(Conflict):
            await site.shoal.inventory.accept_claim(tx, site.tenant, device.id, by="usr-1")
        with pytest.raises(Conflict):
            await site.shoal.inventory.refuse_claim(tx, site.tenant, device.id, by="usr-1")


async def test_a_device_with_a_placement_object_is_told_when_it_is_moved(site: Site) -> None:
    device = await site.claims(await site.settle_in(), site.here, via="object")

    async with site.shoal.database.transaction() as tx:
        moved = await site.shoal.inventory.move_device(tx, site.tenant, device.id, site.there, by="usr-1")

    [command] = await site.shoal.commands.of_device(site.tenant, device.id)
    assert (command.path, command.body) == ("/26241/0/0", b'{"value":"%s"}' % site.there.encode())
    # What it said before counts no more: it has not heard yet.
    assert (moved.place_state, moved.claim) == (PlaceState.AGREED, None)


async def test_what_only_a_person_can_change_on_a_device_is_not_told_to_it(site: Site) -> None:
    device = await site.claims(await site.settle_in(), site.here)

    async with site.shoal.database.transaction() as tx:
        moved = await site.shoal.inventory.move_device(tx, site.tenant, device.id, site.there, by="usr-1")

    assert await site.shoal.commands.of_device(site.tenant, device.id) == []
    assert moved.place_state is PlaceState.MISMATCH
    assert moved.claim is not None
    assert moved.claim.via is Via.OPTION


async def test_a_device_that_has_too_much_to_do_is_moved_all_the_same(site: Site) -> None:
    device = await site.claims(await site.settle_in(), site.here, via="object")
    async with site.shoal.database.transaction() as tx:
        for _ in range(WAITING_PER_DEVICE_MAX):
            await site.shoal.commands.enqueue(
                tx,
                device.place,
                Operation.EXECUTE,
                "/3/0/4",
                time_to_live=timedelta(hours=1),
                by=None,
                wait_for_wake=True,
            )

    async with site.shoal.database.transaction() as tx:
        moved = await site.shoal.inventory.move_device(tx, site.tenant, device.id, site.there, by="usr-1")

    waiting = await site.shoal.commands.of_device(site.tenant, device.id, is_unfinished=True)
    assert {command.state for command in waiting} == {State.QUEUED}
    assert (moved.enclosure, moved.place_state) == (site.there, PlaceState.MISMATCH)


async def test_a_deleted_device_is_forgotten_by_all_and_its_endpoint_is_free(site: Site) -> None:
    device = await site.settle_in()
    seen = (await site.entry(device.id)).version

    async with site.shoal.database.transaction() as tx:
        with pytest.raises(Outdated):
            await site.shoal.inventory.delete_device(tx, site.tenant, device.id, if_version=7)
        await site.shoal.inventory.delete_device(tx, site.tenant, device.id, if_version=1)

    [gone] = await directory.changed(site.shoal.database, seen, 10)
    [told] = [event for event in await site.shoal.events() if isinstance(event, DeviceRemoved)]
    assert (gone.device_id, gone.removed) == (device.id, True)
    assert (told.device, told.enclosure) == (device.id, site.here)
    with pytest.raises(NotFound):
        await site.shoal.inventory.device(site.tenant, device.id)
    assert (await site.shoal.create_device(site.tenant, "oxy-0101")).id != device.id


async def test_nothing_is_told_when_the_transaction_fails(site: Site) -> None:
    device = await site.settle_in()
    before = len(await site.shoal.events())

    async def move_and_fail() -> None:
        async with site.shoal.database.transaction() as tx:
            await site.shoal.inventory.move_device(tx, site.tenant, device.id, site.there, by="usr-1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await move_and_fail()

    assert len(await site.shoal.events()) == before
    assert (await site.shoal.inventory.device(site.tenant, device.id)).enclosure == site.here
    assert (await site.entry(device.id)).enclosure_id == site.here


async def test_devices_are_counted_by_enclosure(site: Site) -> None:
    device = await site.settle_in()
    await site.shoal.create_device(site.tenant, "oxy-0102", site.here)
    await site.shoal.create_device(site.tenant, "oxy-0401", site.there)
    await site.shoal.create_device(site.tenant, "oxy-spare")

    assert await site.shoal.inventory.device_counts(site.tenant) == {site.here: 2, site.there: 1}
    assert await site.shoal.inventory.device_counts(site.tenant, device.farm) == {site.here: 2}
