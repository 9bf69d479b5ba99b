"""The numbers of the rooms."""

from datetime import timedelta

from shoal.api import measures
from shoal.lwm2m.dataplane import DataPlane
from shoal.notifications.contact import Method
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
    before = await measure()

    company.clock.advance(timedelta(minutes=5))
    after = await measure()

    assert [(metric.name, metric.samples) for metric in before] == [
        ("shoal_pipeline_delay_seconds", [({}, 0.0)]),
        ("shoal_pipeline_unheard_nodes", [({}, 0.0)]),
    ]
    assert [metric.samples for metric in after] == [[({}, 300.0)], [({}, 1.0)]]


async def test_what_waits_for_the_log_is_counted(company: Company) -> None:
    await company.installation.create_device(company.tenant, "oxy-1")

    company.clock.advance(timedelta(seconds=30))
    waiting, oldest = await measures.outbox(company.installation.database, company.clock)()

    assert waiting.samples[0][1] > 0
    assert oldest.samples[0][1] >= 0


async def test_counters_of_somebody_else_are_passed_on() -> None:
    measure = measures.counters("shoal_uplink_events", "Events of the uplink.", lambda: {"stored": 7, "refused": 1})

    [metric] = await measure()

    assert metric.kind == "counter"
    assert metric.samples == [({"what": "refused"}, 1.0), ({"what": "stored"}, 7.0)]


async def test_what_the_data_plane_holds_is_a_gauge_and_what_it_counted_a_counter() -> None:
    counted, held, uncommitted = await measures.core(
        lambda: {"sessions": 3, "register": 7, "a_counter_of_tomorrow": 1, "uncommitted_bytes": 512}
    )()

    assert (counted.name, counted.kind) == ("shoal_core", "counter")
    assert counted.samples == [({"what": "a_counter_of_tomorrow"}, 1.0), ({"what": "register"}, 7.0)]
    assert (held.kind, held.samples) == ("gauge", [({"what": "sessions"}, 3.0)])
    assert (uncommitted.name, uncommitted.samples) == ("shoal_core_uncommitted_bytes", [({}, 512.0)])


async def test_every_word_of_the_real_core_is_either_held_or_counted() -> None:
    """A gauge that the table of gauges does not know would be shown as a counter that falls."""
    core = DataPlane(["coap://127.0.0.1:0"], boot="00000000", partitions=1, linger_ms=1, heartbeat_s=5)
    try:
        said = core.stats()
    finally:
        core.close()

    assert said.keys() >= measures.HELD | {measures.UNCOMMITTED}
    # Whatever the core says at its very start beyond what it holds counts from zero.
    assert {word for word, count in said.items() if count and word not in measures.HELD} <= {"events"}


async def test_a_spool_shows_how_much_of_it_is_in_use() -> None:
    metrics = await measures.spool(lambda: (12, 4_096), 1 << 20)()

    assert [(metric.name, metric.kind, metric.samples[0][1]) for metric in metrics] == [
        ("shoal_spool_waiting_events", "gauge", 12.0),
        ("shoal_spool_waiting_bytes", "gauge", 4_096.0),
        ("shoal_spool_limit_bytes", "gauge", 1_048_576.0),
    ]


async def test_workers_show_how_far_they_are_behind_in_records_and_in_time() -> None:
    behind, lag = await measures.workers(
        lambda: {("health", "shoal.device.v1", 3): 17}, lambda: {("health", "shoal.device.v1"): timedelta(seconds=4)}
    )()

    assert behind.samples == [({"group": "health", "topic": "shoal.device.v1", "partition": "3"}, 17.0)]
    assert lag.samples == [({"group": "health", "topic": "shoal.device.v1"}, 4.0)]


async def test_a_message_that_its_channel_does_not_take_is_overdue(company: Company) -> None:
    await company.notifications.send_test(company.tenant, [Method(channel="email", address="kari@farm.example")])
    company.clock.advance(timedelta(seconds=90))

    waiting, overdue = await measures.notifications(company.notifications, company.clock)()

    assert (waiting.samples, overdue.samples) == ([({}, 1.0)], [({}, 90.0)])
