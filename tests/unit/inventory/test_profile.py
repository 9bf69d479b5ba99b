"""Profiles hold numbers in their range and paths that are paths, and always look at what a device claims."""

import msgspec
import pytest

from shoal.errors import Rejected
from shoal.inventory.claim import ENCLOSURE_ANYWHERE
from shoal.inventory.profile import BUILT_IN, PATHS_MAX, READS_MAX, Observe, ProfileSettings, check_settings

PLAIN = ProfileSettings(report_every_s=60, lifetime_s=300)


@pytest.mark.parametrize("key", BUILT_IN)
def test_what_every_tenant_starts_with_passes_our_own_check(key: str) -> None:
    _, settings = BUILT_IN[key]

    assert check_settings(settings) == settings


def test_the_claimed_enclosure_is_observed_whatever_a_profile_says() -> None:
    assert check_settings(PLAIN).observe == (Observe(ENCLOSURE_ANYWHERE),)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("report_every_s", 0),
        ("report_every_s", -1),
        ("report_every_s", float("nan")),
        ("report_every_s", float("inf")),
        ("lifetime_s", -1),
        ("lifetime_s", 367 * 86_400),
        ("grace_s", -0.1),
        ("awake_window_s", 0),
        ("ack_timeout_s", 0),
        ("ack_timeout_s", 61),
        ("random_factor", 0.9),
        ("random_factor", 3.1),
        ("random_factor", float("nan")),
        ("max_retransmit", -1),
        ("max_retransmit", 9),
        ("samples", 0),
        ("battery_high", 30),
        ("battery_warning", 101),
    ],
)
def test_a_number_out_of_its_range_is_refused(field: str, value: float) -> None:
    with pytest.raises(Rejected) as caught:
        check_settings(msgspec.structs.replace(PLAIN, **{field: value}))

    assert caught.value.subject in {field, "battery_high"}


def test_a_lifetime_of_zero_and_no_grace_are_allowed() -> None:
    check_settings(msgspec.structs.replace(PLAIN, lifetime_s=0, grace_s=0))


@pytest.mark.parametrize(
    "path", ["", "3303", "/", "/x", "/3303/0/*", "/3303/*/*", "/3303/-1", "/3303/0/5700/1/2", "/*", "//", "/³"]
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(Rejected):
        check_settings(msgspec.structs.replace(PLAIN, observe=(Observe(path),)))
    with pytest.raises(Rejected):
        check_settings(msgspec.structs.replace(PLAIN, read=(path,)))


@pytest.mark.parametrize("path", ["/3303", "/3303/*/5700", "/3/0", "/3/0/11/0"])
def test_a_path_may_leave_the_instance_open(path: str) -> None:
    assert Observe(path) in check_settings(msgspec.structs.replace(PLAIN, observe=(Observe(path),))).observe


def test_a_profile_observes_no_more_than_a_device_can_bear() -> None:
    # The enclosure that a device claims is observed as well.
    most = tuple(Observe(f"/3303/{instance}/5700") for instance in range(PATHS_MAX - 1))
    reads = tuple(f"/3303/{instance}" for instance in range(READS_MAX + 1))

    assert len(check_settings(msgspec.structs.replace(PLAIN, observe=most, read=reads[1:])).observe) == PATHS_MAX
    for more in ({"observe": (*most, Observe("/3/0/9"))}, {"read": reads}):
        with pytest.raises(Rejected):
            check_settings(msgspec.structs.replace(PLAIN, **more))
