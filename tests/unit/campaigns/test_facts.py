"""What is remembered of a device for its updates, whatever order the news comes in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shoal.campaigns.facts import PROTOCOLS_MAX, DeviceFacts, Said, after_event, is_about_updates, new_facts
from shoal.events.device import (
    DeviceDeregistered,
    DeviceEvent,
    DeviceRegistered,
    ProfileChanged,
    Reading,
    ReadingsReported,
    RegistrationExpired,
    RegistrationUpdated,
    Scalar,
)

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
PLACE: dict[str, Any] = {
    "device": "dev-1",
    "tenant": "ten-1",
    "farm": "frm-1",
    "enclosure": "enc-1",
    "endpoint": "cam-1",
}


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def registered(seconds: float = 0, registration: str = "reg-1", *objects: str) -> DeviceRegistered:
    return DeviceRegistered(
        id="e",
        time=at(seconds),
        **PLACE,
        registration=registration,
        version="1.1",
        lifetime_s=300,
        binding="U",
        queue_mode=True,
        secure=True,
        address="192.0.2.1:5683",
        objects=[(path, None) for path in objects],
    )


def read(path: str, value: Scalar, seconds: float = 0) -> ReadingsReported:
    return ReadingsReported(id="e", time=at(seconds), **PLACE, via="notify", readings=[Reading(path=path, value=value)])


def folded(*events: DeviceEvent) -> DeviceFacts:
    facts = DeviceFacts(device="dev-1", tenant="ten-1")
    for event in events:
        facts = after_event(facts, event)  # type: ignore[arg-type]  # each of them is one of the union
    return facts


def test_a_registration_tells_how_the_device_is_connected() -> None:
    facts = folded(registered(0, "reg-1", "/3/0", "/5/0"))

    assert (facts.registration, facts.registered_at, facts.is_registered) == ("reg-1", NOW, True)
    assert (facts.has_firmware_object, facts.lifetime_s, facts.queue_mode, facts.secure) == (True, 300, True, True)
    assert (facts.farm, facts.enclosure, facts.endpoint) == ("frm-1", "enc-1", "cam-1")


@pytest.mark.parametrize(("path", "has_it"), [("/5/0", True), ("/5", True), ("/5/1", True), ("/50/0", False)])
def test_the_firmware_object_is_found_among_what_was_registered(path: str, has_it: bool) -> None:
    assert folded(registered(0, "reg-1", path)).has_firmware_object is has_it


def test_an_older_registration_changes_nothing() -> None:
    facts = folded(registered(10, "reg-2"))

    for late in (
        registered(5, "reg-1"),
        DeviceDeregistered(id="e", time=at(11), **PLACE, registration="reg-1"),
        RegistrationExpired(id="e", time=at(11), **PLACE, registration="reg-1"),
        RegistrationUpdated(id="e", time=at(11), **PLACE, registration="reg-1", lifetime_s=9),
    ):
        assert after_event(facts, late) == facts


def test_a_device_that_left_is_not_registered_until_it_comes_back() -> None:
    left = folded(registered(), DeviceDeregistered(id="e", time=at(1), **PLACE, registration="reg-1"))
    back = after_event(left, registered(2, "reg-2"))

    assert (left.is_registered, back.is_registered) == (False, True)


def test_an_update_changes_only_what_it_names() -> None:
    facts = folded(
        registered(0, "reg-1", "/5/0"),
        RegistrationUpdated(id="e", time=at(1), **PLACE, registration="reg-1", lifetime_s=60, objects=[("/3/0", None)]),
    )

    assert (facts.lifetime_s, facts.queue_mode, facts.has_firmware_object) == (60, True, False)


def test_values_are_kept_with_their_time_and_older_ones_change_nothing() -> None:
    facts = folded(
        read("/5/0/3", 1, 5),
        read("/5/0/3", 0, 4),
        read("/5/0/5", 8, 6),
        read("/5/0/7", "2.0.3", 7),
        read("/3/0/3", "4.2", 8),
    )

    assert facts.state == Said(1, at(5))
    assert facts.result == Said(8, at(6))
    assert facts.package_version == Said("2.0.3", at(7))
    assert facts.firmware_version == Said("4.2", at(8))


@pytest.mark.parametrize(
    ("path", "value"),
    [("/5/0/3", True), ("/5/0/3", None), ("/5/0/3", "1"), ("/5/0/7", 2), ("/3/0/9", "full"), ("/3303/0/5700", 8.1)],
)
def test_a_value_of_another_type_or_place_is_none(path: str, value: Scalar) -> None:
    facts = folded(read(path, value))

    assert (facts.state, facts.package_version, facts.battery_percent) == (None, None, None)


def test_power_and_memory_count_for_the_preflight() -> None:
    facts = folded(read("/3/0/9", 42), read("/3/0/20", 1), read("/3/0/10", 512.0))

    assert (facts.battery_percent, facts.is_charging, facts.memory_free_kb) == (42, True, 512.0)
    assert not folded(read("/3/0/20", 0)).is_charging


def test_the_profile_says_how_often_the_device_reports() -> None:
    profile = ProfileChanged(
        id="e",
        time=NOW,
        **PLACE,
        profile="prf-1",
        kind="camera",
        report_every_s=5,
        grace_s=10,
        awake_window_s=2,
        created_at=NOW,
    )

    facts = folded(profile)

    assert (facts.report_every_s, facts.grace_s) == (5, 10)


def test_what_is_nobodys_is_not_remembered() -> None:
    assert new_facts(read("/5/0/3", 1)) == DeviceFacts(device="dev-1", tenant="ten-1")
    assert new_facts(ReadingsReported(id="e", time=NOW, via="send", readings=[])) is None


def test_how_it_takes_files_is_what_it_said_last() -> None:
    def lists(seconds: float, *protocols: int) -> ReadingsReported:
        readings = [Reading(path=f"/5/0/8/{number}", value=value) for number, value in enumerate(protocols)]
        return ReadingsReported(id="e", time=at(seconds), **PLACE, via="read", readings=readings)

    facts = folded(lists(0, 3, 1, 3), read("/5/0/9", 2))
    fewer = folded(lists(0, 3, 1), lists(1, 0), read("/3/0/9", 80))

    assert (facts.protocols, facts.delivery_method) == ((1, 3), 2)
    assert fewer.protocols == (0,)
    assert len(folded(lists(0, *range(100))).protocols) == PROTOCOLS_MAX
    assert is_about_updates("/5/0/8/0")
    assert not is_about_updates("/5/0/80")


def test_where_it_is_heard_from_follows_its_registration() -> None:
    moved = RegistrationUpdated(id="e", time=at(1), **PLACE, registration="reg-1", address="198.51.100.2:40000")

    assert folded(registered()).address == "192.0.2.1:5683"
    assert folded(registered(), moved).address == "198.51.100.2:40000"
