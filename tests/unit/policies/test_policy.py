"""A policy as people write it."""

import pytest

from shoal.access.pattern import ALL, ITSELF, Pattern
from shoal.access.policy import OTHER_SERVERS, Effect, Operation, Who, WhoKind
from shoal.errors import Rejected
from shoal.ids import Prefix, new_id
from shoal.policies.policy import (
    NOTE_CHARACTERS_MAX,
    PATHS_MAX,
    check_effect,
    parse_note,
    parse_operations,
    parse_paths,
    parse_place,
    parse_who,
)

TENANT = new_id(Prefix.TENANT)


def test_whom_it_names_fits_the_kind() -> None:
    user = new_id(Prefix.USER)

    assert parse_who(WhoKind.USER, user.lower()) == Who(WhoKind.USER, user)
    assert parse_who(WhoKind.ROLE, "viewer") == Who(WhoKind.ROLE, "viewer")
    assert parse_who(WhoKind.DEVICES, None) == Who(WhoKind.DEVICES)
    assert parse_who(WhoKind.EVERYBODY, "") == Who(WhoKind.EVERYBODY)
    assert parse_who(WhoKind.SERVER, " 102 ") == Who(WhoKind.SERVER, "102")
    assert parse_who(WhoKind.SERVER, "*") == OTHER_SERVERS
    for kind, id_ in (
        (WhoKind.EVERYBODY, user),
        (WhoKind.ROLE, "king"),
        (WhoKind.ROLE, None),
        (WhoKind.DEVICES, "boat"),
        (WhoKind.TOKEN, user),
        (WhoKind.USER, None),
        (WhoKind.SERVER, None),
        (WhoKind.SERVER, "0"),
        (WhoKind.SERVER, "65535"),
        (WhoKind.SERVER, "-1"),
    ):
        with pytest.raises(Rejected):
            parse_who(kind, id_)


def test_a_place_is_the_tenants_own() -> None:
    farm = new_id(Prefix.FARM)

    assert parse_place(None, TENANT) == parse_place(" ", TENANT) == parse_place(TENANT.lower(), TENANT) == TENANT
    assert parse_place(farm.lower(), TENANT) == farm
    for wrong in (new_id(Prefix.TENANT), new_id(Prefix.USER), "everywhere"):
        with pytest.raises(Rejected):
            parse_place(wrong, TENANT)


def test_paths_are_some_and_the_widest_stands_alone() -> None:
    assert parse_paths(["/3", "/3/*", "/5/0/1"]) == (Pattern((3,)), Pattern((5, 0, 1)))
    assert parse_paths(["/3", "*"]) == (ALL,)
    for wrong in ([], ["/3"] * (PATHS_MAX + 1), ["x"]):
        with pytest.raises(Rejected):
            parse_paths(wrong)


def test_a_device_reports_and_does_nothing_else() -> None:
    cameras = Who(WhoKind.DEVICES, "camera")

    assert parse_operations([Operation.WRITE], cameras) == {Operation.WRITE}
    with pytest.raises(Rejected):
        parse_operations([Operation.READ], cameras)
    with pytest.raises(Rejected):
        parse_operations([], Who(WhoKind.EVERYBODY))
    check_effect(Effect.DENY, cameras, (ALL,))
    with pytest.raises(Rejected):
        check_effect(Effect.ALLOW, cameras, (ALL,))


def test_another_server_does_what_object_2_has_a_bit_for_and_sees_no_device_itself() -> None:
    supplier = Who(WhoKind.SERVER, "102")

    assert parse_operations([Operation.READ, Operation.CREATE], supplier) == {Operation.READ, Operation.CREATE}
    for wrong in (Operation.OBSERVE, Operation.DISCOVER, Operation.UPDATE_FIRMWARE, Operation.ADMINISTER):
        with pytest.raises(Rejected):
            parse_operations([Operation.READ, wrong], supplier)
    check_effect(Effect.ALLOW, supplier, (ITSELF, ALL))
    with pytest.raises(Rejected):
        check_effect(Effect.ALLOW, supplier, (ITSELF,))


def test_a_note_is_short_and_can_be_seen() -> None:
    assert parse_note("  why  ") == "why"
    for wrong in ("x" * (NOTE_CHARACTERS_MAX + 1), "a\x00b"):
        with pytest.raises(Rejected):
            parse_note(wrong)
