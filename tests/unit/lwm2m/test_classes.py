"""Objects as Python classes: what they are checked for, and how they live in a device."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shoal import lwm2m
from shoal.errors import DeviceFault, Rejected
from shoal.lwm2m import Device, Link, Refusal, Server
from tests.harness.listener import Listener, listening
from tests.unit.lwm2m.conftest import PATIENCE, sensor, until

NAME = "oxy-0417"
FEEDER = Path(__file__).with_name("feeder.xml")


async def create(server: Server, path: str, instance: int, resources: Mapping[str, object]) -> None:
    body = {"instance": instance, "resources": dict(resources)}
    await server._ask(NAME, "create", path, body, PATIENCE)


class Thermometer(lwm2m.Object, id=3303):
    """A water thermometer that measures when somebody asks."""

    value: float = lwm2m.resource(5700)
    units: str = lwm2m.resource(5701, default="Cel")
    application: str = lwm2m.resource(5750, default="")
    lowest: float = lwm2m.resource(5601)

    def __init__(self, instance: int = 0, **values: object) -> None:
        super().__init__(instance, **values)
        self.water = 9.0
        self.measured = 0
        self.told: list[str] = []
        self.resets = 0
        self.end = ""

    @lwm2m.measured(5700)
    def measure(self) -> float:
        self.measured += 1
        if self.water < -2:
            raise Refusal("5.03", "the probe is frozen")
        return self.water

    @lwm2m.check(5750)
    async def allow(self, application: str) -> None:
        await asyncio.sleep(0)
        if len(application) > 10:
            raise Refusal("4.00", "too long for the display")

    @lwm2m.written(5750)
    def note(self, application: str) -> None:
        self.told.append(application)

    @lwm2m.execute(5605)
    async def reset(self) -> None:
        self.resets += 1

    def created(self) -> None:
        if self.units == "F":
            raise Refusal("4.00", "not here")

    def deleted(self) -> None:
        self.end = "deleted"


@pytest.fixture
async def thermometer(server: Server, listener: Listener) -> AsyncIterator[Thermometer]:
    device = Device(NAME, server.addresses[0], identity=NAME, key=bytes(range(16)))
    thermometer = Thermometer(application="pen")
    device.add(thermometer)
    async with device:
        await device.registered(PATIENCE)
        yield thermometer


async def test_an_attribute_is_a_resource(thermometer: Thermometer, server: Server) -> None:
    thermometer.units = "K"
    thermometer.lowest = 4

    assert await server.read(NAME, "/3303/0/5701") == "K"
    assert await server.read(NAME, "/3303/0/5601") == 4.0
    del thermometer.lowest
    with pytest.raises(AttributeError, match="/3303/0/5601 has no value"):
        _ = thermometer.lowest
    with pytest.raises(DeviceFault, match=r"4\.04"):
        await server.read(NAME, "/3303/0/5601")


async def test_a_value_is_measured_when_it_is_read(thermometer: Thermometer, server: Server) -> None:
    thermometer.water = 11.5
    assert await server.read(NAME, "/3303/0/5700") == 11.5
    thermometer.water = 12.0
    assert await server.read(NAME, "/3303/0") == {
        "/3303/0/5700": 12.0,
        "/3303/0/5701": "Cel",
        "/3303/0/5750": "pen",
    }

    assert (thermometer.measured, thermometer.value) == (3, 12.0), "once at the start, and for each read"
    thermometer.water = -3.0
    with pytest.raises(DeviceFault, match=r"5\.03 the probe is frozen"):
        await server.read(NAME, "/3303/0/5700")


async def test_a_write_that_is_refused_changes_nothing(thermometer: Thermometer, server: Server) -> None:
    with pytest.raises(DeviceFault, match=r"4\.00 too long for the display"):
        await server.write(NAME, "/3303/0/5750", "a name that is too long")
    assert (thermometer.application, thermometer.told) == ("pen", [])

    await server.write(NAME, "/3303/0/5750", "buoy")

    await until(lambda: thermometer.told == ["buoy"])
    assert thermometer.application == "buoy"


async def test_a_method_is_executed(thermometer: Thermometer, server: Server) -> None:
    await server.execute(NAME, "/3303/0/5605")

    await until(lambda: thermometer.resets == 1)


async def test_servers_make_and_delete_instances_where_they_may(server: Server, listener: Listener) -> None:
    device = sensor(server)
    made: list[Thermometer] = []

    class Made(Thermometer):
        def created(self) -> None:
            super().created()
            made.append(self)

    Made.made_by_servers(device)
    async with device:
        await device.registered(PATIENCE)
        await create(server, "/3303", 4, {"5750": "second", "5700": 1.0})
        assert (made[0].application, made[0].path) == ("second", "/3303/4")
        made[0].water = 3.5
        assert await server.read(NAME, "/3303/4/5700") == 3.5
        assert await server.read(NAME, "/3303/4/5701") == "Cel", "what the server did not say has its default"
        with pytest.raises(DeviceFault, match=r"4\.00 not here"):
            await create(server, "/3303", 5, {"5701": "F", "5700": 1.0})
        with pytest.raises(DeviceFault, match=r"4\.04"):
            await server.read(NAME, "/3303/5")

        await server._ask(NAME, "delete", "/3303/4", None, PATIENCE)

        await until(lambda: made[0].end == "deleted")


async def test_what_every_instance_has_must_be_given(server: Server, listener: Listener) -> None:
    class Buffer(lwm2m.Object, id=3303):
        value: float = lwm2m.resource(5700)

    device = sensor(server)
    Buffer.made_by_servers(device)
    async with device:
        await device.registered(PATIENCE)
        with pytest.raises(DeviceFault, match=r"4\.00 missing: Sensor Value"):
            await create(server, "/3303", 7, {"5701": "Cel"})


class Everything(lwm2m.Object, id=3):
    """Of every type that the Device object has; several values as a list and by their ids."""

    maker: str = lwm2m.resource(0, default="Example Works")
    sources: list[int] = lwm2m.resource(6)
    voltages: dict[int, int] = lwm2m.resource(7)
    errors: list[int] = lwm2m.resource(11)
    at: datetime = lwm2m.resource(13)
    offset: str = lwm2m.resource(14)

    @lwm2m.execute(4)
    def reboot(self, arguments: Mapping[str, str]) -> None:
        self.arguments = arguments


class Location(lwm2m.Object, id=33_000):
    """Nobody defined it: it is as the class says."""

    link: Link = lwm2m.resource(0, default=Link(3303, 0))
    image: bytes = lwm2m.resource(1, default=b"\x00\xff")
    is_there: bool = lwm2m.resource(2, default=True)


async def test_values_of_every_type_come_back_as_they_are(server: Server, listener: Listener) -> None:
    device = Device(NAME, server.addresses[0], identity=NAME, key=bytes(range(16)))
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    everything = Everything(sources=[1, 5], voltages={1: 3_700, 5: 5_000}, errors=[0], at=noon, offset="+01:00")
    location = Location()
    device.add(everything)
    device.add(location)
    async with device:
        await device.registered(PATIENCE)
        assert await server.read(NAME, "/3/0/13") == int(noon.timestamp())
        assert await server.read(NAME, "/3/0/7/5") == 5_000
        assert (everything.sources, everything.voltages, everything.at) == ([1, 5], {1: 3_700, 5: 5_000}, noon)
        everything.errors = [2, 3]
        assert await server.read(NAME, "/3/0/11") == {"/3/0/11/0": 2, "/3/0/11/1": 3}
        everything.errors = [1]
        assert await server.read(NAME, "/3/0/11") == {"/3/0/11/0": 1}

        await server.write(NAME, "/3/0/13", int(noon.timestamp()) + 60)
        await until(lambda: everything.at == noon + timedelta(minutes=1))
        await server.execute(NAME, "/3/0/4", _0="now")
        await until(lambda: getattr(everything, "arguments", None) == {"0": "now"})

    assert (location.link, location.image, location.is_there) == (Link(3303, 0), b"\x00\xff", True)


def test_a_class_must_agree_with_the_definitions() -> None:
    with pytest.raises(TypeError, match="Sensor Value is float, not int"):

        class Wrong(lwm2m.Object, id=3303):
            value: int = lwm2m.resource(5700)

    with pytest.raises(TypeError, match="has no resource 9"):

        class Unknown(lwm2m.Object, id=3303):
            value: float = lwm2m.resource(9)

    with pytest.raises(TypeError, match="has several values"):

        class Single(lwm2m.Object, id=3):
            voltage: int = lwm2m.resource(7)

    with pytest.raises(TypeError, match="not defined as executable"):

        class Executed(lwm2m.Object, id=3303):
            @lwm2m.execute(5700)
            def run(self) -> None: ...

    with pytest.raises(TypeError, match="no attribute is resource 5701"):

        class Sampled(lwm2m.Object, id=3303):
            @lwm2m.measured(5701)
            def units(self) -> str:
                return "Cel"

    with pytest.raises(TypeError, match="say its type"):

        class Untyped(lwm2m.Object, id=3303):
            value = lwm2m.resource(5700)

    with pytest.raises(TypeError, match="say which object"):

        class Nameless(lwm2m.Object):
            pass


def test_a_class_of_an_own_object_must_agree_with_its_definition() -> None:
    objects = lwm2m.load_objects(FEEDER)
    with pytest.raises(TypeError, match="Rate is float, not int"):

        class Wrong(lwm2m.Object, id=41001, objects=objects):
            rate: int = lwm2m.resource(1)

    class Feeder(lwm2m.Object, id=41001, objects=objects):
        rate: float = lwm2m.resource(1)

    with pytest.raises(TypeError, match="has no resource 9"):

        class Larger(Feeder):
            size: int = lwm2m.resource(9)


async def test_an_own_object_is_executed_and_made_as_its_definition_says(tmp_path: Path) -> None:
    objects = lwm2m.load_objects(FEEDER)
    portions: list[str] = []

    class Feeder(lwm2m.Object, id=41001, objects=objects):
        rate: float = lwm2m.resource(1)
        calibration: bytes = lwm2m.resource(3)

        @lwm2m.execute(0)
        def feed(self) -> None:
            portions.append(self.path)

    async with Server("coap://127.0.0.1:0", endpoints=["feeder-1"], objects=objects) as server, listening(server):
        device = Device("feeder-1", server.addresses[0], objects=objects)
        device.add(Feeder(rate=2.0))
        Feeder.made_by_servers(device)
        async with device:
            await device.registered(PATIENCE)
            await server.execute("feeder-1", "/41001/0/0")
            await until(lambda: portions == ["/41001/0"])
            with pytest.raises(DeviceFault, match=r"4\.00 missing: Rate"):
                await server.create("feeder-1", "/41001/1", {3: b"\x01"})


def test_a_value_must_be_of_its_type() -> None:
    thermometer = Thermometer()

    with pytest.raises(Rejected):
        thermometer.units = 7  # type: ignore[assignment]  # that is the point
    with pytest.raises(TypeError, match="has no colour"):
        Thermometer(colour="red")
    thermometer.lowest = 3
    assert (thermometer.lowest, type(thermometer.lowest)) == (3.0, float)


async def test_observers_hear_of_what_is_measured_by_itself(server: Server, listener: Listener) -> None:
    class Quick(Thermometer):
        @lwm2m.measured(5601, every=timedelta(milliseconds=10))
        def measure_lowest(self) -> float:
            self.water += 1
            return self.water

    quick = Quick(lowest=0.0)
    device = Device(NAME, server.addresses[0], identity=NAME, key=bytes(range(16)))
    device.add(quick)
    async with device:
        await device.registered(PATIENCE)
        await server.observe(NAME, "/3303/0/5601")

        def heard() -> set[object]:
            reports = listener.heard(lwm2m.Reported)
            return {reading.value for report in reports for reading in report.readings}

        await until(lambda: len(heard()) >= 3)


async def test_an_instance_that_is_made_again_is_measured_as_often_as_before(
    server: Server, listener: Listener, tmp_path: Path
) -> None:
    class Patient(Thermometer):
        @lwm2m.measured(5601, every=timedelta(hours=1))
        def measure_lowest(self) -> float:
            return 1.5

    def tasks() -> int:
        return sum("measure_" in str(task.get_coro()) for task in asyncio.all_tasks())

    def again() -> Device:
        device = Device("buoy-1", server.addresses[1], state=tmp_path / "state.json")
        Patient.made_by_servers(device)
        return device

    async with again() as device:
        await device.registered(PATIENCE)
        for _ in range(3):
            await server._ask("buoy-1", "create", "/3303", {"instance": 4, "resources": {"5700": 1.0}}, PATIENCE)
            await until(lambda: tasks() == 1)
            await server._ask("buoy-1", "delete", "/3303/4", None, PATIENCE)
            await until(lambda: tasks() == 0)
        await server._ask("buoy-1", "create", "/3303", {"instance": 4, "resources": {"5700": 1.0}}, PATIENCE)
        await until(lambda: "/3303/4" in device._remembered.made())
    await until(lambda: tasks() == 0)

    async with again() as device:
        await device.registered(PATIENCE)
        await until(lambda: tasks() == 1)


async def test_what_is_only_measured_is_there_from_the_start(thermometer: Thermometer, server: Server) -> None:
    assert thermometer.measured == 1

    assert "/3303/0/5700" in await server.discover(NAME, "/3303")


async def test_an_instance_that_comes_and_goes_leaves_nothing_behind(server: Server, listener: Listener) -> None:
    device = sensor(server)
    Thermometer.made_by_servers(device)
    async with device:
        await device.registered(PATIENCE)
        owner = device._owner
        before = (len(owner.checks), len(owner.on_value), len(owner.on_removed), len(device._guards))
        for _ in range(3):
            await create(server, "/3303", 4, {"5700": 1.0})
            await server._ask(NAME, "delete", "/3303/4", None, PATIENCE)
        await until(lambda: "/3303/4/5700" not in device._values)

        assert (len(owner.checks), len(owner.on_value), len(owner.on_removed), len(device._guards)) == before
