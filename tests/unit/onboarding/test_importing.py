"""Many devices of a file: all of it is looked at before anything is made, and what is there is never changed by it."""

import io
from collections.abc import Sequence

import pytest

from shoal.access.decision import Place
from shoal.errors import Forbidden, Rejected, Unavailable
from shoal.ids import DeviceId, TenantId
from shoal.inventory.store import Inventory
from shoal.onboarding import importing
from shoal.onboarding.adding import Added
from shoal.onboarding.file import read_rows
from shoal.onboarding.importing import Import, MayAdd
from shoal.storage.database import Transaction
from tests.harness.installation import Installation


class Kept:
    """Keeps the keys of devices as a file would."""

    def __init__(self) -> None:
        self.keys: dict[str, str | None] = {}

    def __call__(self, added: Sequence[Added]) -> None:
        self.keys |= {one.device.endpoint: one.key for one in added}


class Told:
    """Who made what, as the audit log hears it."""

    def __init__(self) -> None:
        self.devices: list[DeviceId] = []

    async def __call__(self, _: Transaction, added: Added) -> None:
        self.devices.append(added.device.id)


def reading(shoal: Installation, tenant: TenantId, text: str, may_add: MayAdd = lambda _: None) -> Import:
    return Import(shoal, tenant, lambda: read_rows(io.BytesIO(text.encode())), may_add=may_add)


async def endpoints(shoal: Installation, tenant: TenantId) -> list[str]:
    return [device.endpoint for device in (await shoal.inventory.devices(tenant)).items]


