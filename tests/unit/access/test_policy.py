"""What each role may do: nothing is granted but by name."""

import pytest

from shoal.access.pattern import ALL, ITSELF, Pattern
from shoal.access.policy import (
    ALL_DEVICES,
    BUILT_IN,
    ROLES,
    Effect,
    Operation,
    Policy,
    Role,
    Who,
    WhoKind,
    closed_places,
    operations_of,
    who_is,
    who_is_device,
)


def test_every_role_has_its_policies_and_all_of_them_allow() -> None:
    assert set(ROLES) == set(Role)
    for role, policies in ROLES.items():
        assert policies
        assert {policy.who for policy in policies} == {Who(WhoKind.ROLE, role.value)}
    assert {policy.effect for policy in BUILT_IN} == {Effect.ALLOW}
    assert len({policy.id for policy in BUILT_IN}) == len(BUILT_IN)


def test_an_administrator_may_do_everything_and_an_operator_all_but_administer() -> None:
    assert operations_of(Role.ADMINISTRATOR) == set(Operation)
    assert set(Operation) - operations_of(Role.OPERATOR) == {Operation.ADMINISTER}


def test_a_viewer_only_looks_and_an_integrator_hears_too() -> None:
    assert operations_of(Role.VIEWER) == {Operation.READ}
    assert operations_of(Role.INTEGRATOR) == {Operation.READ, Operation.OBSERVE, Operation.DISCOVER}


def test_a_technician_writes_and_executes_only_what_is_named() -> None:
    wide = {op for policy in ROLES[Role.TECHNICIAN] if ALL in policy.paths for op in policy.operations}

    assert wide == {Operation.READ, Operation.OBSERVE, Operation.DISCOVER, Operation.ACKNOWLEDGE}
    assert not operations_of(Role.TECHNICIAN) & {Operation.ADMINISTER, Operation.UPDATE_FIRMWARE, Operation.DELETE}


def test_who_somebody_is_stands_in_the_id() -> None:
    assert who_is("usr-1") == Who(WhoKind.USER, "usr-1")
    assert who_is("dev-1").is_device
    with pytest.raises(ValueError, match="frm-1"):
        who_is("frm-1")


def test_a_place_is_closed_to_devices_by_what_is_denied_of_it_as_a_whole() -> None:
    def denied(place: str, *paths: Pattern) -> Policy:
        return Policy(
            id=place,
            effect=Effect.DENY,
            who=ALL_DEVICES,
            operations=frozenset({Operation.WRITE}),
            place=place,
            paths=paths,
        )

    found = closed_places([denied("enc-1", ALL), denied("frm-1", ITSELF), denied("enc-2", Pattern.parse("/3/*"))])

    assert found == {"enc-1", "frm-1"}
    assert who_is_device("dev-1", "camera") == (
        Who(WhoKind.DEVICE, "dev-1"),
        Who(WhoKind.DEVICES, "camera"),
        ALL_DEVICES,
    )
