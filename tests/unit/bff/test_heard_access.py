"""What the API says of policies is read tolerantly."""

from shoal.bff.heard_access import AccessControl, AccessPolicy, Explained


def test_a_null_counts_as_not_said() -> None:
    policy = AccessPolicy.model_validate({"id": "pol-1", "place": None, "who": {"kind": "everybody", "id": None}})

    assert (policy.place, policy.who.id, policy.paths) == (None, None, [])


def test_without_a_word_nothing_is_allowed() -> None:
    assert Explained.model_validate({}).decision == "denied"


def test_without_a_word_a_device_is_shared_with_nobody() -> None:
    heard = AccessControl.model_validate({"own": None, "controls": [{"path": "/3/0", "reason": None}]})

    assert (heard.shared, heard.own, heard.controls[0].reason) == (False, None, "")
