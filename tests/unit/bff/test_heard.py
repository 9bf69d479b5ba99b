from shoal.bff import heard, heard_access


def test_a_null_counts_as_not_said() -> None:
    device = heard.Device.model_validate({"id": "dev-1", "vitals": None, "flags": None, "status": None})

    assert (device.status, device.flags.asleep, device.vitals.battery_percent) == ("new", False, None)


def test_fields_of_a_newer_api_are_passed_over() -> None:
    assert heard.Farm.model_validate({"id": "frm-1", "colour": "blue"}).id == "frm-1"


def test_a_vital_may_be_a_bare_value_or_carry_its_time() -> None:
    vitals = heard.Vitals.model_validate(
        {"battery_percent": 71, "signal_dbm": {"value": -90, "at": "2026-11-21T12:00:00Z"}}
    )

    assert vitals.battery_percent is not None
    assert vitals.battery_percent.value == 71
    assert vitals.signal_dbm is not None
    assert vitals.signal_dbm.at is not None


def test_quantities_may_come_as_a_list_or_by_name() -> None:
    by_name = heard.Coverage.model_validate(
        {"enclosure": "enc-1", "quantities": {"oxygen": {"alive": 1, "expected": 2}}}
    )
    as_list = heard.Coverage.model_validate(
        {"enclosure": "enc-1", "quantities": [{"quantity": "oxygen", "alive": 1, "expected": 2}]}
    )

    assert by_name == as_list


def test_those_asleep_are_healthy_and_not_counted_twice() -> None:
    counts = heard.Health.model_validate({"counts": {"healthy": 5, "asleep": 3, "silent": 1}})

    assert (counts.devices, counts.asleep) == (6, 3)


def test_a_tenant_or_a_user_may_be_a_name_or_a_thing_with_one() -> None:
    assert (
        heard_access.Me.model_validate({"user": {"id": "usr-1", "name": "Ida Vik"}, "tenant": "Nordvik"}).user
        == "Ida Vik"
    )
    assert heard_access.Me.model_validate({"user": {"email": "ida@nordvik.example"}}).user == "ida@nordvik.example"
