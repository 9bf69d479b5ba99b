"""Devices register, policies change, devices answer: object 2 follows through the queue of commands."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from shoal.access.policy import Policy
from shoal.commands.command import Operation, State
from shoal.commands.queue import WAITING_PER_DEVICE_MAX
from shoal.events.device import DeviceDeregistered
from shoal.ids import TenantId
from shoal.inventory.device import Device
from shoal.sharing import store
from shoal.sharing.shared import Phase, Shared
from tests.harness.installation import Installation
from tests.harness.shared_device import OURS, SUPPLIER, Listed, SharedDevice, carry
from tests.harness.voices import Voice
from tests.unit.sharing.looks import allow


@dataclass
class Scene:
    """One shared device of an installation."""

    shoal: Installation
    tenant: TenantId
    device: Device
    peer: SharedDevice
    voice: Voice

    async def registers(self, *, again: bool = False) -> None:
        paths = tuple(path for path, _ in self.peer.objects)
        await self.hears(self.voice.registered(self.shoal.clock.now(), objects=paths, is_again=again))

    async def hears(self, *events: object) -> None:
        await self.shoal.hear(*events)  # type: ignore[arg-type]  # events of a device
        await self.shoal.settle()

    async def allows(self, policy: Policy) -> str:
        async with self.shoal.database.transaction() as tx:
            kept = await self.shoal.access.create(tx, self.tenant, self._here(policy), "", "Kari")
        await self.shoal.settle()
        return kept.policy.id

    async def denies(self, policy: str) -> None:
        async with self.shoal.database.transaction() as tx:
            await self.shoal.access.delete(tx, self.tenant, policy)
        await self.shoal.settle()

    async def known(self) -> Shared | None:
        return await store.one(self.shoal.database, self.tenant, self.device.id)

    async def waiting(self) -> list[tuple[str, str]]:
        found = await self.shoal.commands.unfinished(0)
        return [(command.operation.value, command.path) for command in found]

    def _here(self, policy: Policy) -> Policy:
        return Policy(
            id="",
            effect=policy.effect,
            who=policy.who,
            operations=policy.operations,
            place=self.tenant,
            paths=policy.paths,
        )


@pytest.fixture
async def scene(shoal: Installation) -> Scene:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    await shoal.settle()
    voice = Voice(device.id, tenant=tenant, farm=None, enclosure=None, endpoint=device.endpoint)
    return Scene(shoal, tenant, device, SharedDevice(controls={0: Listed(3, 0)}), voice)


async def test_a_device_is_read_when_it_registers_and_told_when_a_policy_speaks(scene: Scene) -> None:
    await scene.registers()
    assert await scene.waiting() == [("read", "/1"), ("read", "/2")], "it waits until the device listens"
    await carry(scene.shoal, scene.peer)
    assert scene.peer.changes == []

    policy = await scene.allows(allow())
    await carry(scene.shoal, scene.peer)
    assert scene.peer.controls[0].acl == {0: 0, OURS: 15, SUPPLIER: 1}

    await scene.denies(policy)
    await carry(scene.shoal, scene.peer)
    assert scene.peer.controls[0].acl == {0: 0, OURS: 15}
    known = await scene.known()
    assert known is not None
    assert (known.phase, known.is_ruled) == (Phase.SETTLED, False)


async def test_a_device_with_one_server_is_never_asked(scene: Scene) -> None:
    scene.peer.servers = {0: OURS}
    await scene.allows(allow())
    await scene.registers()

    assert await scene.waiting() == []
    assert await scene.known() is None


async def test_a_policy_that_is_taken_back_before_the_device_woke_never_reaches_it(scene: Scene) -> None:
    await scene.registers()
    await carry(scene.shoal, scene.peer)
    policy = await scene.allows(allow())
    # The device answers the reads of that look, and then falls asleep.
    await carry(scene.shoal, scene.peer, at_most=2)
    assert ("write", "/2/0/2") in await scene.waiting()

    await scene.denies(policy)
    await carry(scene.shoal, scene.peer)

    assert scene.peer.changes == []
    ended = await scene.shoal.commands.of_device(scene.tenant, scene.device.id, is_unfinished=False)
    assert [one.state for one in ended if one.operation is Operation.WRITE] == [State.CANCELLED]


async def test_a_refusal_is_told_once_however_often_it_registers(scene: Scene) -> None:
    scene.peer.code = "4.01"
    await scene.allows(allow())
    for _ in range(3):
        await scene.registers(again=True)
        await carry(scene.shoal, scene.peer)
        scene.shoal.clock.advance(timedelta(minutes=5))

    assert scene.peer.changes == [("write", "/2/0/2")]
    known = await scene.known()
    assert known is not None
    assert known.told["/3/0"].code == "4.01"


async def test_an_update_with_the_same_objects_is_no_reason_and_one_with_others_is(scene: Scene) -> None:
    await scene.allows(allow(path="*"))
    await scene.registers()
    await carry(scene.shoal, scene.peer)
    scene.peer.asked.clear()
    now = scene.shoal.clock.now()

    # What we made ourselves shows in object 2 alone.
    await scene.hears(scene.voice.updated(now, objects=scene.peer.objects), scene.voice.updated(now, lifetime_s=600))
    assert await carry(scene.shoal, scene.peer) == 0

    await scene.hears(scene.voice.updated(now, objects=[*scene.peer.objects, ("/9/0", None)]))
    await carry(scene.shoal, scene.peer)
    assert [one for one, _ in scene.peer.changes] == ["create"]


async def test_a_full_queue_is_a_problem_and_no_loop(scene: Scene) -> None:
    place = scene.device.place
    async with scene.shoal.database.transaction() as tx:
        for number in range(WAITING_PER_DEVICE_MAX):
            await scene.shoal.commands.enqueue(
                tx,
                place,
                Operation.EXECUTE,
                f"/3/0/{number}",
                time_to_live=timedelta(minutes=5),
                by=None,
                wait_for_wake=True,
            )
    await scene.registers()

    known = await scene.known()
    assert known is not None
    assert known.phase is Phase.SETTLED
    assert "32 commands wait for it already" in known.problem


async def test_a_device_that_moved_is_judged_by_the_policies_of_its_new_place(scene: Scene) -> None:
    farm = await scene.shoal.create_farm(scene.tenant)
    pen = await scene.shoal.create_enclosure(scene.tenant, farm)
    await scene.registers()
    await carry(scene.shoal, scene.peer)
    async with scene.shoal.database.transaction() as tx:
        here = Policy(
            id="", effect=allow().effect, who=allow().who, operations=allow().operations, place=pen, paths=allow().paths
        )
        await scene.shoal.access.create(tx, scene.tenant, here, "", "Kari")
    await scene.shoal.settle()
    await carry(scene.shoal, scene.peer)
    assert scene.peer.changes == []

    async with scene.shoal.database.transaction() as tx:
        await scene.shoal.inventory.move_device(tx, scene.tenant, scene.device.id, pen, by="Kari")
    await scene.shoal.settle()
    await carry(scene.shoal, scene.peer)

    assert scene.peer.controls[0].acl[SUPPLIER] == 1


async def test_whoever_is_gone_is_forgotten_and_whoever_is_away_waits(scene: Scene) -> None:
    await scene.registers()
    await carry(scene.shoal, scene.peer)
    now = scene.shoal.clock.now()
    goodbye = scene.voice.deregistered(now)
    assert isinstance(goodbye, DeviceDeregistered)
    await scene.hears(goodbye)
    await scene.allows(allow())
    assert await scene.waiting() == []

    await scene.registers(again=True)
    await carry(scene.shoal, scene.peer)
    assert scene.peer.controls[0].acl[SUPPLIER] == 1

    async with scene.shoal.database.transaction() as tx:
        await scene.shoal.inventory.delete_device(tx, scene.tenant, scene.device.id)
    await scene.shoal.settle()
    assert await scene.known() is None


async def test_a_device_that_keeps_one_server_is_no_longer_shared(scene: Scene) -> None:
    await scene.registers()
    assert await scene.known() is not None

    scene.peer.servers = {0: OURS}
    await scene.registers(again=True)

    assert await scene.known() is None
