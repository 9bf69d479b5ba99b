import pytest

from shoal.bff.screens import vocabulary


@pytest.mark.parametrize("status", vocabulary.STATUSES)
def test_every_status_of_the_api_is_drawn_as_it_is(status: vocabulary.Status) -> None:
    assert vocabulary.status_of(status) == status
    assert status in vocabulary.STATUS_RANK


def test_words_of_a_newer_api_are_drawn_as_the_nearest() -> None:
    assert vocabulary.status_of("quarantined") == "degraded"
    assert vocabulary.look_of("P1 wake everybody") == "warning"
    assert vocabulary.alert_state_of("snoozed") == "open"
    assert vocabulary.place_state_of("lost") == "agreed"


def test_a_tenants_severity_is_drawn_whatever_its_case() -> None:
    assert vocabulary.look_of("Critical") == "critical"
