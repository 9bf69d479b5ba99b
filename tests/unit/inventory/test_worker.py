"""The inventory follows what devices do: registrations, claims, quarantine, and strangers where they are let in."""

import logging
from datetime import timedelta

import pytest

from shoal.events.device import (
    Claim,
    DeviceDeregistered,
    DeviceEvent,
    DeviceRegistered,
    PlaceChanged,
    ProfileChanged,
    Reading,
    ReadingsReported,
    RegistrationExpired,
    RegistrationUpdated,
    SecurityEvent,
)
from shoal.events.topics import DEAD
from shoal.ids import EnclosureId, TenantId
from shoal.inventory import worker
from shoal.inventory.claim import PlaceState, Via
from shoal.inventory.device import Device, Security
from shoal.inventory.presence import EndedBy
from shoal.storage import directory
from shoal.storage.directory import DirectoryEntry
from tests.harness.installation import Installation


def registered(
    shoal: Installation,
    device: Device | None = None,
    *,
    tenant: str | None = None,
    endpoint: str | None = None,
    claim: Claim | None = None,
    registration: str = "reg-1",
    secure: bool = True,
    objects: list[tuple[str, str | None]] | None = None,
) -> DeviceRegistered:
    now = shoal.clock.now()
    return DeviceRegistered(
        id=f"{device.id if device else endpoint}-{registration}-{now.timestamp()}",
        time=now,
        device=device.id if device else None,
        tenant=device.tenant if device else tenant,
        endpoint=device.endpoint if device else endpoint,
        registration=registration,
        version="1.1",
        lifetime_s=300,
        binding="U",
        queue_mode=False,
        secure=secure,
        address="192.0.2.1:5683",
        objects=[("/3/0", None)] if objects is None else objects,
        claim=claim,
    )


def reported(shoal: Installation, device: Device, path: str, value: str | float) -> ReadingsReported:
    now = shoal.clock.now()
    return ReadingsReported(
        id=f"{device.id}-{path}-{now.timestamp()}",
        time=now,
        device=device.id,
        tenant=device.tenant,
        endpoint=device.endpoint,
        via="notify",
        readings=[Reading(path=path, value=value)],
    )


async def heard(shoal: Installation, *events: DeviceEvent) -> None:
    await shoal.hear(*events)
    await shoal.settle()


async def entry(shoal: Installation, device: Device) -> DirectoryEntry:
    async with shoal.database.transaction() as tx:
        found = await directory.find(tx, device.id)
    assert found is not None
    return found


class Pens:
    """A tenant with a device in pen 1, another pen, and a stranger's."""

    tenant: TenantId
    here: EnclosureId
    there: EnclosureId
    foreign: EnclosureId
    device: Device


@pytest.fixture
async def pens(shoal: Installation) -> Pens:
    made = Pens()
    made.tenant = await shoal.create_tenant("Ours")
    farm = await shoal.create_farm(made.tenant)
    made.here = await shoal.create_enclosure(made.tenant, farm, "Pen 1")
    made.there = await shoal.create_enclosure(made.tenant, farm, "Pen 2")
    theirs = await shoal.create_tenant("Theirs")
    made.foreign = await shoal.create_enclosure(theirs, await shoal.create_farm(theirs), "Pen 9")
    made.device = await shoal.create_device(made.tenant, "oxy-0101", made.here)
    return made


async def look(shoal: Installation, pens: Pens) -> Device:
    return await shoal.inventory.device(pens.tenant, pens.device.id)


async def test_a_registration_is_followed_from_its_beginning_to_its_end(shoal: Installation, pens: Pens) -> None:
    await heard(shoal, registered(shoal, pens.device))
    begun = (await look(shoal, pens)).registration
    await shoal.advance(timedelta(seconds=60))
    await heard(shoal, reported(shoal, pens.device, "/3303/0/5700", 8.4))
    alive = (await look(shoal, pens)).registration
    await shoal.advance(timedelta(seconds=600))
    ended = RegistrationExpired(
        id="e", time=shoal.clock.now(), device=pens.device.id, tenant=pens.tenant, registration="reg-1"
    )
    await heard(shoal, ended)
    over = (await look(shoal, pens)).registration

    assert begun is not None
    assert alive is not None
    assert over is not None
    assert begun.is_current
    assert begun.objects == (("/3/0", None),)
    assert alive.last_heard_at == begun.last_heard_at + timedelta(seconds=60)
    assert (over.ended_by, over.ended_at) == (EndedBy.EXPIRED, shoal.clock.now())


