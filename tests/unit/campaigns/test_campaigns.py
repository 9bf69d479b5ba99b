"""What people do with artifacts and updates."""

from collections.abc import AsyncIterator

import pytest

from shoal.campaigns.artifact import ArtifactKind
from shoal.campaigns.campaigns import SOAK_S_MAX
from shoal.campaigns.update import Purpose, UpdateState
from shoal.errors import Conflict, NotFound, Rejected
from shoal.ids import TenantId
from shoal.inventory.device import Device, Kind
from tests.harness.installation import Installation
from tests.harness.voices import Voice


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def upload(shoal: Installation, tenant: TenantId, content: bytes = b"weights", version: str = "2.1.0") -> str:
    artifact = await shoal.campaigns.add_artifact(
        tenant, kind="model", name="fish-count", version=version, chunks=chunks(content), by="usr-1"
    )
    return artifact.id


async def camera(shoal: Installation, tenant: TenantId, endpoint: str = "cam-1") -> Device:
    """A camera that campaigns have heard of."""
    device = await shoal.create_device(tenant, endpoint, kind=Kind.CAMERA)
    await shoal.settle()
    return device


async def test_an_artifact_is_taken_in_once(shoal: Installation) -> None:
    tenant, other = await shoal.create_tenant(), await shoal.create_tenant("Other")
    first = await upload(shoal, tenant)

    artifact = await shoal.campaigns.artifact(tenant, first)
    assert await upload(shoal, tenant) == first
    assert await upload(shoal, other) != first
    assert (artifact.kind, artifact.size, artifact.by) == (ArtifactKind.MODEL, 7, "usr-1")
    assert shoal.files.path(artifact.sha256).read_bytes() == b"weights"
    with pytest.raises(Conflict):
        await upload(shoal, tenant, b"other weights")
    assert [one.id for one in await shoal.campaigns.artifacts(tenant)] == [first]
    with pytest.raises(NotFound):
        await shoal.campaigns.artifact(other, first)


@pytest.mark.parametrize("what", [{"kind": "config"}, {"name": ""}, {"version": "2\n"}, {"chunks": chunks()}])
async def test_what_is_no_artifact_is_refused(shoal: Installation, what: dict[str, object]) -> None:
    tenant = await shoal.create_tenant()
    asked = {"kind": "model", "name": "fish-count", "version": "2", "chunks": chunks(b"x")} | what
    if what.get("version"):
        asked["version"] = "2\x00"

    with pytest.raises(Rejected):
        await shoal.campaigns.add_artifact(tenant, **asked)  # type: ignore[arg-type]

    assert await shoal.campaigns.artifacts(tenant) == []


