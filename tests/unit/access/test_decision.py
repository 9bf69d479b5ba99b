"""May this one do that, there? No grant means no, and no role reaches into another tenant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.access.decision import ANOTHER_TENANT, Allowed, Denied, Place, Subject, decide, require
from shoal.access.policy import GRANTS, Grant, Operation, Role
from shoal.errors import Forbidden, NotFound
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId

tenants = st.sampled_from([TenantId("ten-1"), TenantId("ten-2"), TenantId("ten-3")])
subjects = st.builds(Subject, tenant=tenants, role=st.sampled_from(Role), id=st.just("usr-1"), name=st.just("Kari"))
places = st.builds(
    Place,
    tenant=tenants,
    farm=st.none() | st.just(FarmId("frm-1")),
    enclosure=st.none() | st.just(EnclosureId("enc-1")),
    device=st.none() | st.just(DeviceId("dev-1")),
)
operations = st.sampled_from(Operation)
grants = st.dictionaries(
    st.sampled_from(Role), st.builds(Grant, role=st.sampled_from(Role), operations=st.frozensets(operations))
)


@given(subjects, operations, places, grants)
def test_nobody_reaches_into_another_tenant_whatever_is_granted(
    subject: Subject, operation: Operation, place: Place, granted: dict[Role, Grant]
) -> None:
    decision = decide(subject, operation, place, granted)

    if subject.tenant != place.tenant:
        assert decision == Denied(ANOTHER_TENANT, is_hidden=True)


@given(subjects, operations, places, grants)
def test_allowed_is_only_what_was_granted_by_name(
    subject: Subject, operation: Operation, place: Place, granted: dict[Role, Grant]
) -> None:
    is_granted = subject.role in granted and operation in granted[subject.role].operations

    is_allowed = isinstance(decide(subject, operation, place, granted), Allowed)

    assert is_allowed == (is_granted and subject.tenant == place.tenant)


@given(subjects, operations, places)
def test_require_agrees_with_decide(subject: Subject, operation: Operation, place: Place) -> None:
    match decide(subject, operation, place):
        case Allowed():
            require(subject, operation, place)
        case Denied(is_hidden=True):
            with pytest.raises(NotFound):
                require(subject, operation, place)
        case Denied():
            with pytest.raises(Forbidden):
                require(subject, operation, place)


@pytest.mark.parametrize("operation", Operation)
def test_what_administrator_and_viewer_may_do_in_their_tenant(operation: Operation) -> None:
    place = Place(tenant=TenantId("ten-1"), device=DeviceId("dev-1"))
    boss = Subject(tenant=TenantId("ten-1"), role=Role.ADMINISTRATOR, id="usr-1", name="Kari")
    guest = Subject(tenant=TenantId("ten-1"), role=Role.VIEWER, id="usr-2", name="Ola")

    assert decide(boss, operation, place) == Allowed()
    assert isinstance(decide(guest, operation, place), Allowed) == (operation is Operation.READ)


def test_a_place_of_another_tenant_is_not_even_told_to_exist() -> None:
    stranger = Subject(tenant=TenantId("ten-2"), role=Role.ADMINISTRATOR, id="usr-9", name="Eve")

    with pytest.raises(NotFound) as caught:
        require(stranger, Operation.READ, Place(tenant=TenantId("ten-1"), device=DeviceId("dev-1")))

    assert str(caught.value) == "dev-1: not found"


def test_a_refusal_names_what_was_missing() -> None:
    guest = Subject(tenant=TenantId("ten-1"), role=Role.VIEWER, id="usr-2", name="Ola")

    with pytest.raises(Forbidden) as caught:
        require(guest, Operation.EXECUTE, Place(tenant=TenantId("ten-1")))

    assert (caught.value.subject, caught.value.facts["role"]) == ("execute", "viewer")
    assert Role.VIEWER in GRANTS
