"""One device's way to a new version: what is asked of it, how long we wait, and how it ends."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.facts import DeviceFacts, after_event
from shoal.campaigns.step import (
    ATTEMPTS_MAX,
    BATTERY_PERCENT_MIN,
    Begin,
    CommandEnded,
    Happening,
    Progressed,
    Reported,
    TimeIsUp,
    cancelled,
    removed,
    step,
)
from shoal.campaigns.timers import Timers
from shoal.campaigns.update import Ask, Purpose, Step, Update, UpdateState
from shoal.campaigns.version import is_same
from shoal.errors import Conflict
from shoal.events.device import (
    DeviceDeregistered,
    DeviceRegistered,
    Reading,
    ReadingsReported,
    RegistrationExpired,
    Scalar,
)

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
OLD, NEW = "2.0.3", "2.1.0"
IDLE, DOWNLOADING, DOWNLOADED, UPDATING = 0, 1, 2, 3
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Way:
    """An update on its way, with the device's words in our hands. `asked` is what was asked since it was last looked at."""

    def __init__(self, kind: ArtifactKind = ArtifactKind.MODEL, *objects: str, is_registered: bool = True) -> None:
        self.now = NOW
        self.facts = DeviceFacts(device="dev-1", tenant="ten-1", endpoint="cam-1", report_every_s=60)
        self.asked: list[Purpose] = []
        self.actions: list[object] = []
        self._numbers = 0
        self._version = "/5/0/7" if kind is ArtifactKind.MODEL else "/3/0/3"
        self.update = Update(
            id="cmp-1",
            tenant="ten-1",
            farm=None,
            enclosure=None,
            device="dev-1",
            endpoint="cam-1",
            artifact="art-1",
            kind=kind,
            name="fish-count",
            version=NEW,
            size=100_000,
            path="/fw/x",
            by="usr-1",
            created_at=NOW,
            since=NOW,
        )
        if is_registered:
            self._register("reg-1", objects or ("/3/0", "/5/0"))
        self.now += MINUTE
        self.happens(Begin())

    @property
    def state(self) -> UpdateState:
        return self.update.state

    def happens(self, happening: Happening) -> "Way":
        return self.takes(step(self.update, self.facts, happening, self.now))

    def takes(self, result: Step) -> "Way":
        """What the conductor does with a step: every action becomes a command."""
        self.update = result.update
        for action in result.actions:
            self._numbers += 1
            self.asked.append(action.purpose)
            self.actions.append(action)
            if not self.state.is_end:
                commands = {**self.update.commands, f"cmd-{self._numbers}": action.purpose}
                self.update = msgspec.structs.replace(self.update, commands=commands)
        return self

    def version_said(self) -> str | None:
        said = self.facts.package_version if self.update.kind is ArtifactKind.MODEL else self.facts.firmware_version
        return None if said is None else str(said.value)

    def heard(self) -> list[Purpose]:
        """What was asked since the last look."""
        asked, self.asked = self.asked, []
        return asked

    def says(self, state: int | None = None, result: int | None = None, version: str | None = None) -> "Way":
        values: dict[str, Scalar] = {"/5/0/3": state, "/5/0/5": result, self._version: version}
        readings = [Reading(path=path, value=value) for path, value in values.items() if value is not None]
        return self.reads(*readings)

    def reads(self, *readings: Reading) -> "Way":
        event = ReadingsReported(
            id="e", time=self.now, device="dev-1", tenant="ten-1", via="read", readings=list(readings)
        )
        self.facts = after_event(self.facts, event)
        return self.happens(Reported())

    def answers(self, purpose: Purpose, state: str = "answered", code: str | None = "2.04") -> "Way":
        command = next(known for known, why in self.update.commands.items() if why is purpose)
        return self.happens(CommandEnded(command, state, code))

    def registers(self, registration: str = "reg-2") -> "Way":
        self._register(registration, ("/3/0", "/5/0"))
        return self.happens(Reported())

    def leaves(self) -> "Way":
        event = DeviceDeregistered(
            id="e", time=self.now, device="dev-1", tenant="ten-1", registration=self.facts.registration or ""
        )
        self.facts = after_event(self.facts, event)
        return self.happens(Reported())

    def expires(self) -> "Way":
        event = RegistrationExpired(
            id="e", time=self.now, device="dev-1", tenant="ten-1", registration=self.facts.registration or ""
        )
        self.facts = after_event(self.facts, event)
        return self.happens(Reported())

    def passes(self, span: timedelta) -> "Way":
        """Time passes, and every timer fires when it is due."""
        until = self.now + span
        while (due := self.update.due_at) is not None and due <= until:
            self.now = max(self.now, due)
            before = self.update
            self.happens(TimeIsUp())
            assert self.update.due_at is None or self.update.due_at > self.now or self.update != before, "a timer hangs"
        self.now = until
        return self

    def _register(self, registration: str, objects: tuple[str, ...]) -> None:
        event = DeviceRegistered(
            id="e",
            time=self.now,
            device="dev-1",
            tenant="ten-1",
            endpoint="cam-1",
            registration=registration,
            version="1.1",
            lifetime_s=300,
            binding="U",
            queue_mode=False,
            secure=True,
            address="192.0.2.1:5683",
            objects=[(path, None) for path in objects],
        )
        self.facts = after_event(self.facts, event)


