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
        NOW, [tree({"path": "/3/0/4", "operations": "E"}, {"path": "/3/0/13", "operations": "rw"})]
    )

    reboot, clock = screen.objects[0].instances[0].resources
    assert (reboot.is_readable, reboot.is_writable, reboot.is_executable) == (False, False, True)
    assert (clock.is_readable, clock.is_writable, clock.is_executable) == (True, True, False)


def test_objects_are_in_the_order_of_their_numbers() -> None:
    screen = objects.objects_screen(NOW, [tree(number=3300), tree(number=1), tree(number=5)])

    assert [each.path for each in screen.objects] == ["/1", "/5", "/3300"]


def test_what_has_no_name_is_called_by_its_number() -> None:
    screen = objects.objects_screen(NOW, [tree({"path": "/31024/0/7"}, number=31024, name="")])

    assert screen.objects[0].name == "Object 31024"
    assert screen.objects[0].instances[0].resources[0].name == "Resource 7"
