from datetime import UTC, datetime

from shoal.bff import heard
from shoal.bff.screens import objects

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)


def tree(*resources: dict[str, object], number: int = 3, name: str = "Device") -> heard.Object:
    return heard.Object.model_validate(
        {"object": number, "name": name, "instances": [{"instance": 0, "resources": list(resources)}]}
    )


def test_what_can_be_done_with_a_resource_comes_from_its_operations() -> None:
    screen = objects.objects_screen(
        NOW, [tree({"path": "/3/0/4", "operations": "E"}, {"path": "/3/0/13", "operations": "rw"})], []
    )

    reboot, clock = screen.objects[0].instances[0].resources
    assert (reboot.is_readable, reboot.is_writable, reboot.is_executable) == (False, False, True)
    assert (clock.is_readable, clock.is_writable, clock.is_executable) == (True, True, False)


def test_objects_are_in_the_order_of_their_numbers() -> None:
    screen = objects.objects_screen(NOW, [tree(number=3300), tree(number=1), tree(number=5)], [])

    assert [each.path for each in screen.objects] == ["/1", "/5", "/3300"]


def test_what_has_no_name_is_called_by_its_number() -> None:
    screen = objects.objects_screen(NOW, [tree({"path": "/31024/0/7"}, number=31024, name="")], [])

    assert screen.objects[0].name == "Object 31024"
    assert screen.objects[0].instances[0].resources[0].name == "Resource 7"


def test_what_a_browser_would_round_is_text() -> None:
    rows: list[dict[str, object]] = [
        {"path": "/1/0/1", "value": 2**64 - 1},
        {"path": "/1/0/2", "value": {"0": -(2**60), "1": 7}},
    ]

    screen = objects.objects_screen(NOW, [tree(*rows)], [])

    large, several = screen.objects[0].instances[0].resources
    assert large.value == "18446744073709551615"
    assert several.value == {"0": "-1152921504606846976", "1": 7}


def test_a_value_that_was_cut_is_shown_as_cut() -> None:
    rows: list[dict[str, object]] = [{"path": "/3/0/0", "value": "x", "is_cut": True}, {"path": "/3/0/1", "value": "x"}]

    screen = objects.objects_screen(NOW, [tree(*rows)], [])

    assert [one.is_cut for one in screen.objects[0].instances[0].resources] == [True, False]


def test_an_instance_is_made_of_what_can_be_written_and_of_what_must_be_there() -> None:
    said = heard.Object.model_validate(
        {
            "object": 1,
            "mandatory": True,
            "resources": [
                {"resource": 0, "operations": "R", "type": "integer", "mandatory": True},
                {"resource": 1, "operations": "RW", "type": "integer"},
                {"resource": 2, "operations": "R", "type": "integer"},
                {"resource": 8, "operations": "E", "type": "", "mandatory": True},
            ],
        }
    )

    [shown] = objects.objects_screen(NOW, [said], []).objects

    assert [field.id for field in shown.fields] == [0, 1]
    assert (shown.can_create, shown.can_delete, shown.is_known) == (True, True, True)


def test_what_every_device_has_once_is_neither_made_nor_deleted() -> None:
    said = heard.Object.model_validate(
        {"object": 3, "mandatory": True, "multiple": False, "instances": [{"instance": 0}]}
    )

    [shown] = objects.objects_screen(NOW, [said], []).objects

    assert (shown.can_create, shown.can_delete) == (False, False)


def test_what_is_wanted_and_what_is_done_are_shown_side_by_side() -> None:
    said = heard.Observation.model_validate(
        {
            "path": "/3/0/9",
            "origin": "device",
            "attributes": {"pmax": 60},
            "taken": {},
            "state": "established",
            "drift": True,
            "by": "Ida Vik",
            "version": 3,
        }
    )

    [shown] = objects.objects_screen(NOW, [], [said]).observations

    assert (shown.attributes, shown.taken, shown.has_drifted, shown.version) == ({"pmax": 60}, {}, True, 3)
