"""A device as callers see it, composed of what the rooms know."""

from datetime import timedelta

from shoal.api.device_shown import device_shown, devices_shown
from shoal.commands.command import Operation
from shoal.events.device import Claim, DeviceDeregistered
from tests.unit.api.company import Company


async def test_a_device_that_never_connected_is_new_and_empty(company: Company) -> None:
    device = await company.device()

    shown = await device_shown(company.rooms, await company.asking(), device)

    assert (shown.status, shown.cause, shown.registration, shown.claim) == ("new", None, None, None)
    assert shown.last_heard_at is None
    assert shown.vitals.model_dump() == dict.fromkeys(shown.vitals.model_dump())
    assert shown.waiting == []


async def test_a_device_in_queue_mode_is_asleep_after_its_window(company: Company) -> None:
    device = await company.registered(queue_mode=True)
    awake = await device_shown(company.rooms, await company.asking(), await company.current(device))

    await company.falls_asleep()
    asleep = await device_shown(company.rooms, await company.asking(), await company.current(device))

    assert (awake.flags.asleep, asleep.flags.asleep) == (False, True)
    assert asleep.status == "healthy"
    assert asleep.verdict is not None
    assert asleep.verdict.cause == "asleep_as_planned"
    assert asleep.next_expected_at is not None


async def test_a_registration_that_ended_is_none(company: Company) -> None:
    device = await company.registered()
    await company.hear(DeviceDeregistered(**company.head(device, "goodbye"), registration="r-1"))

    shown = await device_shown(company.rooms, await company.asking(), await company.current(device))

    assert shown.registration is None
    assert shown.last_heard_at == company.clock.now()


async def test_an_empty_claim_is_none(company: Company) -> None:
    device = await company.registered(claim=Claim(enclosure="", via="query"))

    assert (await device_shown(company.rooms, await company.asking(), await company.current(device))).claim is None


async def test_a_claim_of_another_tenants_enclosure_gives_no_name_away(company: Company) -> None:
    shoal = company.installation
    other = await shoal.create_tenant("Another company")
    foreign = await shoal.create_enclosure(other, await shoal.create_farm(other, "Secret farm"), "Secret pen")
    device = await company.registered(claim=Claim(enclosure=foreign, via="option"))

    shown = await device_shown(company.rooms, await company.asking(), await company.current(device))

    assert shown.place.state == "foreign"
    assert shown.claim is not None
    assert (shown.claim.enclosure, shown.claim.name, shown.claim.farm) == (foreign, None, None)


async def test_a_voltage_of_several_supplies_is_found(company: Company) -> None:
    device = await company.registered()
    await company.reports(device, {"/3/0/7/0": 3_310})

    shown = await device_shown(company.rooms, await company.asking(), await company.current(device))

    assert shown.vitals.battery_mv is not None
    assert shown.vitals.battery_mv.value == 3_310


async def test_what_waits_is_told_in_the_order_in_which_it_was_asked(company: Company) -> None:
    device = await company.registered(queue_mode=True)
    await company.falls_asleep()
    for path in ("/3/0/9", "/3/0/13"):
        async with company.installation.database.transaction() as tx:
            await company.commands.enqueue(
                tx,
                device.place,
                Operation.READ,
                path,
                time_to_live=timedelta(hours=1),
                by="Ida Vik",
                wait_for_wake=True,
            )

    shown = await device_shown(company.rooms, await company.asking(), await company.current(device))

    assert [(one.path, one.state, one.by) for one in shown.waiting] == [
        ("/3/0/9", "queued", "Ida Vik"),
        ("/3/0/13", "queued", "Ida Vik"),
    ]
    assert shown.waiting[0].expected_at == shown.next_expected_at


async def test_no_devices_are_no_questions(company: Company) -> None:
    assert await devices_shown(company.rooms, await company.asking(), []) == []
