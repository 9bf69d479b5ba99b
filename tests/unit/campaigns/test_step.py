"""One device's way to a new version: what is asked of it, how long we wait, and how it ends."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.delivery import Delivery, Wish
from shoal.campaigns.facts import after_event
from shoal.campaigns.step import (
    ATTEMPTS_MAX,
    BATTERY_PERCENT_MIN,
    CommandEnded,
    Progressed,
    Recovered,
    Reported,
    Worsened,
    cancelled,
    removed,
)
from shoal.campaigns.timers import Timers
from shoal.campaigns.update import Ask, FetchFrom, Purpose, Push, UpdateState
from shoal.campaigns.version import is_same
from shoal.errors import Conflict
from shoal.events.device import Reading, ReadingsReported
from tests.unit.campaigns.way import (
    DOWNLOADED,
    DOWNLOADING,
    HOUR,
    IDLE,
    MINUTE,
    NEW,
    NOW,
    OLD,
    SECOND,
    UPDATING,
    Way,
    downloaded,
    downloading,
    installing,
    returned,
)

# -- before -------------------------------------------------------------------------------------------------------------


def test_the_device_is_asked_how_it_is_before_anything_else() -> None:
    way = Way()

    assert way.heard() == [Purpose.POLL_STATE, Purpose.POLL, Purpose.POLL_VERSION]
    assert [action.path for action in way.actions if isinstance(action, Ask)] == ["/5/0/3", "/5/0/5", "/5/0/7"]
    assert way.state is UpdateState.WAITING


def test_firmware_reports_its_version_at_another_place_than_a_model() -> None:
    way = Way(ArtifactKind.FIRMWARE)

    assert [action.path for action in way.actions if isinstance(action, Ask)] == ["/5/0/3", "/5/0/5", "/3/0/3"]


def test_an_idle_device_is_told_where_to_fetch_and_watched() -> None:
    way = Way()
    way.heard()

    way.passes(SECOND).says(IDLE, 0, OLD)

    assert way.heard() == [Purpose.OBSERVE, Purpose.OBSERVE, Purpose.ADDRESS]
    assert (way.state, way.update.from_version, way.update.attempts) == (UpdateState.DOWNLOADING, OLD, 1)


def test_a_device_that_runs_it_already_is_left_alone() -> None:
    way = Way()
    way.heard()

    way.passes(SECOND).says(IDLE, 0, f"v{NEW}")

    assert (way.state, way.heard()) == (UpdateState.CONFIRMED, [])


def test_a_device_without_a_firmware_object_cannot_be_updated() -> None:
    way = Way(ArtifactKind.MODEL, "/3/0").happens(Reported())

    assert (way.state, way.update.reason) == (UpdateState.FAILED, "it has no firmware object (5)")


def test_an_old_word_of_the_device_decides_nothing() -> None:
    way = Way()
    way.facts = after_event(
        way.facts,
        ReadingsReported(
            id="e",
            time=NOW,
            device="dev-1",
            tenant="ten-1",
            via="read",
            readings=[Reading(path="/5/0/3", value=IDLE), Reading(path="/5/0/7", value=NEW)],
        ),
    )

    way.happens(Reported())

    assert way.state is UpdateState.WAITING


def test_a_device_that_is_away_is_waited_for_a_day() -> None:
    way = Way(is_registered=False)

    way.passes(23 * HOUR)
    waiting = (way.state, way.update.reason)
    way.passes(HOUR)

    assert waiting == (UpdateState.WAITING, "it is not registered")
    assert (way.state, way.update.reason) == (UpdateState.FAILED, "not ready in time: it is not registered")


def test_patience_follows_what_is_told_only_later_of_how_often_it_reports() -> None:
    way = Way(is_registered=False)
    at_first = way.update.deadline

    way.facts = msgspec.structs.replace(way.facts, report_every_s=1_800)
    way.happens(Reported())
    rarely = way.update.deadline
    way.facts = msgspec.structs.replace(way.facts, report_every_s=10)
    way.happens(Reported())

    assert at_first == NOW + MINUTE + 24 * HOUR
    assert rarely == NOW + MINUTE + 30 * 24 * HOUR
    assert way.update.deadline == rarely, "what was promised is not taken back"


@pytest.mark.parametrize(
    ("weak", "well", "words"),
    [
        (("/3/0/9", BATTERY_PERCENT_MIN - 1), ("/3/0/9", BATTERY_PERCENT_MIN), "its battery is at 29 %"),
        (("/3/0/9", 5), ("/3/0/20", 1), "its battery is at 5 %"),
        (("/3/0/10", 119), ("/3/0/10", 120), "it has 119 kB free, 120 kB are needed"),
    ],
)
def test_a_weak_device_waits_with_the_reason_until_it_is_well(
    weak: tuple[str, int], well: tuple[str, int], words: str
) -> None:
    way = Way().reads(Reading(path=weak[0], value=weak[1])).passes(SECOND).says(IDLE, 0, OLD)
    reason, waiting = way.update.reason, way.state

    way.passes(SECOND).reads(Reading(path=well[0], value=well[1]))

    assert waiting is UpdateState.WAITING
    assert words in reason
    assert way.state is UpdateState.DOWNLOADING


def test_a_device_is_asked_again_while_it_says_nothing() -> None:
    way = Way()
    for purpose in way.heard():
        way.answers(purpose, "timed_out", None)

    way.passes(MINUTE)

    assert way.heard() == [Purpose.POLL_STATE, Purpose.POLL, Purpose.POLL_VERSION]


def test_a_question_that_still_waits_is_not_asked_again() -> None:
    way = Way()
    way.heard()

    way.passes(10 * MINUTE)

    assert way.heard() == []


def test_a_version_that_cannot_be_read_does_not_stop_an_update() -> None:
    way = Way().passes(SECOND).says(IDLE, 0)

    way.answers(Purpose.POLL_VERSION, "refused", "4.04")

    assert (way.state, way.update.from_version) == (UpdateState.DOWNLOADING, None)


def test_a_device_that_is_not_idle_is_reset_first() -> None:
    way = Way()
    way.heard()

    way.passes(SECOND).says(DOWNLOADED, 0, OLD)
    reset = way.actions[3]
    resetting = way.state
    way.passes(SECOND).says(IDLE, 0)

    assert resetting is UpdateState.RESETTING
    # OMA LwM2M Core 1.1 §E.6: an empty Package URI.
    assert reset == Ask(Purpose.RESET, "write", "/5/0/1", {"value": ""})
    assert way.state is UpdateState.DOWNLOADING


def test_a_device_that_never_becomes_idle_needs_somebody_to_look() -> None:
    way = Way().passes(SECOND).says(DOWNLOADED, 0, OLD)

    way.passes(5 * MINUTE)
    second = way.update.resets
    way.passes(5 * MINUTE)

    assert second == 2
    assert (way.state, way.update.reason) == (UpdateState.NEEDS_ATTENTION, "it does not become idle")


# -- the download -------------------------------------------------------------------------------------------------------


def test_a_download_goes_on_as_long_as_it_moves() -> None:
    way = downloading().says(DOWNLOADING, 0)
    for done in range(10_000, 70_000, 10_000):
        way.passes(9 * MINUTE).happens(Progressed(done))

    assert (way.state, way.update.bytes) == (UpdateState.DOWNLOADING, 60_000)


def test_a_download_that_stands_still_is_begun_again_after_a_growing_pause() -> None:
    way = downloading().says(DOWNLOADING, 0).happens(Progressed(50_000))
    way.heard()

    way.passes(10 * MINUTE)
    stopped = way.update
    asked = way.heard()
    way.passes(14 * MINUTE).says(IDLE, 0, OLD)
    still = way.state
    way.passes(MINUTE).says(IDLE, 0, OLD)

    assert (stopped.state, stopped.reason) == (UpdateState.WAITING, "the download stands still")
    assert Purpose.RESET not in asked, "it may go on by itself with what it has"
    assert still is UpdateState.WAITING
    assert (way.state, way.update.attempts, way.update.bytes) == (UpdateState.DOWNLOADING, 2, 0)


def test_a_download_that_crawls_may_take_an_hour_five_times_and_no_more() -> None:
    way = downloading().says(DOWNLOADING, 0)
    attempts = []
    for minute in range(6 * 60):
        way.passes(MINUTE).happens(Progressed(minute))
        attempts.append(way.update.attempts)

    assert attempts.index(2) in {59, 60, 61}
    assert (way.state, attempts[-1]) == (UpdateState.FAILED, ATTEMPTS_MAX)


def test_after_five_attempts_the_link_is_the_problem() -> None:
    way = downloading()
    for _ in range(ATTEMPTS_MAX):
        way.says(DOWNLOADING, 0).passes(SECOND).says(IDLE, 4)
        way.passes(4 * HOUR)
        if way.state is UpdateState.WAITING:
            way.says(IDLE, 0, OLD).passes(SECOND).answers(Purpose.ADDRESS).passes(SECOND)

    assert (way.state, way.update.reason) == (UpdateState.FAILED, "connection lost while downloading, 5 times")


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (2, UpdateState.FAILED),
        (3, UpdateState.WAITING),
        (4, UpdateState.WAITING),
        (5, UpdateState.WAITING),
        (6, UpdateState.FAILED),
        (7, UpdateState.FAILED),
        (8, UpdateState.FAILED),
        (9, UpdateState.FAILED),
        (10, UpdateState.CANCELLED),
        (11, UpdateState.DOWNLOADING),
        (0, UpdateState.DOWNLOADING),
    ],
)
def test_a_failed_download_is_tried_again_only_where_that_helps(result: int, state: UpdateState) -> None:
    assert downloading().says(IDLE, result).state is state


def test_a_bad_image_is_fetched_once_more_and_then_it_is_bad() -> None:
    way = downloading().says(IDLE, 5).passes(15 * MINUTE).says(IDLE, 0, OLD)
    again = way.state
    way.passes(SECOND).answers(Purpose.ADDRESS).passes(SECOND).says(IDLE, 5)

    assert again is UpdateState.DOWNLOADING
    assert (way.state, way.update.reason) == (UpdateState.FAILED, "the integrity check failed")


def test_a_result_from_before_the_download_is_not_about_it() -> None:
    way = Way().passes(SECOND).says(IDLE, 8, OLD)
    assert way.state is UpdateState.DOWNLOADING

    way.passes(SECOND).says(result=8)
    before_it_was_asked = way.state
    way.passes(SECOND).answers(Purpose.ADDRESS).happens(Reported())

    assert before_it_was_asked is UpdateState.DOWNLOADING
    assert way.state is UpdateState.DOWNLOADING


@pytest.mark.parametrize("code", ["4.00", "4.05"])
def test_an_address_that_is_refused_may_mean_that_it_is_not_idle(code: str) -> None:
    way = Way().passes(SECOND).says(IDLE, 0, OLD).passes(SECOND).answers(Purpose.ADDRESS, "refused", code)

    assert way.state is UpdateState.RESETTING


def test_an_address_that_is_refused_for_good_ends_the_update() -> None:
    way = Way().passes(SECOND).says(IDLE, 0, OLD).answers(Purpose.ADDRESS, "refused", "4.04")

    assert (way.state, way.update.reason) == (UpdateState.FAILED, "it refused the address: 4.04")


def test_an_address_that_was_lost_is_written_once_more() -> None:
    way = Way().passes(SECOND).says(IDLE, 0, OLD)
    way.heard()

    way.passes(5 * MINUTE)
    asked = way.heard()
    way.passes(5 * MINUTE)

    assert Purpose.ADDRESS in asked
    assert (way.state, way.update.reason) == (UpdateState.NEEDS_ATTENTION, "it does not begin to download")


# -- the install --------------------------------------------------------------------------------------------------------


def test_a_whole_download_is_installed_at_once() -> None:
    way = downloaded()

    assert way.heard() == [Purpose.INSTALL]
    assert way.update.bytes == way.update.size


def test_a_weak_battery_keeps_the_install_waiting() -> None:
    way = downloading().reads(Reading(path="/3/0/9", value=12)).says(DOWNLOADED, 0)
    waiting, reason = way.heard(), way.update.reason
    way.passes(HOUR).reads(Reading(path="/3/0/9", value=80))

    assert Purpose.INSTALL not in waiting
    assert "12 %" in reason
    assert way.heard()[-1] is Purpose.INSTALL


def test_an_install_is_not_asked_twice_when_the_answer_is_lost() -> None:
    way = downloaded()
    way.heard()

    way.passes(SECOND).answers(Purpose.INSTALL, "timed_out", None)
    way.passes(5 * MINUTE)

    assert way.state is UpdateState.INSTALLING
    assert Purpose.INSTALL not in way.heard()


def test_an_install_that_was_never_answered_is_taken_for_begun() -> None:
    assert downloaded().passes(5 * MINUTE).state is UpdateState.INSTALLING


def test_an_install_that_never_left_is_asked_once_more() -> None:
    way = downloaded()
    way.heard()

    way.passes(SECOND).answers(Purpose.INSTALL, "expired", None)
    again = way.heard()
    way.passes(SECOND).answers(Purpose.INSTALL, "expired", None)

    assert again == [Purpose.INSTALL]
    assert (way.state, way.update.reason) == (UpdateState.NEEDS_ATTENTION, "the request to install never reached it")


def test_an_install_that_was_refused_ends_the_update() -> None:
    way = downloaded().answers(Purpose.INSTALL, "refused", "4.05")

    assert (way.state, way.update.reason) == (UpdateState.FAILED, "it refused to install: 4.05")


def test_the_reboot_may_win_the_race_against_the_answer() -> None:
    way = downloaded().passes(5 * SECOND).registers()

    assert way.state is UpdateState.INSTALLING


def test_a_device_that_installs_by_itself_is_watched_all_the_same() -> None:
    way = downloading().says(UPDATING, 0)
    began = way.state
    way.passes(20 * SECOND).registers().passes(SECOND).says(IDLE, 1, NEW)

    assert began is UpdateState.INSTALLING
    assert way.state is UpdateState.TRIAL


# -- the truth ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ArtifactKind)
def test_success_is_the_version_after_a_new_registration(kind: ArtifactKind) -> None:
    way = returned(kind)
    not_yet = way.state
    way.says(IDLE, 1, NEW)

    assert not_yet is UpdateState.INSTALLING
    assert (way.state, way.update.reason) == (UpdateState.TRIAL, f"it reports {NEW}")


def test_a_device_that_comes_back_is_asked_and_observed_anew() -> None:
    way = installing().answers(Purpose.POLL_STATE, code="2.05").passes(20 * SECOND).registers()

    assert way.heard() == [
        Purpose.POLL_STATE,
        Purpose.POLL,
        Purpose.POLL_VERSION,
        Purpose.OBSERVE,
        Purpose.OBSERVE,
    ]


def test_a_device_that_came_back_is_asked_once_for_each_registration() -> None:
    way = installing().answers(Purpose.POLL_STATE, code="2.05").passes(20 * SECOND).registers()
    way.heard()

    way.says(IDLE, 0, OLD).says(IDLE, 0, OLD)
    at_once = way.heard()
    way.passes(SECOND).answers(Purpose.POLL_STATE, code="2.05").registers("reg-3")

    assert at_once == []
    assert way.heard().count(Purpose.OBSERVE) == 2


def test_a_result_of_success_alone_is_no_success() -> None:
    assert returned().says(IDLE, 1).state is UpdateState.INSTALLING
    assert installing(ArtifactKind.FIRMWARE).says(IDLE, 1, NEW).state is UpdateState.INSTALLING


def test_a_model_may_be_loaded_without_a_reboot() -> None:
    assert installing().says(IDLE, 1, NEW).state is UpdateState.TRIAL


@pytest.mark.parametrize(
    ("result", "version", "state"),
    [
        (8, OLD, UpdateState.ROLLED_BACK),
        (5, OLD, UpdateState.ROLLED_BACK),
        (1, OLD, UpdateState.NEEDS_ATTENTION),
        (2, OLD, UpdateState.FAILED),
        (1, "1.9.9", UpdateState.NEEDS_ATTENTION),
        (1, "2.1.0.1", UpdateState.NEEDS_ATTENTION),
        (8, NEW, UpdateState.NEEDS_ATTENTION),
    ],
)
def test_anything_else_than_the_new_version_is_no_success(result: int, version: str, state: UpdateState) -> None:
    assert returned().says(IDLE, result, version).state is state


def test_the_old_version_without_a_result_is_a_failure_once_the_device_had_its_time() -> None:
    way = returned().says(IDLE, 0, OLD)
    at_first = way.state

    way.passes(15 * MINUTE).says(IDLE, 0, OLD)

    assert at_first is UpdateState.INSTALLING
    assert (way.state, way.update.reason) == (UpdateState.FAILED, f"it still reports {OLD}, and no result")


def test_a_result_that_was_written_down_late_still_counts() -> None:
    way = returned().says(IDLE, 0, OLD).passes(SECOND).says(result=8)

    assert way.state is UpdateState.ROLLED_BACK


def test_a_device_that_never_comes_back_needs_somebody_to_look() -> None:
    way = installing().leaves()

    way.passes(Timers.of(way.facts, way.update.size).return_by - 2 * SECOND)
    still = way.state
    way.passes(2 * SECOND)

    assert still is UpdateState.INSTALLING
    assert (way.state, way.update.reason) == (UpdateState.NEEDS_ATTENTION, "it was not heard again after the install")


def test_a_device_that_came_back_silent_needs_somebody_to_look() -> None:
    way = returned().passes(2 * HOUR)

    assert way.state is UpdateState.NEEDS_ATTENTION
    assert way.update.reason == "it came back and does not say which version it runs"


def test_firmware_that_claims_the_new_version_without_a_reboot_is_doubted() -> None:
    way = installing(ArtifactKind.FIRMWARE).says(IDLE, 1, NEW).passes(2 * HOUR)

    assert way.state is UpdateState.NEEDS_ATTENTION
    assert "did not register again" in way.update.reason


def test_a_version_that_cannot_be_read_any_more_is_no_success() -> None:
    way = returned().says(IDLE, 1)

    way.answers(Purpose.POLL_VERSION, "refused", "4.04")

    assert way.state is UpdateState.NEEDS_ATTENTION
    assert way.update.reason == "it says that it succeeded, but its version cannot be read"


def test_a_device_that_kept_the_image_may_try_once_more() -> None:
    way = installing().says(DOWNLOADED, 8)
    again, asked = way.state, way.heard()
    way.passes(SECOND).answers(Purpose.INSTALL).passes(SECOND).says(DOWNLOADED, 8)

    assert (again, asked) == (UpdateState.DOWNLOADED, [Purpose.INSTALL])
    assert (way.state, way.update.reason) == (UpdateState.FAILED, "the update failed")


# -- people -------------------------------------------------------------------------------------------------------------


def test_an_update_can_be_stopped_until_the_install_was_asked() -> None:
    waiting, fetching, asked, begun = Way(), downloading(), downloaded(), installing()
    waiting.heard()

    waiting.takes(cancelled(waiting.update, "usr-1", waiting.now))
    fetching.takes(cancelled(fetching.update, "usr-1", fetching.now))

    assert (waiting.state, waiting.update.reason, waiting.heard()) == (UpdateState.CANCELLED, "by usr-1", [])
    assert (fetching.state, fetching.heard()) == (UpdateState.CANCELLED, [Purpose.RESET])
    for way in (asked, begun, fetching):
        with pytest.raises(Conflict):
            cancelled(way.update, "usr-1", way.now)


def test_an_update_that_is_stopped_between_two_attempts_has_the_device_forget_what_it_has() -> None:
    way = downloading().says(DOWNLOADING, 0).happens(Progressed(50_000)).passes(10 * MINUTE)
    assert way.state is UpdateState.WAITING
    way.heard()

    way.takes(cancelled(way.update, "usr-1", way.now))

    assert (way.state, way.heard()) == (UpdateState.CANCELLED, [Purpose.RESET])


def test_a_removed_device_ends_its_update() -> None:
    way = downloading()
    ended = removed(way.update, way.now)

    assert (ended.state, ended.reason) == (UpdateState.FAILED, "the device was removed")
    assert removed(ended, way.now + HOUR) == ended


def test_nothing_moves_an_update_that_is_over() -> None:
    way = returned(soak_s=0).says(IDLE, 1, NEW)
    way.heard()
    over = way.update
    assert way.state is UpdateState.CONFIRMED

    way.says(IDLE, 8, OLD).passes(100 * HOUR).happens(Progressed(1)).happens(CommandEnded("cmd-1", "answered"))

    assert way.update == over
    assert way.heard() == []


# -- push, and going on where it was -------------------------------------------------------------------------------------


def pushing(**more: object) -> Way:
    """The device said that it is idle, and is being written the file."""
    way = Way(wish=Wish.PUSH, **more).passes(SECOND).says(IDLE, 0, OLD)
    assert way.state is UpdateState.DOWNLOADING
    way.answers(Purpose.POLL_STATE, code="2.05").heard()
    return way


def carried(way: Way) -> list[int]:
    """From which byte on each push began."""
    return [action.start for action in way.actions if isinstance(action, Push)]


def test_a_device_that_cannot_fetch_is_written_the_file_without_being_asked_to() -> None:
    way = Way().passes(SECOND).reads(Reading(path="/5/0/9", value=1)).says(IDLE, 0, OLD)

    assert (way.state, way.update.delivery) == (UpdateState.DOWNLOADING, Delivery.PUSH)
    assert carried(way) == [0]
    assert not any(isinstance(action, FetchFrom) for action in way.actions)


@pytest.mark.parametrize(
    ("method", "wish", "reason"),
    [
        (0, Wish.PUSH, "it takes only what it fetches itself (/5/0/9)"),
        (1, Wish.PULL, "it takes only what is pushed to it (/5/0/9)"),
    ],
)
def test_a_delivery_that_the_device_does_not_have_is_refused(method: int, wish: Wish, reason: str) -> None:
    way = Way(wish=wish).passes(SECOND).reads(Reading(path="/5/0/9", value=method)).says(IDLE, 0, OLD)

    assert (way.state, way.update.reason) == (UpdateState.FAILED, reason)


def test_a_push_is_done_when_the_device_says_that_it_has_all() -> None:
    way = pushing().says(DOWNLOADING, 0).happens(Progressed(40_000)).passes(SECOND).answers(Purpose.PACKAGE)
    asked = way.heard()

    way.passes(SECOND).says(DOWNLOADED, 0)

    assert Purpose.POLL_STATE in asked
    assert (way.state, way.update.bytes) == (UpdateState.DOWNLOADED, 100_000)


def test_an_old_result_says_nothing_about_a_push_that_has_not_begun() -> None:
    way = pushing().says(result=8).passes(SECOND)

    assert way.state is UpdateState.DOWNLOADING
    assert way.happens(Progressed(1_024)).passes(SECOND).says(IDLE, 5).state is UpdateState.WAITING


def test_a_push_that_broke_off_goes_on_with_the_byte_that_comes_next() -> None:
    way = pushing().says(DOWNLOADING, 0).happens(Progressed(40_960)).passes(SECOND)
    way.answers(Purpose.PACKAGE, "timed_out", None)
    lost = (way.state, way.update.reason)

    way.passes(15 * MINUTE).says(DOWNLOADING, 0, OLD)

    assert lost == (UpdateState.WAITING, "the link was lost")
    assert (way.state, way.update.attempts, way.update.bytes) == (UpdateState.DOWNLOADING, 2, 40_960)
    assert carried(way) == [0, 40_960]
    assert Purpose.RESET not in way.asked


def test_a_push_to_a_device_that_forgot_begins_anew() -> None:
    way = pushing().says(DOWNLOADING, 0).happens(Progressed(40_960)).passes(SECOND)
    way.answers(Purpose.PACKAGE, "timed_out", None)

    way.passes(15 * MINUTE).says(IDLE, 0, OLD)

    assert carried(way) == [0, 0]
    assert way.update.bytes == 0


def test_a_push_that_the_device_refuses_ends_with_its_code() -> None:
    way = pushing().answers(Purpose.PACKAGE, "refused", "4.13")

    assert (way.state, way.update.reason) == (UpdateState.FAILED, "it refused the file: 4.13")


def test_a_device_that_goes_on_by_itself_is_seen_doing_so_at_once() -> None:
    way = downloading().says(DOWNLOADING, 0).happens(Progressed(50_000)).passes(10 * MINUTE)
    stopped, before = way.state, len(way.actions)

    way.passes(2 * MINUTE).happens(Progressed(60_000))

    assert stopped is UpdateState.WAITING
    assert (way.state, way.update.reason, way.update.bytes) == (
        UpdateState.DOWNLOADING,
        "it goes on where it was",
        60_000,
    )
    assert not any(isinstance(action, FetchFrom) for action in way.actions[before:])
    assert way.says(DOWNLOADED, 0).state is UpdateState.DOWNLOADED


def test_a_device_that_says_it_downloads_and_does_not_is_reset_after_its_second_chance() -> None:
    way = downloading().says(DOWNLOADING, 0).happens(Progressed(50_000)).passes(10 * MINUTE)
    way.passes(15 * MINUTE).says(DOWNLOADING, 0, OLD)
    second = (way.state, way.update.attempts)
    way.heard()

    way.passes(10 * MINUTE)

    assert second == (UpdateState.DOWNLOADING, 2)
    assert way.state is UpdateState.WAITING
    assert Purpose.RESET in way.heard()


@pytest.mark.parametrize("result", [5, 7, 9])
def test_what_the_web_may_be_to_blame_for_is_tried_over_coap(result: int) -> None:
    way = downloading(over="https").says(DOWNLOADING, 0).passes(SECOND).says(IDLE, result)

    assert (way.state, way.update.avoids_web) == (UpdateState.WAITING, True)
    assert way.update.reason.endswith("; next over CoAP")


# -- whatever happens ---------------------------------------------------------------------------------------------------

deeds = st.one_of(
    st.tuples(
        st.just("says"),
        st.none() | st.integers(0, 4),
        st.none() | st.integers(0, 12),
        st.none() | st.sampled_from([OLD, NEW, "1.9.9"]),
    ),
    st.tuples(st.just("passes"), st.sampled_from([SECOND, MINUTE, 10 * MINUTE, HOUR, 5 * HOUR])),
    st.tuples(st.just("registers"), st.sampled_from(["reg-1", "reg-2", "reg-3"])),
    st.tuples(st.sampled_from(["leaves", "expires"])),
    st.tuples(st.just("progresses"), st.integers(0, 100_000)),
    st.tuples(
        st.just("ends"),
        st.integers(0, 15),
        st.sampled_from(["answered", "refused", "timed_out", "expired", "cancelled"]),
        st.sampled_from([None, "2.04", "4.00", "4.04", "4.05", "5.00"]),
    ),
)


conditions = st.sampled_from(["silent:", "battery_low:", "error_code:5"])
deeds |= st.one_of(
    st.tuples(st.just("worsens"), conditions, st.sampled_from(["warning", "high", "critical"])),
    st.tuples(st.just("recovers"), conditions),
)


def do(way: Way, deed: tuple[object, ...]) -> None:
    match deed:
        case ("progresses", int(count)):
            way.happens(Progressed(count))
        case ("ends", int(which), str(state), code):
            known = list(way.update.commands)
            command = known[which % len(known)] if known else "cmd-x"
            way.happens(CommandEnded(command, state, code))  # type: ignore[arg-type]  # drawn from texts and None
        case ("worsens", str(condition), str(severity)):
            way.happens(Worsened(condition, severity, "It is not well."))
        case ("recovers", str(condition)):
            way.happens(Recovered(condition))
        case (str(name), *arguments):
            getattr(way, name)(*arguments)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(ArtifactKind),
    st.sampled_from(Wish),
    st.sampled_from([{}, {"undoes": "cmp-0"}, {"previous": "art-0", "previous_version": OLD}]),
    st.lists(deeds, max_size=25),
)
def test_whatever_happens_every_state_has_a_deadline_and_every_update_an_end(
    kind: ArtifactKind, wish: Wish, origin: dict[str, str], story: list[tuple[object, ...]]
) -> None:
    way = Way(kind, wish=wish, **origin)
    versions: set[str] = set()
    for deed in story:
        do(way, deed)
        versions |= {version for version in [way.version_said()] if version}

        assert way.state.is_end == (way.update.due_at is None)
        assert way.state.is_end or way.update.deadline is not None
        assert way.update.attempts <= ATTEMPTS_MAX
        if way.state is UpdateState.CONFIRMED:
            assert way.update.reason.startswith("it r")
            assert any(is_same(version, NEW) for version in versions)

    way.passes(timedelta(days=30))

    assert way.state.is_end
    if way.update.undoes is not None:
        assert way.state not in {UpdateState.FAILED, UpdateState.ROLLED_BACK}, (
            "a roll back that fails asks for a person"
        )