async def test_a_batch_is_folded_in_its_order(shoal: Installation, pens: Pens) -> None:
    first = registered(shoal, pens.device)
    shoal.clock.advance(timedelta(seconds=1))
    goodbye = DeviceDeregistered(
        id="e", time=shoal.clock.now(), device=pens.device.id, tenant=pens.tenant, registration="reg-1"
    )
    shoal.clock.advance(timedelta(seconds=1))
    second = registered(shoal, pens.device, registration="reg-2")

    await heard(shoal, first, goodbye, second, first, goodbye)

    registration = (await look(shoal, pens)).registration
    assert registration is not None
    assert registration.is_current
    assert registration.id == "reg-2"


@pytest.mark.parametrize("via", ["option", "query", "object"])
async def test_a_claim_of_another_pen_is_a_mismatch_however_it_was_made(
    shoal: Installation, pens: Pens, via: str
) -> None:
    if via == "object":
        await heard(
            shoal,
            registered(shoal, pens.device, objects=[("/26241/0", None)]),
            reported(shoal, pens.device, "/26241/0/0", pens.there),
        )
    else:
        await heard(shoal, registered(shoal, pens.device, claim=Claim(enclosure=pens.there.lower(), via=via)))

    device = await look(shoal, pens)
    [told] = [event for event in await shoal.events() if isinstance(event, PlaceChanged)]

    assert (device.enclosure, device.place_state, device.version) == (pens.here, PlaceState.MISMATCH, 2)
    assert device.claim is not None
    assert (device.claim.enclosure, device.claim.via, device.claim.enclosure_name) == (pens.there, Via(via), "Pen 2")
    assert (told.state, told.claimed, told.enclosure, told.by) == ("mismatch", pens.there, pens.here, None)
    # Its readings are kept for the pen where the inventory has it.
    assert (await entry(shoal, pens.device)).enclosure_id == pens.here


@pytest.mark.parametrize("what", ["foreign", "unknown"])
async def test_a_claim_that_cannot_be_the_tenants_own_means_quarantine_until_it_is_taken_back(
    shoal: Installation, pens: Pens, what: str
) -> None:
    said = pens.foreign if what == "foreign" else "pen four"
    before = await entry(shoal, pens.device)
    await heard(shoal, registered(shoal, pens.device, claim=Claim(enclosure=said, via="option")))
    quarantined, device = await entry(shoal, pens.device), await look(shoal, pens)
    await shoal.advance(timedelta(seconds=60))
    await heard(
        shoal, registered(shoal, pens.device, registration="reg-2", claim=Claim(enclosure=pens.here, via="option"))
    )
    released = await entry(shoal, pens.device)

    assert device.place_state is PlaceState(what)
    assert quarantined.enclosure_id is None
    assert before.version < quarantined.version < released.version
    assert released.enclosure_id == pens.here
    assert [event.state for event in await shoal.events() if isinstance(event, PlaceChanged)] == [what, "agreed"]


async def test_an_empty_claim_takes_the_inventorys_place_and_the_device_is_told(
    shoal: Installation, pens: Pens
) -> None:
    await heard(
        shoal,
        registered(shoal, pens.device, objects=[("/26241/0", None)]),
        reported(shoal, pens.device, "/26241/0/0", ""),
    )

    [command] = await shoal.commands.of_device(pens.tenant, pens.device.id)
    assert (command.operation.value, command.path) == ("write", "/26241/0/0")
    assert command.body == b'{"value":"%s"}' % pens.here.encode()
    assert command.place == pens.device.place
    assert (await look(shoal, pens)).place_state is PlaceState.AGREED


async def test_a_dispute_stays_what_it_is_when_the_placement_object_moves(shoal: Installation, pens: Pens) -> None:
    await heard(shoal, registered(shoal, pens.device, claim=Claim(enclosure=pens.there, via="option")))

    moved = RegistrationUpdated(
        id="e",
        time=shoal.clock.now(),
        device=pens.device.id,
        tenant=pens.tenant,
        registration="reg-1",
        objects=[("/3/0", None), ("/26241/1", None)],
    )
    await heard(shoal, moved)

    assert (await look(shoal, pens)).place_state is PlaceState.MISMATCH


