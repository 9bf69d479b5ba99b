"""What a device is to report by itself, and whether it does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shoal.errors import Rejected
from shoal.inventory.observing import (
    Attributes,
    Intent,
    Observation,
    Origin,
    Standing,
    State,
    attributes_of,
    check_path,
    check_room,
    observations,
    parse_attributes,
    wanted_of,
)
from shoal.inventory.presence import Objects, Registration
from shoal.inventory.profile import PATHS_MAX, Observe, ProfileSettings
from shoal.lwm2m.path import Path

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
VALUE = Path.parse("/3303/0/5700")
LEVEL = Path.parse("/3/0/9")


def profile(*wishes: tuple[str, str]) -> ProfileSettings:
    return ProfileSettings(report_every_s=60, lifetime_s=300, observe=tuple(Observe(*wish) for wish in wishes))


def said(path: Path, *, is_wanted: bool = True, attributes: str = "") -> Intent:
    return Intent(path=path, is_wanted=is_wanted, attributes=attributes, by="Ida", at=NOW, version=1)


def does(state: State, attributes: str = "", code: str | None = None) -> Standing:
    return Standing(state=state, code=code, attributes=attributes, at=NOW)


def registration(*paths: str) -> Registration:
    objects: Objects = tuple((path, None) for path in paths)
    return Registration(
        id="r-1",
        version="1.1",
        lifetime=timedelta(seconds=300),
        binding="U",
        queue_mode=False,
        secure=True,
        address="192.0.2.7:41822",
        objects=objects,
        registered_at=NOW,
        updated_at=NOW,
        last_heard_at=NOW,
        expires_at=None,
        ended_at=None,
        ended_by=None,
    )


HERE = registration("/3/0", "/3303/0", "/3303/1")


def only(found: list[Observation], path: Path) -> Observation:
    [one] = [each for each in found if each.path == path]
    return one


def test_a_profile_means_each_instance_that_the_device_has() -> None:
    found = observations(profile(("/3303/*/5700", "pmax=60"), ("/3328/*/5700", "")), [], {}, HERE)

    assert [(str(one.path), one.origin, one.attributes, one.state) for one in found] == [
        ("/3303/0/5700", Origin.PROFILE, "pmax=60", State.WAITING),
        ("/3303/1/5700", Origin.PROFILE, "pmax=60", State.WAITING),
    ]


def test_what_somebody_said_of_the_device_goes_before_its_profile() -> None:
    intent = said(VALUE, attributes="pmin=5")

    found = observations(profile(("/3303/*/5700", "pmax=60")), [intent], {}, HERE)

    assert (only(found, VALUE).origin, only(found, VALUE).attributes) == (Origin.DEVICE, "pmin=5")
    assert len(found) == 2


@pytest.mark.parametrize(
    ("standing", "state", "has_drifted"),
    [
        (None, State.WAITING, False),
        (does(State.ESTABLISHED, "pmax=60"), State.ESTABLISHED, False),
        (does(State.ESTABLISHED, ""), State.ESTABLISHED, True),
        (does(State.REFUSED, code="4.05"), State.REFUSED, True),
        (does(State.LOST), State.LOST, True),
    ],
)
def test_a_difference_between_what_is_wanted_and_what_is_done_is_seen(
    standing: Standing | None, state: State, has_drifted: bool
) -> None:
    standings = {} if standing is None else {LEVEL: standing}

    one = only(observations(profile(("/3/0/9", "pmax=60.0")), [], standings, HERE), LEVEL)

    assert (one.state, one.has_drifted, one.is_wanted) == (state, has_drifted, True)


def test_what_a_device_does_not_have_is_absent_and_may_be_there_before_it_ever_registered() -> None:
    intent = said(Path.parse("/4/0/2"))

    assert [one.state for one in observations(profile(), [intent], {}, HERE)] == [State.ABSENT]
    assert [one.state for one in observations(profile(), [intent], {}, None)] == [State.WAITING]


def test_a_resource_that_a_device_lacks_is_a_difference_only_where_somebody_wants_it_of_this_device() -> None:
    lacking = {LEVEL: does(State.REFUSED, code="4.04")}

    of_all = only(observations(profile(("/3/0/9", "")), [], lacking, HERE), LEVEL)
    of_this = only(observations(profile(), [said(LEVEL)], lacking, HERE), LEVEL)

    assert (of_all.state, of_all.has_drifted) == (State.ABSENT, False)
    assert (of_this.state, of_this.has_drifted) == (State.ABSENT, True)


def test_what_is_switched_off_is_off_until_the_device_reports_it_all_the_same() -> None:
    intent = said(LEVEL, is_wanted=False)
    settings = profile(("/3/0/9", ""))

    off = only(observations(settings, [intent], {}, HERE), LEVEL)
    on = only(observations(settings, [intent], {LEVEL: does(State.ESTABLISHED)}, HERE), LEVEL)

    assert (off.state, off.is_wanted, off.has_drifted) == (State.OFF, False, False)
    assert (on.state, on.is_wanted, on.has_drifted) == (State.UNWANTED, False, True)


def test_what_nobody_asked_for_is_shown_as_such() -> None:
    standings = {LEVEL: does(State.ESTABLISHED), VALUE: does(State.REFUSED)}

    found = observations(profile(), [], standings, HERE)

    assert [(one.path, one.origin, one.state) for one in found] == [(LEVEL, None, State.UNWANTED)]


def test_after_its_registration_ended_a_device_observes_nothing() -> None:
    gone = replace(HERE, ended_at=NOW)

    found = observations(profile(("/3/0/9", "")), [], {LEVEL: does(State.ESTABLISHED)}, gone)

    assert [one.state for one in found] == [State.WAITING]


def test_the_gateway_is_told_our_own_paths_first_and_those_to_leave_out() -> None:
    settings = profile(("/3303/*/5700", "pmax=60"), ("/3/0/9", "pmax=60"))
    intents = [said(LEVEL, attributes="pmin=5"), said(VALUE, is_wanted=False)]

    assert wanted_of(settings, intents) == ([("/3/0/9", "pmin=5"), ("/3303/*/5700", "pmax=60")], ["/3303/0/5700"])


def test_no_device_is_asked_for_more_than_it_can_hold() -> None:
    settings = profile(*((f"/3303/{number}/5700", "") for number in range(PATHS_MAX - 1)))
    fits, too_much = [said(LEVEL)], [said(LEVEL), said(Path.parse("/4/0/2"))]

    check_room(settings, fits)
    with pytest.raises(Rejected):
        check_room(settings, too_much)
    # A profile that grew later gives way.
    assert len(wanted_of(settings, too_much)[0]) == PATHS_MAX
    check_room(settings, [said(Path.parse("/3303/0/5700"), attributes="pmin=1")])


def test_attributes_are_written_in_one_order_and_read_back() -> None:
    attributes: Attributes = {"st": 0.5, "pmax": 900.0, "gt": 8, "con": True, "pmin": 0}

    query = parse_attributes(attributes, VALUE)

    assert query == "pmin=0&pmax=900&gt=8&st=0.5&con=1"
    assert attributes_of(query) == attributes
    assert attributes_of("dim=3&pmin&ver=1.1&pmax=soon&gt=nan") == {}


@pytest.mark.parametrize(
    "attributes",
    [
        {"pmix": 1},
        {"pmin": -1},
        {"pmin": 1.5},
        {"pmax": 2**32},
        {"pmin": True},
        {"gt": float("nan")},
        {"st": 0},
        {"con": 2},
        {"gt": 5, "lt": 4, "st": 0.5},
        {"epmin": 10, "epmax": 10},
    ],
)
def test_attributes_that_no_device_could_take_are_refused(attributes: Attributes) -> None:
    with pytest.raises(Rejected):
        parse_attributes(attributes, VALUE)


def test_a_threshold_is_of_a_value_and_not_of_what_holds_values() -> None:
    assert parse_attributes({"pmin": 1}, Path.parse("/3303")) == "pmin=1"
    with pytest.raises(Rejected):
        parse_attributes({"gt": 1}, Path.parse("/3303/0"))


def test_keys_are_never_observed_and_where_a_device_hangs_always_is() -> None:
    check_path(Path.parse("/26241/0/0"), is_wanted=True)
    check_path(Path.parse("/26241/0/1"), is_wanted=False)
    for path, is_wanted in (("/0/0/2", True), ("/26241/0/0", False)):
        with pytest.raises(Rejected):
            check_path(Path.parse(path), is_wanted=is_wanted)
