"""Other servers of a device are shown where there are some."""

from shoal.bff import heard
from shoal.bff.heard_access import AccessControl
from shoal.bff.screens.sharing import may_be_shared, other_servers


def an_object(number: int, instances: int) -> heard.Object:
    listed = [{"path": f"/{number}/{one}", "instance": one} for one in range(instances)]
    return heard.Object.model_validate({"object": number, "instances": listed})


def test_it_is_asked_only_about_a_device_that_shows_several_servers_and_object_2() -> None:
    assert may_be_shared([an_object(1, 2), an_object(2, 0)])
    assert not may_be_shared([an_object(1, 1), an_object(2, 3)])
    assert not may_be_shared([an_object(1, 2), an_object(3, 1)])
    assert not may_be_shared([])


def test_servers_that_may_nothing_and_need_nothing_are_left_out() -> None:
    rights = [
        {"server": "*", "wanted": [], "found": []},
        {"server": "102", "wanted": ["read"], "found": []},
    ]
    control = {"path": "/3/0", "state": "refused", "drift": True, "reason": "The device refused it", "rights": rights}
    said = {"shared": True, "own": 101, "servers": [101, 102], "ruled": True, "drift": True, "controls": [control]}

    shown = other_servers(AccessControl.model_validate(said))

    assert shown is not None
    assert (shown.own, shown.servers, shown.is_drift) == (101, [102], True)
    assert [(one.server, one.wanted, one.found) for one in shown.controls[0].rights] == [("102", ["read"], [])]


def test_one_server_is_nothing_to_show() -> None:
    assert other_servers(None) is None
    assert other_servers(AccessControl()) is None
