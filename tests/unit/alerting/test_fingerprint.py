"""Same problem, same alert."""

from itertools import combinations

from shoal.alerting.fingerprint import fingerprint


def test_late_and_silent_are_one_problem() -> None:
    assert fingerprint("ten-1", "dev-1", "late", "") == fingerprint("ten-1", "dev-1", "silent", "")


def test_other_devices_conditions_instances_and_tenants_are_other_problems() -> None:
    marks = [
        fingerprint("ten-1", "dev-1", "battery_low", ""),
        fingerprint("ten-1", "dev-1", "battery_low", "3411/0"),
        fingerprint("ten-1", "dev-1", "silent", ""),
        fingerprint("ten-1", "dev-2", "silent", ""),
        fingerprint("ten-2", "dev-1", "silent", ""),
    ]

    assert all(one != other for one, other in combinations(marks, 2))
    assert all(len(mark) == 32 for mark in marks)
