"""What devices prove themselves with, in the words of the pages."""

from datetime import timedelta

from shoal.bff import heard_trust
from shoal.bff.screens.credentials import credential_line, new_credential
from tests.unit.bff.conftest import NOW


def test_a_state_of_a_newer_api_is_shown_as_in_use() -> None:
    assert credential_line(NOW, heard_trust.Credential(id="crd-1", state="sleeping"), "oxy-1").state == "current"


def test_only_what_would_stop_working_ends_soon() -> None:
    def ends_soon(state: str, days: int) -> bool:
        ends = NOW + timedelta(days=days)
        return credential_line(NOW, heard_trust.Credential(id="crd-1", state=state, expires_at=ends), "").ends_soon

    assert ends_soon("current", 29)
    assert not ends_soon("current", 31)
    assert not ends_soon("retiring", 1)
    assert not ends_soon("expired", -1)


def test_a_key_that_was_given_is_not_shown_back() -> None:
    made = heard_trust.NewCredential(id="crd-1", identity="oxy-1", key="aa")

    assert new_credential(made, is_key_given=True).key == ""
    assert new_credential(made, is_key_given=False).key == "aa"
