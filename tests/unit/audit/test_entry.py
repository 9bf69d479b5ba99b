"""What a request says of an act."""

import pytest

from shoal.audit.entry import PATH_CHARACTERS_MAX, act_of, differing


@pytest.mark.parametrize(
    ("method", "path", "action", "resource", "thing"),
    [
        ("POST", "/farms", "create", "farms", None),
        ("PATCH", "/farms/frm-7K3M2QX4", "change", "farms", "frm-7K3M2QX4"),
        ("DELETE", "/enclosures/enc-7K3M2QX4", "delete", "enclosures", "enc-7K3M2QX4"),
        ("POST", "/farms/frm-7K3M2QX4/enclosures", "create", "enclosures", "frm-7K3M2QX4"),
        ("POST", "/devices/dev-7K3M2QX4:accept-claim", "accept-claim", "devices", "dev-7K3M2QX4"),
        ("POST", "/devices/dev-7K3M2QX4/credentials", "create", "credentials", "dev-7K3M2QX4"),
        ("POST", "/devices/dev-7K3M2QX4/updates/cmp-7K3M2QX4:cancel", "cancel", "updates", "cmp-7K3M2QX4"),
        ("PUT", "/users/usr-7K3M2QX4/password", "set", "password", "usr-7K3M2QX4"),
        ("DELETE", "/sessions/current", "delete", "sessions", None),
        ("PUT", "/devices/dev-7K3M2QX4/objects/3303/0/5601", "write", "objects", "dev-7K3M2QX4"),
        ("PATCH", "/devices/dev-7K3M2QX4/objects/3/0", "write", "objects", "dev-7K3M2QX4"),
        ("POST", "/devices/dev-7K3M2QX4/objects/3303", "create", "objects", "dev-7K3M2QX4"),
        ("POST", "/devices/dev-7K3M2QX4/objects/3/0/4", "execute", "objects", "dev-7K3M2QX4"),
        ("DELETE", "/devices/dev-7K3M2QX4/objects/3303/1", "delete", "objects", "dev-7K3M2QX4"),
        ("POST", "/", "create", "", None),
    ],
)
def test_an_address_and_a_method_say_what_is_done_to_what(
    method: str, path: str, action: str, resource: str, thing: str | None
) -> None:
    act = act_of(method, path)

    assert (act.action, act.resource, act.thing, act.path) == (action, resource, thing, path)


def test_a_long_address_is_cut() -> None:
    assert len(act_of("POST", "/farms/" + "x" * 10_000).path) == PATH_CHARACTERS_MAX


def test_of_an_edit_only_what_is_another_now_is_told() -> None:
    before = {"name": "North", "kind": "pen", "enclosure": "enc-1"}

    assert differing(before, {"name": "South", "kind": "pen", "enclosure": None}) == (
        {"name": "North", "enclosure": "enc-1"},
        {"name": "South", "enclosure": None},
    )