async def test_what_is_told_of_anothers_device_or_of_none_changes_nothing(shoal: Installation, pens: Pens) -> None:
    stranger = registered(shoal, pens.device)
    wrong_tenant = SecurityEvent(id="s", time=shoal.clock.now(), reason="unknown identity", identity="mallory")
    other = await shoal.create_tenant("Other")

    await heard(
        shoal,
        wrong_tenant,
        DeviceRegistered(**{name: getattr(stranger, name) for name in stranger.__struct_fields__} | {"tenant": other}),
    )

    assert (await look(shoal, pens)).registration is None


async def test_a_stranger_is_created_without_a_place_where_enrolment_is_open(shoal: Installation, pens: Pens) -> None:
    await heard(shoal, registered(shoal, tenant=pens.tenant, endpoint="bench-1", secure=False))
    await heard(shoal, registered(shoal, tenant=pens.tenant, endpoint="bench-1", secure=False, registration="reg-2"))

    page = await shoal.inventory.devices(pens.tenant)
    [stranger] = [device for device in page.items if device.endpoint == "bench-1"]
    assert (stranger.security, stranger.enclosure) == (Security.NONE, None)
    assert stranger.registration is not None
    assert (await entry(shoal, stranger)).security == "none"
    assert len([event for event in await shoal.events() if isinstance(event, ProfileChanged)]) == 2


@pytest.mark.parametrize(
    ("endpoint", "secure"),
    [
        ("oxy-0101", False),  # that of a device with a credential
        ("oxy\u200b1", False),  # one that nobody could see
        ("bench-2", True),  # over DTLS a device is known by its credential
    ],
)
async def test_a_stranger_with_a_wrong_name_is_not_created_and_stops_nobody(
    shoal: Installation, pens: Pens, endpoint: str, secure: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await heard(
        shoal,
        registered(shoal, tenant=pens.tenant, endpoint=endpoint, secure=secure),
        registered(shoal, tenant="ten-NOBODY00", endpoint="bench-3", secure=False),
        registered(shoal, pens.device),
    )

    assert await shoal.inventory.count_devices(pens.tenant) == 1
    assert (await look(shoal, pens)).registration is not None
    assert await shoal.events(DEAD) == []


async def test_strangers_make_so_many_devices_and_no_more(
    shoal: Installation, pens: Pens, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker, "STRANGERS_MAX", 3)
    caplog.set_level(logging.WARNING)

    def come(*numbers: int) -> list[DeviceRegistered]:
        return [registered(shoal, tenant=pens.tenant, endpoint=f"bench-{n}", secure=False) for n in numbers]

    await heard(shoal, *come(1, 2))
    await heard(shoal, *come(3, 4, 5))
    await heard(shoal, *come(6, 1), registered(shoal, pens.device))

    found = {device.endpoint: device for device in (await shoal.inventory.devices(pens.tenant)).items}
    assert set(found) == {"bench-1", "bench-2", "bench-3", pens.device.endpoint}
    assert all(device.registration is not None for device in found.values()), "who is in stays in"
    assert [record.message for record in caplog.records] == ["enrolment.full"]


async def test_a_replay_of_everything_leads_to_the_same_inventory(shoal: Installation, pens: Pens) -> None:
    story = [
        registered(shoal, pens.device, claim=Claim(enclosure=pens.there, via="option")),
        reported(shoal, pens.device, "/3303/0/5700", 8.1),
    ]
    await heard(shoal, *story)
    once = await look(shoal, pens)

    await heard(shoal, *story)

    assert await look(shoal, pens) == once
    assert len([event for event in await shoal.events() if isinstance(event, PlaceChanged)]) == 1


async def test_a_deleted_device_is_not_brought_back_by_what_was_still_on_its_way(
    shoal: Installation, pens: Pens
) -> None:
    late = registered(shoal, pens.device)
    async with shoal.database.transaction() as tx:
        await shoal.inventory.delete_device(tx, pens.tenant, pens.device.id)

    await heard(shoal, late)

    assert await shoal.inventory.count_devices(pens.tenant) == 0
    assert (await entry(shoal, pens.device)).removed
