"""Whatever comes in a second, what waits to be written is bounded, and every refusal is counted."""

from shoal.history.folding import OTHERS_MAX, WAITING_MAX, Folding
from shoal.history.refusal import Refusal
from tests.harness.findings import NOON, at


def asked(number: int = 0, *, subject: str = "usr-1", when: float = 0, tenant: str = "ten-1") -> Refusal:
    return Refusal(
        tenant=tenant,
        device="",
        kind="denied",
        reason="no_policy_allows",
        operation="write",
        identity="Kari" if subject else "",
        subject=subject,
        place=f"dev-{number}" if subject else "",
        address=f"192.0.2.{number % 250}",
        count=1,
        first_at=at(when),
        last_at=at(when),
    )


def test_what_is_alike_is_one_with_its_first_and_last_moment() -> None:
    folding = Folding()
    for when in range(1_000):
        folding.add(asked(when=when))

    [entry] = folding.take()

    assert (entry.count, entry.first_at, entry.last_at) == (1_000, NOON, at(999))
    assert folding.take() == []


def test_who_asks_for_too_many_things_is_told_as_one_who_asks_for_many() -> None:
    folding = Folding()
    for number in range(WAITING_MAX + 1_000):
        folding.add(asked(number))

    entries = folding.take()
    [others] = [entry for entry in entries if entry.is_rest]

    assert len(entries) == WAITING_MAX + 1
    assert (others.subject, others.place, others.address, others.count) == ("usr-1", "", "", 1_000)


def test_more_askers_than_can_be_told_apart_are_counted_by_tenant_and_reason() -> None:
    folding = Folding()
    for number in range(5_000):
        folding.add(asked(number, subject=f"usr-{number}", tenant=f"ten-{number % 2}"))

    entries = folding.take()

    assert len(entries) == WAITING_MAX + OTHERS_MAX + 2
    assert sum(entry.count for entry in entries) == 5_000
    assert [(entry.tenant, entry.subject) for entry in entries[-2:]] == [("ten-0", ""), ("ten-1", "")]


def test_strangers_beyond_the_bound_are_told_by_where_they_are() -> None:
    folding = Folding()
    for number in range(WAITING_MAX):
        folding.add(asked(number))
    for number in (7, 8, 7):
        folding.add(asked(number, subject=""))

    others = [entry for entry in folding.take() if entry.is_rest]

    assert [(entry.address, entry.count) for entry in others] == [("192.0.2.7", 2), ("192.0.2.8", 1)]
