"""Devices are found by place, kind and a piece of their name, page by page."""

from datetime import timedelta

import pytest

from shoal.ids import DeviceId, TenantId
from shoal.inventory.claim import Claimed, PlaceState, Via
from shoal.inventory.device import Kind
from shoal.inventory.device_rows import (
    DeviceFilter,
    device_of,
    device_query,
    dispute_columns,
    dispute_of,
    registration_row,
)
from shoal.inventory.presence import EndedBy, Registration
from shoal.inventory.tables import devices, registrations
from tests.harness.installation import START, Installation

REGISTRATION = Registration(
    id="reg-1",
    version="1.1",
    lifetime=timedelta(seconds=300),
    binding="UQ",
    queue_mode=True,
    secure=True,
    address="192.0.2.1:5683",
    objects=(("/3/0", None), ("/5/0", "1.1")),
    registered_at=START,
    updated_at=START,
    last_heard_at=START + timedelta(seconds=1),
    expires_at=None,
    ended_at=START + timedelta(seconds=2),
    ended_by=EndedBy.DEREGISTERED,
)


async def test_a_registration_comes_back_from_its_row_as_it_was(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)

    async with shoal.database.transaction() as tx:
        await tx.execute(registrations.insert().values(registration_row(device.id, REGISTRATION)))
        [row] = await tx.rows(device_query(tenant))

    assert device_of(row).registration == REGISTRATION


async def test_a_dispute_comes_back_from_its_row_as_it_was(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    enclosure = await shoal.create_enclosure(tenant, await shoal.create_farm(tenant))
    device = await shoal.create_device(tenant, enclosure=enclosure)
    async with shoal.database.transaction() as tx:
        [row] = await tx.rows(device_query(tenant))
        before = dispute_of(row)
        changed = type(before)(
            place=before.place,
            state=PlaceState.UNKNOWN,
            claim=Claimed("pen four", Via.QUERY, START),
            refused="pen three",
            placement="/26241/0/0",
        )

        await tx.execute(devices.update().where(devices.c.id == device.id).values(dispute_columns(changed)))
        [row] = await tx.rows(device_query(tenant))

    assert before.place == device.place
    assert dispute_of(row) == changed


async def names(shoal: Installation, tenant: TenantId, wanted: DeviceFilter) -> list[str]:
    page = await shoal.inventory.devices(tenant, wanted)
    assert await shoal.inventory.count_devices(tenant, wanted) == len(page.items)
    return [device.endpoint for device in page.items]


@pytest.fixture
async def fleet(shoal: Installation) -> tuple[TenantId, dict[str, DeviceId], dict[str, str]]:
    tenant = await shoal.create_tenant()
    other = await shoal.create_tenant("Other")
    north, south = await shoal.create_farm(tenant, "North"), await shoal.create_farm(tenant, "South")
    pen, pond = await shoal.create_enclosure(tenant, north, "Pen"), await shoal.create_enclosure(tenant, south, "Pond")
    ids = {
        "cam-1": (await shoal.create_device(tenant, "cam-1", pen, Kind.CAMERA)).id,
        "oxy-1": (await shoal.create_device(tenant, "oxy-1", pen)).id,
        "oxy-2": (await shoal.create_device(tenant, "oxy-2", pond)).id,
        "OXY_3%": (await shoal.create_device(tenant, "OXY_3%")).id,
    }
    await shoal.create_device(other, "oxy-9")
    return tenant, ids, {"north": north, "south": south, "pen": pen, "pond": pond}


async def test_every_filter_narrows_the_list(
    shoal: Installation, fleet: tuple[TenantId, dict[str, DeviceId], dict[str, str]]
) -> None:
    tenant, ids, places = fleet

    async def found(**wanted: object) -> list[str]:
        return await names(shoal, tenant, DeviceFilter(**wanted))  # type: ignore[arg-type]

    assert await found() == ["OXY_3%", "cam-1", "oxy-1", "oxy-2"]
    assert await found(farm=places["north"]) == ["cam-1", "oxy-1"]
    assert await found(enclosure=places["pond"]) == ["oxy-2"]
    assert await found(is_placed=False) == ["OXY_3%"]
    assert await found(is_placed=True) == ["cam-1", "oxy-1", "oxy-2"]
    assert await found(kind=Kind.CAMERA) == ["cam-1"]
    assert await found(q="Oxy") == ["OXY_3%", "oxy-1", "oxy-2"]
    assert await found(q="oxy", farm=places["north"]) == ["oxy-1"]
    assert await found(among=[ids["cam-1"], ids["oxy-2"]]) == ["cam-1", "oxy-2"]
    assert await found(among=[]) == []


async def test_what_is_looked_for_is_taken_as_it_is_written(
    shoal: Installation, fleet: tuple[TenantId, dict[str, DeviceId], dict[str, str]]
) -> None:
    tenant, _, _ = fleet

    assert await names(shoal, tenant, DeviceFilter(q="%")) == ["OXY_3%"]
    assert await names(shoal, tenant, DeviceFilter(q="y_")) == ["OXY_3%"]
    assert await names(shoal, tenant, DeviceFilter(q="'; DROP TABLE devices")) == []


async def test_pages_follow_each_other(
    shoal: Installation, fleet: tuple[TenantId, dict[str, DeviceId], dict[str, str]]
) -> None:
    tenant, _, _ = fleet

    first = await shoal.inventory.devices(tenant, limit=3)
    second = await shoal.inventory.devices(tenant, cursor=first.next, limit=3)

    assert [device.endpoint for device in first.items] == ["OXY_3%", "cam-1", "oxy-1"]
    assert [device.endpoint for device in second.items] == ["oxy-2"]
    assert second.next is None