async def test_a_file_becomes_devices_with_keys_and_the_same_file_again_becomes_nothing(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    pen = await shoal.create_enclosure(tenant, await shoal.create_farm(tenant))
    text = f"endpoint,enclosure,identity,key\na,{pen},,\nb,,b-key,00112233445566778899\n"
    work, kept, told = reading(shoal, tenant, text), Kept(), Told()

    looked = await work.check()
    assert (looked.new, looked.there, looked.wrong, looked.keys) == (2, 0, 0, 1)
    assert await endpoints(shoal, tenant) == []

    assert (await work.write(kept, told, by="Kari")).new == 2
    devices = await shoal.inventory.devices_named(tenant, ["a", "b"])
    assert {name: device.enclosure for name, device in devices.items()} == {"a": pen, "b": None}
    assert (kept.keys["a"] or "").isalnum()
    assert kept.keys["b"] is None
    assert told.devices == [devices["a"].id, devices["b"].id]
    before = {name: await shoal.credentials.of_device(tenant, one.id) for name, one in devices.items()}

    again = await work.write(kept, told, by="Kari")
    assert (again.new, again.there) == (0, 2)
    assert await shoal.inventory.devices_named(tenant, ["a", "b"]) == devices
    assert {name: await shoal.credentials.of_device(tenant, one.id) for name, one in devices.items()} == before
    assert len(told.devices) == 2


@pytest.mark.parametrize(
    ("row", "differs"),
    [
        ("a,sensor,,Oxygen,psk,a-key,00112233445566778899", None),
        ("a,,,,,,", None),
        ("a,camera,,,,,", "kind"),
        ("a,,,Other,,,", "name"),
        ("a,,{pen},,,,", "enclosure"),
        ("a,,,,x509,,", "mode"),
        ("a,,,,,other-key,", "identity"),
        ("a,,,,,a-key,ffeeddccbbaa99887766", "key"),
        ("a,camera,,Other,,,", "kind and name"),
    ],
)
async def test_a_device_that_is_there_and_another_is_an_error_and_stays_as_it_is(
    row: str, differs: str | None, shoal: Installation
) -> None:
    tenant = await shoal.create_tenant()
    pen = await shoal.create_enclosure(tenant, await shoal.create_farm(tenant))
    header = "endpoint,kind,enclosure,name,mode,identity,key\n"
    first = f"{header}a,sensor,,Oxygen,psk,a-key,00112233445566778899\n"
    await reading(shoal, tenant, first).write(Kept(), Told(), by="Kari")
    [was] = (await shoal.inventory.devices(tenant)).items

    report = await reading(shoal, tenant, header + row.format(pen=pen)).write(
        Kept(), Told(), by="Kari", skips_wrong=True
    )

    assert report.there == (differs is None)
    assert [fault.says for fault in report.faults] == (
        [] if differs is None else [f"endpoint: is there already as {was.id}, with another {differs}"]
    )
    assert (await shoal.inventory.devices(tenant)).items == [was]


async def test_names_of_another_tenant_are_not_told_and_its_enclosures_are_not_there(shoal: Installation) -> None:
    theirs, ours = await shoal.create_tenant("Sørvik"), await shoal.create_tenant("Nordvik")
    pen = await shoal.create_enclosure(theirs, await shoal.create_farm(theirs))
    await reading(shoal, theirs, "endpoint,identity\na,shared\n").write(Kept(), Told(), by="Ola")

    report = await reading(shoal, ours, f"endpoint,identity,enclosure\na,,\nb,shared,\nc,,{pen}\n").check()

    assert report.new == 1
    assert [str(fault) for fault in report.faults] == [
        "line 3 (b): identity: another device has this identity",
        f"line 4 (c): {pen}: no such enclosure",
    ]


async def test_whoever_may_not_add_devices_in_a_place_adds_none_there(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    farm = await shoal.create_farm(tenant)
    mine, other = await shoal.create_enclosure(tenant, farm, "Mine"), await shoal.create_enclosure(tenant, farm)

    def may_add(place: Place) -> None:
        if place.enclosure != mine:
            raise Forbidden("create", "no policy allows it")

    report = await reading(shoal, tenant, f"endpoint,enclosure\na,{mine}\nb,{other}\nc,\n", may_add).check()

    assert (report.new, report.wrong) == (1, 2)


async def test_rows_that_are_wrong_keep_the_whole_file_out_unless_they_are_left_out(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    work = reading(shoal, tenant, "endpoint,identity\na,x\nb,x\na,\n,\n")

    report = await work.check()
    assert [str(fault) for fault in report.faults] == [
        "line 3 (b): identity: stands in line 2 already",
        "line 4 (a): endpoint: stands in line 2 already",
        "line 5: endpoint: 0 bytes, expected 1 to 128",
    ]
    with pytest.raises(Rejected, match="line 3"):
        await work.write(Kept(), Told(), by="Kari")
    assert await endpoints(shoal, tenant) == []
    await work.write(Kept(), Told(), by="Kari", skips_wrong=True)
    assert await endpoints(shoal, tenant) == ["a"]


async def test_of_many_mistakes_some_are_told_and_all_are_counted(
    shoal: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "FAULTS_TOLD_MAX", 3)
    tenant = await shoal.create_tenant()

    report = await reading(shoal, tenant, "endpoint,kind\n" + "a,fish\n" * 10).check()

    assert (report.wrong, len(report.faults)) == (10, 3)


async def test_what_was_interrupted_goes_on_with_the_same_file(
    shoal: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ROWS_PER_LOOK", 7)
    monkeypatch.setattr(importing, "DEVICES_PER_TRANSACTION", 3)
    tenant = await shoal.create_tenant()
    text = "endpoint\n" + "".join(f"s-{number:02}\n" for number in range(20))

    class Full(Kept):
        """A disk that has no room for the keys of the third piece."""

        pieces = 0

        def __call__(self, added: Sequence[Added]) -> None:
            self.pieces += 1
            if self.pieces == 3:
                raise Unavailable("disk", "is full")
            super().__call__(added)

    full, kept = Full(), Kept()
    with pytest.raises(Unavailable):
        await reading(shoal, tenant, text).write(full, Told(), by="Kari")
    # Nobody is made whose key was not kept.
    assert await endpoints(shoal, tenant) == sorted(full.keys)
    assert len(full.keys) == 6

    report = await reading(shoal, tenant, text).write(kept, Told(), by="Kari")
    assert (report.new, report.there) == (14, 6)
    assert len(full.keys | kept.keys) == 20
    assert None not in (full.keys | kept.keys).values()


async def test_somebody_who_is_quicker_stops_it_at_that_line(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()

    class Quick(Inventory):
        """Sees what is there as it was before somebody else made `b`."""

        async def devices_named(self, tenant: TenantId, endpoints: Sequence[str]) -> dict[str, object]:  # type: ignore[override]
            return {}

    await shoal.create_device(tenant, "b")
    shoal.inventory = Quick(shoal.database, shoal.clock)

    with pytest.raises(Rejected, match=r"line 3 \(b\): another device has this endpoint"):
        await reading(shoal, tenant, "endpoint\na\nb\n").write(Kept(), Told(), by="Kari")
    assert await endpoints(shoal, tenant) == ["b"]
