"""The numbers of the rooms."""

from datetime import timedelta

from shoal.api import measures
from tests.unit.api.company import Company


async def test_devices_are_counted_over_all_tenants_without_their_names(company: Company) -> None:
    await company.registered("oxy-1")
    await company.device("oxy-2")

    [metric] = await measures.devices_by_status(company.health)()

    counts = {labels["status"]: value for labels, value in metric.samples}
    assert (counts["healthy"], counts["new"], counts["silent"]) == (1, 1, 0)


async def test_our_own_delay_is_measured(company: Company) -> None:
    await company.installation.advance(company.heartbeat)
    measure = measures.pipeline(company.health, company.clock)
    [before] = await measure()

    company.clock.advance(timedelta(minutes=5))
    [after] = await measure()

    assert before.samples == [({}, 0.0)]
    assert after.samples == [({}, 300.0)]


async def test_what_waits_for_the_log_is_counted(company: Company) -> None:
    await company.installation.create_device(company.tenant, "oxy-1")

    [metric] = await measures.outbox(company.installation.database)()

    assert metric.samples[0][1] > 0


async def test_counters_of_somebody_else_are_passed_on() -> None:
    measure = measures.counters("shoal_uplink_events", "Events of the uplink.", lambda: {"stored": 7, "refused": 1})

    [metric] = await measure()

    assert metric.kind == "counter"
    assert metric.samples == [({"what": "refused"}, 1.0), ({"what": "stored"}, 7.0)]
