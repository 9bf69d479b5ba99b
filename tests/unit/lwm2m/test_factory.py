"""The account that a device has from its factory."""

from datetime import timedelta

import pytest

from shoal.errors import Rejected
from shoal.lwm2m import Certificate
from shoal.lwm2m.factory import factory_account, server_object, without_accounts

URI = "coaps://192.0.2.1:5686"


@pytest.mark.parametrize(("server", "binding"), [(URI, "U"), ("coap+tcp://192.0.2.1", "T")])
def test_every_device_knows_its_server(server: str, binding: str) -> None:
    known = server_object(server, timedelta(minutes=5))

    assert known == {"/1/0/0": 1, "/1/0/1": 300, "/1/0/6": True, "/1/0/7": binding}


def test_each_way_to_prove_oneself_has_its_mode() -> None:
    certificate = Certificate([b"own"], b"key", [b"authority"], "bootstrap.example")

    nothing = factory_account("coap://192.0.2.1", None, None, None)
    key = factory_account(URI, "oxy-0417", b"k", None)
    shown = factory_account(URI, None, None, certificate)

    assert (nothing["/0/0/2"], key["/0/0/2"], shown["/0/0/2"]) == (3, 0, 2)
    assert (key["/0/0/3"], key["/0/0/5"]) == (b"oxy-0417", b"k")
    assert (shown["/0/0/4"], shown["/0/0/15"], shown["/0/0/14"]) == (b"authority", 2, "bootstrap.example")


@pytest.mark.parametrize(
    "certificate", [Certificate([b"a", b"b"], b"key", [b"c"]), Certificate([b"a"], b"key", [b"c", b"d"])]
)
def test_what_object_0_has_no_room_for_is_refused(certificate: Certificate) -> None:
    with pytest.raises(Rejected):
        factory_account(URI, None, None, certificate)


def test_accounts_are_told_from_other_values() -> None:
    assert without_accounts({"/0/0/0": "x", "/1/0/1": 1, "/2/0/0": 3, "/21/0/0": 1, "/3/0/9": 87}) == {"/3/0/9": 87}