async def test_an_update_begins_with_its_file_on_offer_and_the_device_asked(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device, artifact = await camera(shoal, tenant), await upload(shoal, tenant)

    update = await shoal.campaigns.start_update(device, artifact, by="usr-1")

    commands = await shoal.commands.of_device(tenant, device.id)
    assert (update.state, update.by, update.endpoint, update.version) == (
        UpdateState.WAITING,
        "usr-1",
        "cam-1",
        "2.1.0",
    )
    assert sorted(update.commands.values()) == sorted([Purpose.POLL_STATE, Purpose.POLL, Purpose.POLL_VERSION])
    assert {command.id for command in commands} == set(update.commands)
    [offered] = await shoal.offered()
    assert (offered.path, offered.device, offered.file.read_bytes()) == (update.path, device.id, b"weights")
    assert await shoal.campaigns.update(tenant, update.id) == update
    assert [one.id for one in (await shoal.campaigns.updates(tenant, device=device.id)).items] == [update.id]
    assert (await shoal.campaigns.counts(tenant))[UpdateState.WAITING] == 1


async def test_an_update_needs_a_device_and_an_artifact_of_the_tenant(shoal: Installation) -> None:
    tenant, other = await shoal.create_tenant(), await shoal.create_tenant("Other")
    device, artifact = await camera(shoal, tenant), await upload(shoal, tenant)
    stranger, foreign = await camera(shoal, other), await upload(shoal, other)

    for of, with_ in ((stranger, artifact), (device, foreign)):
        with pytest.raises(NotFound):
            await shoal.campaigns.start_update(of, with_)
    with pytest.raises(Rejected):
        await shoal.campaigns.start_update(device, artifact, delivery="carrier pigeon")
    with pytest.raises(Rejected):
        await shoal.campaigns.start_update(device, artifact, soak_s=SOAK_S_MAX + 1)

    assert (await shoal.campaigns.updates(tenant)).items == []
    assert await shoal.offered() == []


async def test_a_second_update_of_a_device_is_refused_and_asks_nothing(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device, artifact = await camera(shoal, tenant), await upload(shoal, tenant)
    await shoal.campaigns.start_update(device, artifact)
    asked = len(await shoal.commands.of_device(tenant, device.id))
    newer = await upload(shoal, tenant, b"newer", "2.2.0")

    with pytest.raises(Conflict):
        await shoal.campaigns.start_update(device, newer)

    assert len(await shoal.commands.of_device(tenant, device.id)) == asked
    assert len(await shoal.offered()) == 1


async def test_a_damaged_or_lost_file_is_not_sent_to_a_device(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device, artifact = await camera(shoal, tenant), await upload(shoal, tenant)
    path = shoal.files.path((await shoal.campaigns.artifact(tenant, artifact)).sha256)

    path.write_bytes(b"weighty")
    with pytest.raises(Conflict, match="damaged"):
        await shoal.campaigns.start_update(device, artifact)
    path.unlink()
    with pytest.raises(NotFound):
        await shoal.campaigns.start_update(device, artifact)
    await upload(shoal, tenant)

    assert (await shoal.campaigns.start_update(device, artifact)).state is UpdateState.WAITING


async def test_the_files_of_running_updates_are_on_offer_those_that_are_there(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    updates = []
    for n in range(3):
        device = await camera(shoal, tenant, f"cam-{n}")
        artifact = await upload(shoal, tenant, f"weights {n}".encode(), f"2.{n}")
        updates.append(await shoal.campaigns.start_update(device, artifact))
    await shoal.campaigns.cancel_update(tenant, updates[0].id)
    shoal.files.path((await shoal.campaigns.artifact(tenant, updates[1].artifact)).sha256).unlink()

    assert [(one.path, one.device) for one in await shoal.offered()] == [(updates[2].path, updates[2].device)]


async def test_an_update_can_be_stopped_once_by_its_own_tenant(shoal: Installation) -> None:
    tenant, other = await shoal.create_tenant(), await shoal.create_tenant("Other")
    device, artifact = await camera(shoal, tenant), await upload(shoal, tenant)
    update = await shoal.campaigns.start_update(device, artifact)

    with pytest.raises(NotFound):
        await shoal.campaigns.cancel_update(other, update.id)
    stopped = await shoal.campaigns.cancel_update(tenant, update.id, by="usr-1")
    with pytest.raises(Conflict):
        await shoal.campaigns.cancel_update(tenant, update.id, by="usr-1")

    assert (stopped.state, stopped.reason) == (UpdateState.CANCELLED, "by usr-1")
    assert await shoal.offered() == []
    assert (await shoal.campaigns.updates(tenant, states=[UpdateState.CANCELLED])).items == [stopped]


async def test_a_device_may_be_told_to_update_before_anything_was_heard_of_it(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    new, artifact = await shoal.create_device(tenant, "cam-new"), await upload(shoal, tenant)

    update = await shoal.campaigns.start_update(new, artifact)
    await shoal.settle()

    assert (update.state, update.reason, update.endpoint) == (
        UpdateState.WAITING,
        "it is not registered",
        "cam-new",
    )
    voice = Voice(new.id, tenant=tenant, farm=None, enclosure=None, endpoint="cam-new")
    await shoal.hear(voice.registered(shoal.clock.now(), objects=("/3/0", "/5/0")))
    await shoal.settle()
    assert (await shoal.campaigns.update(tenant, update.id)).reason == "it has not said whether it is idle"
