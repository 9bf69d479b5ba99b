"""What may be the name, the kind and the security of a device."""

from datetime import UTC, datetime

import pytest

from shoal.errors import Rejected
from shoal.ids import DeviceId, EnclosureId, FarmId, TenantId
from shoal.inventory.claim import PlaceState
from shoal.inventory.device import (
    ENDPOINT_BYTES_MAX,
    PROFILE_OF_KIND,
    Device,
    Kind,
    Security,
    parse_device_kind,
    parse_endpoint,
    parse_security,
)
from shoal.inventory.profile import BUILT_IN, ProfileId


@pytest.mark.parametrize(
    "name", ["oxy-0417", "urn:imei:004999010640000", "fjord sør 3", "å" * (ENDPOINT_BYTES_MAX // 2)]
)
def test_an_endpoint_is_kept_exactly_as_the_device_sends_it(name: str) -> None:
    assert parse_endpoint(name) == name


@pytest.mark.parametrize(
    "name", ["", " oxy", "oxy\n", "oxy\x00", "o\u200bxy", "x" * (ENDPOINT_BYTES_MAX + 1), "å" * 65, "\ud800"]
)
def test_an_endpoint_that_nobody_could_type_or_see_is_refused(name: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_endpoint(name)

    assert caught.value.subject == "endpoint"


def test_kind_and_security_are_words_of_a_short_list() -> None:
    assert parse_device_kind("camera") is Kind.CAMERA
    assert parse_security("psk") is Security.PSK
    for parse in (parse_device_kind, parse_security):
        with pytest.raises(Rejected):
            parse("Camera!")


def test_every_kind_has_a_profile_that_every_tenant_has() -> None:
    assert set(PROFILE_OF_KIND) == set(Kind)
    assert set(PROFILE_OF_KIND.values()) <= set(BUILT_IN)


def test_a_device_knows_its_place_down_to_itself() -> None:
    device = Device(
        id=DeviceId("dev-1"),
        tenant=TenantId("ten-1"),
        farm=FarmId("frm-1"),
        farm_name="Storholmen",
        enclosure=EnclosureId("enc-1"),
        enclosure_name="Pen 1",
        endpoint="oxy",
        name="oxy",
        kind=Kind.SENSOR,
        security=Security.PSK,
        profile=ProfileId("prf-1"),
        place_state=PlaceState.AGREED,
        claim=None,
        registration=None,
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        version=1,
    )

    place = device.place

    assert (place.tenant, place.farm, place.enclosure, place.device) == ("ten-1", "frm-1", "enc-1", "dev-1")
