"""A delivery of cameras that nobody typed in: each shows a certificate of its maker, and says in which enclosure it is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shoal.access.policy import ALL_DEVICES, Effect, Operation, Policy
from shoal.credentials.anchor import ZeroTouch
from shoal.credentials.credential import Credential, State
from shoal.errors import DeviceFault, Unavailable
from shoal.events.device import PlaceChanged, RequestRefused
from shoal.ids import DeviceId, EnclosureId
from shoal.inventory.claim import Arrival, PlaceState
from shoal.inventory.device import Device as InventoryDevice
from shoal.lwm2m import Device
from shoal.policies.store import AccessPolicies
from tests.harness.authority import Authority
from tests.harness.site import Site, site

WAIT = timedelta(seconds=20)
CAMERA = "cam-9"


@dataclass
class Delivery:
    """A site whose tenant trusts a maker of cameras, and two enclosures of it."""

    site: Site
    maker: Authority
    pen: EnclosureId
    other_pen: EnclosureId

    @asynccontextmanager
    async def camera(self, enclosure: str | None, via: str = "query") -> AsyncIterator[Device]:
        """A camera that is switched on. Rooms and gateway do their work all the time."""
        async with self.site.client_with(self.maker, CAMERA, enclosure=enclosure, enclosure_via=via) as client:
            yield client

    async def inventory_says(self, is_so: Callable[[InventoryDevice], bool]) -> InventoryDevice:
        """The camera as the inventory has it, once that is so."""

        async def look() -> InventoryDevice | None:
            await self.site.shoal.settle()
            found = (await self.site.shoal.inventory.devices(self.site.tenant)).items
            return found[0] if found and is_so(found[0]) else None

        return await self.site.until(look)

    async def waiting(self, device: DeviceId) -> Credential:
        [one] = await self.site.shoal.credentials.of_device(self.site.tenant, device)
        assert one.state is State.WAITING
        return one

    async def approve(self, device: DeviceId, enclosure: EnclosureId | None) -> None:
        """What `POST ...:approve` does."""
        shoal, tenant, one = self.site.shoal, self.site.tenant, await self.waiting(device)
        async with shoal.database.transaction() as tx:
            await shoal.inventory.move_device(tx, tenant, device, enclosure, by="Ida Vik")
            await shoal.credentials.approve(tx, tenant, device, one.id)


Deliver = Callable[[ZeroTouch], Awaitable[Delivery]]


@pytest.fixture
async def deliver(tmp_path: Path) -> AsyncIterator[Deliver]:
    async with site(tmp_path) as running:
        # Certificates are judged by the true time.
        running.shoal.clock.advance(datetime.now(UTC) - running.shoal.clock.now())

        async def with_anchor(zero_touch: ZeroTouch) -> Delivery:
            shoal, tenant = running.shoal, running.tenant
            maker = Authority(tmp_path / "maker", "Maker of cameras")
            async with shoal.database.transaction() as tx:
                made = await shoal.trust_anchors.create(
                    tx, tenant, name="Makers", certificate=maker.ca.read_text(), zero_touch=zero_touch, kind="camera"
                )
                assert made.challenge is not None
                proof = maker.sign(made.challenge)
                await shoal.trust_anchors.prove(tx, tenant, made.id, signature=proof)
            await running.gateway.trust.follow()
            farm = await shoal.create_farm(tenant)
            pens = [await shoal.create_enclosure(tenant, farm, name) for name in ("Pen 1", "Pen 2")]
            return Delivery(running, maker, pens[0], pens[1])

        yield with_anchor


@pytest.mark.parametrize("via", ["query", "object"])
async def test_an_admitted_camera_hangs_where_it_says_it_is(deliver: Deliver, via: str) -> None:
    delivery = await deliver(ZeroTouch.ADMIT)
    async with delivery.camera(delivery.pen, via) as camera:
        placed = await delivery.inventory_says(lambda device: device.enclosure is not None)
        await delivery.site.gateway.roster.follow()
        camera.set("/3/0/9", 87)
        await camera.send("/3/0/9")
        readings = await delivery.site.until(lambda: delivery.site.heard(placed.id, "readings"))

    assert (placed.enclosure, placed.place_state, placed.arrival) == (delivery.pen, PlaceState.AGREED, None)
    assert readings[-1]["enclosure"] == delivery.pen
    told = [event for event in await delivery.site.shoal.events() if isinstance(event, PlaceChanged)]
    assert [(one.state, one.enclosure, one.enclosure_name, one.by) for one in told] == [
        ("agreed", delivery.pen, "Pen 1", None)
    ]


async def test_only_the_first_place_is_taken_for_granted(deliver: Deliver) -> None:
    delivery = await deliver(ZeroTouch.ADMIT)
    async with delivery.camera(delivery.pen):
        await delivery.inventory_says(lambda device: device.enclosure is not None)
    async with delivery.camera(delivery.other_pen):
        disputed = await delivery.inventory_says(lambda device: device.place_state is PlaceState.MISMATCH)

    assert disputed.enclosure == delivery.pen


async def test_anothers_enclosure_and_one_that_is_not_there_leave_it_unplaced_until_it_says_something_better(
    deliver: Deliver,
) -> None:
    delivery = await deliver(ZeroTouch.ADMIT)
    shoal = delivery.site.shoal
    theirs = await shoal.create_tenant("Theirs")
    foreign = await shoal.create_enclosure(theirs, await shoal.create_farm(theirs))
    for said, state in ((foreign, PlaceState.FOREIGN), ("pen four", PlaceState.UNKNOWN)):
        async with delivery.camera(said):
            found = await delivery.inventory_says(lambda device, state=state: device.place_state is state)
            assert (found.enclosure, found.arrival) == (None, Arrival.ADMITTED)

    async with delivery.camera(delivery.pen):
        placed = await delivery.inventory_says(lambda device: device.enclosure is not None)
    assert placed.enclosure == delivery.pen


async def test_an_enclosure_that_a_policy_closes_is_not_taken(deliver: Deliver) -> None:
    delivery = await deliver(ZeroTouch.ADMIT)
    shoal, tenant = delivery.site.shoal, delivery.site.tenant
    closed = Policy(
        id="", effect=Effect.DENY, who=ALL_DEVICES, operations=frozenset({Operation.WRITE}), place=delivery.pen
    )
    policies = AccessPolicies(shoal.database, shoal.clock)
    async with shoal.database.transaction() as tx:
        await policies.create(tx, tenant, closed, note="Nobody goes there", by="Ida Vik")
    # What the object says is read after the registration, which therefore stands.
    async with delivery.camera(delivery.pen, "object"):
        found = await delivery.inventory_says(lambda device: device.place_state is PlaceState.MISMATCH)

    assert (found.enclosure, found.arrival) == (None, Arrival.ADMITTED)


async def test_a_camera_that_waits_says_where_it_is_and_one_click_lets_it_in_there(deliver: Deliver) -> None:
    delivery = await deliver(ZeroTouch.APPROVE)
    gateway = delivery.site.gateway
    async with delivery.camera(delivery.pen) as camera:
        waiting = await delivery.inventory_says(lambda device: device.claim is not None)
        assert waiting.claim is not None
        assert (waiting.claim.enclosure, waiting.claim.enclosure_name) == (delivery.pen, "Pen 1")
        assert (waiting.enclosure, waiting.registration) == (None, None)
        assert (waiting.arrival, waiting.place_state) == (Arrival.WAITING, PlaceState.AGREED)
        with pytest.raises(Unavailable, match="nobody has approved"):
            await camera.registered(timedelta(seconds=0.1))

        await delivery.approve(waiting.id, delivery.pen)
        await gateway.roster.follow()
        await camera.registered(WAIT)
        placed = await delivery.inventory_says(lambda device: device.registration is not None)

    assert (placed.enclosure, placed.place_state, placed.arrival) == (delivery.pen, PlaceState.AGREED, None)
    [current] = await delivery.site.shoal.credentials.of_device(delivery.site.tenant, placed.id)
    assert current.state is State.CURRENT


async def test_a_camera_that_waits_elsewhere_is_in_dispute_until_somebody_moves_it(deliver: Deliver) -> None:
    delivery = await deliver(ZeroTouch.APPROVE)
    async with delivery.camera("pen four") as camera:
        waiting = await delivery.inventory_says(lambda device: device.place_state is PlaceState.UNKNOWN)
        with pytest.raises(DeviceFault, match="not registered"):
            await camera.update()
        refused = [
            event
            for event in await delivery.site.shoal.events()
            if isinstance(event, RequestRefused) and event.reason == "not_approved"
        ]
        assert {event.code for event in refused} == {"4.03"}
        assert refused[0].claim is not None
        assert refused[0].claim.enclosure == "pen four"

        await delivery.approve(waiting.id, None)
        await delivery.site.gateway.roster.follow()
        await camera.registered(WAIT)
        found = await delivery.inventory_says(lambda device: device.registration is not None)

    assert (found.enclosure, found.place_state, found.arrival) == (None, PlaceState.UNKNOWN, None)
