"""What an event tells of a device; known or older news change nothing."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.events.campaign import UpdateChanged, VersionDrifted, VersionRestored
from shoal.events.device import CommandChanged, DownloadProgressed, SecurityEvent
from shoal.health.intake import BATTERIES_MAX, HealthInput, new_record, written_down
from shoal.health.record import HealthRecord
from tests.harness.voices import Voice, moved

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def fresh(voice: Voice) -> HealthRecord:
    """A record that the inventory began and that has registered at noon."""
    record = new_record(voice.profiled(at(-60)))
    assert record is not None
    return after(record, voice.profiled(at(-60)), voice.registered(NOON))


def after(record: HealthRecord, *events: HealthInput) -> HealthRecord:
    for event in events:
        record = written_down(record, event)
    return record


def update(state: str, seconds: float, *, number: int = 1) -> UpdateChanged:
    return UpdateChanged(
        id=f"{number}-{state}",
        time=at(seconds),
        update=f"upd-{number}",
        tenant="ten-1",
        farm="frm-1",
        device="dev-1",
        artifact="art-1",
        name="firmware",
        version="2.0",
        state=state,
        was=None,
    )


def test_only_the_inventory_and_a_registration_begin_a_record() -> None:
    voice = Voice()

    assert new_record(voice.reported(NOON, {"/3/0/9": 50})) is None
    assert new_record(update("installing", 0)) is None
    assert new_record(voice.removed(NOON)) is None
    assert new_record(voice.registered(NOON)) is not None
    assert new_record(SecurityEvent(id="s", time=NOON, reason="bad_key")) is None


@pytest.mark.parametrize(
    "name", ["registered", "updated", "awake", "deregistered", "reported", "refused", "established", "download"]
)
def test_what_a_device_itself_caused_is_a_sign_of_life(name: str) -> None:
    voice = Voice()
    events: dict[str, HealthInput] = {
        "registered": voice.registered(at(10), is_again=True),
        "updated": voice.updated(at(10)),
        "awake": voice.awake(at(10)),
        "deregistered": voice.deregistered(at(10)),
        "reported": voice.reported(at(10), {}),
        "refused": voice.refused(at(10)),
        "established": voice.observation(at(10), "/3/0/9", "established"),
        "download": DownloadProgressed(id="d", time=at(10), device="dev-1", path="fw", bytes=1, size=2),
    }

    record = after(fresh(voice), events[name])

    assert record.presence.heard_at == at(10)
    assert record.judged_at == at(10)


@pytest.mark.parametrize("name", ["expired", "placed", "profiled", "intruded", "lost", "command", "update"])
def test_what_others_did_is_none(name: str) -> None:
    voice = Voice()
    events: dict[str, HealthInput] = {
        "expired": voice.expired(at(10)),
        "placed": voice.placed(at(10), "mismatch", "enc-2"),
        "profiled": voice.profiled(at(10)),
        "intruded": voice.intruded(at(10)),
        "lost": voice.observation(at(10), "/3/0/9", "lost"),
        "command": CommandChanged(
            id="c", time=at(10), device="dev-1", command="cmd-1", operation="read", path="/3", state="expired"
        ),
        "update": update("installing", 10),
    }

    record = after(fresh(voice), events[name])

    assert record.presence.heard_at == NOON
    assert record.judged_at == NOON


def test_the_place_of_the_newest_event_holds() -> None:
    voice = Voice()
    old = voice.reported(at(5), {})
    record = after(fresh(voice), moved(voice, farm="frm-2", enclosure="enc-7").reported(at(10), {}), old)

    assert (record.farm, record.enclosure) == ("frm-2", "enc-7")


def test_a_registration_tells_what_a_device_promises_and_an_older_one_does_not() -> None:
    voice = Voice()
    early = voice.registered(at(-10), lifetime_s=60, is_again=True)
    late = voice.registered(at(10), lifetime_s=7_200, queue_mode=True, objects=("/1/0", "/3303/0", "/"), is_again=True)

    record = after(fresh(voice), late, early)

    assert (record.presence.lifetime_s, record.presence.queue_mode) == (7_200, True)
    assert record.presence.registration == late.registration
    assert record.objects == ("1", "3303")


def test_an_update_of_a_registration_changes_only_what_it_says() -> None:
    voice = Voice()
    registered = fresh(voice)

    record = after(registered, voice.updated(at(10), lifetime_s=90))

    assert record.presence.lifetime_s == 90
    assert record.presence.queue_mode == registered.presence.queue_mode
    assert record.objects == registered.objects
    assert after(record, voice.updated(at(20), objects=[("/3327/0", None)])).objects == ("3327",)


def test_a_goodbye_counts_for_the_current_registration_only() -> None:
    voice = Voice()
    goodbye = voice.deregistered(at(20))
    again = voice.registered(at(10), is_again=True)

    assert after(fresh(Voice()), goodbye).presence.deregistered_at == at(20)
    assert after(fresh(voice), again, goodbye).presence.deregistered_at is None


def test_who_registers_again_has_not_said_goodbye() -> None:
    voice = Voice()
    gone = after(fresh(voice), voice.deregistered(at(10)))

    assert after(gone, voice.registered(at(20), is_again=True)).presence.deregistered_at is None


def test_an_expiry_is_remembered_until_the_device_registers() -> None:
    voice = Voice()
    expired = after(fresh(voice), voice.expired(at(600)))

    assert expired.presence.expired_at == at(600)
    assert after(expired, voice.registered(at(700), is_again=True)).presence.expired_at is None


def test_error_codes_keep_the_moment_they_first_appeared() -> None:
    voice = Voice()
    record = after(
        fresh(voice),
        voice.reported(at(1), {"/3/0/11/0": 8}),
        voice.reported(at(2), {"/3/0/11/0": 8, "/3/0/11/1": 2}),
    )

    assert record.codes_since == {"8": at(1), "2": at(2)}
    assert after(record, voice.reported(at(3), {"/3/0/11/0": 2})).codes_since == {"2": at(2)}


def test_refusals_are_counted_until_the_device_is_heard() -> None:
    voice = Voice()
    refused = after(fresh(voice), voice.intruded(at(1), count=4), voice.intruded(at(2)))

    assert refused.refusals is not None
    assert (refused.refusals.count, refused.refusals.first_at, refused.refusals.last_at) == (5, at(1), at(2))
    assert refused.refusals.address == "192.0.2.7", "without the port, which is another one each time"
    assert after(refused, voice.awake(at(3))).refusals is None


def test_refusals_from_before_the_last_word_do_not_count() -> None:
    voice = Voice()

    assert after(fresh(voice), voice.awake(at(5)), voice.intruded(at(4))).refusals is None


def test_a_dispute_lasts_from_its_first_event_to_the_agreement() -> None:
    voice = Voice()
    disputed = after(fresh(voice), voice.placed(at(1), "mismatch", "enc-2"), voice.placed(at(5), "mismatch", "enc-2"))

    assert disputed.dispute is not None
    assert disputed.dispute.since == at(1)
    assert after(disputed, voice.placed(at(0.5), "agreed")).dispute == disputed.dispute
    assert after(disputed, voice.placed(at(9), "foreign", "enc-3")).dispute.state == "foreign"  # type: ignore[union-attr]
    assert after(disputed, voice.placed(at(9), "agreed")).dispute is None


def test_a_failed_update_is_remembered_until_the_next_success() -> None:
    voice = Voice()
    failed = after(fresh(voice), update("installing", 1), update("failed", 2))
    retried = after(failed, update("installing", 3, number=2))

    assert failed.failed_update is not None
    assert retried.failed_update == failed.failed_update
    assert retried.update is not None
    assert retried.update.update == "upd-2"
    assert after(retried, update("confirmed", 4, number=2)).failed_update is None
    back = msgspec.structs.replace(update("confirmed", 4, number=2), undoes="upd-1")
    assert after(retried, back).failed_update is not None, "to be back where it was is no success"


def test_a_drift_holds_until_the_device_is_back_and_older_news_change_nothing() -> None:
    def version(kind: type[VersionDrifted | VersionRestored], seconds: float) -> VersionDrifted | VersionRestored:
        return kind(
            id=f"v-{seconds}",
            time=at(seconds),
            update="upd-1",
            tenant="ten-1",
            farm="frm-1",
            device="dev-1",
            kind="firmware",
            name="firmware",
            version="2.0",
            reported="1.0",
        )

    drifted = after(fresh(Voice()), version(VersionDrifted, 10))
    restored = after(drifted, version(VersionRestored, 20))

    assert drifted.drifts["firmware"].reported == "1.0"
    assert restored.drifts == {}
    assert after(restored, version(VersionDrifted, 10)) == restored


def test_a_device_does_not_decide_how_many_batteries_we_keep() -> None:
    voice = Voice()

    record = after(fresh(voice), voice.reported(at(1), {f"/3411/{n}/1": 50 for n in range(100)}))

    assert len(record.batteries) == BATTERIES_MAX


def test_a_charger_ends_a_low_battery() -> None:
    voice = Voice()
    low = after(fresh(voice), *(voice.reported(at(n), {"/3/0/9": 5}) for n in range(1, 4)))

    assert low.batteries[""].severity is not None
    assert after(low, voice.reported(at(9), {"/3/0/20": 1})).batteries[""].severity is None


@given(data=st.data())
def test_the_same_events_again_change_nothing(data: st.DataObject) -> None:
    voice = Voice()
    begun = fresh(voice)
    said = st.sampled_from(
        [
            voice.awake,
            lambda moment: voice.reported(moment, {"/3/0/9": 20, "/3/0/11/0": 2}),
            lambda moment: voice.reported(moment, {"/3/0/9": 9}, path="/3/0"),
            lambda moment: voice.registered(moment, is_again=True),
            lambda moment: voice.updated(moment, lifetime_s=60),
            voice.intruded,
            lambda moment: voice.placed(moment, "mismatch", "enc-2"),
            lambda moment: voice.placed(moment, "agreed"),
            voice.profiled,
            lambda moment: update("failed", (moment - NOON).total_seconds()),
        ]
    )
    events = [make(at(number + 1)) for number, make in enumerate(data.draw(st.lists(said, max_size=8)))]
    once = after(begun, *events)

    assert after(once, *events) == once
