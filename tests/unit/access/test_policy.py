"""What each role may do: nothing is granted but by name."""

from shoal.access.policy import GRANTS, Grant, Operation, Role


def test_every_role_has_its_grant() -> None:
    assert set(GRANTS) == set(Role)
    assert {role: grant.role for role, grant in GRANTS.items()} == {role: role for role in Role}


def test_an_administrator_may_do_everything() -> None:
    assert all(GRANTS[Role.ADMINISTRATOR].covers(operation) for operation in Operation)


def test_a_viewer_only_looks() -> None:
    assert {operation for operation in Operation if GRANTS[Role.VIEWER].covers(operation)} == {Operation.READ}


def test_an_empty_grant_covers_nothing() -> None:
    assert not any(Grant(Role.VIEWER, frozenset()).covers(operation) for operation in Operation)
