"""A registration lives from Register to De-register or expiry, whatever order the events come in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.events.device import (
    AnyDeviceEvent,
    CommandChanged,
    DeviceAwake,
    DeviceDeregistered,
    DeviceRegistered,
    PlaceChanged,
    ReadingsReported,
    RegistrationExpired,
    RegistrationUpdated,
    SecurityEvent,
)
from shoal.inventory.presence import EndedBy, Registration, on_event

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def registered(
    at: float = 0, registration: str = "reg-1", lifetime_s: int = 300, queue_mode: bool = False
) -> DeviceRegistered:
    return DeviceRegistered(
        id="event",
        time=after(at),
        device="dev-1",
        registration=registration,
        version="1.1",
        lifetime_s=lifetime_s,
        binding="U",
        queue_mode=queue_mode,
        secure=True,
        address="192.0.2.1:5683",
        objects=[("/3/0", None), ("/5/0", "1.1")],
    )


def updated(at: float, registration: str = "reg-1", **more: object) -> RegistrationUpdated:
    return RegistrationUpdated(id="event", time=after(at), device="dev-1", registration=registration, **more)  # type: ignore[arg-type]


def expired(at: float, registration: str = "reg-1") -> RegistrationExpired:
    return RegistrationExpired(id="event", time=after(at), device="dev-1", registration=registration)


def goodbye(at: float, registration: str = "reg-1") -> DeviceDeregistered:
    return DeviceDeregistered(id="event", time=after(at), device="dev-1", registration=registration)


def readings(at: float) -> ReadingsReported:
    return ReadingsReported(id="event", time=after(at), device="dev-1", via="send", readings=[])


def folded(*events: AnyDeviceEvent) -> Registration:
    registration: Registration | None = None
    for event in events:
        registration = on_event(registration, event)
    assert registration is not None
    return registration


def test_a_register_begins_a_registration() -> None:
    registration = folded(registered(lifetime_s=300))

    assert registration.is_current
    assert registration.expires_at == after(300)
    assert registration.objects == (("/3/0", None), ("/5/0", "1.1"))
    assert registration.registered_at == registration.updated_at == registration.last_heard_at == NOW


def test_a_lifetime_of_zero_never_ends() -> None:
    assert folded(registered(lifetime_s=0)).expires_at is None


def test_an_update_extends_it_and_changes_only_what_it_names() -> None:
    registration = folded(registered(), updated(200), updated(250, lifetime_s=60, address="192.0.2.9:1"))

    assert registration.expires_at == after(310)
    assert registration.lifetime == timedelta(seconds=60)
    assert registration.address == "192.0.2.9:1"
    assert (registration.binding, registration.queue_mode) == ("U", False)
    assert registration.registered_at == NOW


def test_whatever_the_device_says_is_a_sign_of_life_and_extends_nothing() -> None:
    registration = folded(registered(), readings(120))

    assert registration.last_heard_at == after(120)
    assert registration.expires_at == after(300)


@pytest.mark.parametrize(
    "event",
    [
        CommandChanged(
            id="event", time=after(60), device="dev-1", command="cmd-1", operation="read", path="/3", state="queued"
        ),
        PlaceChanged(id="event", time=after(60), device="dev-1", state="agreed"),
        SecurityEvent(id="event", time=after(60), device="dev-1", reason="wrong key"),
    ],
)
def test_what_others_tell_of_a_device_is_no_sign_of_life(event: AnyDeviceEvent) -> None:
    assert folded(registered(), event) == folded(registered())


def test_a_goodbye_and_an_expiry_end_it_once() -> None:
    left = folded(registered(), goodbye(100), expired(400))
    lost = folded(registered(), expired(547))

    assert (left.is_current, left.ended_by, left.ended_at) == (False, EndedBy.DEREGISTERED, after(100))
    assert (lost.is_current, lost.ended_by, lost.ended_at) == (False, EndedBy.EXPIRED, after(547))
    assert lost.last_heard_at == NOW


def test_what_is_told_of_an_older_registration_changes_nothing() -> None:
    current = folded(registered(), registered(10, "reg-2"))

    for late in (expired(20), goodbye(20), updated(20), DeviceAwake(id="e", time=after(20), registration="reg-1")):
        assert on_event(current, late) == current
    assert on_event(current, registered(5, "reg-0")) == current


def test_a_registration_begins_anew_after_it_ended() -> None:
    registration = folded(registered(), expired(547), registered(600, "reg-2"))

    assert registration.is_current
    assert registration.id == "reg-2"


def test_nothing_is_known_of_a_device_that_never_registered() -> None:
    assert on_event(None, readings(0)) is None
    assert on_event(None, expired(0)) is None


def test_a_sleeper_listens_for_its_window_and_another_always() -> None:
    window = timedelta(seconds=93)
    sleeper, waker = folded(registered(queue_mode=True)), folded(registered())

    assert sleeper.awake_until(window) == after(93)
    assert sleeper.is_awake(window, after(92))
    assert not sleeper.is_awake(window, after(93))
    assert waker.is_awake(window, after(9_999))
    assert not folded(registered(), goodbye(5)).is_awake(window, after(6))


def test_being_awake_moves_the_expiry_only_forward() -> None:
    later = DeviceAwake(id="e", time=after(50), registration="reg-1", expires_at=int(after(350).timestamp()))
    earlier = DeviceAwake(id="e", time=after(60), registration="reg-1", expires_at=int(after(10).timestamp()))

    assert folded(registered(), later).expires_at == after(350)
    assert folded(registered(), later, earlier).expires_at == after(350)


events = st.one_of(
    st.builds(registered, st.integers(0, 500), st.sampled_from(["reg-1", "reg-2"])),
    st.builds(updated, st.integers(0, 500), st.sampled_from(["reg-1", "reg-2"])),
    st.builds(goodbye, st.integers(0, 500), st.sampled_from(["reg-1", "reg-2"])),
    st.builds(expired, st.integers(0, 500), st.sampled_from(["reg-1", "reg-2"])),
    st.builds(readings, st.integers(0, 500)),
)


@given(st.lists(events, max_size=12))
def test_an_event_that_comes_twice_in_a_row_changes_nothing(story: list[AnyDeviceEvent]) -> None:
    once: Registration | None = None
    for event in story:
        once = on_event(once, event)

        assert on_event(once, event) == once
        if once is not None:
            assert once.last_heard_at >= once.registered_at
