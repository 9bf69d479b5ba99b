from shoal.bff import heard_calls


def test_a_policy_says_what_it_leaves_to_the_severity() -> None:
    policy = heard_calls.Policy.model_validate(
        {"id": "pol-1", "steps": [{"after_s": 60, "contacts": ["con-1"], "colour": "red"}], "acknowledge_s": None}
    )

    assert (policy.acknowledge_s, policy.steps[0].after_s, policy.steps[0].at_once) == (None, 60, False)


def test_a_secret_is_there_only_when_it_was_just_made() -> None:
    known = {"id": "chn-1", "name": "Duty phone", "latest": {"about": "test", "state": "sent"}}

    assert heard_calls.Channel.model_validate(known).secret == ""
    assert heard_calls.Channel.model_validate(known | {"secret": "whsec_x"}).secret == "whsec_x"
