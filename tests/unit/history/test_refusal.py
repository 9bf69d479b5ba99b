"""What is alike is one entry, and a flood is a few of them."""

from datetime import UTC, datetime, timedelta

import pytest

from shoal.events.device import DeviceAwake, SecurityEvent, host_of
from shoal.history import refusal as refusal_module
from shoal.history.refusal import Refusal, folded, refusal, says, source_of, within_bounds
from tests.harness.findings import NOON, at
from tests.harness.voices import Voice


def stranger(number: int = 0, *, address: str = "192.0.2.7", when: datetime = NOON, count: int = 1) -> Refusal:
    entry = refusal(
        SecurityEvent(
            id=f"s-{number}",
            time=when,
            reason="unknown_identity",
            identity=f"who-{number}",
            address=f"{address}:{40_000 + number}",
            count=count,
        )
    )
    assert entry is not None
    return entry


def bounded(*entries: Refusal) -> list[Refusal]:
    return within_bounds(folded(entries, {}).values(), {}, {})


def test_what_is_alike_on_one_day_counts_as_one_with_its_first_and_last_moment() -> None:
    again = stranger(when=at(60), count=3)

    [entry] = folded([stranger(), again, stranger(when=at(30))], {}).values()

    assert (entry.count, entry.first_at, entry.last_at) == (5, NOON, at(60))
    assert stranger(when=NOON + timedelta(days=1)).id != entry.id
    assert stranger(1).id != entry.id


def test_a_replay_counts_nothing_twice() -> None:
    entries = [stranger(), stranger(when=at(60))]

    assert folded(entries, {entries[0].id: at(60)}) == {}
    [entry] = folded([*entries, stranger(when=at(61))], {entries[0].id: at(60)}).values()
    assert entry.count == 1


def test_only_refusals_are_entries() -> None:
    voice = Voice()

    refused = refusal(voice.refused(NOON))
    intruded = refusal(voice.intruded(NOON, count=14, reason="wrong_key"))

    assert refused is not None
    assert (refused.kind, refused.operation, refused.code, refused.device) == ("refused", "update", "4.04", "dev-1")
    assert says(refused) == "We refused its update: registration unknown"
    assert intruded is not None
    assert says(intruded) == "Not let in: wrong key, 14 times"
    assert says(stranger(7)) == "Not let in: unknown identity 'who-7'"
    assert refusal(DeviceAwake(id="a", time=NOON, device="dev-1", tenant="ten-1", registration="r")) is None


def test_names_that_one_source_tries_are_told_by_a_few_and_the_number_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusal_module, "SOURCE_ENTRIES_MAX", 3)

    entries = bounded(*(stranger(number) for number in range(10)), stranger(99, address="192.0.2.8"))

    rest = [entry for entry in entries if entry.is_rest]
    assert [(one.identity, one.address, one.count) for one in rest] == [("", "192.0.2.7", 7)]
    assert says(rest[0]) == "Not let in: unknown identity under many other names, 7 times"
    assert "who-99" in {entry.identity for entry in entries}, "another source is not hidden by it"


def test_sources_without_number_are_told_by_one_entry_of_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_module, "STRANGERS_ENTRIES_MAX", 5)

    entries = bounded(*(stranger(number, address=f"198.51.100.{number}") for number in range(40)))

    assert len(entries) == 6
    assert [(one.address, one.count) for one in entries if one.is_rest] == [("", 35)]


def test_what_is_kept_already_takes_part_in_the_bounds_and_goes_on_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_module, "SOURCE_ENTRIES_MAX", 2)
    kept = stranger(0)

    entries = within_bounds(
        [stranger(0, when=at(9)), stranger(1, when=at(9))],
        {kept.id: NOON},
        {(kept.tenant, kept.device, kept.day, kept.source): 2},
    )

    assert [(entry.identity, entry.is_rest) for entry in entries] == [("who-0", False), ("", True)]


def test_a_flood_of_strangers_leaves_the_entries_of_devices_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_module, "STRANGERS_ENTRIES_MAX", 1)
    known = refusal(Voice().intruded(NOON))
    assert known is not None

    entries = bounded(*(stranger(number) for number in range(10)), known)

    assert known in entries


@pytest.mark.parametrize(
    ("address", "host", "source"),
    [
        ("192.0.2.7:40001", "192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("[2001:db8:1:2:3::9]:5684", "2001:db8:1:2:3::9", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::/64"),
        ("[::ffff:192.0.2.7]:1", "192.0.2.7", "192.0.2.7"),
        ("nowhere", "nowhere", "nowhere"),
        ("", "", ""),
    ],
)
def test_the_port_is_another_one_each_time_and_does_not_count(address: str, host: str, source: str) -> None:
    assert host_of(address) == host
    assert source_of(host) == source


def test_what_nobody_can_see_is_not_kept() -> None:
    entry = refusal(
        SecurityEvent(id="s", time=datetime.now(UTC), reason="unknown_identity", identity="a\x00b\u202e" * 99)
    )

    assert entry is not None
    assert entry.identity.startswith("a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}a")
    assert len(entry.identity) == 128