def downloading(kind: ArtifactKind = ArtifactKind.MODEL) -> Way:
    """The device said that it is idle and runs the old version, and was told where to fetch the new one."""
    way = Way(kind).passes(SECOND).says(IDLE, 0, OLD).passes(SECOND).answers(Purpose.ADDRESS).passes(SECOND)
    way.heard()
    return way


def downloaded(kind: ArtifactKind = ArtifactKind.MODEL) -> Way:
    way = downloading(kind).says(DOWNLOADING, 0).passes(SECOND).says(DOWNLOADED, 0)
    assert way.state is UpdateState.DOWNLOADED
    return way


def installing(kind: ArtifactKind = ArtifactKind.MODEL) -> Way:
    way = downloaded(kind).passes(SECOND).answers(Purpose.INSTALL).passes(SECOND)
    assert way.state is UpdateState.INSTALLING
    way.heard()
    return way


def returned(kind: ArtifactKind = ArtifactKind.MODEL) -> Way:
    """The device was told to install and has registered anew."""
    return installing(kind).passes(20 * SECOND).registers().passes(SECOND)


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
    assert Purpose.RESET in asked
    assert still is UpdateState.WAITING
    assert (way.state, way.update.attempts, way.update.bytes) == (UpdateState.DOWNLOADING, 2, 0)


def test_a_download_may_take_an_hour_and_no_more() -> None:
    way = downloading().says(DOWNLOADING, 0)
    for minute in range(70):
        way.passes(MINUTE).happens(Progressed(minute))

    assert way.update.attempts == 1
    assert (way.state, way.update.reason) == (UpdateState.WAITING, "the download stands still")


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
    assert way.state is UpdateState.CONFIRMED


# -- the truth ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ArtifactKind)
def test_success_is_the_version_after_a_new_registration(kind: ArtifactKind) -> None:
    way = returned(kind)
    not_yet = way.state
    way.says(IDLE, 1, NEW)

    assert not_yet is UpdateState.INSTALLING
    assert (way.state, way.update.reason) == (UpdateState.CONFIRMED, f"it reports {NEW}")


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
    assert installing().says(IDLE, 1, NEW).state is UpdateState.CONFIRMED


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


def test_a_removed_device_ends_its_update() -> None:
    way = downloading()
    ended = removed(way.update, way.now)

    assert (ended.state, ended.reason) == (UpdateState.FAILED, "the device was removed")
    assert removed(ended, way.now + HOUR) == ended


def test_nothing_moves_an_update_that_is_over() -> None:
    way = returned().says(IDLE, 1, NEW)
    way.heard()
    over = way.update

    way.says(IDLE, 8, OLD).passes(100 * HOUR).happens(Progressed(1)).happens(CommandEnded("cmd-1", "answered"))

    assert way.update == over
    assert way.heard() == []


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


def do(way: Way, deed: tuple[object, ...]) -> None:
    match deed:
        case ("progresses", int(count)):
            way.happens(Progressed(count))
        case ("ends", int(which), str(state), code):
            known = list(way.update.commands)
            command = known[which % len(known)] if known else "cmd-x"
            way.happens(CommandEnded(command, state, code))  # type: ignore[arg-type]  # drawn from texts and None
        case (str(name), *arguments):
            getattr(way, name)(*arguments)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ArtifactKind), st.lists(deeds, max_size=25))
def test_whatever_happens_every_state_has_a_deadline_and_every_update_an_end(
    kind: ArtifactKind, story: list[tuple[object, ...]]
) -> None:
    way = Way(kind)
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
