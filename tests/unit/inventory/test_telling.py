"""What is told of a device: to the gateway the whole of it, to the others what is new."""

from dataclasses import replace

from shoal.events.device import PlaceChanged, ProfileChanged
from shoal.inventory.claim import PlaceState
from shoal.inventory.profile import BUILT_IN, MAINS_CAMERA
from shoal.inventory.telling import publish_place, publish_profile, put_in_directory
from shoal.storage import directory
from tests.harness.installation import START, Installation


async def test_the_gateway_is_told_of_another_profile(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        before = await directory.find(tx, device.id)
        await put_in_directory(tx, device, BUILT_IN[MAINS_CAMERA][1])
        after = await directory.find(tx, device.id)

    assert before is not None
    assert after is not None
    assert after.version > before.version
    assert after.profile.report_every_s == 60
    assert after.profile.read == list(BUILT_IN[MAINS_CAMERA][1].read)


async def test_readings_of_a_quarantined_device_count_for_no_enclosure(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    enclosure = await shoal.create_enclosure(tenant, await shoal.create_farm(tenant))
    device = await shoal.create_device(tenant, enclosure=enclosure)
    counted = {}
    for state in PlaceState:
        async with shoal.database.transaction() as tx:
            await put_in_directory(tx, replace(device, place_state=state), BUILT_IN[MAINS_CAMERA][1])
            entry = await directory.find(tx, device.id)
        assert entry is not None
        assert entry.farm_id == device.farm
        counted[state] = entry.enclosure_id

    assert counted == {
        PlaceState.AGREED: enclosure,
        PlaceState.MISMATCH: enclosure,
        PlaceState.UNKNOWN: None,
        PlaceState.FOREIGN: None,
    }


async def test_the_same_change_told_twice_is_the_same_event(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    profile = await shoal.inventory.profile(tenant, device.profile)
    async with shoal.database.transaction() as tx:
        for _ in range(2):
            publish_profile(tx, device, profile, START)
            publish_place(tx, device, START, by="usr-1")

    events = (await shoal.events())[1:]

    assert len({event.id for event in events}) == 2
    [told] = {event.id: event for event in events if isinstance(event, ProfileChanged)}.values()
    assert (told.battery_warning, told.battery_high, told.samples, told.grace_s) == (25, 10, 3, None)
    assert told.created_at == device.created_at
    [moved] = {event.id: event for event in events if isinstance(event, PlaceChanged)}.values()
    assert (moved.state, moved.claimed, moved.by, moved.key) == ("agreed", None, "usr-1", device.id)
